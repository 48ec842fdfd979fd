"""The secrets of receivers: read where they are when a letter is sent, and kept nowhere."""

import os
from pathlib import Path
from typing import Final

from servewell.ports.sinks import SecretReferenceError

SECRET_BYTES_MAX: Final = 65_536


def resolved(reference: str, *, folder: str) -> str:
    """Return what `env:NAME` or `file:PATH` refers to.

    Raises: SecretReferenceError.
    """
    kind, _, name = reference.partition(":")
    return _of_environment(name) if kind == "env" else _of_file(Path(folder) / name)


def _of_environment(name: str) -> str:
    found = os.environ.get(name, "").strip()
    if not found:
        raise SecretReferenceError(
            f"The environment variable `{name}` of a receiver is not set.",
            why="the control process has the environment of the `servewell up` that began it",
            fix=f"set `{name}`, then `servewell down` and `servewell up FOLDER`; or name a file "
            "with `file:PATH`",
        )
    return found


def _of_file(path: Path) -> str:
    try:
        with path.open("rb") as file:
            found = file.read(SECRET_BYTES_MAX).decode().strip()
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "it is no text in UTF-8"
        raise _unusable(path, why) from error
    if not found:
        raise _unusable(path, "it is empty")
    return found


def _unusable(path: Path, why: str) -> SecretReferenceError:
    return SecretReferenceError(
        f"The secret of a receiver cannot be read from `{path}`.",
        why=why,
        fix="put it there, readable by the user who runs Servewell; it is tried again",
    )
