"""A measured condition of something that is served."""

from dataclasses import dataclass, field
from enum import StrEnum


class SignalKind(StrEnum):
    """What is measured."""

    AVAILABILITY = "availability"
    LATENCY = "latency"
    FRESHNESS = "freshness"
    DRIFT = "drift"
    QUALITY = "quality"
    FEED = "feed"  # broken: a unit, a constant, nulls, categories never seen
    ANOMALY = "anomaly"
    SERVING = "serving"  # a worker, a deployment in quarantine, records that are lost
    CHANGE = "change"  # a rollout that was rolled back or is stuck, a training that failed
    ROOM = "room"  # disk, memory


class Severity(StrEnum):
    """What is asked of a person, the most urgent first."""

    PAGE = "page"  # now: users are hurt, or will be within hours
    TICKET = "ticket"  # in working hours
    NOTE = "note"  # nothing; it is shown


@dataclass(frozen=True, slots=True, kw_only=True)
class Points:
    """A small plot: a value over time, with the bound that it crossed."""

    name: str
    unit: str
    times: tuple[float, ...]  # seconds since the epoch, UTC
    values: tuple[float | None, ...]  # None where it is not known
    bound: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Distributions:
    """Two distributions over the same bins, in the units of the column."""

    column: str
    bins: tuple[str, ...]  # their names
    before: tuple[float, ...]  # shares, 0..1
    now: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Signal:
    """A condition that holds now. The same condition has the same key at every look."""

    kind: SignalKind
    severity: Severity
    endpoint: str  # empty for the whole home
    deployment: str = ""
    subject: str = ""  # the column, objective or part that it is about
    since: float  # seconds since the epoch, UTC, when the condition began
    what: str  # one sentence, with figures and units
    because: str  # how it is known: what was measured, against what
    value: float | None = None
    bound: float | None = None
    points: tuple[Points, ...] = ()
    distributions: tuple[Distributions, ...] = ()
    command: str = ""  # the one next command
    runbook: str = ""  # its name: `servewell alerts runbook NAME` prints it
    causes: tuple[str, ...] = field(default=())  # keys of signals that would explain this one

    @property
    def key(self) -> str:
        """What tells one condition from another."""
        return f"{self.kind}/{self.endpoint}/{self.deployment}/{self.subject}"
