"""How fast a budget is spent, and when somebody is told."""

import itertools
from bisect import bisect_left
from dataclasses import replace
from typing import Final

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chi2

from servewell.core.catalog.objective import (
    LOOK_S,
    Budget,
    BurnRule,
    Objective,
    ObjectiveKind,
    Tally,
)
from servewell.core.catalog.signal import Severity
from servewell.core.reliability.burn_rate import (
    BAD_MIN,
    RULES,
    budget_of,
    burn_of,
    poisson_lower,
    rules_for,
)

MONTH_MIN: Final = 30 * 24 * 60
OBJECTIVE: Final = Objective(
    endpoint="flights",
    name="availability",
    kind=ObjectiveKind.AVAILABILITY,
    goal=0.99,
    because="a test",
)


def test_the_rules_are_those_of_the_workbook() -> None:
    """Factor, windows and urgency; each fires when the same share of the budget is spent."""
    assert [(one.factor, one.long_s / 3_600, one.short_s / 60, one.severity) for one in RULES] == [
        (14.4, 1, 5, Severity.PAGE),
        (6.0, 6, 30, Severity.PAGE),
        (3.0, 24, 120, Severity.TICKET),
        (1.0, 72, 360, Severity.TICKET),
    ]
    for days in (7, 28, 30, 90):
        period_s = days * 86_400.0
        rules = rules_for(replace(OBJECTIVE, period_s=period_s))
        spent = [one.factor * one.long_s / period_s for one in rules]
        assert spent == pytest.approx([0.02, 0.05, 0.1, 0.1], rel=0.02)


@pytest.mark.parametrize("goal", [0.5, 0.8, 0.9, 0.95])
def test_an_outage_of_everything_pages_whatever_the_goal(goal: float) -> None:
    """Six times a budget of a fifth would be more than everything; the rules ask for less."""
    budget = budget_of(replace(OBJECTIVE, goal=goal), lambda _: Tally(bad=600, total=600))
    assert budget.burning is not None
    assert budget.burning.rule.severity is Severity.PAGE


@pytest.mark.parametrize("days", [7, 30, 90])
@pytest.mark.parametrize("goal", [0.9, 0.95, 0.99])
def test_looks_that_are_all_bad_fire_the_fastest_rule(days: int, goal: float) -> None:
    """Every window has room for five of them, however short the period; four are too few."""
    objective = replace(OBJECTIVE, goal=goal, period_s=days * 86_400.0, every_s=LOOK_S)

    def bad_for(looks: int) -> Budget:
        def counted(seconds: float) -> Tally:
            total = seconds // LOOK_S
            return Tally(bad=min(total, looks), total=total)

        return budget_of(objective, counted)

    assert bad_for(100).burns[0].fires
    assert not any(one.fires for one in bad_for(4).burns)


@pytest.mark.parametrize("events", [5, 6, 10, 50, 1_000, 100_000])
def test_the_lower_bound_is_that_of_a_poisson_count(events: int) -> None:
    """Against the exact quantile of the chi-square distribution, as SciPy computes it."""
    assert poisson_lower(events) == pytest.approx(chi2.ppf(0.05, 2 * events) / 2, rel=0.003)
    assert poisson_lower(0) == 0.0


TALLIES: Final = st.integers(0, 10**6).flatmap(
    lambda total: st.builds(Tally, bad=st.integers(0, total), total=st.just(total))
)


@given(
    rule=st.sampled_from(RULES),
    long=TALLIES,
    short=TALLIES,
    goal=st.floats(0.5, 0.9999, allow_nan=False),
)
def test_a_rule_fires_only_on_what_chance_cannot_explain(
    rule: BurnRule, long: Tally, short: Tally, goal: float
) -> None:
    """Both windows are faster than the factor, five events are bad, and the bound is above it."""
    burn = burn_of(rule, long, short, goal=goal)
    assert burn.because
    if burn.fires:
        assert min(burn.rate, burn.short_rate) > rule.factor
        assert long.bad >= BAD_MIN
        assert poisson_lower(long.bad) / long.total > rule.factor * (1 - goal)
    worse = replace(long, bad=long.total), replace(short, bad=short.total)
    if burn.fires and short.total:
        assert burn_of(rule, *worse, goal=goal).fires


