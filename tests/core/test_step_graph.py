"""The order of steps, and what may be wrong between them."""

from hypothesis import given
from hypothesis import strategies as st

from servewell.core.catalog.step_graph import (
    step_breaches,
    steps_after_training,
    steps_before_training,
)
from servewell.core.catalog.workload_steps import TRAIN, StepRules


@st.composite
def graphs(draw: st.DrawFn) -> dict[str, StepRules]:
    """Steps without a cycle, written in any order; some need training."""
    names = draw(st.lists(st.sampled_from("abcdefgh"), unique=True, max_size=8))
    steps = {}
    for place, name in enumerate(names):
        needs = draw(st.lists(st.sampled_from([*names[:place], TRAIN]), unique=True, max_size=3))
        steps[name] = StepRules(script="x.py", needs=tuple(needs) or None)
    return {name: steps[name] for name in draw(st.permutations(names))}


@given(steps=graphs())
def test_each_step_comes_after_what_it_needs(steps: dict[str, StepRules]) -> None:
    """Every step runs once, after its needs, and after training where it needs that at all."""
    order = [*steps_before_training(steps), TRAIN, *steps_after_training(steps)]
    assert sorted(order) == sorted([*steps, TRAIN])
    for name, rules in steps.items():
        assert all(order.index(one) < order.index(name) for one in rules.needs or ())


def test_steps_keep_the_order_in_which_they_are_written() -> None:
    """Where needs say nothing, the file does."""
    steps = {name: StepRules(script="x.py") for name in ("b", "a", "c")}
    assert steps_before_training(steps) == ("b", "a", "c")


def test_all_faults_of_a_graph_are_told_together() -> None:
    """A circle, an unknown need, a reserved name and data of no step: each at its key."""
    data = {
        "data": {"step": "nowhere", "path": "../rows.parquet"},
        "steps": {
            "train": {"script": "x.py"},
            "a": {"script": "x.py", "needs": ["b"]},
            "b": {"script": "x.py", "needs": ["c"]},
            "c": {"script": "x.py", "needs": ["a", "lost"]},
            "own": {"script": "x.py", "needs": ["own"]},
        },
    }
    found = {one.path: one for one in step_breaches(data)}
    assert set(found) == {
        ("steps", "train"),
        ("steps", "c", "needs", 1),
        ("steps", "a", "needs"),
        ("steps", "own", "needs"),
        ("data", "step"),
        ("data", "path"),
    }
    assert found["steps", "a", "needs"].found == "`a` needs `b` needs `c` needs `a`"


def test_data_may_not_come_from_after_training() -> None:
    """Rows that need the model cannot be what it is trained on, also not through others."""
    steps = {"check": {"needs": ["train"]}, "tell": {"needs": ["check"]}}
    (found,) = step_breaches({"data": {"step": "tell", "path": "x"}, "steps": steps})
    assert found.path == ("data", "step")
    assert "needs `train`" in found.found


def test_rubbish_is_left_to_the_types() -> None:
    """What is no mapping or list of names breaks nothing here."""
    for steps in (None, 3, ["a"], {"a": None}, {"a": {"needs": 3}}, {"a": {"needs": [3]}}):
        assert list(step_breaches({"steps": steps, "data": 5})) == []
