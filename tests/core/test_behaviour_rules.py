"""Rows of a behaviour file, turned into tests or named with their faults."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from servewell.core.catalog.behaviour import BehaviourTest, Expectation, answer_text
from servewell.core.catalog.behaviour_rules import examined
from servewell.core.catalog.signature import Datatype, Input, Output, Signature

INPUTS = (
    Input(name="wind", datatype=Datatype.FP32, nullable=True),
    Input(name="stops", datatype=Datatype.INT64),
    Input(name="night", datatype=Datatype.BOOL),
    Input(name="origin", datatype=Datatype.BYTES),
)
LABEL = Output(name="label", datatype=Datatype.INT64)
TWO = Output(name="probabilities", datatype=Datatype.FP32, row_shape=(2,), classes=("0", "1"))
THREE = Output(
    name="probabilities", datatype=Datatype.FP32, row_shape=(3,), classes=("a", "b", "c")
)
NUMBER = Output(name="minutes", datatype=Datatype.FP32, row_shape=(1,))


def signature(*outputs: Output) -> Signature:
    """Return the signature of a model with these outputs."""
    return Signature(inputs=INPUTS, outputs=outputs or (LABEL, TWO))


def test_a_row_becomes_a_test() -> None:
    """Every key has its place, and what is left out has its default."""
    row = {
        "name": "wind delays", "expect": "not lower", "row": {"origin": "JFK", "stops": 2},
        "change": {"wind": 60}, "within": 0.05, "rows": 200, "share": 0.9, "of": 1,
    }  # fmt: skip
    tests, faults = examined([row, {"answer": True, "row": {"wind": None}}], signature())
    assert faults == ()
    assert tests == (
        BehaviourTest(
            name="wind delays", expect=Expectation.NOT_LOWER, row={"origin": "JFK", "stops": 2},
            change={"wind": 60}, of="1", within=0.05, rows=200, share=0.9,
        ),
        BehaviourTest(
            name="test 2", expect=Expectation.ANSWER, row={"wind": None}, answer=True
        ),
    )  # fmt: skip
    assert [one.about for one in tests] == [
        "where origin = JFK, stops = 2, wind = 60 must not lower the answer by more than 0.05",
        "where wind = null, the answer must be 1",
    ]


@pytest.mark.parametrize(
    ("row", "outputs", "said"),
    [
        ("wind", (), 'test 1: found "wind"; allowed: keys with values'),
        ({"expekt": "same", "answer": 1}, (), "did you mean `expect`?"),
        ({"expect": "lower"}, (), '`expect`: found "lower"; allowed: `same`'),
        ({}, (), "found nothing to expect"),
        ({"expect": "same"}, (), "found no `change`"),
        ({"expect": "same", "change": {"wind": 1}, "answer": 1}, (), "found `answer`"),
        ({"answer": 1, "change": {"wind": 1}}, (), "found `change`"),
        ({"answer": 1, "row": {"wynd": 1}}, (), "did you mean `wind`?"),
        ({"answer": 1, "row": {"wind": "much"}}, (), '`row.wind`: found "much"'),
        ({"answer": 1, "row": {"stops": 1.5}}, (), "allowed: a whole number"),
        ({"answer": 1, "row": {"stops": None}}, (), "`row.stops`: found nothing"),
        ({"answer": 1, "row": {"night": 1}}, (), "allowed: `true` or `false`"),
        ({"answer": 1, "row": {"origin": 7}}, (), "allowed: a text"),
        ({"answer": 1, "row": [1]}, (), "`row`: found a list"),
        ({"answer": 1, "within": "little"}, (), "`within`: found"),
        ({"answer": 1, "within": -1}, (), "allowed: 0 or more"),
        ({"answer": 1, "share": 0}, (), "allowed: above 0"),
        ({"answer": 1, "rows": 1.5}, (), "`rows`: found"),
        ({"answer": 2}, (), "`answer`: found `2`; allowed: one of `0`, `1`"),
        ({"at_least": 0.5, "of": 7}, (), "`of`: found `7`; allowed: `0`, `1`"),
        ({"at_least": 0.5}, (LABEL, THREE), "found no `of`; allowed: one of the classes"),
        ({"answer": "much"}, (NUMBER,), "`answer`: found"),
        ({"at_most": 3, "of": "a"}, (NUMBER,), "the model gives no probabilities"),
        ({"at_most": 3}, (LABEL,), "the model answers labels alone"),
    ],
)
def test_a_fault_says_what_was_found_and_what_is_allowed(
    row: object, outputs: tuple[Output, ...], said: str
) -> None:
    """Each row that is wrong, by what is wrong with it, and it becomes no test."""
    tests, faults = examined([row], signature(*outputs))
    assert tests == ()
    assert said in "; ".join(faults)


def test_every_fault_is_named_with_its_test() -> None:
    """All at once, those of one row and those of others; good rows are none of them."""
    rows = [{"answer": 3, "share": 9}, {"answer": 1}, {"name": "calm", "expect": "same"}]
    tests, faults = examined(rows, signature())
    assert len(tests) == 1
    assert [one.partition(":")[0] for one in faults] == ["test 1", "test 3 `calm`"]
    assert examined([], signature())[1] == ("found 0 tests; allowed: 1 to 1,000",)


NAMES = st.sampled_from([one.name for one in INPUTS]) | st.text(max_size=4)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda below: st.lists(below, max_size=2) | st.dictionaries(NAMES, below, max_size=2),
    max_leaves=4,
)
KEYS = st.sampled_from(
    ["name", "expect", "row", "change", "of", "answer", "at_least", "within", "rows", "share"]
)


@given(st.lists(st.dictionaries(KEYS, JSON, max_size=5) | JSON, max_size=3))
def test_anything_at_all_is_a_test_or_a_fault(rows: list[object]) -> None:
    """Whatever a file holds, nothing is raised, and each row is told of."""
    for outputs in ((LABEL, TWO), (LABEL, THREE), (NUMBER,), (LABEL,)):
        tests, faults = examined(rows, signature(*outputs))
        assert len(tests) + len(faults) >= min(len(rows), 1)
        assert all(one.about for one in tests)


@pytest.mark.parametrize(
    ("value", "text"), [(True, "1"), (1.0, "1"), (1, "1"), (0.5, "0.5"), ("a", "a")]
)
def test_answers_are_written_as_classes_are(value: str | float, text: str) -> None:
    """True and 1.0 are the class `1`."""
    assert answer_text(value) == text
