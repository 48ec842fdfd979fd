"""Whether what a deployment takes and gives has moved from what its version was made for."""

from dataclasses import dataclass
from enum import StrEnum

from servewell.core.catalog.data_facts import Conversion
from servewell.core.catalog.profile import EVERYTHING, Side
from servewell.core.catalog.signal import Distributions


class FeedFault(StrEnum):
    """What no drift of the world does to a column."""

    UNIT = "change of unit"
    CONSTANT = "one value only"
    NULLS = "missing values"
    UNSEEN = "categories never seen"


class DriftVerdict(StrEnum):
    """What can be said of a column or of all of them."""

    DRIFT = "drift"  # significant and of material size, in consecutive windows
    WATCH = "watch"  # significant, but small or not yet for long
    FINE = "fine"
    CANNOT_TELL = "cannot tell"  # too few rows to have found a change that matters


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnDrift:
    """One column of one slice in the newest window."""

    column: str
    side: Side
    slice: str = EVERYTHING
    verdict: DriftVerdict
    rows: int  # of the window
    rows_needed: int | None  # to find the size that matters in four of five cases; None: no number
    psi: float  # less what chance alone gives; at least 0
    p: float  # of the two-sample chi-square test, 0..1, before any correction
    significant: bool  # after the correction of Benjamini and Hochberg over all columns
    windows: int  # consecutive ones in which it was significant and material
    since: float | None = None  # start of the first of these, in seconds since the epoch, UTC
    may: bool = False  # move, as the workload says: it is shown, and no verdict on the whole
    missing_before: float = 0.0  # share, 0..1
    missing_now: float = 0.0
    unseen_now: float = 0.0  # share of categories never seen, 0..1
    unseen: tuple[str, ...] = ()  # some of them
    outside_now: float = 0.0  # share below or above all reference values, 0..1
    faults: tuple[FeedFault, ...] = ()  # that one window is enough for
    conversion: Conversion | None = None  # that explains the values now
    distributions: Distributions | None = None
    what: str  # what moved, in the units of the column


@dataclass(frozen=True, slots=True, kw_only=True)
class DriftReport:
    """All columns of one deployment, the worst first."""

    endpoint: str
    deployment: str
    version: str
    start: float  # of the newest window, seconds since the epoch, UTC
    until: float
    rows: int
    verdict: DriftVerdict
    columns: tuple[ColumnDrift, ...]
    because: str
