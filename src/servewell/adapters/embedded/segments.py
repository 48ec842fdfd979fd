"""Segments of the prediction log: what one holds, and its records one by one.

A segment is read without a lock, also while a worker appends to it: what was whole when it was
opened is read, and a frame that is half written is left for the next time.
"""

import os
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from operator import attrgetter
from pathlib import Path
from sys import intern
from types import TracebackType
from typing import Final, Self

import msgspec

from servewell.core.catalog.prediction_record import (
    FRAME,
    FRAME_BYTES_MAX,
    Damage,
    Frame,
    PredictionRecord,
    RecordSchema,
    SegmentHeader,
    frames,
    located_frames,
    salt_of,
)

SUFFIX: Final = ".segment"
NAME_BYTES_MAX: Final = 80  # so that its percent-encoding is a file name on every system
FRAMES_AT_ONCE: Final = 512  # decoded by one call; what more of them hold outgrows the caches

Span = tuple[int, int]  # of a frame: its first byte, and the byte behind it
Bound = tuple[int, PredictionRecord]  # a record, and the number of its schema


class Head(msgspec.Struct, frozen=True, array_like=True, tag=2, gc=False):
    """How a `PredictionRecord` begins; the rest of it takes the most time to decode."""

    sequence: int
    prediction_id: str
    time_ns: int
    endpoint: str
    deployment: str
    model: str
    package: str
    principal: str
    key_id: str
    request_id: str
    trace_id: str
    status: int
    code: str
    reason: str
    rows: int


Beginning = SegmentHeader | RecordSchema | Head

_beginnings: Final = msgspec.msgpack.Decoder(list[Beginning])
_frame: Final = msgspec.msgpack.Decoder(Frame)
_records: Final = msgspec.msgpack.Decoder(list[PredictionRecord])


@lru_cache(maxsize=1_024)
def kept_name(endpoint: str) -> str:
    """Return the name under which an endpoint's records are kept.

    It is the endpoint's own. Only a request to an endpoint that cannot exist has a longer one,
    which is cut.
    """
    return intern(endpoint.encode()[:NAME_BYTES_MAX].decode(errors="ignore"))


class Entry(msgspec.Struct, frozen=True, gc=False):
    """Where a record stands in its segment, and what it is found and sorted by."""

    time_ns: int
    endpoint: str  # the name under which its records are kept
    package: str
    rows: int
    offset: int
    end: int
    schema: int = -1  # number of the schema that stands before it; -1 where none does


@dataclass(slots=True, kw_only=True)
class Contents:
    """What a segment holds."""

    header: SegmentHeader | None = None
    schemas: list[RecordSchema] = field(default_factory=list)  # all different, by number
    entries: list[Entry] = field(default_factory=list)  # by time
    torn_bytes: int = 0  # being written when the writer died: never acknowledged
    damaged_bytes: int = 0
    missing: int = 0  # records whose numbers are skipped


class Segment:
    """One open segment; stays readable when its file is moved or removed meanwhile."""

    def __init__(self, path: Path) -> None:
        """Open the segment. Raises: OSError."""
        self.path = path
        self.stem = path.name.removesuffix(SUFFIX)
        self._salt = salt_of(self.stem)
        self._file = path.open("rb", buffering=0)
        self._kept = memoryview(b"")
        self.contents = Contents()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()

    def fileno(self) -> int:
        """Return the descriptor, for a lock on it."""
        return self._file.fileno()

    def scan(self, *, keeping: bool = False) -> Contents:
        """Find what the segment holds now; `keeping` the bytes for `kept_records`.

        Raises: OSError.
        """
        self._file.seek(0)
        data = memoryview(self._file.readall())
        self.contents = contents_of(data, self._salt)
        self._kept = data if keeping else memoryview(b"")
        return self.contents

    def records(self, entries: Iterable[Entry]) -> Iterator[tuple[Entry, PredictionRecord]]:
        """Yield the records of these entries. Raises: OSError."""
        for entry in entries:
            data = os.pread(self._file.fileno(), entry.end - entry.offset, entry.offset)
            for found in frames(data, self._salt):
                if isinstance(found, PredictionRecord):
                    yield entry, found

    def kept_records(self, entries: list[Entry]) -> list[Bound]:
        """Return the records of these entries from the bytes that the scan kept.

        One that begins well and cannot be decoded is missing, and its bytes count as damaged.
        """
        try:
            records = _records.decode(payloads_in(self._kept, [(e.offset, e.end) for e in entries]))
        except msgspec.DecodeError:
            return list(self._one_by_one(entries))
        return [(entry.schema, one) for entry, one in zip(entries, records, strict=True)]

    def _one_by_one(self, entries: list[Entry]) -> Iterator[Bound]:
        for entry in entries:
            for found in frames(self._kept[entry.offset : entry.end], self._salt):
                if isinstance(found, PredictionRecord):
                    yield entry.schema, found
                elif isinstance(found, Damage):
                    _count(self.contents, found)
                    self.contents.missing += 1


