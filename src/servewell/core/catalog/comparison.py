"""How the answers of a shadow compare with those that callers got.

Everything is bounded, whatever came, and goes to JSON and back unchanged.
"""

from dataclasses import dataclass, field

from servewell.core.catalog.evidence import Moments, Shift
from servewell.core.catalog.outcome import Named


@dataclass(frozen=True, slots=True, kw_only=True)
class Half:
    """An answer whose counterpart has not come yet: a live one, or a shadow's."""

    prediction_id: str
    time_ns: int  # when the request was read, since the epoch
    status: int
    code: str
    model_ms: float
    outputs: Named  # of the first rows
    inputs: Named = field(default_factory=dict)  # of a live one


@dataclass(frozen=True, slots=True, kw_only=True)
class Slice:
    """The compared rows in which a text input has one value."""

    rows: int = 0
    differing: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """One row on which the two differ most. A personal input is a token."""

    prediction_id: str
    row: int
    difference: float  # of any number of the outputs, the largest
    changed: bool  # whether a label is another one
    inputs: dict[str, object]
    live: dict[str, object]
    shadow: dict[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Everything that was compared since the shadow began: counts, and the worst examples."""

    requests: int = 0  # compared
    rows: int = 0  # compared
    differing: int = 0  # rows with another label, or a number that differs by more than allowed
    changed: int = 0  # rows with another label
    largest: float = 0.0  # difference of any number, of finite ones
    differences: tuple[int, ...] = ()  # rows by their difference, in the bins of `DIFFERENCES`
    failures: dict[str, int] = field(default_factory=dict)  # of the shadow, by error code
    incomparable: int = 0  # requests whose answers have no output in common
    never_ran: int = 0  # live requests that were offered and never answered by the shadow
    unmatched: int = 0  # answers of the shadow whose live one was not found
    thinning: int = 0  # of the requests, one of 2 ** thinning is compared
    live_ms: Moments = field(default_factory=Moments)  # of the model's time
    shadow_ms: Moments = field(default_factory=Moments)
    ratio_ln: Moments = field(
        default_factory=Moments
    )  # natural logarithm of shadow over live, of the model's time
    scores: Shift = field(default_factory=Shift)  # live against shadow
    slices: dict[str, dict[str, Slice]] = field(default_factory=dict)  # by input, by value
    unsliced: tuple[str, ...] = ()  # text inputs with too many values
    examples: tuple[Example, ...] = ()  # the worst first
    waiting: tuple[Half, ...] = ()  # live answers, the oldest first
    early: tuple[Half, ...] = ()  # answers of the shadow that came first
    newest_ns: int = 0  # of the requests of the last look
    missing: int = 0  # records that were lost before they could be seen, at most
    gaps: tuple[str, ...] = ()  # why, the last few

    @property
    def failed(self) -> int:
        """How many copies the shadow failed on."""
        return sum(self.failures.values())

    @property
    def disagreement(self) -> float | None:
        """Share of the compared rows that differ, 0..1; None before there is one."""
        return self.differing / self.rows if self.rows else None
