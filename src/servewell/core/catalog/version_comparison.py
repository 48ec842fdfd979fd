"""Two deployments of one endpoint beside each other, over a time."""

from dataclasses import dataclass
from enum import StrEnum

from servewell.core.catalog.profile import Side
from servewell.core.catalog.quality import Figure
from servewell.core.catalog.signal import Distributions


class Shown(StrEnum):
    """What is shown of a difference."""

    FIRST = "first is better"
    SECOND = "second is better"
    DIFFERENT = "different"  # and neither is better for it
    NOT_SHOWN = "no difference shown"
    CANNOT_TELL = "cannot tell"  # too little to compare


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """One measure of both."""

    measure: str
    unit: str
    first: Figure | None
    second: Figure | None
    difference: Figure | None  # second less first, with its interval of 95 %
    shown: Shown
    because: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnCompared:
    """One input, output or score of both."""

    column: str
    side: Side
    psi: float | None  # less what chance alone gives; None where their bins have too little alike
    p: float | None  # of "distributed alike", 0..1, before any correction
    shown: Shown
    because: str
    distributions: Distributions | None = None  # `before` is the first's


@dataclass(frozen=True, slots=True, kw_only=True)
class Arm:
    """What one of the two was given."""

    deployment: str
    version: str  # `model:number`; empty where it is unknown
    requests: int
    rows: int
    labels: int


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionComparison:
    """What is known of both, and what it shows."""

    endpoint: str
    first: Arm
    second: Arm
    since: float  # seconds since the epoch, UTC
    until: float
    together: float  # share of the requests of the one with fewer in minutes that both had; 0..1
    measures: tuple[Compared, ...]
    columns: tuple[ColumnCompared, ...]  # the most different first
    because: str
