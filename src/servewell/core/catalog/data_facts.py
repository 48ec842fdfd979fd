"""What was measured of rows that a model is to learn from, or has learned from."""

from dataclasses import dataclass
from enum import StrEnum

from servewell.core.catalog.signature import Datatype


class ValueKind(StrEnum):
    """What the values of a column are, whatever their width."""

    TEXT = "text"
    BOOL = "boolean"
    INTEGER = "whole number"
    NUMBER = "number"
    TIME = "time"
    OTHER = "other"


class Against(StrEnum):
    """Which rows the new ones were compared with."""

    LAST = "the last training data"
    HELD_OUT = "the training rows"  # the held-out rows are those that are looked at
    REQUESTS = "the training rows by recent requests"


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversion:
    """A change of unit that explains what became of a column: now = factor x before + offset."""

    name: str  # `degrees Fahrenheit to Celsius`; empty where the factor is none that is known
    factor: float
    offset: float
    share: float  # of the rows that look converted, 0..1


@dataclass(frozen=True, slots=True, kw_only=True)
class Shift:
    """How the values of one column differ between two sets of rows.

    `psi` is the population stability index less its expectation under no drift, so 0 or more.
    `usual` is the same among consecutive parts of the rows before: what the column does by itself.
    """

    column: str
    kind_before: ValueKind | None  # None where there is no such column
    kind_now: ValueKind | None
    rows_before: int
    rows_now: int
    missing_before: float = 0.0  # share of the rows, 0..1
    missing_now: float = 0.0
    missing_usual: float = 0.0  # largest share in a part of the rows before
    psi: float = 0.0
    usual: float = 0.0
    statistic: float = 0.0  # chi-square of homogeneity, of two rows and `degrees` + 1 columns
    degrees: int = 0
    unseen: float = 0.0  # share of the rows whose text was never seen before, 0..1
    unseen_usual: float = 0.0  # largest such share in a part of the rows before
    unseen_texts: tuple[str, ...] = ()  # the most frequent; never of a personal column
    constant_now: bool = False  # one value, where there were several
    conversion: Conversion | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Shifts:
    """All columns against one set of rows."""

    against: Against
    name: str  # of those rows, for a person: `flights:3`
    rows_before: int
    rows_now: int  # only those that were not there before
    columns: tuple[Shift, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class InputFacts:
    """One input of the model, in the rows that it learns from."""

    name: str
    datatype: Datatype
    kind: ValueKind | None  # None where the rows have no such column
    type: str = ""  # Arrow's word for it
    missing: float = 0.0  # share of the rows, 0..1
    constant: bool = False  # at most one value in all rows
    outside: int = 0  # rows below the declared minimum, above the maximum, or not allowed
    lowest: float | None = None  # of a number; None of a personal input
    highest: float | None = None
    not_allowed: tuple[str, ...] = ()  # texts that are not, the most frequent; none if personal
    minimum: float | None = None  # as declared
    maximum: float | None = None
    allowed: tuple[str, ...] | None = None
    burst: float = 0.0  # share of missing in the worst part of the rows, 0..1
    burst_at: str = ""  # where that is


class Power(StrEnum):
    """How well one input alone tells the label."""

    AUC = "area under the ROC curve"
    CORRELATION = "rank correlation"


@dataclass(frozen=True, slots=True, kw_only=True)
class Leak:
    """What one input alone, or whether it is missing, says of the label."""

    name: str
    by: Power
    value: float  # 0..1; of the area 0.5 is nothing, 1 is everything
    missing: float  # the same, of whether it is missing
    rows: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DataFacts:
    """Everything that the contract of the data is judged by."""

    rows: int
    held_out: int
    repeated: int  # rows that are a copy of an earlier one
    shared: int  # held-out rows that are a copy of a training row
    inputs: tuple[InputFacts, ...]
    label: str | None = None
    label_missing: float = 0.0  # share of the rows
    label_among_inputs: bool = False
    leaks: tuple[Leak, ...] = ()
    shifts: tuple[Shifts, ...] = ()
