"""Segments of the prediction log: what one holds, and its records one by one.

A segment is read without a lock, also while a worker appends to it: what was whole when it was
opened is read, and a frame that is half written is left for the next time.
"""

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from sys import intern
from types import TracebackType
from typing import Final, NamedTuple, Self

from servewell.core.catalog.prediction_record import (
    Damage,
    PredictionRecord,
    RecordSchema,
    SegmentHeader,
    frames,
    located_frames,
    salt_of,
)

SUFFIX: Final = ".segment"
NAME_BYTES_MAX: Final = 80  # so that its percent-encoding is a file name on every system


@lru_cache(maxsize=1_024)
def kept_name(endpoint: str) -> str:
    """Return the name under which an endpoint's records are kept.

    It is the endpoint's own. Only a request to an endpoint that cannot exist has a longer one,
    which is cut.
    """
    return intern(endpoint.encode()[:NAME_BYTES_MAX].decode(errors="ignore"))


class Entry(NamedTuple):
    """Where a record stands in its segment, and what it is found and sorted by."""

    time_ns: int
    sequence: int
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

    def scan(self) -> Contents:
        """Find what the segment holds now. Raises: OSError."""
        self._file.seek(0)
        self.contents = contents_of(self._file.readall(), self._salt)
        return self.contents

    def records(self, entries: Iterable[Entry]) -> Iterator[tuple[Entry, PredictionRecord]]:
        """Yield the records of these entries. Raises: OSError."""
        for entry in entries:
            data = os.pread(self._file.fileno(), entry.end - entry.offset, entry.offset)
            for found in frames(data, self._salt):
                if isinstance(found, PredictionRecord):
                    yield entry, found


def contents_of(data: bytes, salt: int) -> Contents:
    """Return what a segment with these bytes holds; what is damaged is counted.

    A record is read by the last schema of its package that stands before it: two endpoints may
    serve one package with different personal inputs, and say so in turns.
    """
    contents = Contents()
    numbers: dict[RecordSchema, int] = {}
    latest: dict[str, int] = {}  # by package
    awaited = 0
    for offset, end, found in located_frames(data, salt):
        match found:
            case SegmentHeader():
                contents.header = contents.header or found
            case RecordSchema():
                latest[found.package] = numbers.setdefault(found, len(numbers))
            case Damage():
                _count(contents, found)
            case PredictionRecord():
                contents.missing += max(0, found.sequence - awaited)
                awaited = found.sequence + 1
                schema = latest.get(found.package, -1)
                contents.entries.append(_entry(found, offset=offset, end=end, schema=schema))
    contents.schemas = list(numbers)
    contents.entries.sort()
    return contents


def _count(contents: Contents, damage: Damage) -> None:
    if damage.torn:
        contents.torn_bytes += damage.bytes
    else:
        contents.damaged_bytes += damage.bytes


def _entry(record: PredictionRecord, *, offset: int, end: int, schema: int) -> Entry:
    return Entry(
        time_ns=record.time_ns,
        sequence=record.sequence,
        endpoint=kept_name(record.endpoint),
        package=intern(record.package),
        rows=max(1, record.rows),
        offset=offset,
        end=end,
        schema=schema,
    )
