"""What the gates decide, rule by rule."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from servewell.core.catalog.gate import GateRow, GateVerdict
from servewell.core.catalog.workload_gates import ADVISORY, FairnessRule, GateRules
from servewell.core.operations.gate_measures import (
    Behaved,
    Calibration,
    Contrast,
    Facts,
    Gap,
    Interval,
    Measures,
    Rate,
    Slice,
    Speed,
    Spoiled,
)
from servewell.core.operations.gates import (
    at_least,
    at_most,
    decide,
    groups_of,
    margin_of,
    not_measured,
    verdict_of,
)

PASS, FAIL, CANNOT_TELL = GateVerdict.PASS, GateVerdict.FAIL, GateVerdict.CANNOT_TELL

FACTS = Facts(
    version="flights:2",
    champion="flights:1",
    has_rows=True,
    signed=True,
    size_bytes=1_000,
    champion_size_bytes=900,
    equivalence_rows=100,
    equivalence_difference=1e-6,
    equivalence_tolerance=1e-4,
)
LEVEL = Interval(value=0.8, low=0.78, high=0.82)
GOOD = Contrast(
    rows=1_000,
    candidate=LEVEL,
    champion=LEVEL,
    loss=Interval(value=-0.002, low=-0.01, high=0.006),
)
SPEED = Speed(p50_ms=0.1, p99_ms=0.3, calls=500, memory_bytes=10_000)
MEASURES = Measures(
    metric="auc", rows=1_000, quality=GOOD, speed=SPEED, scanned="ONNX with 3 operators"
)


def row(
    gate: str,
    *,
    rules: GateRules | None = None,
    measures: Measures = MEASURES,
    facts: Facts = FACTS,
) -> GateRow:
    """Return the one row whose gate begins so."""
    rows = decide(rules or GateRules(), measures, facts)
    found = [one for one in rows if one.gate.startswith(gate)]
    assert len(found) == 1, [one.gate for one in rows]
    return found[0]


def lost(low: float, value: float, high: float, *, rows: int = 1_000) -> Measures:
    """Return measures of a version that loses so much against the champion."""
    loss = Interval(value=value, low=low, high=high)
    return replace(MEASURES, quality=replace(GOOD, rows=rows, loss=loss))


def verdict(rules: GateRules, measures: Measures, facts: Facts = FACTS) -> GateVerdict:
    """Return what the whole report says."""
    return verdict_of(decide(rules, measures, facts))[0]


def test_a_good_version_passes_with_nothing_declared() -> None:
    """The defaults alone give every group that can be told, and let the version through."""
    rows = decide(GateRules(), MEASURES, FACTS)
    assert {one.verdict for one in rows} == {PASS}
    assert list(groups_of(rows)) == [
        "quality", "latency", "memory", "equivalence", "signature", "size", "security",
    ]  # fmt: skip
    said = verdict_of(rows)
    assert said == (PASS, "all 8 gates that are required pass")


def test_rows_of_a_rare_class_are_what_is_counted() -> None:
    """A thousand rows with thirty positive ones tell of an area as much as sixty would."""
    rare = replace(MEASURES, quality=replace(GOOD, rarer=30))
    for rules, gate in (
        (GateRules(), "auc against the champion"),
        (GateRules(least=0.1), "auc"),
    ):
        found = next(one for one in decide(rules, rare, FACTS) if one.gate == gate)
        assert found.verdict is CANNOT_TELL
        assert found.because == "30 rows of the rarer class are too few: at least 50 are asked for"
    assert (
        row("auc against the champion", rules=GateRules(rows_min=60), measures=rare).verdict is PASS
    )


@pytest.mark.parametrize(
    ("low", "value", "high", "said"),
    [
        (-0.02, -0.01, 0.0, PASS),
        (-0.01, 0.0, 0.01, PASS),  # the bound is kept
        (-0.01, 0.005, 0.011, CANNOT_TELL),
        (0.01, 0.02, 0.03, CANNOT_TELL),  # not more than the bound at its lower end
        (0.011, 0.02, 0.03, FAIL),
    ],
)
def test_a_loss_against_the_champion_is_held_to_the_margin(
    low: float, value: float, high: float, said: GateVerdict
) -> None:
    """Only a whole interval shows anything, and the reason has the numbers."""
    found = row("auc against the champion", measures=lost(low, value, high))
    assert found.verdict is said
    assert (found.low, found.value, found.high, found.bound) == (low, value, high, 0.01)
    assert verdict(GateRules(), lost(low, value, high)) is said


def test_what_cannot_be_told_says_how_many_more_rows_would_tell() -> None:
    """The width of an interval shrinks with the root of the rows."""
    found = row("auc against", measures=lost(-0.03, 0.0, 0.03))
    assert found.because.endswith("too few rows to tell, about 9.0 times as many would")
    assert "0 worse (0.0300 better to 0.0300 worse)" in found.because


def test_too_few_rows_tell_nothing_however_good_they_look() -> None:
    """Below `rows_min` an interval is not trusted."""
    found = row("auc against", measures=lost(-0.3, -0.2, -0.1, rows=99))
    assert found.verdict is CANNOT_TELL
    assert found.because == "99 rows are too few: at least 100 are asked for"
    rules = GateRules(rows_min=99)
    assert row("auc against", rules=rules, measures=lost(-0.3, -0.2, -0.1, rows=99)).verdict is PASS


def test_the_first_version_has_nobody_to_beat() -> None:
    """Without a champion, few rows and all, there is nothing that could fail."""
    alone = replace(FACTS, champion=None, champion_size_bytes=None)
    measures = replace(MEASURES, quality=replace(GOOD, rows=20, champion=None, loss=None))
    assert verdict(GateRules(), measures, alone) is PASS
    assert "no champion" in row("auc against", measures=measures, facts=alone).because


def test_a_champion_that_cannot_answer_the_rows_leaves_it_open() -> None:
    """What was not compared is not shown."""
    measures = replace(
        MEASURES,
        quality=replace(GOOD, champion=None, loss=None),
        no_champion="the data has no column `wind`",
    )
    found = row("auc against", measures=measures)
    assert found.verdict is CANNOT_TELL
    assert found.because == "flights:1 cannot be compared: the data has no column `wind`"


@pytest.mark.parametrize(
    ("metric", "higher", "least", "said"),
    [
        ("auc", True, 0.78, PASS),
        ("auc", True, 0.8, CANNOT_TELL),
        ("auc", True, 0.83, FAIL),
        ("rmse", False, 0.82, PASS),
        ("rmse", False, 0.8, CANNOT_TELL),
        ("rmse", False, 0.77, FAIL),
    ],
)
def test_the_least_quality_is_held_at_the_end_that_matters(
    metric: str,
    higher: bool,  # noqa: FBT001 - from the table
    least: float,
    said: GateVerdict,
) -> None:
    """At the lower end where more is better, at the upper one where less is."""
    measures = replace(MEASURES, metric=metric, higher_is_better=higher)
    rows = decide(GateRules(least=least), measures, FACTS)
    assert next(one for one in rows if one.gate == metric).verdict is said


def test_a_least_quality_needs_rows_to_be_shown_on() -> None:
    """Few rows show no level either, and without a level they need not."""
    few = replace(MEASURES, quality=replace(GOOD, rows=30, champion=None, loss=None))
    alone = replace(FACTS, champion=None)
    assert verdict(GateRules(least=0.1), few, alone) is CANNOT_TELL
    assert verdict(GateRules(), few, alone) is PASS


@pytest.mark.parametrize(
    ("metric", "margin"),
    [("auc", 0.01), ("accuracy", 0.01), ("brier", 0.005), ("rmse", 0.02), ("log_loss", 0.02)],
)
def test_each_metric_has_a_margin_of_its_own(metric: str, margin: float) -> None:
    """One that is declared comes first, zero among them."""
    assert margin_of(GateRules(), metric) == margin
    assert margin_of(GateRules(margin=0.0), metric) == 0.0


@pytest.mark.parametrize(("has_rows", "said"), [(True, CANNOT_TELL), (False, PASS)])
def test_without_a_metric_only_a_workload_with_rows_is_stopped(
    has_rows: bool,  # noqa: FBT001 - from the table
    said: GateVerdict,
) -> None:
    """A model that came without rows has none to be judged by: that is told, and stops nothing."""
    why = "no column of the data is known to be the label"
    measures = Measures(metric="", no_metric=why, speed=SPEED)
    facts = replace(FACTS, has_rows=has_rows)
    found = row("quality", measures=measures, facts=facts)
    assert (found.verdict, found.required) == (CANNOT_TELL, has_rows)
    assert verdict(GateRules(), measures, facts) is said


def test_groups_of_rows_are_looked_at_and_told() -> None:
    """A group that got worse stops nothing by default, and stops the version where asked to."""
    bad = replace(GOOD, loss=Interval(value=0.2, low=0.1, high=0.3))
    measures = replace(
        MEASURES,
        slices=(
            Slice(column="origin", group="JFK", rows=500, contrast=bad),
            Slice(column="origin", group="LGA", rows=50, contrast=None),
            Slice(column="origin", group="EWR", rows=450, contrast=None, why_none="one label"),
        ),
    )
    found = groups_of(decide(GateRules(), measures, FACTS))["slices"]
    assert [one.verdict for one in found] == [FAIL, CANNOT_TELL, CANNOT_TELL]
    assert [one.slice for one in found] == ["origin = JFK", "origin = LGA", "origin = EWR"]
    assert (found[0].bound, found[2].because) == (0.05, "one label")
    said, because = verdict_of(decide(GateRules(), measures, FACTS))
    assert said is PASS
    assert because.endswith("; of those that only advise, one gate would fail")
    assert verdict(GateRules(required=("slices",)), measures) is FAIL
    assert verdict(GateRules(required=("slices",), slice_margin=0.5), measures) is CANNOT_TELL


@pytest.mark.parametrize(
    ("high", "said"), [(0.05, PASS), (0.1, PASS), (0.12, CANNOT_TELL), (0.4, FAIL)]
)
def test_a_gap_between_groups_is_held_to_its_bound(high: float, said: GateVerdict) -> None:
    """Both groups, their rates and those that were too small stand in the reason."""
    gap = Gap(
        column="sex",
        measure="selection_rate",
        rates=(Rate(group="f", value=0.2, rows=400), Rate(group="m", value=0.3, rows=500)),
        left_out=(Rate(group="x", value=0.5, rows=3),),
        gap=Interval(value=high - 0.1, low=high - 0.2, high=high),
    )
    rules = GateRules(fairness={"sex": FairnessRule()})
    measures = replace(MEASURES, fairness=(gap,))
    found = row("selection rate by sex", rules=rules, measures=measures)
    assert (found.verdict, found.slice) == (said, "m and f")
    assert "m has 0.3000, f 0.2000" in found.because
    assert "too few rows: x (3)" in found.because
    assert verdict(rules, measures) is said


def test_a_declared_group_that_cannot_be_found_leaves_it_open() -> None:
    """Fairness that was asked for is never passed by silence."""
    rules = GateRules(fairness={"sex": FairnessRule()})
    assert row("groups of sex", rules=rules).because == "the data has no column `sex`"
    assert verdict(rules, MEASURES) is CANNOT_TELL
    lonely = Gap(column="sex", measure="error_rate", rates=(Rate(group="f", value=0.1, rows=400),))
    measures = replace(MEASURES, fairness=(lonely,))
    assert "there is no other group" in row("error rate", rules=rules, measures=measures).because
    assert verdict(rules, measures) is CANNOT_TELL


@pytest.mark.parametrize(
    ("low", "high", "rows", "said"),
    [
        (0.0, 0.05, 500, PASS),
        (0.05, 0.15, 500, CANNOT_TELL),
        (0.11, 0.15, 500, FAIL),
        (0.0, 0.05, 50, CANNOT_TELL),
    ],
)
def test_probabilities_are_held_to_what_happened(
    low: float, high: float, rows: int, said: GateVerdict
) -> None:
    """It advises unless it is asked for; the Brier score is told and fails nothing."""
    error = Interval(value=(low + high) / 2, low=low, high=high)
    measures = replace(
        MEASURES, calibration=Calibration(rows=rows, error=error, brier=LEVEL, bins=())
    )
    found = row("expected calibration error", measures=measures)
    assert (found.verdict, found.required) == (said, False)
    rules = GateRules(required=("calibration",))
    assert verdict(rules, measures) is said
    assert not row("Brier", rules=rules, measures=measures).required


def test_spoiled_rows_are_held_to_three_bounds() -> None:
    """No answer, answers that move, and quality that goes."""
    spoiled = Spoiled(
        kind="noise", about="noise", rows=100, failed=0, moved=0.3,
        loss=Interval(value=0.2, low=0.1, high=0.3),
    )  # fmt: skip
    measures = replace(MEASURES, robustness=(spoiled,))
    assert row("answers to noise", measures=measures).verdict is PASS
    assert row("answers that move with noise", measures=measures).verdict is FAIL
    assert row("auc with noise", measures=measures).verdict is FAIL
    assert verdict(GateRules(), measures) is PASS
    assert verdict(GateRules(required=("robustness",)), measures) is FAIL
    silent = replace(spoiled, failed=1, moved=None, loss=None)
    found = row("answers to noise", measures=replace(MEASURES, robustness=(silent,)))
    assert (found.verdict, found.value) == (FAIL, 0.01)


@pytest.mark.parametrize(
    ("rows", "held", "share", "said"),
    [
        (1, 1, 1.0, PASS),
        (1, 0, 1.0, FAIL),
        (200, 200, 1.0, PASS),
        (200, 199, 1.0, FAIL),
        (200, 190, 0.95, PASS),
        (200, 189, 0.95, FAIL),
        (0, 0, 1.0, CANNOT_TELL),
    ],
)
def test_behaviour_holds_for_as_many_rows_as_are_asked(
    rows: int, held: int, share: float, said: GateVerdict
) -> None:
    """A test that the user wrote is required; without a row to try it on it stays open."""
    one = Behaved(name="wind", about="more", rows=rows, held=held, share_min=share, worst="0.1")
    measures = replace(MEASURES, behaviour=(one,))
    found = row("wind", measures=measures)
    assert found.verdict is said
    assert found.because.endswith("; 0.1") == (said is FAIL)
    assert verdict(GateRules(), measures) is said


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"equivalence_difference": 1e-4}, PASS),
        ({"equivalence_difference": 2e-4}, FAIL),
        ({"equivalence_difference": 2e-4, "optimised": "flights:1"}, PASS),
        ({"equivalence_rows": 0, "equivalence_difference": 9.0}, PASS),
        ({"signed": False}, FAIL),
    ],
)
def test_what_is_known_without_running_it_counts(
    changes: dict[str, object], said: GateVerdict
) -> None:
    """A conversion that is off, or a package that is not signed, stops a version."""
    facts = replace(FACTS, **changes)  # type: ignore[arg-type]  # the table names right fields
    assert verdict(GateRules(), MEASURES, facts) is said


@pytest.mark.parametrize(
    ("rules", "said"),
    [
        (GateRules(latency_ms=0.3), PASS),
        (GateRules(latency_ms=0.29), FAIL),
        (GateRules(latency_ms=0.29, advisory=("latency",)), PASS),
        (GateRules(size_bytes_max=1_000), PASS),
        (GateRules(size_bytes_max=999), FAIL),
        (GateRules(memory_bytes_max=9_999), PASS),
        (GateRules(memory_bytes_max=9_999, required=("memory",)), FAIL),
    ],
)
def test_budgets_are_held_where_they_are_declared(rules: GateRules, said: GateVerdict) -> None:
    """The time of one row has the endpoint's objective as its budget without a word."""
    assert verdict(rules, MEASURES) is said
    assert row("time of one row").bound == FACTS.latency_objective_ms


