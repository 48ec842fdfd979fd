"""Which segments became Parquet files, in the order in which they did.

A compaction writes a line here when all files of a segment are in place, and only then removes
the segment; so whoever knows a position in the journal finds everything that was compacted since.
A line may stand here twice, when a compaction was killed between the two. The journal is a folder
of numbered files, so that its beginning can go when what it speaks of is past its retention.
"""

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

import msgspec

from servewell.adapters.embedded.atomic_file import ensure_folder, sync_folder
from servewell.adapters.embedded.record_files import HOUR_S

SUFFIX: Final = ".jsonl"
FILE_BYTES: Final = 1 << 20  # after which a new file begins

Position = tuple[int, int]  # number of a file of the journal, byte in it


class FiledPart(msgspec.Struct, frozen=True, array_like=True):
    """One Parquet file of a segment."""

    endpoint: str
    hour: int  # its start, in seconds since the epoch
    records: int


class Filed(msgspec.Struct, frozen=True, kw_only=True):
    """A segment that became Parquet files."""

    segment: str
    parts: tuple[FiledPart, ...]
    missing: int = 0  # records whose numbers it skips
    damaged_bytes: int = 0  # of which nobody knows how many records they were

    def reaches(self, since: float) -> bool:
        """Whether any of its records may be as young as that, in seconds since the epoch."""
        return any(part.hour + HOUR_S > since for part in self.parts)


class RecordJournal:
    """The journal in a folder. One process at a time writes, any number read."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def append(self, filed: Filed) -> None:
        """Write a line, and bring it to the disk. Raises: OSError."""
        ensure_folder(self._folder)
        number, size = self.end()
        if size >= FILE_BYTES:
            number, size = number + 1, 0
        path = self._path(max(1, number))
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            torn = size > 0 and os.pread(handle, 1, size - 1) != b"\n"
            line = (b"\n" if torn else b"") + msgspec.json.encode(filed) + b"\n"
            os.pwrite(handle, line, size)
            os.fsync(handle)
        finally:
            os.close(handle)
        if size == 0:
            sync_folder(self._folder)

    def end(self) -> Position:
        """Return the position behind the last line. Raises: OSError."""
        paths = self._paths()
        return (_number(paths[-1]), paths[-1].stat().st_size) if paths else (0, 0)

    def lines(self, since: Position) -> Iterator[tuple[Filed, Position]]:
        """Yield the lines behind a position, each with the position behind it.

        Raises: OSError.
        """
        for path in self._paths():
            number = _number(path)
            if number >= since[0]:
                start = since[1] if number == since[0] else 0
                yield from _lines(path, number, start)

    def first_that_reaches(self, since: float) -> Position:
        """Return a position before every line with records of that time. Raises: OSError."""
        found = self.end()
        for path in reversed(self._paths()):
            start = (_number(path), 0)
            first = None
            for filed, behind in _lines(path, *start):
                if first is None and filed.reaches(since):
                    first = start
                start = behind
            if first is None:
                break
            found = first
        return found

    def starts_behind(self, position: Position) -> bool:
        """Whether lines at a position are gone. Raises: OSError."""
        paths = self._paths()
        return bool(paths) and _number(paths[0]) > max(1, position[0])

    def sweep(self, before: float) -> None:
        """Remove the files that were last written before a time. Raises: OSError."""
        for path in self._paths()[:-1]:
            if path.stat().st_mtime < before:
                path.unlink()

    def _paths(self) -> list[Path]:
        return sorted(self._folder.glob(f"[0-9]*{SUFFIX}"))

    def _path(self, number: int) -> Path:
        return self._folder / f"{number:08d}{SUFFIX}"


def _number(path: Path) -> int:
    return int(path.name.removesuffix(SUFFIX))


def _lines(path: Path, number: int, start: int) -> Iterator[tuple[Filed, Position]]:
    """Yield the whole lines of a file; one that a kill tore off says nothing, and is skipped."""
    if path.stat().st_size <= start:
        return
    with path.open("rb") as file:
        file.seek(start)
        for line in file:
            if not line.endswith(b"\n"):
                return
            start += len(line)
            with suppress(msgspec.DecodeError):
                yield msgspec.json.decode(line, type=Filed), (number, start)
