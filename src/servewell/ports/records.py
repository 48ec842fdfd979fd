"""The prediction log, as everybody but the workers sees it."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from servewell.core.catalog.outcome import Outcome
from servewell.errors import ServewellError


class SegmentCorruptError(ServewellError):
    """A segment of the prediction log has bytes that cannot be read."""

    code = "SW-510"


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordQuery:
    """Which records to read."""

    endpoint: str | None = None
    prediction_id: str | None = None
    request_id: str | None = None  # the caller's own
    trace_id: str | None = None
    since: float | None = None  # seconds since the epoch, inclusive
    until: float | None = None  # exclusive
    limit: int | None = None  # the newest so many
    role: Literal["live", "shadow", "all"] = "live"  # live: what callers were answered


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Followed:
    """What was recorded since a cursor."""

    cursor: str  # for the next time
    outcomes: tuple[Outcome, ...]  # of live requests and of shadows
    more: bool = False  # whether there is more already
    missing: int = 0  # records that are lost or past their retention, at most
    gaps: tuple[str, ...] = ()  # why, in words


class Records(Protocol):
    """Reads, compacts and bounds the prediction log. Contract: tests/ports/test_records.py.

    - A record that a worker acknowledged is read back exactly once, before, during and after its
      compaction, also when the compaction is killed at any moment;
    - a damaged part of a segment hides no whole record of it, and is kept for a person to see;
    - compaction never takes a segment that a live worker still writes;
    - who follows, each time from the cursor of the time before, is given every record that was
      acknowledged since the first of them exactly once, wherever it lies meanwhile, those of one
      segment in their order unless it is damaged; what is gone is counted. A cursor is a plain
      string, stays valid over restarts, and changes nothing but what its owner sees.
    """

    def read(self, query: RecordQuery) -> Iterator[dict[str, Any]]:
        """Yield records, oldest first, as plain dictionaries with inputs and outputs by name.

        Raises: StorageError.
        """
        ...

    def start_cursor(self, since: float) -> str:
        """Return the cursor from which everything that is read since then follows.

        `since` is in seconds since the epoch; infinity means from now on.

        Raises: StorageError.
        """
        ...

    def follow(self, cursor: str, *, endpoint: str, inputs: bool = False) -> Followed:
        """Return what was recorded for an endpoint since a cursor, with a bound on how much.

        An empty cursor means from now on. Inputs are given only where they are asked for.

        Raises: CursorUnreadableError, StorageError.
        """
        ...

    def find(self, ids: Collection[str], *, inputs: bool = False) -> Iterator[Outcome]:
        """Yield the live records of these predictions, in any order.

        Inputs are given only where they are asked for. What is damaged or past its retention is
        not found.

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
