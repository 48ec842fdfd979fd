"""The inbox of feedback in a folder: one file for what a worker took in at once.

A file has its name only when it is whole and on the disk. Its first line has the checksum of the
rest, so that a fault of the disk is seen.
"""

import fcntl
import os
import time
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import msgspec

from servewell.adapters.embedded.atomic_file import (
    ensure_folder,
    storage_faults,
    write_atomically,
)
from servewell.core.catalog.feedback import Said
from servewell.ports.feedback import Batch, InboxFullError

SUFFIX: Final = ".feedback"
DAMAGED: Final = ".damaged"
LOCK: Final = "lock"
FILES_MAX: Final = 50_000  # that wait, before no more is taken
MAGIC: Final = b"servewell-feedback 1"


class FolderFeedbackInbox:
    """`FeedbackInbox` in a folder of this machine."""

    def __init__(self, folder: Path, *, files_max: int = FILES_MAX) -> None:
        self._folder = folder
        self._files_max = files_max

    def put(self, said: Sequence[Said]) -> None:
        """See `FeedbackInbox.put`."""
        body = msgspec.json.encode(said)
        name = f"{time.time_ns():016x}-{os.getpid()}-{zlib.crc32(body):08x}{SUFFIX}"
        with storage_faults(self._folder):
            if len(self._names()) >= self._files_max:
                raise InboxFullError(
                    "No more feedback can be taken.",
                    why=f"{self._files_max:,} batches wait to be taken up",
                    fix="see with `servewell status` whether the control process runs; it takes "
                    "them up",
                )
            write_atomically(self._folder / name, _framed(body))

    @contextmanager
    def taking(self) -> Iterator[None]:
        """See `FeedbackInbox.taking`."""
        with storage_faults(self._folder):
            ensure_folder(self._folder)
            handle = os.open(self._folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)

    def waiting(self, limit: int) -> tuple[Batch, ...]:
        """See `FeedbackInbox.waiting`."""
        with storage_faults(self._folder, doing="read"):
            return tuple(self._batch(name) for name in sorted(self._names())[:limit])

    def done(self, batch: Batch) -> None:
        """See `FeedbackInbox.done`."""
        place = self._folder / batch.name
        with storage_faults(place, doing="removed"):
            place.unlink(missing_ok=True)

    def damaged(self) -> tuple[str, ...]:
        """See `FeedbackInbox.damaged`."""
        with storage_faults(self._folder, doing="read"):
            return tuple(str(self._folder / name) for name in sorted(self._names(DAMAGED)))

    def sweep(self, before: float) -> tuple[str, ...]:
        """See `FeedbackInbox.sweep`."""
        with storage_faults(self._folder, doing="removed"):
            places = [self._folder / name for name in sorted(self._names(DAMAGED))]
            old = [place for place in places if place.stat().st_mtime < before]
            for place in old:
                place.unlink()
        return tuple(place.name for place in old)

    def _names(self, suffix: str = SUFFIX) -> list[str]:
        try:
            return [name for name in os.listdir(self._folder) if name.endswith(suffix)]  # noqa: PTH208  (names alone are wanted, of many)
        except FileNotFoundError:
            return []

    def _batch(self, name: str) -> Batch:
        place = self._folder / name
        try:
            said = _read(place.read_bytes())
        except FileNotFoundError:  # another process has taken it up
            return Batch(name=name, said=())
        except (ValueError, msgspec.DecodeError):
            place.rename(place.with_suffix(DAMAGED))
            return Batch(name=name, said=(), damaged=True)
        return Batch(name=name, said=said)


def _framed(body: bytes) -> bytes:
    return b"%b %08x\n%b" % (MAGIC, zlib.crc32(body), body)


def _read(data: bytes) -> tuple[Said, ...]:
    """Return what a file holds. Raises: ValueError, msgspec.DecodeError."""
    body = data.partition(b"\n")[2]
    if data != _framed(body):
        raise ValueError("its checksum does not match its content")
    return msgspec.json.decode(body, type=tuple[Said, ...])
