"""What the signature says of an input."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from servewell.core.catalog.inferred_signature import (
    ColumnFacts,
    ColumnKind,
    InputRuleError,
    apply_rules,
    datatype_of,
    infer_input,
    with_rule,
)
from servewell.core.catalog.signature import Datatype, Input
from servewell.core.catalog.workload import InputRule

NAMES = st.text("abcdefgh_", min_size=3, max_size=12)
NUMBERS = st.floats(-1e6, 1e6)


@st.composite
def columns(draw: st.DrawFn) -> ColumnFacts:
    """Facts of any column."""
    kind = draw(st.sampled_from(ColumnKind))
    number = kind in (ColumnKind.INTEGER, ColumnKind.NUMBER)
    text = kind is ColumnKind.TEXT
    return ColumnFacts(
        name=draw(NAMES),
        kind=kind,
        missing=draw(st.integers(0, 3)),
        distinct=draw(st.none() | st.tuples(st.text())) if text else None,
        minimum=draw(NUMBERS) if number else None,
        maximum=draw(NUMBERS) if number else None,
        example=draw(st.text() if text else NUMBERS),
    )


@given(columns())
def test_a_missing_value_can_travel(facts: ColumnFacts) -> None:
    """Whatever was seen missing gets a type that can say so; nothing else may be null."""
    one = infer_input(facts)
    assert one.nullable == (facts.missing > 0)
    if one.nullable:
        assert one.datatype.is_float or one.datatype is Datatype.BYTES


@pytest.mark.parametrize(
    ("kind", "missing", "datatype"),
    [
        (ColumnKind.TEXT, 0, Datatype.BYTES),
        (ColumnKind.TEXT, 1, Datatype.BYTES),
        (ColumnKind.BOOL, 0, Datatype.BOOL),
        (ColumnKind.BOOL, 1, Datatype.FP32),
        (ColumnKind.INTEGER, 0, Datatype.INT64),
        (ColumnKind.INTEGER, 1, Datatype.FP32),
        (ColumnKind.NUMBER, 0, Datatype.FP32),
        (ColumnKind.NUMBER, 1, Datatype.FP32),
    ],
)
def test_each_kind_has_its_type(kind: ColumnKind, missing: int, datatype: Datatype) -> None:
    """The type of an input follows from the kind of its column, and from what is missing."""
    assert datatype_of(ColumnFacts(name="x", kind=kind, missing=missing)) is datatype


@given(columns(), NUMBERS, st.text())
def test_a_personal_input_carries_no_fact(
    facts: ColumnFacts, minimum: float, description: str
) -> None:
    """Of a personal input only its type and what the workload declares are kept."""
    rule = InputRule(personal=True, minimum=minimum, description=description)
    one = with_rule(infer_input(facts), rule)
    plain = infer_input(facts)
    assert one == Input(
        name=plain.name,
        datatype=plain.datatype,
        nullable=plain.nullable,
        personal=True,
        description=description,
        minimum=minimum,
    )


@given(st.lists(columns(), min_size=1, unique_by=lambda one: one.name))
def test_without_rules_inputs_stay_as_they_are(facts: list[ColumnFacts]) -> None:
    """Rules add to inputs; none of them lost, added or reordered."""
    inputs = tuple(infer_input(one) for one in facts)
    assert apply_rules(inputs, {}) == inputs


@given(st.lists(columns(), min_size=1, unique_by=lambda one: one.name), NAMES)
def test_a_rule_for_no_input_is_refused(facts: list[ColumnFacts], name: str) -> None:
    """A rule applies to an input or is refused: none is silently dropped."""
    inputs = tuple(infer_input(one) for one in facts)
    assume(name not in {one.name for one in inputs})
    with pytest.raises(InputRuleError, match=f"no input `{name}`"):
        apply_rules(inputs, {name: InputRule(description="x")})


def test_all_faults_are_told_together() -> None:
    """Every rule that does not fit is in the one message, with the nearest name for a typo."""
    inputs = (
        Input(name="carrier", datatype=Datatype.BYTES),
        Input(name="distance", datatype=Datatype.FP32),
        Input(name="member", datatype=Datatype.BOOL),
    )
    rules = {
        "carier": InputRule(),
        "carrier": InputRule(minimum=0),
        "distance": InputRule(allowed=("far",)),
        "member": InputRule(maximum=1),
    }
    with pytest.raises(InputRuleError) as caught:
        apply_rules(inputs, rules)
    assert caught.value.why == (
        "the model has no input `carier` (did you mean `carrier`?); "
        "`carrier` is no number, so it has no minimum or maximum; "
        "`distance` is no text, so it has no allowed texts; "
        "`member` is no number, so it has no minimum or maximum"
    )
    assert "`carrier`, `distance`, `member`" in caught.value.fix


def test_slices_that_cannot_be_are_refused() -> None:
    """Of a misspelt name, of numbers and of a personal text there is none; of a text there is."""
    inputs = (
        Input(name="carrier", datatype=Datatype.BYTES),
        Input(name="distance", datatype=Datatype.FP32),
        Input(name="email", datatype=Datatype.BYTES),
    )
    rules = {"email": InputRule(personal=True)}
    with pytest.raises(InputRuleError) as caught:
        apply_rules(inputs, rules, ("carier", "carrier", "distance", "email"))
    assert caught.value.why == (
        "`monitoring.slices`: the model has no input `carier` (did you mean `carrier`?); "
        "`distance` is no text, so it has no slices; `email` is personal, so it has no slices"
    )
    assert len(apply_rules(inputs, rules, ("carrier",))) == 3


def test_a_minimum_above_the_maximum_is_refused() -> None:
    """Bounds that nothing can meet are a fault of the workload."""
    inputs = (Input(name="distance", datatype=Datatype.INT64),)
    with pytest.raises(InputRuleError, match="not fit the model"):
        apply_rules(inputs, {"distance": InputRule(minimum=2, maximum=1)})
