"""Which objectives hold, what they depend on, and what is told of them."""

from dataclasses import replace
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from servewell.core.catalog.objective import (
    DAY_S,
    Objective,
    ObjectiveKind,
    Part,
    Tally,
)
from servewell.core.catalog.objective_rules import objective_breaches
from servewell.core.catalog.series import Sample
from servewell.core.catalog.signal import Severity, SignalKind
from servewell.core.catalog.workload_objectives import FreshnessRules, ObjectiveRules
from servewell.core.reliability.burn_rate import budget_of
from servewell.core.reliability.composite import tally_of, whole_of
from servewell.core.reliability.freshness_objective import age_of
from servewell.core.reliability.objective import objectives_of
from servewell.core.reliability.objective_signals import signals_of
from servewell.core.reliability.spending import by_day, spent_by

NOW: Final = 1_700_000_000.0


def objective(kind: ObjectiveKind = ObjectiveKind.AVAILABILITY, goal: float = 0.99) -> Objective:
    """Return an objective of an endpoint."""
    return Objective(endpoint="flights", name=kind.value, kind=kind, goal=goal, because="a test")


def test_two_objectives_hold_without_a_word() -> None:
    """Availability of 99.5 % and latency of 99 %, over 30 days, each with its reason."""
    found = objectives_of("flights", ObjectiveRules(), latency_ms=80)
    assert [(one.name, one.goal, one.period_s, one.declared) for one in found] == [
        ("availability", 0.995, 30 * DAY_S, False),
        ("latency", 0.99, 30 * DAY_S, False),
    ]
    assert "80 ms" in found[1].counted
    assert all("default" in one.because for one in found)


def test_what_is_declared_holds() -> None:
    """Goals, a period, ages and looks are taken from the workload; `off` is none."""
    rules = ObjectiveRules(
        period_days=7,
        availability="99.95%",
        latency="off",
        drift="95%",
        quality="90%",
        freshness=FreshnessRules(model_days=30, label_days=2, goal="98%"),
    )
    found = {one.name: one for one in objectives_of("flights", rules, latency_ms=80)}
    assert {name: one.goal for name, one in found.items()} == {
        "availability": 0.9995,
        "freshness of the model": 0.98,
        "freshness of the newest label": 0.98,
        "drift": 0.95,
        "quality": 0.9,
    }
    assert all(one.declared and one.period_s == 7 * DAY_S for one in found.values())


def test_an_age_is_told_in_days() -> None:
    """Young, too old, and not there at all, which is stale where an age is asked for."""
    young = age_of("model", made_at=NOW - DAY_S, now=NOW, days_max=2)
    assert (young.days, young.stale) == (1.0, False)
    old = age_of("label", made_at=NOW - 5 * DAY_S, now=NOW, days_max=2)
    assert old.stale
    assert old.because == "the newest label is 5.0 days old, against 2"
    assert age_of("label", made_at=None, now=NOW, days_max=2).stale
    assert not age_of("data", made_at=None, now=NOW, days_max=None).stale


PARTS: Final = st.lists(
    st.builds(
        Part,
        name=st.just("p"),
        good=st.floats(0.5, 1.0),
        goal=st.one_of(st.none(), st.floats(0.5, 0.999)),
        measured=st.booleans(),
    ),
    min_size=1,
    max_size=4,
)


@given(PARTS, PARTS)
def test_what_is_needed_multiplies_and_what_is_spare_helps(
    serial: list[Part], spare: list[Part]
) -> None:
    """The whole is no better than any part of it, and a spare no worse than its best."""
    whole = whole_of(objective(), serial)
    goods = [one.good or 0.0 for one in serial]
    assert whole.good is not None
    assert whole.good <= min(goods) + 1e-12
    assert sum(one.share for one in whole.parts) == pytest.approx(0.0 if min(goods) == 1.0 else 1.0)
    either = whole_of(objective(), [Part(name="spare", any_of=tuple(spare))])
    assert either.good is not None
    assert either.good >= max(one.good or 0.0 for one in spare) - 1e-12


def test_what_is_needed_spends_a_budget_with_the_endpoint() -> None:
    """Both fail a tenth, on the events of the rarer; promises and silence spend nothing."""
    itself = Part(name="flights", good=0.9, measured=True, events=10_000)
    weather = Part(name="weather", good=0.9, measured=True, events=100)
    both = tally_of(itself, [weather])
    assert both.total == 100
    assert both.share_bad == pytest.approx(0.19)
    store = Part(name="store", good=0.5, goal=0.5)
    idle = Part(name="idle", measured=True)
    assert tally_of(itself, [store, idle]).share_bad == pytest.approx(0.1)
    spare = Part(name="spare", any_of=(weather, replace(weather, name="backup", events=50)))
    assert tally_of(itself, [spare]).share_bad == pytest.approx(1 - 0.9 * 0.99)
    assert tally_of(itself, [spare]).total == 50
    assert tally_of(replace(itself, events=0.0), [weather]) == Tally()


