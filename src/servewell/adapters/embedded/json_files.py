"""Values as JSON in files, through which a process and the one that waits for it speak."""

from pathlib import Path
from typing import Any, TypeVar

import msgspec

from servewell.adapters.embedded.atomic_file import write_atomically

Kind = TypeVar("Kind")


def write(path: Path, value: object) -> None:
    """Write a value as JSON: a reader sees all of it or nothing. Raises: OSError."""
    write_atomically(path, msgspec.json.encode(value, enc_hook=_plain))


def read(path: Path, kind: type[Kind]) -> Kind:
    """Read a value of that kind. Raises: OSError, msgspec.DecodeError."""
    return msgspec.json.decode(path.read_bytes(), type=kind, dec_hook=_rich)


def read_told(path: Path, kind: type[Kind]) -> Kind | None:
    """Return what a process told, or None where it told nothing that can be read.

    Raises: OSError other than that there is no file.
    """
    try:
        return read(path, kind)
    except (FileNotFoundError, msgspec.DecodeError):
        return None


def _plain(value: object) -> object:
    if isinstance(value, Path):
        return str(value)
    raise NotImplementedError(f"no JSON for {type(value)}")


def _rich(kind: type, value: Any) -> Any:  # noqa: ANN401  # as msgspec types its hooks
    if kind is Path:
        return Path(value)
    raise NotImplementedError(f"no {kind} in JSON")
