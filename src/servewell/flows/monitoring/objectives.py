"""How an endpoint stands against its objectives: budgets, burn rates, and what it depends on."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Final

from servewell.core.catalog.endpoint import Endpoint
from servewell.core.catalog.objective import Budget, Objective, ObjectiveKind, Part, Tally, Whole
from servewell.core.catalog.series import DAY_S, HOUR_S, Sample
from servewell.core.catalog.series_names import (
    COUNTED,
    FAILED,
    FAILED_BY,
    LOOK,
    LOOKED,
    REFUSED,
    REQUESTS,
    SLOW,
    WORKERS,
    of_endpoint,
)
from servewell.core.catalog.signal import Signal
from servewell.core.catalog.workload_objectives import Dependency, Needed, ObjectiveRules
from servewell.core.reliability.burn_rate import budget_of
from servewell.core.reliability.composite import whole_of
from servewell.core.reliability.objective import AVAILABILITY, objectives_of, share
from servewell.core.reliability.objective_signals import signals_of, unseen_signal
from servewell.core.reliability.spending import by_day, spent_by
from servewell.flows.monitoring.figures import known_until
from servewell.flows.platform import Platform
from servewell.ports.endpoints import EndpointMissingError
from servewell.ports.workloads import WorkloadMissingError

LAG_MAX_S: Final = 900.0  # a segment is counted some minutes after its first record, at most
# A window is made of steps that are short beside it: up to so many seconds of these.
STEPS: Final = ((12 * HOUR_S, 60), (6 * DAY_S, 300), (400 * DAY_S, HOUR_S))
# What is bad, of what, and what of that does not count.
EVENTS: Final[dict[ObjectiveKind, tuple[str, str, tuple[str, ...]]]] = {
    ObjectiveKind.AVAILABILITY: (FAILED, REQUESTS, (REFUSED,)),
    ObjectiveKind.LATENCY: (SLOW, REQUESTS, (REFUSED, FAILED)),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """All objectives of an endpoint, and the whole that it is part of."""

    endpoint: str
    budgets: tuple[Budget, ...]
    whole: Whole | None = None  # None where it depends on nothing


def objectives_standing(platform: Platform, endpoint: str, *, now: float) -> Standing:
    """Return how an endpoint stands against its objectives. `now` is in seconds (epoch).

    Raises: EndpointMissingError, StateUnavailableError.
    """
    found = platform.endpoints.get(endpoint)
    rules = rules_of(platform, found)
    budgets = tuple(
        _budget(platform, one, now=now)
        for one in objectives_of(found.name, rules, latency_ms=found.policy.latency_objective_ms)
    )
    return Standing(
        endpoint=endpoint,
        budgets=budgets,
        whole=_whole(platform, budgets, rules, now=now) if rules.depends_on else None,
    )


def objective_signals(platform: Platform, *, now: float) -> tuple[Signal, ...]:
    """Return the objectives that spend their budgets too fast or have spent them, and the unseen.

    Raises: StateUnavailableError.
    """
    return tuple(
        signal
        for endpoint in platform.endpoints.list()
        for signal in _signals(platform, endpoint, now=now)
    )


def rules_of(platform: Platform, endpoint: Endpoint) -> ObjectiveRules:
    """Return the rules that hold for an endpoint: its workload's, or the usual ones.

    Raises: StateUnavailableError.
    """
    try:
        return platform.workloads.get(endpoint.workload).workload.objectives
    except WorkloadMissingError:
        return ObjectiveRules()


def _signals(platform: Platform, endpoint: Endpoint, *, now: float) -> Iterator[Signal]:
    budgets = objectives_standing(platform, endpoint.name, now=now).budgets
    for budget in budgets:
        yield from signals_of(budget, now=now)
    for by_look in sorted({one.objective.kind not in EVENTS for one in budgets}):
        since = _seen_until(platform, endpoint, by_look=by_look)
        if since is not None and now - since >= LAG_MAX_S and _kept_watch(platform, now=now):
            yield unseen_signal(endpoint.name, by_look=by_look, since=since)


def _seen_until(platform: Platform, endpoint: Endpoint, *, by_look: bool) -> float | None:
    """Return until when requests were counted or looks taken; at first since these are wanted."""
    seen = known_until(platform, of_endpoint(endpoint.name, LOOKED if by_look else COUNTED))
    if seen is None and by_look:
        return platform.workloads.get(endpoint.workload).at
    return seen


def _kept_watch(platform: Platform, *, now: float) -> bool:
    """Whether the control process ran long enough ago to have counted and looked since."""
    until = now - LAG_MAX_S
    return bool(platform.series.read(WORKERS, since=until - 300, until=until, step=300))


def _budget(platform: Platform, objective: Objective, *, now: float) -> Budget:
    events = _events(platform, objective, now=now)
    made = budget_of(objective, events.tally)
    parts = platform.series.newest(of_endpoint(objective.endpoint, FAILED_BY))
    return replace(
        made,
        measured_until=events.measured_until,
        days=by_day(
            *(events.samples(one, objective.period_s) for one in events.names),
            weighs=events.weighs,
        ),
        spent_by=spent_by(
            {one: events.samples(one, objective.period_s) for one in parts}, made.period
        )
        if objective.kind is ObjectiveKind.AVAILABILITY
        else (),
    )


@dataclass(slots=True, kw_only=True)
class Events:
    """The events of one objective, from the series that count them; each is read once a step."""

    platform: Platform
    names: tuple[str, ...]  # of the bad, of all, and of what of these does not count
    until: float  # end of the newest event, or now where that is long ago
    measured_until: float | None
    weighs: bool = False  # whether the events are looks: as many as there are points
    _read: dict[tuple[str, int], tuple[Sample, ...]] = field(default_factory=dict)

    def tally(self, seconds: float) -> Tally:
        """Return the events of the last so many seconds."""
        bad, total, *less = (self._sum(name, seconds) for name in self.names)
        if self.weighs:
            total = sum(one.weight for one in self.samples(self.names[0], seconds))
        return Tally(bad=bad, total=max(total - sum(less), bad))

    def samples(self, name: str, seconds: float) -> tuple[Sample, ...]:
        """Return the samples of a series over the last so many seconds."""
        longest, step = next(one for one in STEPS if seconds <= one[0])
        if (name, step) not in self._read:
            self._read[name, step] = self.platform.series.read(
                name, since=self.until - longest, until=self.until, step=step
            )
        since = self.until - seconds
        return tuple(one for one in self._read[name, step] if one.start >= since)

    def _sum(self, name: str, seconds: float) -> float:
        return sum(one.total for one in self.samples(name, seconds))


def _events(platform: Platform, objective: Objective, *, now: float) -> Events:
    if objective.kind in EVENTS:
        bad, total, less = EVENTS[objective.kind]
        names = tuple(of_endpoint(objective.endpoint, one) for one in (bad, total, *less))
        return _until(platform, objective, names, now=now)
    name = of_endpoint(objective.endpoint, LOOK, objective.name)
    return _until(platform, objective, (name, name), now=now)


def _until(
    platform: Platform, objective: Objective, names: tuple[str, ...], *, now: float
) -> Events:
    """Return the events up to now, or up to the newest where that is recent.

    Where nobody has counted or looked for a while, that there is nothing newer says nothing: then
    what was known last still holds.
    """
    newest = platform.series.newest(names[1]).get(names[1])
    end = None if newest is None else min(newest + 60.0, now)
    by_look = objective.kind not in EVENTS
    known = known_until(platform, of_endpoint(objective.endpoint, LOOKED if by_look else COUNTED))
    unseen = known is not None and now - known >= LAG_MAX_S
    holds = end is not None and (unseen or now - end < LAG_MAX_S)
    return Events(
        platform=platform,
        names=names,
        until=end if end is not None and holds else now,
        measured_until=end,
        weighs=by_look,
    )


def _whole(
    platform: Platform, budgets: tuple[Budget, ...], rules: ObjectiveRules, *, now: float
) -> Whole | None:
    own = next((one for one in budgets if one.objective.name == "availability"), None)
    if own is None:
        return None
    itself = Part(name=own.objective.endpoint, good=_good(own.period), measured=True)
    needed = [_part(platform, one, own.objective, now=now) for one in rules.depends_on]
    return whole_of(own.objective, [itself, *needed])


def _part(platform: Platform, one: Needed, objective: Objective, *, now: float) -> Part:
    if isinstance(one, Dependency) and one.any_of:
        inner = tuple(_part(platform, part, objective, now=now) for part in one.any_of)
        return Part(name=" or ".join(part.name for part in inner), any_of=inner)
    if one.upstream is not None:
        said = share(one.availability)
        return Part(name=one.upstream, good=said, goal=said)
    return _measured(platform, one.endpoint or "", objective, now=now)


def _measured(platform: Platform, name: str, objective: Objective, *, now: float) -> Part:
    try:
        endpoint = platform.endpoints.get(name)
    except EndpointMissingError:
        return Part(name=name)
    goal = share(rules_of(platform, endpoint).availability) or AVAILABILITY
    events = _events(platform, replace(objective, endpoint=name), now=now)
    return Part(name=name, good=_good(events.tally(objective.period_s)), goal=goal, measured=True)


def _good(tally: Tally) -> float | None:
    return 1.0 - tally.share_bad if tally.total else None
