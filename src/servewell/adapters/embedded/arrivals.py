"""Files that others put into folders of this machine."""

import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

from servewell.adapters.embedded.atomic_file import UNFINISHED, ensure_folder, storage_faults
from servewell.core.operations.retraining import DataFiles
from servewell.ports.arrivals import Arrival
from servewell.ports.storage import StorageError

BEING_WRITTEN: Final = (UNFINISHED, ".tmp", ".part", ".partial", ".crdownload")


class FileArrivals:
    """`Arrivals`, with copies in a folder of the home."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def data(self, folder: Path, patterns: tuple[str, ...]) -> DataFiles:
        """See `Arrivals.data`."""
        found = {path for pattern in patterns for path in _matching(folder, pattern)}
        stamp, changed_at = _stamp(folder, sorted(found))
        return DataFiles(stamp=stamp, changed_at=changed_at)

    def models(self, folder: Path) -> tuple[Arrival, ...]:
        """See `Arrivals.models`."""
        with suppress(OSError):
            arrivals = [_arrival(path) for path in folder.iterdir() if _is_whole(path)]
            return tuple(
                sorted((one for one in arrivals if one.stamp), key=lambda one: one.changed_at)
            )
        return ()

    def place(self, name: str) -> Path:
        """See `Arrivals.place`."""
        place = self._folder / name
        with storage_faults(place):
            shutil.rmtree(place, ignore_errors=True)  # of an attempt that was interrupted
            ensure_folder(place)
        return place

    def keep(self, path: Path, name: str) -> Path:
        """See `Arrivals.keep`."""
        place = self.place(name)
        copied = place / path.name
        copy = shutil.copytree if path.is_dir() else shutil.copyfile
        try:
            copy(path, copied)
        except OSError as error:
            raise StorageError(
                f"`{path}` cannot be copied to `{place}`.",
                why=f"the operating system says: {error.strerror or error}",
                fix="see that it is there, that it may be read, and that the disk has room",
            ) from error
        return copied

    def discard(self, name: str) -> None:
        """See `Arrivals.discard`."""
        shutil.rmtree(self._folder / name, ignore_errors=True)


def _arrival(path: Path) -> Arrival:
    stamp, changed_at = _stamp(path.parent, sorted(_files(path)))
    return Arrival(path=path, stamp=stamp, changed_at=changed_at)


def _stamp(folder: Path, files: list[Path]) -> tuple[str, float]:
    """Return a digest of names, sizes and times, and the last change; empty where no file is.

    A time of modification can be set to any; that of the change of the file's entry cannot, and
    says whether it is still being written.
    """
    seen, changed_at = hashlib.sha256(), 0.0
    for path in files:
        with suppress(OSError):
            found = path.stat()
            seen.update(
                f"{path.relative_to(folder)}\0{found.st_size}\0{found.st_mtime_ns}\n".encode()
            )
            changed_at = max(changed_at, found.st_ctime)
    return (seen.hexdigest() if changed_at else ""), changed_at


def _matching(folder: Path, pattern: str) -> Iterator[Path]:
    if Path(pattern).is_absolute():
        yield Path(pattern)
        return
    with suppress(OSError, ValueError):
        for path in folder.glob(pattern):
            if _is_whole(path):
                yield from _files(path)


def _files(path: Path) -> Iterator[Path]:
    if not path.is_dir():
        yield path
        return
    for place, _, names in os.walk(path):
        yield from (Path(place, name) for name in names)


def _is_whole(path: Path) -> bool:
    return not path.name.startswith(".") and path.suffix not in BEING_WRITTEN