def test_a_version_that_answers_no_row_is_not_let_through() -> None:
    """Also where there are no rows to judge its quality by."""
    silent = Measures(metric="", no_metric="it does not answer the rows")
    assert verdict(GateRules(), silent, replace(FACTS, has_rows=False)) is CANNOT_TELL


def test_a_slower_version_fails_only_where_a_ratio_is_declared() -> None:
    """Ten times nearly nothing may be fast enough."""
    slow = replace(SPEED, ratio=Interval(value=10.0, low=9.0, high=11.0), champion_p50_ms=0.01)
    measures = replace(MEASURES, speed=slow)
    assert verdict(GateRules(), measures) is PASS
    assert verdict(GateRules(latency_ratio_max=10.0), measures) is CANNOT_TELL
    assert verdict(GateRules(latency_ratio_max=2.0), measures) is FAIL


def test_what_may_not_be_in_a_package_stops_it() -> None:
    """The finding stands in the reason."""
    measures = replace(MEASURES, scan=("the weight `w` lies in another file",))
    found = row("contents of the package", measures=measures)
    assert (found.verdict, found.because) == (FAIL, "the weight `w` lies in another file")


def test_rows_of_the_data_come_first_and_keep_their_own_word() -> None:
    """A row that only advises keeps advising; a group that advises makes all of it advise."""
    bad = GateRow(group="data", gate="schema", verdict=FAIL, because="a column is missing")
    facts = replace(FACTS, data=(bad, replace(bad, gate="drift", required=False)))
    rows = decide(GateRules(), MEASURES, facts)
    assert [one.required for one in rows[:2]] == [True, False]
    assert verdict_of(rows) == (FAIL, "schema: a column is missing")
    assert verdict(GateRules(advisory=("data",)), MEASURES, facts) is PASS


