"""Tell what stands again to those who forget it otherwise.

It goes past the outbox: what is not taken now is told anew in a minute. The ends of alerts, and
what is new, are deliveries as those to everybody else.
"""

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from typing import Final

from servewell.core.catalog.alert import Alert, Notice, Reason
from servewell.core.operations.monitoring.alerts_notices import TOLD_STATES, most_urgent
from servewell.core.operations.monitoring.alerts_routing import Route, routed
from servewell.flows.monitoring.watch import routes_of
from servewell.flows.platform import Platform
from servewell.ports.sinks import Letter

AT_ONCE: Final = 8  # receivers that are sent to
REPEAT_EVERY_S: Final = 60.0
# Source: Alertmanager, "Sending alerts": clients send all active alerts again and again.
FORGETFUL: Final = frozenset({"alertmanager"})


def repeat_standing(platform: Platform) -> None:
    """Tell Alertmanager of every alert that it was told of, and whose end it was not told.

    Raises: StateUnavailableError.
    """
    known = {one.name: one for one in platform.workloads.list()}
    routes = [one for one in routes_of(platform, known.values()) if one.receiver.to in FORGETFUL]
    now = platform.clock.now()
    standing = _standing(platform, now) if routes else ()
    if not standing:
        return
    notice = Notice(
        group="", reason=Reason.FIRED, severity=most_urgent(standing), at=now, alerts=standing
    )
    with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="standing") as threads:
        sent = [
            threads.submit(_send, platform, route, part, known[route.workload].folder)
            for route, part in routed(notice, routes)
        ]
    for one in sent:
        one.result()


def _standing(platform: Platform, now: float) -> tuple[Alert, ...]:
    """Return the open alerts as they were told."""
    return tuple(
        replace(one, severity=one.told_severity or one.severity, heard=None)
        for one in platform.alerts.open(ended_after=now)
        if one.state in TOLD_STATES and one.told_at is not None and one.tell is None
    )


def _send(platform: Platform, route: Route, notice: Notice, folder: str) -> None:
    letter = Letter(
        id=platform.ids.new(),
        source=platform.side_processes.place,
        sent_at=notice.at,
        notice=notice,
        page="",
    )
    with suppress(Exception):  # it is told anew in a minute, and what is new is in the outbox
        platform.sinks.send(route.receiver, letter, folder=folder)
