"""Which alerts are explained by others, so that a person is told the cause alone."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Final

from servewell.core.catalog.alert import OPEN, Alert, AlertState
from servewell.core.catalog.signal import Severity, SignalKind
from servewell.core.operations.monitoring.alerts_moves import URGENCY

LATER_S: Final = 900.0  # a cause may be seen so much later than what it explains
EARLIER_S: Final = 3_600.0  # and so much earlier than a page: what stood long before is no cause
PENDING_S: Final = 60.0  # for which a condition explains before anybody is told of it
# Of these kinds only some subjects are felt by requests: a lost record slows none.
FELT: Final[Mapping[SignalKind, frozenset[str]]] = {
    SignalKind.SERVING: frozenset({"workers", "quarantine", "stop"}),
    SignalKind.ROOM: frozenset({"disk", "memory"}),
}

# What a condition of one kind explains at the same endpoint. A kind stands behind all that it
# explains, so nothing explains itself by a detour.
EXPLAINS: Final[Mapping[SignalKind, frozenset[SignalKind]]] = {
    SignalKind.ROOM: frozenset(
        {
            SignalKind.SERVING,
            SignalKind.CHANGE,
            SignalKind.AVAILABILITY,
            SignalKind.LATENCY,
            SignalKind.ANOMALY,
        }
    ),
    SignalKind.SERVING: frozenset(
        {SignalKind.AVAILABILITY, SignalKind.LATENCY, SignalKind.ANOMALY}
    ),
    SignalKind.FEED: frozenset({SignalKind.DRIFT, SignalKind.QUALITY, SignalKind.ANOMALY}),
    SignalKind.CHANGE: frozenset({SignalKind.FRESHNESS}),
    SignalKind.AVAILABILITY: frozenset({SignalKind.ANOMALY}),
    SignalKind.LATENCY: frozenset({SignalKind.ANOMALY}),
    SignalKind.DRIFT: frozenset({SignalKind.ANOMALY}),
}


def folded(alerts: Sequence[Alert], *, now: float) -> tuple[Alert, ...]:
    """Return the alerts, each with the key of the one that explains it, and how urgent that makes.

    What is silenced explains nothing: else a silence would hide more than it names. Nor does what
    waits for its time for long: nobody is told of it yet. A cause is as urgent as the most urgent
    of what it explains, so that a note never hides a page; but only a signal that names it as its
    cause is explained where it is a page that began an hour after it.

    Units:  times in seconds.
    Raises: nothing.
    """
    ordered = sorted(alerts, key=lambda one: one.id)
    explaining = [one for one in ordered if _may_explain(one, now)]
    causes = _roots({one.key: _cause(one, explaining) for one in ordered if one.state in OPEN})
    return tuple(_with_cause(one, causes, ordered) for one in ordered)


def _cause(alert: Alert, others: Iterable[Alert]) -> str:
    found = (one.key for one in others if _explains(one, alert))
    return next(found, "")


def _may_explain(cause: Alert, now: float) -> bool:
    waits = cause.state is AlertState.PENDING and now - cause.seen_at > PENDING_S
    return cause.state in OPEN and not cause.silence and not waits


def _explains(cause: Alert, alert: Alert) -> bool:
    later_s = cause.signal.since - alert.signal.since
    if cause.key == alert.key or later_s > LATER_S:
        return False
    if cause.key in alert.signal.causes:
        return True
    if alert.severity is Severity.PAGE and later_s < -EARLIER_S:
        return False
    near = cause.endpoint in ("", alert.endpoint)
    deployments = (cause.signal.deployment, alert.signal.deployment)
    same = "" in deployments or deployments[0] == deployments[1]
    felt = FELT.get(cause.signal.kind)
    if felt is not None and cause.signal.subject not in felt:
        return False
    return near and same and alert.signal.kind in EXPLAINS.get(cause.signal.kind, frozenset())


def _roots(causes: Mapping[str, str]) -> dict[str, str]:
    """Return the last cause of each; what would close a circle explains nothing."""
    parents: dict[str, str] = {}
    for key, cause in causes.items():
        parents[key] = "" if _end(cause, parents) == key else cause
    return {key: _end(parent, parents) for key, parent in parents.items()}


def _end(key: str, parents: Mapping[str, str]) -> str:
    while parents.get(key):
        key = parents[key]
    return key


def _with_cause(alert: Alert, causes: Mapping[str, str], others: Iterable[Alert]) -> Alert:
    explained = [one.severity for one in others if causes.get(one.key) == alert.key]
    return replace(
        alert,
        cause=causes.get(alert.key, ""),
        severity=_most_urgent([alert.severity, *explained]),
    )


def _most_urgent(severities: Iterable[Severity]) -> Severity:
    return min(severities, key=URGENCY.index)
