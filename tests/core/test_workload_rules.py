"""The rules of a workload file, without the file."""

from difflib import SequenceMatcher

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from servewell.core.catalog.breach import printable, shown
from servewell.core.catalog.workload import Artifact, Workload
from servewell.core.catalog.workload_alerts import AlertRules, Receiver
from servewell.core.catalog.workload_difference import changed_keys, said_keys
from servewell.core.catalog.workload_rules import breaches, dotted, nearest
from servewell.core.catalog.workload_schema import allowed_by, workload_keys, workload_schema

SCHEMA = workload_schema()
NAMES = sorted({key.path[-1] for key in workload_keys(SCHEMA)})
BROUGHT: dict[str, object] = {"workload": "a", "artifact": {"path": "model.onnx"}}


def found(data: dict[str, object]) -> dict[str, str]:
    """Return key and finding of each breach."""
    return {dotted(one.path): one.found for one in breaches(data)}


def test_the_least_workload_breaks_nothing() -> None:
    """A name and a model are enough."""
    assert breaches(BROUGHT) == ()


@pytest.mark.parametrize(
    ("start", "until", "good"),
    [
        pytest.param("9", "10", True, id="numbers-are-no-text"),
        pytest.param("10", "9", False, id="numbers"),
        pytest.param("2013-03-01", "2013-03-01", False, id="same-day"),
        pytest.param("2013-03-01T23:00:00", "2013-03-02", True, id="time-and-date"),
        pytest.param("2013-03-01T00:00:00+02:00", "2013-02-28T23:00:00", True, id="zones"),
        pytest.param("a", "b", True, id="text"),
        pytest.param("b", "a", False, id="text-backwards"),
        pytest.param("b", "", True, id="open-end"),
    ],
)
def test_held_out_rows_end_after_they_start(start: str, until: str, *, good: bool) -> None:
    """Bounds are compared as what they are: numbers, times or text."""
    held_out = {"column": "c", "start": start, "until": until}
    data = {"path": "x", "held_out": held_out}
    assert (breaches({**BROUGHT, "data": data}) == ()) is good


@pytest.mark.parametrize(
    ("rule", "keys"),
    [
        pytest.param({"minimum": 1, "maximum": 1}, set(), id="one-value"),
        pytest.param({"minimum": 2, "maximum": 1}, {"inputs.x.maximum"}, id="none"),
        pytest.param({"minimum": "2", "maximum": 1}, {"inputs.x.minimum"}, id="text"),
        pytest.param({"allowed": []}, {"inputs.x.allowed"}, id="nothing-allowed"),
        pytest.param({"allowed": ["a"], "minimum": 1}, {"inputs.x.minimum"}, id="both-kinds"),
        pytest.param({"allowed": "a"}, {"inputs.x.allowed"}, id="no-list"),
        pytest.param(None, {"inputs.x"}, id="empty"),
    ],
)
def test_a_rule_on_an_input_leaves_something_to_send(rule: object, keys: set[str]) -> None:
    """Bounds that exclude everything are a breach of the key that closes them."""
    assert set(found({**BROUGHT, "inputs": {"x": rule}})) == keys


def test_a_name_ends_where_its_text_ends() -> None:
    """A last line break, which Python's `$` lets pass, is no part of a name."""
    assert set(found({**BROUGHT, "workload": "a\n"})) == {"workload"}


@given(name=st.sampled_from(NAMES), data=st.data())
def test_a_swapped_or_lost_letter_is_recognised(name: str, data: st.DataObject) -> None:
    """One slip in a name of five letters or more leads back to it, or to one that is as like."""
    if len(name) >= 5:
        at = data.draw(st.integers(0, len(name) - 2))
        swapped = name[:at] + name[at + 1] + name[at] + name[at + 2 :]
        lost = name[:at] + name[at + 1 :]
        assert nearest(swapped, NAMES) == name
        guess = nearest(lost, NAMES)
        assert lost in NAMES or guess == name or likeness(lost, guess) >= likeness(lost, name)


def likeness(typed: str, name: str | None) -> float:
    """Return how like two names are, 0..1: `teps` is as much of `step` as of `steps`."""
    return SequenceMatcher(None, name or "", typed).ratio()


def test_what_is_like_nothing_has_no_nearest_name() -> None:
    """A wild guess helps nobody."""
    assert nearest("zzz", NAMES) is None
    assert nearest("workload", []) is None


@given(st.text())
def test_what_is_shown_is_printable(text: str) -> None:
    """Nothing of a file can steer the terminal that shows its faults."""
    assert printable(text).isprintable()
    assert shown(text).isprintable()
    assert len(shown(text)) <= 63


@given(
    st.dictionaries(
        st.sampled_from(["workload", "train", "artifact", "data", "serving", "x"]),
        st.one_of(
            st.just("a"),
            st.just({}),
            st.just({"path": "x"}),
            st.just({"script": "x"}),
            st.just({"port": 1}),
        ),
    )
)
def test_what_an_editor_refuses_is_a_breach(data: dict[str, object]) -> None:
    """The published schema and our own words agree on what is wrong."""
    refused = not Draft202012Validator(SCHEMA).is_valid(data)
    assert bool(breaches(data)) is refused


def test_every_key_says_what_it_is() -> None:
    """The reference page, editors and faults are all made from this."""
    for key in workload_keys(SCHEMA):
        assert key.schema["description"], key.path
        assert allowed_by(key.schema)
        named = key.schema.get("additionalProperties")
        if "properties" not in (named if isinstance(named, dict) else key.schema):
            assert key.schema["examples"], key.path


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        pytest.param({"type": "integer"}, "a whole number", id="any"),
        pytest.param({"type": "integer", "minimum": 1}, "a whole number, 1 or more", id="low"),
        pytest.param({"type": "number", "maximum": 9}, "a number, 9 or less", id="high"),
        pytest.param(
            {"type": "number", "minimum": 0, "maximum": 1}, "a number from 0 to 1", id="both"
        ),
        pytest.param({"enum": ["a", "b"]}, "one of `a`, `b`", id="choice"),
    ],
)
def test_bounds_are_said_in_words(schema: dict[str, object], words: str) -> None:
    """What is allowed reads as a sentence, whichever bounds there are."""
    assert allowed_by(schema) == words


def test_every_example_is_good() -> None:
    """What the reference shows can be copied."""
    for key in workload_keys(SCHEMA):
        for example in key.schema.get("examples", ()):
            assert Draft202012Validator(key.schema).is_valid(example), key.path


def test_what_changed_in_a_file_is_said_by_its_keys_alone() -> None:
    """What was added, is gone, or holds something else; never what it holds."""
    alerts = AlertRules(receivers={"team": Receiver(to="slack", url="env:HIDDEN")})
    before = Workload(workload="a", artifact=Artifact(path="model.onnx"))
    after = Workload(workload="a", artifact=Artifact(path="other.onnx"), alerts=alerts)
    keys = changed_keys(before, after)
    assert "artifact.path" in keys
    assert "alerts.receivers.team.url" in keys
    assert changed_keys(after, before) == keys
    assert changed_keys(after, after) == ()
    assert "HIDDEN" not in said_keys(keys)
    assert said_keys(keys).endswith(f"and {len(keys) - 8} more")