@given(bad=st.integers(0, 10_000), good=st.integers(0, 10_000))
def test_a_budget_is_spent_by_what_is_bad(bad: int, good: int) -> None:
    """All of it is left without a bad event, and none at the goal itself."""
    budget = budget_of(OBJECTIVE, lambda _: Tally(bad=bad, total=bad + good))
    if not bad:
        assert budget.left == 1.0
    assert (budget.left < -1e-9) is (bad / max(bad + good, 1) > OBJECTIVE.budget + 1e-12)


def test_too_little_traffic_is_said() -> None:
    """Nothing, a few requests, and a few that all failed: each has its own words."""
    silent = budget_of(OBJECTIVE, lambda _: Tally())
    assert "nothing was counted" in silent.because
    rule = RULES[0]
    few = burn_of(rule, Tally(total=10), Tally(), goal=0.99)
    assert not few.trusted
    assert "add probes, a longer window or a lower objective" in few.because
    chance = burn_of(rule, Tally(bad=2, total=10), Tally(bad=1, total=1), goal=0.99)
    assert not chance.fires
    assert "too little traffic" in chance.because
    outage = burn_of(rule, Tally(bad=5, total=5), Tally(bad=1, total=1), goal=0.99)
    assert outage.fires


def pages(goal: float, per_min: float, *, guarded: bool, seed: int) -> int:
    """Return how often a page begins in a month whose true error rate is half the budget."""
    rng = np.random.default_rng(seed)
    count, failed = per_min * MONTH_MIN, (1 - goal) / 2
    drawn = np.sort(rng.random(int(count)) * MONTH_MIN)
    requests, bad = drawn.tolist(), drawn[rng.random(len(drawn)) < failed].tolist()
    # Windows hold something else only when a request comes or leaves one; while none is bad in the
    # short window nothing fires, so it is enough to look in the minutes after each bad one.
    looks = sorted({int(at) + 1 + later for at in bad for later in range(30)})
    firing = [at for at in looks if _fires(goal, requests, bad, at, guarded=guarded)]
    return sum(1 for before, at in itertools.pairwise([-9, *firing]) if at - before > 1)


def _fires(
    goal: float, requests: list[float], bad: list[float], at: float, *, guarded: bool
) -> bool:
    def tally(seconds: float) -> Tally:
        first = at - seconds / 60
        return Tally(bad=_between(bad, first, at), total=_between(requests, first, at))

    for rule in RULES[:2]:
        burn = burn_of(rule, tally(rule.long_s), tally(rule.short_s), goal=goal)
        if burn.fires if guarded else min(burn.rate, burn.short_rate) > rule.factor:
            return True
    return False


def _between(times: list[float], first: float, last: float) -> int:
    return bisect_left(times, last) - bisect_left(times, first)


@pytest.mark.parametrize(
    ("goal", "per_min", "unguarded"),
    [
        (0.999, 0.1, 2.6),
        (0.999, 0.5, 11.0),
        (0.999, 1.0, 18.8),
        (0.999, 4.0, 0.0),
        (0.995, 0.1, 14.9),
        (0.99, 0.1, 13.6),
    ],
)
def test_an_endpoint_within_its_budget_pages_nobody(
    goal: float, per_min: float, unguarded: float
) -> None:
    """Months of requests of which half the budget fails: many pages without the guard, none with.

    The figures without it were found by another simulation.
    """
    months = max(2, min(6, round(2 / per_min)))
    with_guard = [pages(goal, per_min, guarded=True, seed=at) for at in range(months)]
    without = [pages(goal, per_min, guarded=False, seed=at) for at in range(months)]
    assert sum(with_guard) == 0
    assert sum(without) / months == pytest.approx(unguarded, rel=0.35, abs=1.0)
