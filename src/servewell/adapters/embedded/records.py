"""The prediction log in files: segments that workers append to, and Parquet behind them."""

import fcntl
import os
from collections.abc import Collection, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, Final

import pyarrow.parquet as pq

from servewell.adapters.embedded import record_files, record_following
from servewell.adapters.embedded.atomic_file import ensure_folder, storage_faults
from servewell.adapters.embedded.compaction import Compacted, RecordFolders, compact_segment
from servewell.adapters.embedded.record_files import HOUR_S, UNREADABLE, RecordFile
from servewell.adapters.embedded.record_finding import find
from servewell.adapters.embedded.record_reading import files_beside, open_segments, read_log
from servewell.adapters.embedded.record_tables import note_in
from servewell.adapters.embedded.segments import Segment
from servewell.core.catalog.outcome import Outcome
from servewell.core.operations.retention import Facts, Part, Retention, decide
from servewell.ports.records import Compaction, Followed, RecordQuery, RecordUsage
from servewell.ports.storage import StorageError

EVERYTHING: Final = RecordQuery()
DAY_S: Final = 86_400


class FileRecords:
    """`Records` in a folder of this machine."""

    def __init__(self, folder: Path) -> None:
        self._folders = RecordFolders(folder)

    def read(self, query: RecordQuery) -> Iterator[dict[str, Any]]:
        """See `Records.read`.

        Raises, when all that can be read was given: SegmentCorruptError.
        """
        return read_log(self._folders, query)

    def start_cursor(self, since: float) -> str:
        """See `Records.start_cursor`."""
        return record_following.start_cursor(self._folders, since)

    def follow(self, cursor: str, *, endpoint: str, inputs: bool = False) -> Followed:
        """See `Records.follow`."""
        return record_following.follow(self._folders, cursor, endpoint=endpoint, inputs=inputs)

    def find(self, ids: Collection[str], *, inputs: bool = False) -> Iterator[Outcome]:
        """See `Records.find`."""
        return find(self._folders, ids, inputs=inputs)

    def compact(self, now: float, *, age_s: float) -> Compaction:
        """See `Records.compact`. Only segments that were not written for `age_s` are taken."""
        done: list[Compacted] = []
        faults: list[StorageError] = []
        with self._alone():
            for path in self._folders.segments():
                try:
                    with storage_faults(path, doing="compacted"):
                        done += self._compacted(path, latest=now - age_s if age_s > 0 else None)
                except StorageError as fault:  # what can be compacted still is
                    faults.append(fault)
        if faults:
            raise faults[0]
        return self._told(done)

    def sweep(self, now: float, *, retention_days: int, bytes_max: int) -> tuple[str, ...]:
        """See `Records.sweep`. Segments that were set aside go like everything else."""
        retention = Retention(keep_s=retention_days * DAY_S, bytes_max=bytes_max)
        with self._alone(), storage_faults(self._folders.root):
            facts = Facts(
                now=now,
                parts=tuple(self._parts()),
                bytes_held=sum(map(_size, self._folders.segments())),
            )
            removed = decide(retention, facts).remove
            for name in removed:
                (self._folders.root / name).unlink(missing_ok=True)
            _remove_empty_folders(self._folders.parquet)
            self._folders.journal.sweep(now - (retention_days + 1) * DAY_S)
        return removed

    def usage(self) -> RecordUsage:
        """See `Records.usage`."""
        with storage_faults(self._folders.root, doing="read"), ExitStack() as opened:
            segments = open_segments(self._folders, opened)
            files = files_beside(self._folders, segments, EVERYTHING)
            aside = list(self._folders.set_aside())
            damages = list(self._folders.damages())
            paths = [*(one.path for one in segments), *(one.path for one in files), *aside]
            return RecordUsage(
                records=sum(len(segment.scan().entries) for segment in segments)
                + sum(map(_records_in, files)),
                bytes=sum(map(_size, paths)),
                segments=len(segments),
                files=len(files),
                damaged_bytes=sum(one.damaged_bytes for one in damages),
                missing=sum(one.missing for one in damages),
            )

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Hold the lock under which one process at a time changes what is behind the segments."""
        with storage_faults(self._folders.root):
            ensure_folder(self._folders.root)
            handle = os.open(self._folders.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)

    def _compacted(self, path: Path, *, latest: float | None) -> list[Compacted]:
        with suppress(FileNotFoundError), Segment(path) as segment:
            if _is_left(segment, latest):
                return [compact_segment(segment, self._folders)]
        return []

    def _parts(self) -> Iterator[Part]:
        for file in record_files.files_in(self._folders.parquet, EVERYTHING):
            yield Part(
                name=self._folders.relative(file.path),
                ends_at=file.hour + HOUR_S,
                bytes=_size(file.path),
            )
        for path in self._folders.set_aside():
            yield Part(
                name=self._folders.relative(path),
                ends_at=path.stat().st_mtime,
                bytes=_size(path),
            )

    def _told(self, done: list[Compacted]) -> Compaction:
        files = tuple(self._folders.relative(path) for one in done for path in one.files)
        aside = tuple(
            self._folders.relative(one.set_aside) for one in done if one.set_aside is not None
        )
        records = sum(one.records for one in done)
        torn = sum(one.torn_bytes for one in done)
        because = [f"{len(done)} segments that nobody writes gave {records} records"]
        if torn:
            because.append(f"{torn} bytes were being written at a kill and never acknowledged")
        if aside:
            because.append(f"{len(aside)} are damaged and set aside")
        return Compaction(
            segments=len(done),
            records=records,
            files=files,
            quarantined=aside,
            removed=(),
            because="; ".join(because),
        )


def _is_left(segment: Segment, latest: float | None) -> bool:
    """Whether nobody writes a segment, nor has since `latest`; if so it is locked from now on."""
    try:
        fcntl.flock(segment.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    found = segment.path.stat()
    same = found.st_ino == os.fstat(segment.fileno()).st_ino
    return same and (latest is None or found.st_mtime <= latest)


def _size(path: Path) -> int:
    with suppress(FileNotFoundError):
        return path.stat().st_size
    return 0


def _records_in(file: RecordFile) -> int:
    with suppress(*UNREADABLE):
        return note_in(pq.read_schema(file.path)).records
    return 0


def _remove_empty_folders(parquet: Path) -> None:
    for hour in [*parquet.glob("endpoint=*/hour=*"), *parquet.glob("endpoint=*")]:
        with suppress(OSError):  # not empty
            hour.rmdir()
