"""Which objectives hold for an endpoint: what was declared, and defaults for the rest."""

from collections.abc import Iterator
from typing import Final

from servewell.core.catalog.objective import DAY_S, LOOK_S, Objective, ObjectiveKind
from servewell.core.catalog.workload_objectives import ObjectiveRules
from servewell.core.reliability.freshness_objective import AGES

AVAILABILITY: Final = 0.995
LATENCY: Final = 0.99
OFF: Final = "off"


def objectives_of(
    endpoint: str, rules: ObjectiveRules, *, latency_ms: float
) -> tuple[Objective, ...]:
    """Return the objectives of an endpoint.

    Availability and latency hold without a word: whoever serves owes both, and `latency_ms` says
    already what a late answer is. Age, drift and quality are held to a goal only where somebody
    wrote one: how old a model may be, and how often the world may move, nobody can guess.

    Units:  `latency_ms` in milliseconds; goals as shares of events, above 0 and below 1.
    Raises: nothing. `rules` are checked when they are read.
    """
    return tuple(_objectives(endpoint, rules, latency_ms))


def _objectives(endpoint: str, rules: ObjectiveRules, latency_ms: float) -> Iterator[Objective]:
    period_s = rules.period_days * DAY_S
    if rules.availability != OFF:
        yield Objective(
            endpoint=endpoint,
            name="availability",
            kind=ObjectiveKind.AVAILABILITY,
            goal=share(rules.availability) or AVAILABILITY,
            period_s=period_s,
            declared=rules.availability is not None,
            because="`objectives.availability`"
            if rules.availability
            else "the default: one machine that is restarted and patched keeps it, and 3.6 hours "
            "a month are noticed",
        )
    if rules.latency != OFF:
        yield Objective(
            endpoint=endpoint,
            name="latency",
            kind=ObjectiveKind.LATENCY,
            goal=share(rules.latency) or LATENCY,
            period_s=period_s,
            counted=f"answers, good within {latency_ms:g} ms",
            declared=rules.latency is not None,
            because="`objectives.latency`"
            if rules.latency
            else "the default: `endpoint.latency_objective_ms` says when an answer is late, and "
            "one in a hundred may be",
        )
    yield from _fresh(endpoint, rules, period_s)
    for kind, goal in (
        (ObjectiveKind.DRIFT, rules.drift),
        (ObjectiveKind.QUALITY, rules.quality),
    ):
        if goal is not None and goal != OFF:
            yield Objective(
                endpoint=endpoint,
                name=kind.value,
                kind=kind,
                goal=share(goal) or AVAILABILITY,
                period_s=period_s,
                counted="looks, one in five minutes",
                every_s=LOOK_S,
                declared=True,
                because=f"`objectives.{kind.value}`",
            )


def _fresh(endpoint: str, rules: ObjectiveRules, period_s: float) -> Iterator[Objective]:
    goal = share(rules.freshness.goal)
    for of, name in AGES.items():
        days = max_days(rules, of)
        if days is not None and goal is not None:
            yield Objective(
                endpoint=endpoint,
                name=name,
                kind=ObjectiveKind.FRESHNESS,
                goal=goal,
                period_s=period_s,
                counted=f"looks, one in five minutes, good at an age of {days:g} days at most",
                every_s=LOOK_S,
                declared=True,
                because=f"`objectives.freshness.{of}_days`",
            )


def max_days(rules: ObjectiveRules, of: str) -> float | None:
    """Return how many days old `model`, `data` or `label` may be; None for any age."""
    fresh = rules.freshness
    return {"model": fresh.model_days, "data": fresh.data_days, "label": fresh.label_days}[of]


def share(goal: str | None) -> float | None:
    """Return a goal such as `99.5%` as a share in 0..1; None for none, or `off`."""
    return None if goal is None or goal == OFF else round(float(goal.rstrip("%")) / 100, 9)
