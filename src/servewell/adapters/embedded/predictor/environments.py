"""Environments as folders of a home, made with uv, or with venv and pip where uv is missing."""

import fcntl
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from servewell.adapters.embedded.atomic_file import ensure_folder, storage_faults
from servewell.ports.environments import EnvironmentFailedError, LockInvalidError

WITHIN_S: Final = 1_800.0
PYTHON: Final = "bin/python"
WHOLE: Final = "lock.txt"  # written last: an environment with it is whole
# `name==version`, with extras and markers; hashes and comments are cut off before.
EXACT: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*(\[[^\]]*\])?\s*==\s*[^\s*;]+\s*(;.*)?")
UV_COMPILE: Final = ("pip", "compile", "-q", "--no-header", "--no-annotate", "--no-build")
PIP_RESOLVE: Final = (
    *("-m", "pip", "install", "--quiet", "--dry-run", "--ignore-installed"),
    *("--only-binary", ":all:", "--report", "-"),
)
OPTIONS: Final = ("--hash=", "--index-url", "--extra-index-url", "--find-links", "--no-index")


class FolderEnvironments:
    """`Environments` in a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def digest(self, lock: bytes) -> str:
        """See `Environments.digest`."""
        _check(lock)
        runs_on = f"{sys.implementation.cache_tag} {sysconfig.get_platform()}\n".encode()
        return hashlib.sha256(runs_on + lock).hexdigest()

    def resolve(self, wanted: bytes, progress: Callable[[str], None]) -> bytes:
        """See `Environments.resolve`."""
        progress("finding out what its environment needs")
        with tempfile.TemporaryDirectory() as folder:
            source = Path(folder) / "wanted.txt"
            source.write_bytes(wanted)
            if uv := shutil.which("uv"):
                return _run([uv, *UV_COMPILE, "--python", sys.executable, str(source)]).encode()
            report = _run([sys.executable, *PIP_RESOLVE, "-r", str(source)])
        return "".join(f"{line}\n" for line in _resolved(report)).encode()

    def ensure(self, lock: bytes, progress: Callable[[str], None]) -> str:
        """See `Environments.ensure`."""
        digest = self.digest(lock)
        place = self._folder / digest
        with storage_faults(place):
            ensure_folder(self._folder)
            with self._alone():
                if self.python(digest) is None:
                    progress("making its environment")
                    shutil.rmtree(place, ignore_errors=True)
                    _make(place, lock)
        return digest

    def python(self, digest: str) -> Path | None:
        """See `Environments.python`."""
        return python_of(self._folder / digest)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        with (self._folder / "lock").open("ab") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield


def python_of(environment: Path) -> Path | None:
    """Return the Python of an environment that is whole, or None."""
    python = environment / PYTHON
    return python if (environment / WHOLE).is_file() and python.exists() else None


def _make(place: Path, lock: bytes) -> None:
    """Make an environment at its place: the scripts in it name the place, so it cannot be moved."""
    with tempfile.NamedTemporaryFile(suffix=".txt") as file:
        file.write(lock)
        file.flush()
        for command in _commands(place, file.name):
            _run(command)
    (place / WHOLE).write_bytes(lock)


def _commands(place: Path, lock: str) -> list[list[str]]:
    """Return what makes an environment. Wheels only: building a package would run its code."""
    python = str(place / PYTHON)
    if uv := shutil.which("uv"):
        return [
            [uv, "venv", "--quiet", "--python", sys.executable, str(place)],
            [
                uv,
                "pip",
                "install",
                "--quiet",
                "--no-build",
                "--no-deps",
                "--python",
                python,
                "-r",
                lock,
            ],
        ]
    return [
        [sys.executable, "-m", "venv", str(place)],
        [
            python,
            "-m",
            "pip",
            "install",
            "--quiet",
            "--only-binary",
            ":all:",
            "--no-deps",
            "-r",
            lock,
        ],
    ]


def _resolved(report: str) -> list[str]:
    """Return the exact versions in a report of pip.

    Source: pip, "Installation Report", version 1.
    """
    chosen = [one["metadata"] for one in json.loads(report)["install"]]
    return sorted(f"{one['name']}=={one['version']}" for one in chosen)


def _run(command: list[str]) -> str:
    """Return what a command writes. Raises: EnvironmentFailedError."""
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=WITHIN_S, check=False, env=_plain()
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise _failed(str(error)) from error
    if done.returncode:
        raise _failed(" ".join((done.stderr or done.stdout).split())[-600:])
    return done.stdout


def _plain() -> dict[str, str]:
    """Return the user's own variables, which say where packages come from, and none of ours."""
    return {name: one for name, one in os.environ.items() if not name.startswith("SERVEWELL_")}


def _check(lock: bytes) -> None:
    try:
        text = lock.decode()
    except UnicodeDecodeError as error:
        raise _invalid("it is no text in UTF-8") from error
    for line in text.replace("\\\n", " ").splitlines():
        said = re.sub(r"(^|\s)#.*", "", line).strip()
        words = re.split(r"\s--hash=", said)[0]
        if said and not said.startswith(OPTIONS) and not EXACT.fullmatch(words):
            raise _invalid(f"`{said[:80]}` names no exact version")


def _invalid(why: str) -> LockInvalidError:
    return LockInvalidError(
        "The requirements are no lock.",
        why=why,
        fix="write every package, those that others need too, as `name==version`; "
        "`uv pip compile requirements.in -o requirements.txt` or `pip freeze` does",
    )


def _failed(why: str) -> EnvironmentFailedError:
    return EnvironmentFailedError(
        "The environment cannot be made.",
        why=why,
        fix="look whether the lock is complete and the packages can be had as wheels for this "
        "Python, then bring the workload up again",
    )