def test_what_was_not_measured_cannot_be_told() -> None:
    """A job that came to nothing leaves what needs no job, and fails by it where that is bad."""
    said = verdict_of(not_measured(GateRules(), FACTS, "it took too long"))
    assert said[0] is CANNOT_TELL
    assert said[1].startswith("measuring: it took too long; ")
    unsigned = replace(FACTS, signed=False)
    assert verdict_of(not_measured(GateRules(), unsigned, "it took too long"))[0] is FAIL


def test_a_verdict_names_the_first_rows_and_counts_the_rest() -> None:
    """A report of many failures stays a sentence."""
    bad = GateRow(group="behaviour", gate="a", verdict=FAIL, because="no")
    said = verdict_of([replace(bad, gate=name) for name in "abcde"])[1]
    assert said == "a: no; b: no; c: no; and 2 gates more"


@pytest.mark.parametrize("group", ADVISORY)
def test_groups_advise_unless_they_are_required(group: str) -> None:
    """`required` comes before `advisory`, and both before the defaults."""
    assert not GateRules().requires(group)
    assert GateRules(required=(group,), advisory=(group,)).requires(group)  # type: ignore[arg-type]  # a name of the table
    assert not GateRules(advisory=("quality",)).requires("quality")


NUMBERS = st.floats(-1, 1)


