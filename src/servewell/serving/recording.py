"""Writing prediction records: on disk, in the kernel's hands, before their answers are sent.

All records of one turn of the loop go into the segment by one append. What `write` has taken
survives the death of the process; `fsync` follows about once a second in a thread, so a loss of
power costs about a second of records. See docs/decisions/0003-records-survive-a-kill.md.
"""

import fcntl
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from servewell.core.catalog.prediction_record import (
    PredictionRecord,
    RecordSchema,
    SegmentHeader,
    frame,
    segment_stem,
)
from servewell.ports.clock import Clock
from servewell.serving.telemetry.logs import log

SEGMENT_BYTES: Final = 64 << 20
SEGMENT_AGE_S: Final = 30.0  # after its first record
RETRY_S: Final = 1.0  # between attempts to open a segment on a disk that refuses
NANOSECONDS: Final = 1_000_000_000


class Recordable(Protocol):
    """What is to be recorded. Its number in the segment is known only when it is written."""

    @property
    def schema(self) -> RecordSchema | None:
        """Names and types of its inputs and outputs, or None where it has none."""
        ...

    def record(self, sequence: int) -> PredictionRecord:
        """Return the record with its number."""
        ...


@dataclass(slots=True, kw_only=True)
class _Segment:
    """The segment that is being written."""

    descriptor: int
    path: Path
    salt: int
    opened_at: float
    size: int  # bytes of whole frames
    sequence: int = 0  # of the next record
    synced: int = 0  # bytes known to be on the disk


class Recorder:
    """Writes the records of one worker. Used by one thread."""

    def __init__(self, folder: Path, *, worker: int, clock: Clock, bytes_max: int) -> None:
        self._folder = folder
        self._worker = worker
        self._clock = clock
        self._bytes_max = bytes_max
        self._disk = ThreadPoolExecutor(1, thread_name_prefix="records")
        self._segment: _Segment | None = None
        self._schemas: dict[str, RecordSchema] = {}
        self._failed_at = float("-inf")  # when a segment could not be opened or written
        self._full = False  # the folder holds more than it may
        self.has_room = True  # it holds less than half of that: what could be left out may come in
        self._distrusted = False  # a sync failed, so the segment is to be closed
        self.fault = ""  # why records cannot be written at the moment
        self._remove_drafts()

    def commit(self, entries: Sequence[Recordable]) -> bool:
        """Write records by one append; whether all of them are written, else none is."""
        segment = self._open_segment()
        if segment is None:
            return False
        try:
            self._append(segment, self._framed(segment, entries))
        except OSError as error:
            self._fail(segment, error)
            return False
        segment.sequence += len(entries)
        return True

    def tick(self) -> None:
        """Sync, rotate and measure; to be called about once a second."""
        segment = self._segment
        if segment is not None and self._is_due(segment):
            self._rotate()
        elif segment is not None and segment.synced < segment.size:
            self._disk.submit(self._sync, segment, segment.size)
        self._disk.submit(self._measure)

    def close(self) -> None:
        """Finish the segment and wait until it is on the disk."""
        self._rotate()
        self._disk.shutdown(wait=True)

    def _framed(self, segment: _Segment, entries: Sequence[Recordable]) -> bytes:
        parts, salt = [], segment.salt
        told: RecordSchema | None = None  # the last one's: a turn's are mostly alike
        for number, entry in enumerate(entries, segment.sequence):
            schema = entry.schema
            if schema is not told and schema is not None:
                told = schema
                if self._is_news(schema):
                    parts.append(frame(schema, salt))
            parts.append(frame(entry.record(number), salt))
        return b"".join(parts)

    def _is_news(self, schema: RecordSchema) -> bool:
        """Whether the segment does not say this yet; a snapshot makes equal schemas anew."""
        known = self._schemas.get(schema.package)
        if known is schema:
            return False
        self._schemas[schema.package] = schema
        return known != schema

    def _append(self, segment: _Segment, data: bytes) -> None:
        written = os.write(segment.descriptor, data)
        while written < len(data):
            written += os.write(segment.descriptor, memoryview(data)[written:])
        segment.size += len(data)

    def _open_segment(self) -> _Segment | None:
        segment = self._segment
        if segment is not None and not self._is_due(segment) and not self._full:
            return segment
        self._rotate()
        now = self._clock.now()
        if self._full or abs(now - self._failed_at) < RETRY_S:
            return None
        try:
            self._segment = self._new_segment(now)
        except OSError as error:
            self._note_fault(error)
        return self._segment

    def _new_segment(self, now: float) -> _Segment:
        """Make a segment. Its final name appears only when it is locked and has its header."""
        self._folder.mkdir(parents=True, exist_ok=True)
        header = SegmentHeader(
            worker=self._worker, pid=os.getpid(), started_ns=int(now * NANOSECONDS)
        )
        salt = int.from_bytes(os.urandom(4), "big")
        name = f"{segment_stem(header, salt)}.segment"
        draft = self._folder / f".{name}"
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC
        descriptor = os.open(draft, flags, 0o600)
        path = self._folder / name
        segment = _Segment(descriptor=descriptor, path=path, salt=salt, opened_at=now, size=0)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._append(segment, frame(header, salt))
            draft.rename(segment.path)
        except OSError:
            os.close(descriptor)
            draft.unlink(missing_ok=True)
            raise
        self._schemas = {}
        self.fault = ""
        return segment

    def _remove_drafts(self) -> None:
        """Remove what a killed worker of this index left before it could give it its name."""
        with suppress(OSError):
            for draft in self._folder.glob(f".w{self._worker}-*.segment"):
                draft.unlink(missing_ok=True)

    def _is_due(self, segment: _Segment) -> bool:
        # A clock that was set back makes a segment old at once, not young for hours.
        old = abs(self._clock.now() - segment.opened_at) >= SEGMENT_AGE_S
        return old or segment.size >= SEGMENT_BYTES or self._distrusted

    def _rotate(self) -> None:
        segment, self._segment = self._segment, None
        self._distrusted = False
        if segment is not None:
            self._disk.submit(self._finish, segment)

    def _fail(self, segment: _Segment, error: OSError) -> None:
        """Cut the segment back to its last whole frame, and let it go."""
        with suppress(OSError):
            os.ftruncate(segment.descriptor, segment.size)
        self._note_fault(error)
        self._rotate()

    def _note_fault(self, error: OSError) -> None:
        self.fault = os.strerror(error.errno or 0)
        self._failed_at = self._clock.now()
        log.error("records_unwritable", f"Records cannot be written: {self.fault}.")

    def _sync(self, segment: _Segment, size: int) -> None:
        try:
            os.fsync(segment.descriptor)
            segment.synced = size
        except OSError:
            self._distrusted = True

    def _finish(self, segment: _Segment) -> None:
        """Put a finished segment on the disk, with its name, then unlock it."""
        with suppress(OSError):
            os.fsync(segment.descriptor)
        with suppress(OSError):
            folder = os.open(self._folder, os.O_RDONLY | os.O_CLOEXEC)
            os.fsync(folder)
            os.close(folder)
        os.close(segment.descriptor)

    def _measure(self) -> None:
        size = 0
        with suppress(OSError), os.scandir(self._folder) as entries:
            for entry in entries:
                with suppress(OSError):
                    size += entry.stat().st_size
        self._full = size >= self._bytes_max
        self.has_room = size < self._bytes_max // 2
