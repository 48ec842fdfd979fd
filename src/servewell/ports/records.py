"""The prediction log, as everybody but the workers sees it."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from servewell.errors import ServewellError


class SegmentCorruptError(ServewellError):
    """A segment of the prediction log has bytes that cannot be read."""

    code = "SW-510"


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordQuery:
    """Which records to read."""

    endpoint: str | None = None
    prediction_id: str | None = None
    since: float | None = None  # seconds since the epoch, inclusive
    until: float | None = None  # exclusive
    limit: int | None = None  # the newest so many


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordUsage:
    """What the prediction log takes, and whether anything in it is lost."""

    records: int
    bytes: int
    segments: int  # live, not yet compacted
    files: int  # Parquet
    damaged_bytes: int  # in segments set aside
    missing: int  # records whose numbers are skipped in a segment


@dataclass(frozen=True, slots=True, kw_only=True)
class Compaction:
    """What one compaction did."""

    segments: int
    records: int
    files: tuple[str, ...]
    quarantined: tuple[str, ...]  # segments set aside because a part of them cannot be read
    removed: tuple[str, ...]  # Parquet files past retention or over the space
    because: str


class Records(Protocol):
    """Reads, compacts and bounds the prediction log. Contract: tests/ports/test_records.py.

    - A record that a worker acknowledged is read back exactly once, before, during and after its
      compaction, also when the compaction is killed at any moment;
    - a damaged part of a segment hides no whole record of it, and is kept for a person to see;
    - compaction never takes a segment that a live worker still writes.
    """

    def read(self, query: RecordQuery) -> Iterator[dict[str, Any]]:
        """Yield records, oldest first, as plain dictionaries with inputs and outputs by name.

        Raises: StorageError.
        """
        ...

    def compact(self, now: float, *, age_s: float) -> Compaction:
        """Turn the segments that no worker writes any more into Parquet.

        Raises: StorageError.
        """
        ...

    def sweep(self, now: float, *, retention_days: int, bytes_max: int) -> tuple[str, ...]:
        """Remove what is past its retention, then the oldest until the log fits; say what went.

        Raises: StorageError.
        """
        ...

    def usage(self) -> RecordUsage:
        """Return what the log takes."""
        ...
