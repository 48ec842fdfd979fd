"""Files that are whole or not there, whenever a process is killed or the machine loses power.

Everything is written beside its place, brought to the disk, and then renamed. What a killed
process left unfinished ends in `.writing` and is removed by the next writer after an hour.
"""

import errno
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Final

from servewell.ports.storage import StorageError

UNFINISHED: Final = ".writing"
ABANDONED_AFTER_S: Final = 3_600.0

FULL: Final = ("the disk is full", "free some space on that disk, then do the same again")
READ_ONLY: Final = (
    "the file system is read-only",
    "mount it writable, or choose another folder with `--home`",
)
NOT_OURS: Final = (
    "this user of the machine has no right to it",
    "give it the right with `chown` or `chmod`, or choose another folder with `--home`",
)
NOT_A_FOLDER: Final = (
    "a file stands where a folder must be",
    "move that file away, or choose another folder with `--home`",
)
REASONS: Final = {
    errno.ENOSPC: FULL,
    errno.EDQUOT: FULL,
    errno.EROFS: READ_ONLY,
    errno.EACCES: NOT_OURS,
    errno.EPERM: NOT_OURS,
    errno.ENOTDIR: NOT_A_FOLDER,
    errno.EEXIST: NOT_A_FOLDER,
}


@contextmanager
def storage_faults(path: Path, *, doing: str = "written") -> Iterator[None]:
    """Turn every fault of the disk within the block into a StorageError about `path`.

    `doing` completes "cannot be …". Raises: StorageError.
    """
    try:
        yield
    except OSError as error:
        raise storage_error(path, error, doing=doing) from error


def storage_error(path: Path, error: OSError, *, doing: str = "written") -> StorageError:
    """Return what to tell a person about a fault of the disk at `path`."""
    otherwise = (
        f"the operating system says: {error.strerror or error}",
        "see to that disk, or choose another folder with `--home`",
    )
    why, fix = REASONS.get(error.errno or 0, otherwise)
    return StorageError(f"`{path}` cannot be {doing}.", why=why, fix=fix)


def ensure_folder(folder: Path) -> None:
    """Make a folder, and those above it, for this user alone, so that it survives a power loss.

    Raises: OSError.
    """
    if folder.is_dir():
        return
    ensure_folder(folder.parent)
    folder.mkdir(mode=0o700, exist_ok=True)
    sync_folder(folder.parent)


def sync_folder(folder: Path) -> None:
    """Bring the names in a folder to the disk.

    Raises: OSError.
    """
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def unfinished_file(folder: Path, *, mode: int = 0o600) -> Iterator[IO[bytes]]:
    """Give a new file in `folder` to write to; it is gone after the block unless it was renamed.

    Raises: OSError.
    """
    _remove_abandoned(folder)
    with tempfile.NamedTemporaryFile(dir=folder, suffix=UNFINISHED, delete=False) as file:
        try:
            os.fchmod(file.fileno(), mode)
            yield file
        finally:
            Path(file.name).unlink(missing_ok=True)


def finish(file: IO[bytes], path: Path) -> None:
    """Bring an unfinished file to the disk and give it its name, in place of what had it.

    Raises: OSError.
    """
    file.flush()
    os.fsync(file.fileno())
    Path(file.name).rename(path)
    sync_folder(path.parent)


def write_atomically(path: Path, data: bytes, *, mode: int = 0o600) -> None:
    """Make `data` the content of `path`: a reader sees the old content or the new, whole.

    Raises: OSError.
    """
    ensure_folder(path.parent)
    with unfinished_file(path.parent, mode=mode) as file:
        file.write(data)
        finish(file, path)


def _remove_abandoned(folder: Path) -> None:
    latest = time.time() - ABANDONED_AFTER_S
    for found in folder.glob(f"*{UNFINISHED}"):
        with suppress(FileNotFoundError):
            if found.stat().st_mtime < latest:
                found.unlink()
