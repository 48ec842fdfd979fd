"""The truth for a prediction, as it became known later."""

from dataclasses import dataclass, field
from enum import StrEnum

Truth = str | float | int | bool


class Measure(StrEnum):
    """How wrong a prediction was is told by one of these; lower is better."""

    BRIER = "brier"  # squared difference of a probability and 0 or 1
    WRONG = "wrong"  # 1 where another class was predicted, else 0
    ABSOLUTE = "absolute error"  # of a number, in its unit


@dataclass(frozen=True, slots=True, kw_only=True)
class Loss:
    """How wrong one prediction was."""

    value: float
    measure: Measure


@dataclass(frozen=True, slots=True, kw_only=True)
class LossSum:
    """The losses of some labels, of one measure, added up."""

    measure: str
    rows: int
    total: float
    squares: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What somebody says is true of one row of a prediction."""

    prediction_id: str
    row: int  # within its request
    value: Truth


@dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    """The truth, beside what was predicted. It is never altered; a later one corrects it."""

    number: int = 0  # in the order in which labels were added; 0 before it is kept
    prediction_id: str
    row: int
    endpoint: str
    deployment: str
    role: str  # of the record: empty where the traffic chose the deployment
    predicted_at: float  # seconds since the epoch, UTC
    value: Truth
    outputs: dict[str, object] = field(default_factory=dict)  # of that row
    loss: float | None = None  # None where label and outputs cannot be compared
    measure: str = ""
    added_at: float  # seconds since the epoch, UTC
    principal: str  # who added it
    source: str  # file
    corrects: bool = False  # whether another one was known before
    slices: dict[str, str] = field(default_factory=dict)  # column -> value, of declared slices