def test_who_spends_the_budget_is_named() -> None:
    """By hand: 99 % times 99.9 %, ten parts of eleven by the first; the goal is out of reach."""
    parts = [
        Part(name="store", good=0.99, goal=0.99),
        Part(name="flights", good=0.999, measured=True),
    ]
    whole = whole_of(objective(goal=0.999), parts)
    assert whole.good == pytest.approx(0.98901)
    assert [(one.name, round(one.share, 3)) for one in whole.parts] == [
        ("store", 0.909),
        ("flights", 0.091),
    ]
    assert "91% of what failed by `store`" in whole.because
    assert "cannot be promised" in whole.because
    unknown = whole_of(objective(), [*parts, Part(name="weather")])
    assert unknown.good is None
    assert "nothing is known of `weather`" in unknown.because


@pytest.mark.parametrize(
    ("kind", "bad", "severity", "signal_kind"),
    [
        (ObjectiveKind.AVAILABILITY, 5_000, Severity.PAGE, SignalKind.AVAILABILITY),
        (ObjectiveKind.LATENCY, 400, Severity.TICKET, SignalKind.LATENCY),
        (ObjectiveKind.FRESHNESS, 5_000, Severity.TICKET, SignalKind.FRESHNESS),
    ],
)
def test_a_budget_that_burns_is_told(
    kind: ObjectiveKind, bad: int, severity: Severity, signal_kind: SignalKind
) -> None:
    """How urgent it is depends on how fast it burns, and on whether callers are hurt."""
    budget = budget_of(objective(kind), lambda _: Tally(bad=bad, total=10_000))
    (signal,) = signals_of(budget, now=NOW)
    assert (signal.kind, signal.severity) == (signal_kind, severity)
    assert "of 10,000" in signal.what
    assert signal.command == "servewell objectives flights"
    calm = budget_of(objective(kind), lambda _: Tally(bad=50, total=10_000))
    assert not list(signals_of(calm, now=NOW))


def test_a_budget_that_is_spent_slowly_is_told_when_it_is_gone() -> None:
    """No rule fires, and all of the period's budget is spent: a ticket."""
    quiet = Tally(bad=0, total=1_000)
    spent = Tally(bad=2_000, total=100_000)
    budget = budget_of(objective(), lambda s: spent if s > 4 * DAY_S else quiet)
    (signal,) = signals_of(budget, now=NOW)
    assert signal.severity is Severity.TICKET
    assert "is spent" in signal.what


def test_a_few_bad_requests_of_few_spend_no_budget() -> None:
    """One of twenty is said to be too little to tell; five of sixty are no chance."""
    few = budget_of(objective(), lambda _: Tally(bad=1, total=20))
    assert few.left < 0
    assert not few.spent
    assert "too little traffic to say" in few.because
    assert not list(signals_of(few, now=NOW))
    quiet = Tally(bad=0, total=20)
    many = budget_of(objective(), lambda s: Tally(bad=5, total=60) if s > 4 * DAY_S else quiet)
    assert many.spent
    assert [one.severity for one in signals_of(many, now=NOW)] == [Severity.TICKET]


def sample(day: int, total: float, weight: float = 1.0) -> Sample:
    """Return the sample of an hour."""
    return Sample(
        start=day * 86_400, seconds=3_600, weight=weight, total=total, least=0, greatest=0
    )


def test_days_and_deployments_of_a_budget() -> None:
    """The bad share of each day, with a gap where there was nothing, and who it was by."""
    bad, total = [sample(1, 5), sample(3, 1)], [sample(1, 60), sample(3, 20)]
    less = [sample(1, 10)]
    assert by_day(bad, total, less, weighs=False) == (
        (86_400.0, 0.1),
        (172_800.0, None),
        (259_200.0, 0.05),
    )
    looks = [sample(1, 1, weight=4)]
    assert by_day(looks, looks, weighs=True) == ((86_400.0, 0.25),)
    assert by_day([], [], weighs=False) == ()
    found = spent_by({"a/v1": [sample(1, 1)], "a/v2": [sample(1, 3)]}, Tally(bad=4, total=100))
    assert [(one.by, one.share) for one in found] == [("v2", 0.75), ("v1", 0.25)]


@pytest.mark.parametrize(
    ("rules", "places"),
    [
        ({"availability": "99%", "depends_on": [{"endpoint": "weather"}]}, []),
        ({"availability": "0.0%"}, [("availability",)]),
        ({"freshness": {"goal": "0%"}}, [("freshness", "goal")]),
        ({"depends_on": [{}]}, [("depends_on", 0)]),
        ({"depends_on": [{"endpoint": "a", "upstream": "b", "availability": "9%"}]},
         [("depends_on", 0)]),
        ({"depends_on": [{"upstream": "b"}]}, [("depends_on", 0, "availability")]),
        ({"depends_on": [{"endpoint": "b", "availability": "9%"}]},
         [("depends_on", 0, "availability")]),
        ({"depends_on": [{"any_of": [{"endpoint": "a"}, {"any_of": []}]}]},
         [("depends_on", 0, "any_of", 1)]),
        ("a text", []),
    ],
)  # fmt: skip
def test_faults_between_keys_are_told(rules: object, places: list[tuple[object, ...]]) -> None:
    """Goals that nothing could miss, and things that are needed and not named rightly."""
    assert [one.path for one in objective_breaches(rules)] == [
        ("objectives", *place) for place in places
    ]
