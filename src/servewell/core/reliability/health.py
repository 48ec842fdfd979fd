"""The one health state of an endpoint, from everything that is known of it.

What pages hurts callers now; what makes a ticket will. A drifted or doubtful model still answers,
so it is never more than degraded. Silence is not health: without traffic, or with figures older
than they should be, the state is unknown unless something worse is certain.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from servewell.core.catalog.health import Health, HealthState, Reason
from servewell.core.catalog.signal import Severity, Signal, SignalKind
from servewell.core.catalog.stop import EVERY, StopMode, StopOrder

UNHEALTHY, DEGRADED = HealthState.UNHEALTHY, HealthState.DEGRADED
HEALTHY, UNKNOWN = HealthState.HEALTHY, HealthState.UNKNOWN
PAGE, TICKET, NOTE = Severity.PAGE, Severity.TICKET, Severity.NOTE

STATES: Final[dict[SignalKind, dict[Severity, HealthState]]] = {
    SignalKind.AVAILABILITY: {PAGE: UNHEALTHY, TICKET: DEGRADED, NOTE: HEALTHY},
    SignalKind.LATENCY: {PAGE: UNHEALTHY, TICKET: DEGRADED, NOTE: HEALTHY},
    SignalKind.SERVING: {PAGE: UNHEALTHY, TICKET: DEGRADED, NOTE: HEALTHY},
    SignalKind.FEED: {PAGE: UNHEALTHY, TICKET: DEGRADED, NOTE: HEALTHY},
    SignalKind.ROOM: {PAGE: DEGRADED, TICKET: DEGRADED, NOTE: HEALTHY},
    SignalKind.FRESHNESS: {PAGE: DEGRADED, TICKET: DEGRADED, NOTE: HEALTHY},
    SignalKind.DRIFT: {PAGE: DEGRADED, TICKET: DEGRADED, NOTE: HEALTHY},
    SignalKind.QUALITY: {PAGE: DEGRADED, TICKET: DEGRADED, NOTE: HEALTHY},
    SignalKind.CHANGE: {PAGE: DEGRADED, TICKET: DEGRADED, NOTE: HEALTHY},
    SignalKind.ANOMALY: {PAGE: DEGRADED, TICKET: DEGRADED, NOTE: HEALTHY},
}
WORST_FIRST: Final = (UNHEALTHY, DEGRADED, UNKNOWN, HEALTHY)
# A window is counted when its segment is: a worker lets go of one within some minutes.
LAG_MAX_S: Final = 900.0
REFUSED_MAX: Final = 0.5  # share of the requests of an hour
REFUSED_MIN: Final = 20.0  # of them, at least: one caller's slip is nothing


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthFacts:
    """What is known of one endpoint."""

    endpoint: str
    at: float  # seconds since the epoch, UTC
    signals: tuple[Signal, ...] = ()  # of it, and of the whole home
    stops: tuple[StopOrder, ...] = ()  # in force, of any endpoint
    deployed: bool = True  # whether anything is to answer
    running: bool = True  # whether a process of the home does
    requests: float = 0.0  # within the last hour
    refused: float = 0.0  # of these, with a status of 400 to 499
    measured_until: float | None = None  # end of the newest window of its traffic
    looked_at: float | None = None  # when the home's own figures were last measured
    faults: tuple[str, ...] = ()  # what could not be looked at, and why


def decide_health(facts: HealthFacts) -> Health:
    """Return the state of an endpoint, with every reason, the worst first.

    Units:  times in seconds since the epoch; requests of the last hour.
    Raises: nothing.
    """
    reasons = sorted(
        (*_told(facts.signals), *_silent(facts)),
        key=lambda one: (WORST_FIRST.index(one.state), list(Severity).index(one.severity)),
    )
    state = reasons[0].state if reasons else HEALTHY
    return Health(
        endpoint=facts.endpoint,
        state=state,
        because=_because(state, reasons, facts),
        reasons=tuple(reasons),
        requests=facts.requests,
        measured_until=facts.measured_until,
        at=facts.at,
    )


def _told(signals: Sequence[Signal]) -> Iterator[Reason]:
    for one in signals:
        yield Reason(
            state=STATES[one.kind][one.severity],
            kind=one.kind,
            severity=one.severity,
            what=one.what,
            since=one.since,
            command=one.command,
        )


def _silent(facts: HealthFacts) -> Iterator[Reason]:
    """Yield what is not known, and why that says nothing good."""
    for fault in facts.faults:
        yield _unknown(fault)
    if not facts.deployed:
        yield _unknown("Nothing is deployed, so nothing answers.")
        return
    if _refuses(facts):
        yield Reason(
            state=UNHEALTHY,
            kind=SignalKind.SERVING,
            severity=TICKET,
            what="Every request is refused: an emergency stop is in force.",
            since=None,
            command=f"servewell resume {facts.endpoint}",
        )
    if not facts.running:
        yield Reason(
            state=UNHEALTHY,
            kind=SignalKind.SERVING,
            severity=PAGE,
            what="Nothing runs in this home, so no request is answered.",
            since=facts.looked_at,
            command="servewell up FOLDER",
        )
        return
    if facts.looked_at is None or facts.at - facts.looked_at > LAG_MAX_S:
        when = "never" if facts.looked_at is None else f"{_ago(facts.at - facts.looked_at)} ago"
        yield _unknown(
            f"Nobody keeps watch: figures were last taken {when}. The control process does it.",
            since=facts.looked_at,
            command="servewell status",
        )
    elif not facts.requests:
        last = (
            "none was ever counted"
            if facts.measured_until is None
            else f"the last was counted {_ago(facts.at - facts.measured_until)} ago"
        )
        yield _unknown(f"No traffic in the last hour; {last}.", since=facts.measured_until)
    elif facts.refused >= max(REFUSED_MIN, REFUSED_MAX * facts.requests):
        yield Reason(
            state=DEGRADED,
            kind=SignalKind.AVAILABILITY,
            severity=TICKET,
            what=f"{facts.refused:,.0f} of {facts.requests:,.0f} requests of the last hour were "
            "refused, and got no prediction.",
            since=None,
            command=f"servewell records list {facts.endpoint}",
        )


def _refuses(facts: HealthFacts) -> bool:
    """Whether a stop refuses the requests: that of the endpoint itself, or else of every one."""
    modes = {one.endpoint: one.mode for one in facts.stops}
    return modes.get(facts.endpoint, modes.get(EVERY)) is StopMode.REFUSE


def _unknown(what: str, *, since: float | None = None, command: str = "") -> Reason:
    return Reason(state=UNKNOWN, kind=None, severity=NOTE, what=what, since=since, command=command)


def _because(state: HealthState, reasons: Sequence[Reason], facts: HealthFacts) -> str:
    first = reasons[0].what.rstrip(".") if reasons else ""
    if state is HEALTHY:
        return f"{facts.requests:,.0f} requests in the last hour, and nothing is wrong with them"
    more = sum(one.state is not HEALTHY for one in reasons) - 1
    return f"{first}; and {more} more" if more else first


def _ago(seconds: float) -> str:
    for unit, length in (("days", 86_400), ("hours", 3_600), ("minutes", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{max(seconds, 0):.0f} seconds"
