"""What is wrong with the inputs of a request, one fault at a time."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from servewell.serving.refusals import RequestError

FAULTS_MAX: Final = 20  # told of one request; a body of a million nulls gets no million sentences
FOUND_LENGTH_MAX: Final = 60  # characters of a found value that are repeated to the caller


class FaultKind(StrEnum):
    """What can be wrong with an input."""

    UNKNOWN_INPUT = "unknown-input"
    MISSING_INPUT = "missing-input"
    DUPLICATE_INPUT = "duplicate-input"
    WRONG_DATATYPE = "wrong-datatype"
    WRONG_SHAPE = "wrong-shape"
    WRONG_COUNT = "wrong-count"
    RAGGED = "ragged"
    WRONG_TYPE = "wrong-type"
    OUT_OF_RANGE = "out-of-range"
    NULL = "null"
    BELOW_MINIMUM = "below-minimum"
    ABOVE_MAXIMUM = "above-maximum"
    NOT_ALLOWED = "not-allowed"
    ROWS_DIFFER = "rows-differ"
    NO_ROWS = "no-rows"
    TOO_MANY_ROWS = "too-many-rows"
    UNKNOWN_OUTPUT = "unknown-output"


# The names in these come from the caller, so the record does not keep them.
NAMES_OF_THE_CALLER: Final = frozenset({FaultKind.UNKNOWN_INPUT, FaultKind.UNKNOWN_OUTPUT})


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One thing that is wrong."""

    kind: FaultKind
    name: str  # of the input or output
    row: int | None  # from 0, or None where it is not about one row
    found: str
    allowed: str

    def __str__(self) -> str:
        subject = "Output" if self.kind is FaultKind.UNKNOWN_OUTPUT else "Input"
        row = "" if self.row is None else f", row {self.row}"
        return f"{subject} `{self.name}`{row}: found {self.found}; allowed: {self.allowed}."

    @property
    def reason(self) -> str:
        """Return the fault without any value or name that the caller made up."""
        name = "" if self.kind in NAMES_OF_THE_CALLER else f" {self.name}"
        row = "" if self.row is None else f" row {self.row}"
        return f"{self.kind.value}{name}{row}"


class SignatureError(RequestError):
    """The inputs do not fit the signature of the model."""

    code = "SW-313"

    def __init__(self, faults: list[Fault]) -> None:
        told = faults[:FAULTS_MAX]
        more = "" if len(faults) <= FAULTS_MAX else " There are more faults than these."
        super().__init__(
            " ".join(str(fault) for fault in told) + more,
            why="requests are checked against the signature of the model before they reach it",
            fix="correct what is named; `GET /v2/models/NAME` gives names, types and shapes",
        )
        self.faults = tuple(told)

    @property
    def reason(self) -> str:
        """Return the kinds, inputs and rows, without any value."""
        return "; ".join(fault.reason for fault in self.faults)