@given(st.lists(NUMBERS, min_size=3, max_size=3).map(sorted), NUMBERS, NUMBERS)
def test_a_wider_bound_never_makes_a_verdict_worse(
    ends: list[float], one: float, other: float
) -> None:
    """From fail over cannot tell to pass, as the bound grows; the mirror image for floors."""
    found = Interval(low=ends[0], value=ends[1], high=ends[2])
    order = [FAIL, CANNOT_TELL, PASS]
    narrow, wide = sorted((one, other))
    assert order.index(at_most(found, narrow)) <= order.index(at_most(found, wide))
    assert order.index(at_least(found, wide)) <= order.index(at_least(found, narrow))


@given(st.lists(NUMBERS, min_size=3, max_size=3).map(sorted), NUMBERS, st.floats(0, 1))
def test_a_narrower_interval_never_turns_a_verdict_over(
    ends: list[float], bound: float, share: float
) -> None:
    """More rows may tell what could not be told; what was told stays."""
    low, value, high = ends
    wide = Interval(low=low, value=value, high=high)
    narrow = Interval(
        low=value - share * (value - low), value=value, high=value + share * (high - value)
    )
    before, after = at_most(wide, bound), at_most(narrow, bound)
    assert before is CANNOT_TELL or before is after or share == 1


