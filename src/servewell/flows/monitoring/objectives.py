"""How an endpoint stands against its objectives: budgets, burn rates, and what it depends on."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from servewell.core.catalog.endpoint import Endpoint
from servewell.core.catalog.objective import Budget, Objective, ObjectiveKind, Whole
from servewell.core.catalog.series_names import (
    COUNTED,
    FAILED_BY,
    LOOKED,
    WORKERS,
    of_endpoint,
)
from servewell.core.catalog.signal import Signal
from servewell.core.reliability.burn_rate import budget_of
from servewell.core.reliability.objective import objectives_of
from servewell.core.reliability.objective_signals import signals_of, unseen_signal
from servewell.core.reliability.spending import by_day, spent_by
from servewell.flows.monitoring.dependencies import COMPOSITE, composed_of, with_causes
from servewell.flows.monitoring.figures import known_until
from servewell.flows.monitoring.objective_events import EVENTS, LAG_MAX_S, events_of, rules_of
from servewell.flows.platform import Platform


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
    own = next((one for one in budgets if one.objective.name == "availability"), None)
    if own is None or not rules.depends_on:
        return Standing(endpoint=endpoint, budgets=budgets)
    composed = composed_of(platform, own, rules, now=now)
    made = () if composed.budget is None else (composed.budget,)
    return Standing(endpoint=endpoint, budgets=(*budgets, *made), whole=composed.whole)


def objective_signals(platform: Platform, *, now: float) -> tuple[Signal, ...]:
    """Return the objectives that spend their budgets too fast or have spent them, and the unseen.

    Raises: StateUnavailableError.
    """
    return tuple(
        signal
        for endpoint in platform.endpoints.list()
        for signal in _signals(platform, endpoint, now=now)
    )


def _signals(platform: Platform, endpoint: Endpoint, *, now: float) -> Iterator[Signal]:
    standing = objectives_standing(platform, endpoint.name, now=now)
    for budget in standing.budgets:
        for signal in signals_of(budget, now=now):
            composite = budget.objective.name == COMPOSITE and standing.whole
            yield with_causes(signal, composite) if composite else signal
    for by_look in sorted({one.objective.kind not in EVENTS for one in standing.budgets}):
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
    """Whether the control process runs, and has for long enough to have counted and looked."""
    began, newest = now - LAG_MAX_S, known_until(platform, WORKERS) or 0.0
    earlier = platform.series.read(WORKERS, since=began - 300, until=began, step=60)
    return newest >= began and earlier != ()


def _budget(platform: Platform, objective: Objective, *, now: float) -> Budget:
    events = events_of(platform, objective, now=now)
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
