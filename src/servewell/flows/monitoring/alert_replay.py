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
LOOKS_MAX: Final = 20_000
# What is not kept as it was, so that a replay says it as it is now.
CANNOT: Final = (
    "requests count as slow by the threshold that held when they were answered",
    "drift and quality are judged with the labels that came since",
    "objectives on drift and quality count the looks that were taken",
    "deployments are those of today",
    "what is older than 35 days is known by the hour",
)


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
    cannot: tuple[str, ...] = CANNOT  # what it cannot know as it was

    def told_of(self, key: str) -> int:
        """Return in how many notices an alert of that key would have been."""
        return sum(_has(one.notice, key) for one in self.told)


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """An alert that the rules of two replays say otherwise."""

    key: str
    what: str
    alerts: tuple[int, int]  # how many there would have been: as it is, and as it would be
    told: tuple[int, int]  # in how many notices
    severity: tuple[str, str]  # of the newest; empty where there is none


def replay(  # noqa: PLR0913 - of what, and of when
    platform: Platform,
    *,
    days: float,
    every_s: float,
    endpoint: str | None = None,
    until: float | None = None,
    monitors: Sequence[Monitor] = MONITORS,
) -> Replay:
    """Return what the rules as they are now would have said over the last days.

    Nothing is kept, nobody is told. Nobody acknowledges anything, and nothing is silenced.

    Units:  `until` in seconds since the epoch, else now; `every_s` seconds from one look to the
            next, `LOOKS_MAX` looks at most.
    Raises: ValueError, StateUnavailableError.
    """
    until = platform.clock.now() if until is None else until
    since = until - days * DAY_S
    asked = [one for one in monitors if one.knows_past]
    looks = looks_of(days, every_s)
    if looks > LOOKS_MAX:
        raise ValueError(looks)
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


def looks_of(days: float, every_s: float) -> int:
    """Return how many looks there are in some days."""
    return int(days * DAY_S // every_s) + 1


def differences(before: Replay, after: Replay) -> tuple[Difference, ...]:
    """Return by key what two replays say otherwise: how often, to whom, and how urgent."""
    keys = sorted({one.key for replayed in (before, after) for one in replayed.alerts})
    found = [(_of(key, before), _of(key, after)) for key in keys]
    return tuple(
        Difference(
            key=key,
            what=(after_alerts or before_alerts)[-1].signal.what,
            alerts=(len(before_alerts), len(after_alerts)),
            told=(before.told_of(key), after.told_of(key)),
            severity=(_severity(before_alerts), _severity(after_alerts)),
        )
        for key, (before_alerts, after_alerts) in zip(keys, found, strict=True)
        if _said(before_alerts, before, key) != _said(after_alerts, after, key)
    )


def _of(key: str, replayed: Replay) -> list[Alert]:
    return [one for one in replayed.alerts if one.key == key]


def _severity(alerts: Sequence[Alert]) -> str:
    return str(alerts[-1].severity) if alerts else ""


def _said(alerts: Sequence[Alert], replayed: Replay, key: str) -> tuple[object, ...]:
    heard = {name for one in replayed.told for name in one.receivers if _has(one.notice, key)}
    return len(alerts), replayed.told_of(key), _severity(alerts), heard


def _has(notice: Notice, key: str) -> bool:
    return any(one.key == key for one in notice.alerts)


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
