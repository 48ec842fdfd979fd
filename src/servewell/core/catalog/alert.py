"""What a person is told about a condition, from the first sight of it to its end."""

from dataclasses import dataclass, field
from enum import StrEnum

from servewell.core.catalog.change import Change
from servewell.core.catalog.signal import Severity, Signal


class AlertState(StrEnum):
    """Where an alert stands."""

    PENDING = "pending"  # seen, but not yet for its time: nobody is told
    FIRING = "firing"
    ACKNOWLEDGED = "acknowledged"  # a person has it
    RESOLVED = "resolved"  # the condition has gone, for a while
    DROPPED = "dropped"  # it went before its time


OPEN = frozenset((AlertState.PENDING, AlertState.FIRING, AlertState.ACKNOWLEDGED))


class Reason(StrEnum):
    """Why somebody is told, the most urgent first."""

    FIRED = "fired"
    WORSE = "worse"  # more urgent than it was when it was told
    RETURNED = "returned"  # soon after it had gone
    ESCALATED = "escalated"  # nobody acknowledged it in time
    ACKNOWLEDGED = "acknowledged"
    RESOLVED = "resolved"
    TEST = "test"


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertEvent:
    """One move of an alert."""

    at: float  # seconds since the epoch, UTC
    move: str  # of `core.operations.monitoring.alerts_moves.Move`
    because: str
    principal: str = ""  # who, where a person did it


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """A condition that a person may have to know of. Times are seconds since the epoch, UTC."""

    id: int  # 1, 2, 3 … in the order in which they were seen
    key: str  # of the signal
    state: AlertState = AlertState.PENDING
    severity: Severity  # by the rules, or that of what is folded under it
    signal: Signal  # as it was seen last
    seen_at: float  # the first look that saw it; moved by the time in which nobody looked
    gone_at: float | None = None  # the first look that did not see it any more
    ended_at: float | None = None
    returned: int = 0  # how often it came back soon after it had gone
    change: Change | None = None  # the nearest one before it began
    cause: str = ""  # key of the alert that explains it, and under which it is folded
    silence: str = ""  # id of the silence that keeps it quiet
    tell: Reason | None = None  # what nobody was told yet
    tell_at: float | None = None  # since when that waits
    told_at: float | None = None
    told_severity: Severity | None = None  # how urgent a person believes it is
    heard: Severity | None = None  # the most urgent that was told of it: who heard hears of its end
    eased_at: float | None = None  # since when it is less urgent than was told
    escalate_at: float | None = None  # unless somebody acknowledges it before
    escalated: int = 0  # how often
    acknowledged_by: str = ""
    events: tuple[AlertEvent, ...] = ()  # oldest first, the last ones
    revision: int = 0  # of this row: grows with each save

    @property
    def endpoint(self) -> str:
        """The endpoint that it is about; empty for the whole home."""
        return self.signal.endpoint


@dataclass(frozen=True, slots=True, kw_only=True)
class Silence:
    """What keeps alerts quiet for a time. Empty fields fit everything."""

    id: str
    endpoint: str = ""
    kind: str = ""
    key: str = ""
    at: float  # seconds since the epoch, UTC
    until: float
    because: str
    principal: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """The last look at all signals."""

    at: float = 0.0  # seconds since the epoch, UTC; 0 before the first
    seen: int = 0  # alerts ever
    missed_from: float | None = None  # since when nobody had looked, until what came of it is told
    settles_at: float = 0.0  # until then what is found after such a time is gathered
    summed_until: float = 0.0  # until then what follows from it is told in one notice of all
    revision: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """What somebody is told at once: alerts of one endpoint, or all there are after a gap."""

    group: str  # endpoint; empty for the home, or for all where `missed_from` is set
    reason: Reason  # the most urgent one
    severity: Severity  # the most urgent one
    at: float  # seconds since the epoch, UTC
    alerts: tuple[Alert, ...]  # what it is about, the most urgent first
    standing: tuple[Alert, ...] = ()  # others of the same endpoints that are open and were told
    folded: dict[str, tuple[str, ...]] = field(default_factory=dict)  # key -> what it explains
    missed_from: float | None = None  # nobody looked from then on, for a while


class DeliveryState(StrEnum):
    """Where a delivery stands."""

    WAITING = "waiting"
    DELIVERED = "delivered"
    PARTLY = "partly"  # delivered, but not to all of its recipients: sent again some had it twice
    DEAD = "dead"  # tried as often as was declared


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """A notice on its way to one receiver. The receiver may get it again, under the same id."""

    id: str
    workload: str  # whose file names the receiver
    receiver: str
    notice: Notice
    made_at: float  # seconds since the epoch, UTC
    due_at: float  # of the next try; of a dead letter, of the next look whether it still matters
    state: DeliveryState = DeliveryState.WAITING
    tries: int = 0
    answer: str = ""  # what came of the last try, for a person
    delivered_at: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GivenUp:
    """What is to be known of a delivery that not everybody got, without reading it."""

    state: DeliveryState
    workload: str
    receiver: str
    severity: Severity
    made_at: float  # seconds since the epoch, UTC
    answer: str  # of the last try