@given(st.lists(st.tuples(st.sampled_from(GateVerdict), st.booleans()), min_size=1, max_size=6))
def test_a_report_is_as_bad_as_its_worst_required_row(rows: list[tuple[GateVerdict, bool]]) -> None:
    """Rows that only advise change no verdict."""
    told = [
        GateRow(group="g", gate="g", verdict=one, because="b", required=required)
        for one, required in rows
    ]
    required = {one for one, must in rows if must}
    worst = next((one for one in (FAIL, CANNOT_TELL) if one in required), PASS)
    assert verdict_of(told)[0] is worst


def test_a_version_that_is_called_otherwise_fails_beside_what_serves() -> None:
    """Each input and output is named; with nothing that serves there is nobody to call it."""
    facts = replace(FACTS, misfits=("it asks for the input `height`",))
    verdict, because = verdict_of(decide(GateRules(), MEASURES, facts))
    assert verdict is FAIL
    assert "it asks for the input `height`" in because
    alone = decide(GateRules(), MEASURES, replace(facts, champion=None))
    assert not [one for one in alone if one.group == "signature"]


def test_a_pass_without_rows_says_that_quality_is_unknown() -> None:
    """It stays a pass where the workload names no rows, and nobody takes it for a good version."""
    untold = replace(MEASURES, quality=None, no_metric="there is no data")
    said, because = verdict_of(decide(GateRules(), untold, replace(FACTS, has_rows=False)))
    assert said is PASS
    assert because.endswith("; its quality is unknown: no rows")
