"""What is measured of a model version, for the gates to decide on."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from servewell.core.catalog.data_facts import DataFacts
from servewell.core.catalog.gate import GateRow


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """A value and its 95 % confidence interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Contrast:
    """The metric of a version and, on the same rows, of the champion."""

    rows: int
    candidate: Interval
    champion: Interval | None = None
    loss: Interval | None = None  # paired; above 0: worse than the champion; in the metric's unit
    rarer: int | None = None  # rows of the rarer class, where the metric compares the two classes

    @property
    def counted(self) -> int:
        """The rows that tell: a metric of pairs knows no more than its rarer class does."""
        return self.rows if self.rarer is None else 2 * self.rarer


@dataclass(frozen=True, slots=True, kw_only=True)
class Slice:
    """The metric within one group of rows."""

    column: str
    group: str
    rows: int
    contrast: Contrast | None  # None where it cannot be computed
    why_none: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """One measure of one group."""

    group: str
    value: float
    rows: int  # that it is a share of


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """How far the groups of a column are apart in one measure."""

    column: str
    measure: str
    rates: tuple[Rate, ...]  # of the groups with enough rows
    left_out: tuple[Rate, ...] = ()  # of those with too few
    gap: Interval | None = None  # highest less lowest rate; None with fewer than two groups
    why_none: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bin:
    """Rows that got about the same probability."""

    predicted: float  # mean
    happened: float  # share
    rows: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """What probabilities say beside what happened."""

    rows: int
    error: Interval  # expected calibration error, 0..1
    brier: Interval
    bins: tuple[Bin, ...]
    champion: tuple[Bin, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Spoiled:
    """What rows do to the answers that were made worse."""

    kind: str  # `missing values`, `noise`, `unseen values`
    about: str  # what was done
    rows: int
    failed: int  # rows without an answer, or with one that is no number
    moved: float | None = None  # share of the rows whose answer moved
    loss: Interval | None = None  # of the metric, beside the rows as they were


@dataclass(frozen=True, slots=True, kw_only=True)
class Behaved:
    """What one behaviour test found."""

    name: str
    about: str  # what was to be
    rows: int
    held: int  # rows for which it was so
    share_min: float  # of the rows for which it must be so
    worst: str = ""  # the answer that is furthest off


@dataclass(frozen=True, slots=True, kw_only=True)
class Speed:
    """How fast a version answers one row, and how much it takes, on this machine."""

    p50_ms: float
    p99_ms: float  # of the median round
    calls: int
    memory_bytes: int | None  # that a process grows by; None where it could not be measured
    champion_p50_ms: float | None = None
    champion_p99_ms: float | None = None
    ratio: Interval | None = None  # of the typical times, to the champion's
    shares: tuple[tuple[float, float, float | None], ...] = ()  # of the calls; own, champion's ms


@dataclass(frozen=True, slots=True, kw_only=True)
class Measures:
    """Everything that a job measured."""

    metric: str  # empty where there is no truth to compare with
    higher_is_better: bool = True
    relative: bool = False  # a loss is a share of the champion's value
    rows: int = 0  # held-out rows that were judged
    made_up: str = ""  # why the rows are none of the data; empty where they are
    no_metric: str = ""  # why nothing can be said of quality
    no_champion: str = ""  # why the champion was not run on the same rows
    quality: Contrast | None = None
    slices: tuple[Slice, ...] = ()
    fairness: tuple[Gap, ...] = ()
    calibration: Calibration | None = None
    robustness: tuple[Spoiled, ...] = ()
    behaviour: tuple[Behaved, ...] = ()
    speed: Speed | None = None
    data: DataFacts | None = None  # what was found of the rows themselves
    scan: tuple[str, ...] = ()  # what in the package may not be there
    scanned: str = ""  # what was looked through
    seed: int = 0
    processor: str = ""
    runtime: str = ""
    seconds: Mapping[str, float] = field(default_factory=dict)  # that each part took


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What is known of a version without running it."""

    version: str  # `model:number`
    champion: str | None
    has_rows: bool  # whether the workload, or the version, names rows to judge by
    signed: bool  # whether the signature of the package is that of this home
    size_bytes: int
    champion_size_bytes: int | None
    equivalence_rows: int
    equivalence_difference: float
    equivalence_tolerance: float
    misfits: tuple[str, ...] = ()  # why who calls the champion cannot call the version so
    optimised: str = ""  # of which version it is a variant that was judged by its own gate
    latency_objective_ms: float = 100.0
    memory_bytes_max: int | None = None  # of a predictor
    data: tuple[GateRow, ...] = ()  # what was found of the rows
