"""Mergeable counters of what a deployment took and gave, in bins frozen with the model version.

A reference profile is made once, from the rows that the version was judged by, and never changes.
A window profile counts the prediction records of one deployment over some time in those bins; two
of them add up to that of both times, so that any look-back is a sum. Neither holds a value of a
personal column: of those only how many are missing.

The places of a column's counts are, in this order:

- of numbers with edges e_0 < … < e_k: missing, not finite, below e_0, then k bins of which each
  holds its lower edge and the last one its upper edge too, and above e_k: k + 4 places;
- of categories: missing, each category, seen in the reference but not named, never seen;
- of a column of which nothing but presence is known: missing, there.
"""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

MINUTE_S: Final = 60
EVERYTHING: Final = ""  # the slice of all rows


class ColumnKind(StrEnum):
    """How the values of a column are counted."""

    NUMBER = "number"
    CATEGORY = "category"
    PRESENCE = "presence"  # personal, or of no use as a category: text that is always another


class Side(StrEnum):
    """What a column is."""

    INPUT = "input"
    OUTPUT = "output"
    SCORE = "score"  # probability of the positive class; of several classes that of the likeliest
    PROJECTION = "projection"  # of an input or output with many values, on a fixed direction


@dataclass(frozen=True, slots=True, kw_only=True)
class Bins:
    """Where the values of one column are counted."""

    column: str
    side: Side
    kind: ColumnKind
    edges: tuple[float, ...] = ()  # of numbers, rising
    categories: tuple[str, ...] = ()
    unnamed: tuple[int, ...] = ()  # digests of the categories seen that have no place of their own
    direction: tuple[float, ...] = ()  # of a projection
    source: str = ""  # the input or output that it is of

    @property
    def places(self) -> int:
        """Return how many counts there are."""
        if self.kind is ColumnKind.NUMBER:
            return len(self.edges) + 3
        return len(self.categories) + 3 if self.kind is ColumnKind.CATEGORY else 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """The values of one column over some rows; the moments are of finite numbers alone."""

    places: tuple[int, ...]
    total: float = 0.0
    squares: float = 0.0
    least: float | None = None
    greatest: float | None = None
    unseen: dict[str, int] = field(default_factory=dict)  # a few of the categories never seen

    @property
    def rows(self) -> int:
        """Return how many rows were counted."""
        return sum(self.places)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReferenceProfile:
    """What a version took and gave on rows that it did not learn from, where there are some."""

    package: str  # digest
    version: str  # `model:number`
    source: str  # which rows, for a person: `held-out rows of flights:3`
    bins: tuple[Bins, ...]
    slices: tuple[str, ...] = ()  # categorical inputs whose values have profiles of their own
    rows: dict[str, int] = field(default_factory=dict)  # by slice, `origin=EWR`; all rows are ``
    counts: dict[str, dict[str, Counts]] = field(default_factory=dict)  # slice -> column
    # column -> largest index of a part of these rows, in their order, against all of them
    usual: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowProfile:
    """What one deployment took and gave over a time."""

    endpoint: str
    deployment: str
    package: str  # digest; counted in the bins of its reference profile
    start: int  # seconds since the epoch, UTC
    seconds: int
    rows: dict[str, int] = field(default_factory=dict)  # by slice
    counts: dict[str, dict[str, Counts]] = field(default_factory=dict)  # slice -> column


@dataclass(frozen=True, slots=True, kw_only=True)
class TrafficWindow:
    """How an endpoint, or one of its deployments, answered over a time."""

    endpoint: str
    deployment: str  # empty for requests that were refused before one was chosen
    start: int  # seconds since the epoch, UTC
    seconds: int
    requests: int = 0
    failed: int = 0  # answered with a status of 500 or more: ours
    refused: int = 0  # with one of 400 to 499: the caller's, or a limit's
    slow: int = 0  # answered, but later than the latency objective of the endpoint
    repeated: int = 0  # records of a prediction that was counted already; not counted again
    # The next four stand in the minute in which they were found:
    late: int = 0  # requests that were counted more than an hour after they were read
    skewed: int = 0  # recorded for a time more than ten minutes ahead
    lost: int = 0  # records that were there and cannot be read
    damaged: int = 0  # bytes of the log that cannot be read, of whatever records
    codes: dict[str, int] = field(default_factory=dict)  # error code -> requests
    latency: bytes = b""  # KLL sketch of the milliseconds of answered requests
