"""What a judge of a rollout is told, and what it says."""

from dataclasses import dataclass, field
from enum import StrEnum


@dataclass(frozen=True, slots=True, kw_only=True)
class Arm:
    """What one deployment did within one look at the records, in the order of the records."""

    requests: int = 0  # that reached the model, or that its signature refused
    errors: int = 0  # answered with a fault of the model or of ours, or refused so
    timeouts: int = 0
    invalid: int = 0  # answered with an output that is no number or not of the signature
    latencies_ms: tuple[float, ...] = ()  # of answered requests, as the caller waited
    scores: tuple[float, ...] = ()  # first numeric output of each row; of a label, its code
    losses: tuple[float, ...] = ()  # of predictions whose label has arrived; lower is better


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Both deployments within one look, while both were given requests."""

    stable: Arm
    candidate: Arm


class Verdict(StrEnum):
    """What is to be done on the word of the judge."""

    ROLL_BACK = "roll back"  # shown worse
    PROMOTE = "promote"  # shown not worse, within the margins, in everything that is judged
    WAIT = "wait"  # neither is shown


class Showing(StrEnum):
    """What the evidence shows of one measure."""

    WORSE = "worse"
    NOT_WORSE = "not worse"
    UNCLEAR = "unclear"
    NO_DATA = "no data"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One measure, as far as the evidence goes."""

    measure: str  # `errors`, `timeouts`, `invalid outputs`, `latency`, `slow answers`, `score`, …
    showing: Showing
    because: str
    stable: float | None = None  # the measure of each, in `unit`
    candidate: float | None = None
    low: float | None = None  # interval of the difference or ratio that `margin` bounds
    high: float | None = None
    margin: float | None = None
    unit: str = ""
    requests: tuple[int, int] = (0, 0)  # that it rests on: stable, candidate
    required: bool = True  # whether promotion needs it shown not worse


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """The judge's word, with everything that it rests on."""

    verdict: Verdict
    because: str
    findings: tuple[Finding, ...] = ()
    missing: tuple[str, ...] = field(default_factory=tuple)  # what promotion still waits for


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardFacts:
    """What the machine tells of a candidate, which needs no statistics."""

    memory_bytes: int = 0  # of the largest worker
    memory_bytes_before: int = 0  # the same before the candidate was loaded; 0 for unknown
    memory_bytes_max: int = 0  # 0 for no limit
