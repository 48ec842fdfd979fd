"""Whether an endpoint is healthy, and why."""

from dataclasses import dataclass
from enum import StrEnum

from servewell.core.catalog.signal import Severity, SignalKind


class HealthState(StrEnum):
    """The one word."""

    HEALTHY = "healthy"
    DEGRADED = "degraded"  # it answers, and something is wrong with it or about to be
    UNHEALTHY = "unhealthy"  # callers are hurt now
    UNKNOWN = "unknown"  # nothing speaks against it, and too little for it


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """One thing that decided it."""

    state: HealthState
    kind: SignalKind | None  # None of what is missing, which is no signal
    severity: Severity
    what: str
    since: float | None  # seconds since the epoch, UTC
    command: str = ""  # the next command


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """The state of an endpoint, with the reasons, the worst first."""

    endpoint: str
    state: HealthState
    because: str  # in one sentence
    reasons: tuple[Reason, ...] = ()
    requests: float = 0.0  # within the last hour
    measured_until: float | None = None  # end of the newest window of traffic that is known
    at: float  # seconds since the epoch, UTC
