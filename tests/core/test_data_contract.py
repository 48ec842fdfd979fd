"""The data contract: which facts of rows fail, which are noted, and which cannot be told."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import false_discovery_control

from servewell.core.catalog.data_facts import (
    Against,
    Conversion,
    DataFacts,
    InputFacts,
    Leak,
    Power,
    Shift,
    Shifts,
    ValueKind,
)
from servewell.core.catalog.gate import GateRow, GateVerdict
from servewell.core.catalog.signature import Datatype
from servewell.core.catalog.workload_data import ContractRules
from servewell.core.operations.data_contract import judge_data
from servewell.core.operations.false_discovery import discoveries
from servewell.core.operations.wilson import interval

RULES = ContractRules(repeated_max=0.2, shared_max=0.05)
TEMP = InputFacts(name="temp", datatype=Datatype.FP32, kind=ValueKind.NUMBER, type="float")
LEAK = Leak(name="temp", by=Power.AUC, value=0.6, missing=0.5, rows=10_000)
SAME = Shift(
    column="temp",
    kind_before=ValueKind.NUMBER,
    kind_now=ValueKind.NUMBER,
    rows_before=10_000,
    rows_now=10_000,
    statistic=1.0,
    degrees=19,
)
MOVED = replace(SAME, statistic=5_000.0)
GOOD = DataFacts(
    rows=10_000,
    held_out=1_000,
    repeated=0,
    shared=0,
    inputs=(TEMP,),
    label="late",
    leaks=(LEAK,),
)


def shifts(*columns: Shift, against: Against = Against.LAST, rows: int = 10_000) -> Shifts:
    """Return how columns differ from `flights:1`."""
    return Shifts(
        against=against, name="flights:1", rows_before=10_000, rows_now=rows, columns=columns
    )


def failing(facts: DataFacts, rules: ContractRules = RULES) -> list[str]:
    """Return what fails the report."""
    return [one.gate for one in judge_data(facts, rules) if fails(one)]


def noted(facts: DataFacts, rules: ContractRules = RULES) -> list[str]:
    """Return what is noted."""
    rows = judge_data(facts, rules)
    return [one.gate for one in rows if one.verdict is GateVerdict.FAIL and not one.required]


def fails(row: GateRow) -> bool:
    """Whether a row fails the report."""
    return row.verdict is GateVerdict.FAIL and row.required


def with_input(**changes: object) -> DataFacts:
    """Return good facts but for those of the one input."""
    return replace(GOOD, inputs=(replace(TEMP, **changes),))  # type: ignore[arg-type]  # any field


def with_shift(shift: Shift, **changes: object) -> DataFacts:
    """Return good facts with one column that differs."""
    return replace(GOOD, shifts=(shifts(replace(shift, **changes)),))  # type: ignore[arg-type]


def test_good_rows_pass_every_check() -> None:
    """Nothing is found where there is nothing, and all of it is said to have been looked at."""
    rows = judge_data(replace(GOOD, shifts=(shifts(SAME),)), RULES)
    assert {one.group for one in rows} == {"data"}
    required = [one for one in rows if one.required]
    assert {one.verdict for one in required} == {GateVerdict.PASS}
    assert [one.gate for one in required] == [
        "schema",
        "ranges",
        "missing values",
        "repeated rows",
        "rows in both parts",
        "label leakage",
        "change of unit",
        "drift",
    ]


@pytest.mark.parametrize(
    ("facts", "gate"),
    [
        pytest.param(with_input(kind=None), "schema: temp", id="no such column"),
        pytest.param(with_input(kind=ValueKind.TEXT), "schema: temp", id="another type"),
        pytest.param(
            with_shift(SAME, kind_before=ValueKind.TEXT), "schema: temp", id="type since last time"
        ),
        pytest.param(with_input(outside=1, maximum=140.0), "ranges: temp", id="out of range"),
        pytest.param(replace(GOOD, repeated=2_500), "repeated rows", id="copies"),
        pytest.param(replace(GOOD, shared=100), "rows in both parts", id="held out and learned"),
        pytest.param(
            replace(GOOD, leaks=(replace(LEAK, value=0.999),)), "label leakage: temp", id="leak"
        ),
        pytest.param(
            replace(GOOD, leaks=(replace(LEAK, missing=0.99),)),
            "label leakage: temp",
            id="leak by missing",
        ),
        pytest.param(replace(GOOD, label_among_inputs=True), "label leakage", id="label as input"),
        pytest.param(replace(GOOD, label_missing=1.0), "missing values: label", id="no label"),
        pytest.param(with_shift(MOVED, psi=0.25), "drift: temp", id="drift"),
        pytest.param(
            with_shift(SAME, missing_now=0.2), "drift, missing values: temp", id="missing"
        ),
        pytest.param(with_shift(SAME, unseen=0.06), "drift, unseen texts: temp", id="unseen"),
        pytest.param(with_shift(SAME, constant_now=True), "constant column: temp", id="stopped"),
    ],
)
def test_each_fault_fails(facts: DataFacts, gate: str) -> None:
    """One thing that is wrong fails one gate, which is named after it."""
    assert failing(facts) == [gate]


@pytest.mark.parametrize(
    ("facts", "gate"),
    [
        pytest.param(with_input(constant=True), "constant column: temp", id="constant"),
        pytest.param(
            with_input(burst=0.9, missing=0.1, burst_at="rows 1 to 200"),
            "burst of missing values: temp",
            id="burst",
        ),
        pytest.param(with_shift(MOVED, psi=0.1), "drift: temp", id="small drift"),
        pytest.param(with_shift(MOVED, psi=2.0, usual=0.5), "drift: temp", id="usual drift"),
        pytest.param(with_shift(SAME, unseen=0.001), "drift, unseen texts: temp", id="unseen"),
        pytest.param(
            replace(
                GOOD,
                shifts=(shifts(replace(MOVED, psi=3.0), against=Against.REQUESTS),),
            ),
            "train-serving skew: temp",
            id="skew",
        ),
    ],
)
def test_what_may_be_so_is_noted(facts: DataFacts, gate: str) -> None:
    """What happens to good data as well is told, and fails nothing."""
    assert (failing(facts), noted(facts)) == ([], [gate])


@pytest.mark.parametrize("against", list(Against))
def test_a_change_of_unit_is_named_wherever_it_is(against: Against) -> None:
    """Against the last rows, among the held-out ones and in requests it fails, in plain words."""
    unit = Conversion(
        name="degrees Fahrenheit to Celsius", factor=5 / 9, offset=-160 / 9, share=1.0
    )
    found = shifts(replace(MOVED, psi=4.0, conversion=unit), against=against)
    [row] = [one for one in judge_data(replace(GOOD, shifts=(found,)), RULES) if fails(one)]
    assert row.gate == "change of unit: temp"
    assert "degrees Fahrenheit to Celsius: values are 0.556 x - 17.78" in row.because


def test_what_is_declared_comes_first() -> None:
    """The workload may bound missing values, let columns drift, and make skew fail."""
    assert failing(with_input(missing=0.2), ContractRules(missing_max={"temp": 0.1})) == [
        "missing values: temp"
    ]
    drifted = with_shift(MOVED, psi=9.0)
    assert failing(drifted, ContractRules(drift_may=("temp",))) == []
    skewed = replace(GOOD, shifts=(shifts(replace(MOVED, psi=9.0), against=Against.REQUESTS),))
    assert failing(skewed, ContractRules(skew="fail")) == ["train-serving skew: temp"]
    told = replace(GOOD, leaks=(replace(LEAK, value=1.0),))
    assert failing(told, ContractRules(leakage_max=1.0)) == []


@pytest.mark.parametrize("rows", [0, 100])
def test_too_few_new_rows_tell_nothing(rows: int) -> None:
    """No new rows are no drift, and few cannot be told; neither fails."""
    found = replace(GOOD, shifts=(shifts(replace(MOVED, psi=9.0), rows=rows),))
    [drift] = [one for one in judge_data(found, RULES) if one.gate.startswith("drift")]
    assert drift.verdict is (GateVerdict.CANNOT_TELL if rows else GateVerdict.PASS)
    assert failing(found) == []


def test_one_copy_among_few_rows_is_no_proof() -> None:
    """A share above its bound fails only where chance would not have brought it there."""
    few = replace(GOOD, held_out=15, shared=1)
    assert failing(few) == []
    assert failing(replace(few, held_out=15_000, shared=1_000)) == ["rows in both parts"]


def test_no_value_of_a_personal_column_is_told() -> None:
    """Where facts hide values, the sentences have none to repeat."""
    hidden = with_input(outside=3, kind=ValueKind.TEXT, datatype=Datatype.BYTES, allowed=("a",))
    [row] = [one for one in judge_data(hidden, RULES) if fails(one)]
    assert row.because.endswith("other texts; allowed are `a`")


shares = st.floats(0, 1)


@given(chances=st.lists(shares, min_size=1, max_size=40))
def test_discoveries_are_those_of_scipy(chances: list[float]) -> None:
    """The columns that are named are those whose adjusted chance SciPy puts at 5 % or less."""
    adjusted = false_discovery_control(chances)
    for named, one in zip(discoveries(chances), adjusted, strict=True):
        assert named == (one <= 0.05) or abs(one - 0.05) < 1e-9


@given(count=st.integers(0, 500), more=st.integers(0, 500))
def test_the_interval_holds_the_share(count: int, more: int) -> None:
    """Whatever the counts, the interval lies in 0..1 and around the share."""
    low, high = interval(count, count + more)
    share = count / max(1, count + more)
    assert 0 <= low <= share + 1e-12
    assert share - 1e-12 <= high <= 1


@given(psi=st.floats(0, 20), usual=st.floats(0, 5))
def test_drift_fails_at_its_bound_and_not_before(psi: float, usual: float) -> None:
    """A column may move by five times what it does by itself, and by 0.25 in any case."""
    facts = with_shift(MOVED, psi=psi, usual=usual)
    assert bool(failing(facts)) == (psi >= max(0.25, 5 * usual))


def test_copies_are_only_noted_where_no_bound_is_declared() -> None:
    """A table of few different rows repeats itself, and that is no fault of the data."""
    copied = replace(GOOD, repeated=9_000, shared=900)
    rows = [one for one in judge_data(copied, ContractRules()) if one.verdict is GateVerdict.FAIL]
    assert [(one.gate, one.required) for one in rows] == [
        ("repeated rows", False),
        ("rows in both parts", False),
    ]
