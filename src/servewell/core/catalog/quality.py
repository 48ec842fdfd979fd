"""How right the predictions of a deployment are: estimated without labels, realised with them."""

from dataclasses import dataclass
from enum import StrEnum

from servewell.core.catalog.profile import EVERYTHING


class Trust(StrEnum):
    """How far an estimate can be believed."""

    GOOD = "good"
    DOUBTFUL = "doubtful"  # many rows unlike the reference, or labels that say otherwise
    NONE = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A figure with its interval of 95 %."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Quality:
    """One metric of one slice over a window."""

    metric: str  # `accuracy`, `roc-auc`, `brier`, `absolute error` …
    unit: str = ""
    better: str = "higher"  # or `lower`
    slice: str = EVERYTHING
    start: float  # seconds since the epoch, UTC
    until: float
    rows: int
    labels: int = 0
    reference: float | None = None  # of the held-out rows
    reference_range: tuple[float, float] | None = None  # its interval of 95 %
    varied: float = 0.0  # how far it differed from one block of the held-out rows to the next
    matters: float = 0.0  # difference from the reference that is somebody's work
    estimated: Figure | None = None
    realised: Figure | None = None
    trust: Trust = Trust.NONE
    because: str  # why the trust is what it is, and what is missing


@dataclass(frozen=True, slots=True, kw_only=True)
class QualityReport:
    """What is known of the predictions of one deployment."""

    endpoint: str
    deployment: str
    version: str
    metrics: tuple[Quality, ...]  # newest window first
    made_at: float = 0.0  # when the version was, in seconds since the epoch, UTC
    headline: str = ""  # the metric that the verdict is by
    predictions: int = 0  # in all windows
    labels: int = 0  # that are known of them
    calibration: Figure | None = None  # expected calibration error by labels, 0..1
    changed_at: float | None = None  # when the loss changed, by ADWIN, and labels show it still
    loss_before: float | None = None
    loss_now: float | None = None
    worse: bool = False  # proven by labels, and by enough to matter
    because: str
