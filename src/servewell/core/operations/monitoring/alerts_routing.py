"""Who hears of which part of a notice."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from servewell.core.catalog.alert import Alert, Notice, Reason
from servewell.core.catalog.workload_alerts import Receiver
from servewell.core.operations.monitoring.alerts_notices import first_reason, most_urgent

BY_ENDPOINT: Final = frozenset({"pagerduty"})  # keeps an incident of each endpoint
OF_ENDS: Final = frozenset({Reason.ACKNOWLEDGED, Reason.RESOLVED, None})  # None: it stands


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """A receiver, and the endpoints of the workload that names it."""

    workload: str
    name: str
    receiver: Receiver
    endpoints: frozenset[str]


def routed(notice: Notice, routes: Sequence[Route]) -> Iterator[tuple[Route, Notice]]:
    """Yield who is told which part of a notice.

    What is about the whole home is told to the receivers of all workloads, to each place once.

    Raises: nothing.
    """
    told: list[Receiver] = []  # of the home
    for route in routes:
        home = set() if route.receiver in told else {""}
        told.append(route.receiver)
        for part in _parts(notice, route, route.endpoints | home):
            yield route, part


def _parts(notice: Notice, route: Route, endpoints: Iterable[str]) -> tuple[Notice, ...]:
    heard = [one for one in notice.alerts if one.endpoint in endpoints]
    heard = [one for one in heard if _hears(route.receiver, one)]
    if route.receiver.to not in BY_ENDPOINT:
        return (_of(notice, heard, route, notice.group),) if heard else ()
    groups = dict.fromkeys(one.endpoint for one in heard)
    return tuple(
        _of(notice, [one for one in heard if one.endpoint == group], route, group)
        for group in groups
    )


def _of(notice: Notice, alerts: Sequence[Alert], route: Route, group: str) -> Notice:
    endpoints = {one.endpoint for one in alerts}
    return replace(
        notice,
        group=group,
        reason=first_reason(alerts),
        severity=most_urgent(alerts),
        alerts=tuple(alerts),
        standing=tuple(
            one
            for one in notice.standing
            if one.endpoint in endpoints and _hears(route.receiver, one)
        ),
    )


def _hears(receiver: Receiver, alert: Alert) -> bool:
    if receiver.escalation and not alert.escalated:
        return False
    if receiver.kinds is not None and alert.signal.kind not in receiver.kinds:
        return False
    ends = alert.tell in OF_ENDS  # who heard of it hears of its end, however urgent it is by then
    found = {alert.severity, alert.told_severity, alert.heard if ends else None}
    return bool(found & set(receiver.severities))
