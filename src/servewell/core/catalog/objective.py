"""What an endpoint is to achieve, how far it does, and how fast it spends what may go wrong."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from servewell.core.catalog.signal import Severity

DAY_S: Final = 86_400.0
LOOK_S: Final = 300.0  # from one look at age, drift and quality to the next


class ObjectiveKind(StrEnum):
    """What is held to a goal."""

    AVAILABILITY = "availability"  # requests that were not answered with a fault of ours
    LATENCY = "latency"  # requests that were answered in time
    FRESHNESS = "freshness"  # looks at which the model, its data or its labels were young enough
    DRIFT = "drift"  # looks at which no drift was found
    QUALITY = "quality"  # looks at which the predictions were as right as the reference


@dataclass(frozen=True, slots=True, kw_only=True)
class Objective:
    """A goal, and the time over which it is held."""

    endpoint: str
    name: str  # `availability`, `latency`, `freshness of the model` …
    kind: ObjectiveKind
    goal: float  # share of the events that are to be good, above 0 and below 1
    period_s: float = 30 * DAY_S
    counted: str = "requests"  # what the events are, for a person
    every_s: float = 0.0  # from one look to the next; 0 where requests are counted
    declared: bool = False  # whether somebody wrote it; else it is a default
    because: str  # why it is this goal

    @property
    def budget(self) -> float:
        """Return the share of the events that may be bad."""
        return 1.0 - self.goal


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """Events over a time."""

    bad: float = 0.0
    total: float = 0.0

    @property
    def share_bad(self) -> float:
        """Return the share of the events that were bad; 0 where there were none."""
        return self.bad / self.total if self.total else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class BurnRule:
    """How fast the budget may be spent, over a long window and a short one that ends with it."""

    factor: float  # times the rate that would spend it in just the period
    long_s: float
    short_s: float
    severity: Severity


@dataclass(frozen=True, slots=True, kw_only=True)
class Burn:
    """One rule at one moment."""

    rule: BurnRule
    long: Tally
    short: Tally
    rate: float  # of the long window, in times the rate that would spend it in just the period
    short_rate: float
    fires: bool
    trusted: bool  # whether so much traffic could show as much as the rule asks for
    because: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Spending:
    """Part of the bad events of a period."""

    by: str  # `deployment v2`, `SW-320`
    bad: float
    share: float  # of all bad events, 0..1


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """How an objective stands."""

    objective: Objective
    period: Tally
    left: float  # of the budget, 1 where nothing is spent; below 0 where more than all of it is
    spent: bool = False  # whether none is left, and more than chance made it so
    burns: tuple[Burn, ...]  # by rule, the most urgent first
    spent_by: tuple[Spending, ...] = ()
    days: tuple[tuple[float, float | None], ...] = ()  # start of each day, share of bad events
    measured_until: float | None = None  # end of the newest event; None where there was none
    because: str  # how it stands, for a person

    @property
    def burning(self) -> Burn | None:
        """Return the most urgent rule that fires."""
        return next((one for one in self.burns if one.fires), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Something that an endpoint depends on. Of several inside it, one has to be there."""

    name: str
    good: float | None = None  # share of its events that were good; None where it is not known
    goal: float | None = None  # that it is promised to keep; None where nothing is promised
    measured: bool = False  # else its share is what its owner says
    events: float = 0.0  # that its share was measured on
    any_of: tuple["Part", ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PartShare:
    """What one part has to do with what goes wrong."""

    name: str
    good: float | None
    measured: bool
    share: float  # of what went wrong in the whole, 0..1


@dataclass(frozen=True, slots=True, kw_only=True)
class Whole:
    """An endpoint together with what it depends on."""

    good: float | None  # share of the events that were good; None where a part is not known
    possible: float  # the best goal that the promises of the parts allow, 0..1
    parts: tuple[PartShare, ...]  # who spends most first
    because: str