def contents_of(data: memoryview, salt: int) -> Contents:
    """Return what a segment with these bytes holds; what is damaged is counted.

    A record is read by the last schema of its package that stands before it: two endpoints may
    serve one package with different personal inputs, and say so in turns.
    """
    contents = Contents()
    numbers: dict[RecordSchema, int] = {}
    latest: dict[str, int] = {}  # by package
    awaited = 0
    for (offset, end), found in _located(data, salt):
        match found:
            case Head() | PredictionRecord():
                contents.missing += max(0, found.sequence - awaited)
                awaited = found.sequence + 1
                schema = latest.get(found.package, -1)
                contents.entries.append(_entry(found, offset, end, schema))
            case SegmentHeader():
                contents.header = contents.header or found
            case RecordSchema():
                latest[found.package] = numbers.setdefault(found, len(numbers))
            case Damage():
                _count(contents, found)
    contents.schemas = list(numbers)
    contents.entries.sort(key=attrgetter("time_ns"))  # they stand in the order of their numbers
    return contents


def _located(data: memoryview, salt: int) -> Iterator[tuple[Span, Beginning | Frame | Damage]]:
    """Yield how frames begin, many at once; from the first that is damaged on all, one by one.

    A segment is written by one process, so where one frame can be decoded to its end, others can.
    """
    offset = 0
    while spans := whole_spans(data, offset, salt):
        try:
            found = _beginnings.decode(payloads_in(data, spans))
            _frame.decode(data[spans[-1][0] + FRAME.size : spans[-1][1]])
        except msgspec.DecodeError:
            break
        yield from zip(spans, found, strict=True)
        offset = spans[-1][1]
    for start, end, one in located_frames(data[offset:], salt):
        yield (offset + start, offset + end), one


def whole_spans(data: memoryview, offset: int, salt: int) -> list[Span]:
    """Return where the next frames stand, up to the first that is not whole."""
    spans: list[Span] = []
    last = len(data) - FRAME.size
    while offset <= last and len(spans) < FRAMES_AT_ONCE:
        length, checksum = FRAME.unpack_from(data, offset)
        start = offset + FRAME.size
        end = start + length
        if end - offset > FRAME_BYTES_MAX or end > len(data):
            break
        if zlib.crc32(data[start:end], salt) != checksum:
            break
        spans.append((offset, end))
        offset = end
    return spans


def payloads_in(data: memoryview, spans: list[Span]) -> bytes:
    """Return the payloads of frames as one MessagePack array."""
    head = b"\xdd" + len(spans).to_bytes(4, "big")
    return b"".join([head, *[data[start + FRAME.size : end] for start, end in spans]])


def _count(contents: Contents, damage: Damage) -> None:
    if damage.torn:
        contents.torn_bytes += damage.bytes
    else:
        contents.damaged_bytes += damage.bytes


def _entry(record: Head | PredictionRecord, offset: int, end: int, schema: int) -> Entry:
    return Entry(
        record.time_ns,
        kept_name(record.endpoint),
        intern(record.package),
        max(1, record.rows),
        offset,
        end,
        schema,
    )
