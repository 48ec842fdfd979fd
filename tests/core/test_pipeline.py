"""Whether a step has to run, and what is said of it."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from servewell.core.catalog.step import Attempt, Output, Step, StepState, Usage
from servewell.core.catalog.workload_steps import StepRules
from servewell.core.operations.pipeline import (
    PARTS,
    StepForecast,
    bar_line,
    decide_step,
    flat_parameters,
    step_key,
    told_metrics,
    total,
    try_again,
    unknown_yet,
)

RULES = StepRules(script="prepare.py")
PARTS_OF = {"inputs": "a", "code": "b", "parameters": "c", "environment": "d", "files": "e"}
STEP = Step(
    run="0123456789abcdef",
    name="prepare",
    position=0,
    kind="prepare",
    state=StepState.SUCCEEDED,
    key=step_key(PARTS_OF),
    because="it has never succeeded",
    started_at=1.0,
    metrics={"rows": 3.0},
    parts=PARTS_OF,
)
OUTPUT = Output(digest="f" * 64, files=1, size_bytes=1)


def test_the_same_work_is_not_done_again() -> None:
    """A step with the same key whose output is whole is taken, and the reason names its run."""
    decision = decide_step(RULES, made=STEP, last=STEP, parts=PARTS_OF)
    assert not decision.needed
    assert decision.because == "nothing changed since run 0123456789ab"


def test_a_step_that_is_not_cached_always_runs() -> None:
    """`cached: false` counts more than an output that is there."""
    rules = replace(RULES, cached=False)
    assert decide_step(rules, made=STEP, last=STEP, parts=PARTS_OF).needed


@pytest.mark.parametrize("part", PARTS_OF)
def test_the_reason_names_what_changed(part: str) -> None:
    """Each part of the key has its words, and another value of it another key."""
    parts = PARTS_OF | {part: "other"}
    decision = decide_step(RULES, made=None, last=STEP, parts=parts)
    assert decision.needed
    assert decision.because == f"{PARTS[part]} changed since run 0123456789ab"
    assert step_key(parts) != STEP.key


def test_a_first_run_and_a_lost_output_are_told_apart() -> None:
    """Nothing to compare with, and the same key without a whole output."""
    first = decide_step(RULES, made=None, last=None, parts=PARTS_OF)
    lost = decide_step(RULES, made=None, last=STEP, parts=PARTS_OF)
    assert first.because == "it has never succeeded"
    assert lost.because == "its output in run 0123456789ab is not whole"


@given(retries=st.integers(0, 10))
def test_a_step_is_tried_once_more_than_it_has_retries(retries: int) -> None:
    """No more, no fewer; and a fault that is not its own is never tried again."""
    step, tries = STEP, 0
    while tries == 0 or try_again(step, retries=retries, failed=True):
        assert not try_again(step, retries=retries, failed=False)
        tries += 1
        attempt = Attempt(number=tries, started_at=0.0, ended_at=1.0, error="it failed")
        step = replace(step, attempts=(*step.attempts, attempt))
    assert tries == retries + 1


def test_attempts_add_up() -> None:
    """Seconds of processors add up, of memory the most counts."""
    usages = (Usage(cpu_s=1.0, memory_bytes=5), Usage(cpu_s=2.0, memory_bytes=3))
    attempts = tuple(Attempt(number=1, started_at=0, ended_at=1, usage=one) for one in usages)
    assert total(attempts) == Usage(cpu_s=3.0, memory_bytes=5)
    assert total(()) == Usage()


@given(share=st.floats(0, 1))
def test_a_bar_has_one_length(share: float) -> None:
    """Whatever the share, the words begin at about the same place."""
    line = bar_line("prepare", share=share, words="reading")
    assert line.startswith("prepare ")
    assert line.endswith(f"{share:.0%} reading")
    assert line.count("█") + line.count("░") == 20


def test_names_of_steps_stand_before_what_is_theirs() -> None:
    """Metrics and parameters of steps do not meet those of training."""
    assert told_metrics((STEP,)) == {"prepare.rows": 3.0}
    steps = {"prepare": replace(RULES, parameters={"months": 3})}
    assert flat_parameters(steps, {"depth": 2}) == {"depth": 2, "prepare.months": 3}


def test_the_first_step_without_an_output_says_why_nothing_is_known() -> None:
    """With all outputs there, nothing is unknown."""
    done = StepForecast(name="a", kind="other", needed=False, because="", output=OUTPUT)
    due = StepForecast(name="b", kind="other", needed=True, because="its code changed")
    assert unknown_yet((done,)) == ""
    assert unknown_yet((done, due)) == "the step `b` has to run: its code changed"
