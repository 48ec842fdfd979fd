"""What the rules would have said over some days, from the profiles and series that are kept."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from servewell.core.catalog.alert import Alert, AlertState, Look, Notice
from servewell.core.operations.monitoring.alerts import Outcome, RulesOf, decide
from servewell.core.operations.monitoring.alerts_gaps import GAP_S
from servewell.core.operations.monitoring.alerts_moves import RETURNS_WITHIN_S
from servewell.core.operations.monitoring.alerts_routing import Route, routed
from servewell.flows.monitoring.monitors import MONITORS, Monitor
from servewell.flows.monitoring.watch import (
    changes_before,
    fresh,
    gather,
    routes_of,
    rules_of,
)
from servewell.flows.platform import Platform

DAY_S: Final = 86_400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """A notice that would have been, and who would have got it."""

    notice: Notice
    receivers: tuple[str, ...]  # `workload/name`


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    """What would have been said. Times are seconds since the epoch, UTC."""

    since: float
    until: float
    every_s: float
    looks: int
    alerts: tuple[Alert, ...]  # that somebody would have been told of, or shown; by id
    told: tuple[Told, ...]
    unasked: tuple[str, ...]  # monitors that know only of the present


def replay(
    platform: Platform,
    *,
    days: float,
    every_s: float,
    endpoint: str | None = None,
    monitors: Sequence[Monitor] = MONITORS,
) -> Replay:
    """Return what the rules as they are now would have said over the last days.

    Nothing is kept, nobody is told. Nobody acknowledges anything, and nothing is silenced.

    Units:  `every_s` seconds from one look to the next.
    Raises: StateUnavailableError.
    """
    until = platform.clock.now()
    since = until - days * DAY_S
    asked = [one for one in monitors if one.knows_past]
    looks = int((until - since) // every_s) + 1
    past = _Past(platform, asked, endpoint=endpoint, every_s=every_s)
    for place in range(looks):
        past.look_at(since + place * every_s)
    return Replay(
        since=since,
        until=until,
        every_s=every_s,
        looks=looks,
        alerts=tuple(past.alerts[number] for number in sorted(past.alerts)),
        told=tuple(past.told),
        unasked=tuple(one.name for one in monitors if not one.knows_past),
    )


class _Past:
    """Looks at one moment after the other, with what was decided before."""

    def __init__(
        self,
        platform: Platform,
        monitors: Sequence[Monitor],
        *,
        endpoint: str | None,
        every_s: float,
    ) -> None:
        self._platform = platform
        self._monitors = monitors
        self._endpoint = endpoint
        self._gap_s = max(GAP_S, 2 * every_s)
        self._known = platform.workloads.list()
        self._rules: RulesOf = rules_of(platform, self._known)
        self._routes: tuple[Route, ...] = routes_of(platform, self._known)
        self._look = Look()
        self.alerts: dict[int, Alert] = {}
        self.told: list[Told] = []

    def look_at(self, now: float) -> None:
        """Decide on what the monitors say of a moment."""
        seen = gather(self._platform, now=now, monitors=self._monitors)
        signals = [one for one in seen.signals if self._endpoint in (None, one.endpoint)]
        before = [
            one
            for one in self.alerts.values()
            if one.ended_at is None or now - one.ended_at <= RETURNS_WITHIN_S
        ]
        outcome = decide(
            before,
            signals,
            silences=(),
            now=now,
            rules=self._rules,
            look=self._look,
            changes=changes_before(self._platform, fresh(signals, before), self._known),
            blind=seen.blind,
            gap_s=self._gap_s,
        )
        self._take(outcome)

    def _take(self, outcome: Outcome) -> None:
        self._look = outcome.look
        for one in outcome.alerts:
            self.alerts[one.id] = one
            if one.state is AlertState.DROPPED:
                del self.alerts[one.id]
        for notice in outcome.notices:
            heard = [f"{route.workload}/{route.name}" for route, _ in routed(notice, self._routes)]
            self.told.append(Told(notice=notice, receivers=tuple(dict.fromkeys(heard))))
