"""The availability of an endpoint with all that it needs: what it is, and what is left of it."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from servewell.core.catalog.objective import Budget, Objective, Part, Whole
from servewell.core.catalog.signal import Signal, SignalKind
from servewell.core.catalog.workload_objectives import Dependency, Needed, ObjectiveRules
from servewell.core.reliability.burn_rate import budget_of
from servewell.core.reliability.composite import measured_on, tally_of, whole_of
from servewell.core.reliability.objective import AVAILABILITY, share
from servewell.flows.monitoring.objective_events import events_of, rules_of
from servewell.flows.platform import Platform
from servewell.ports.endpoints import EndpointMissingError

COMPOSITE: Final = "composite availability"

Source = Callable[[float], Part]  # what is needed, over the last so many seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Composed:
    """An endpoint with all that it needs."""

    whole: Whole
    budget: Budget | None  # None where nothing but the endpoint itself is measured


def composed_of(platform: Platform, own: Budget, rules: ObjectiveRules, *, now: float) -> Composed:
    """Return the whole of an endpoint whose own availability stands so.

    Raises: StateUnavailableError.
    """
    objective = own.objective
    itself = _measured(platform, objective, now=now)
    sources = [_source(platform, one, objective, now=now) for one in rules.depends_on]

    def needed(seconds: float) -> list[Part]:
        return [one(seconds) for one in sources]

    period_s = objective.period_s
    whole = whole_of(objective, [itself(period_s), *needed(period_s)])
    if not any(map(measured_on, needed(period_s))):
        return Composed(whole=whole, budget=None)
    composite = replace(
        objective,
        name=COMPOSITE,
        counted="requests, each with all that it needs",
        because="`objectives.depends_on`",
    )
    budget = budget_of(composite, lambda seconds: tally_of(itself(seconds), needed(seconds)))
    return Composed(whole=whole, budget=replace(budget, measured_until=own.measured_until))


def with_causes(signal: Signal, whole: Whole) -> Signal:
    """Return a signal of the composite with the signals of its parts, which explain it."""
    parts = (one.name for one in whole.parts if one.measured)
    key = f"{SignalKind.AVAILABILITY}/{{}}//objective availability"
    return replace(signal, causes=tuple(key.format(one) for one in parts))


def _source(platform: Platform, one: Needed, objective: Objective, *, now: float) -> Source:
    if isinstance(one, Dependency) and one.any_of:
        inner = [_source(platform, part, objective, now=now) for part in one.any_of]
        return lambda seconds: _either([part(seconds) for part in inner])
    if one.upstream is not None:
        said = share(one.availability)
        promised = Part(name=one.upstream, good=said, goal=said)
        return lambda _: promised
    name = one.endpoint or ""
    try:
        endpoint = platform.endpoints.get(name)
    except EndpointMissingError:
        return lambda _: Part(name=name)
    goal = share(rules_of(platform, endpoint).availability) or AVAILABILITY
    return _measured(platform, replace(objective, endpoint=name), now=now, goal=goal)


def _either(parts: list[Part]) -> Part:
    return Part(name=" or ".join(one.name for one in parts), any_of=tuple(parts))


def _measured(
    platform: Platform, objective: Objective, *, now: float, goal: float | None = None
) -> Source:
    events = events_of(platform, objective, now=now)

    def part(seconds: float) -> Part:
        tally = events.tally(seconds)
        return Part(
            name=objective.endpoint,
            good=1.0 - tally.share_bad if tally.total else None,
            goal=goal,
            measured=True,
            events=tally.total,
        )

    return part
