"""When a workload is trained again."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from servewell.core.catalog.retraining import MOVES, OPEN, Retraining, RetrainState, Trigger
from servewell.core.catalog.workload import Artifact, Workload
from servewell.core.catalog.workload_retrain import RetrainRules
from servewell.core.catalog.workload_rollout import RolloutRules
from servewell.core.operations.retraining import (
    DataFiles,
    Facts,
    Step,
    again_at,
    decide,
    ending,
    next_due,
    rollout_of,
)

NOW = 1_772_323_200.0  # 2026-03-01 00:00 UTC
NIGHTLY = RetrainRules(schedule="0 3 * * *")
BY_DATA = RetrainRules(on_new_data=True)
DAY = 86_400.0


def row(number: int = 1, trigger: Trigger = Trigger.HAND, **changes: object) -> Retraining:
    """Return a retraining that was asked for just now."""
    asked = Retraining(
        id=number,
        workload="flights",
        trigger=trigger,
        because=f"cause {number}",
        principal="me",
        asked_at=NOW,
    )
    return replace(asked, **changes)  # type: ignore[arg-type]


def facts(rules: RetrainRules = RetrainRules(), **changes: object) -> Facts:  # noqa: B008 - frozen
    """Return facts in which nothing calls for a training."""
    return replace(Facts(now=NOW, rules=rules, scheduled_from=NOW), **changes)  # type: ignore[arg-type]


def test_nothing_begins_by_itself() -> None:
    """Without a rule and without a call."""
    assert decide(facts()).step is Step.SKIP
    assert decide(facts(now=NOW + 900 * DAY)).step is Step.SKIP


def test_several_calls_are_one_training() -> None:
    """A person, a signal, the schedule and new data at once: all their reasons, one start."""
    rules = RetrainRules(schedule="0 3 * * *", on_new_data=True)
    asked = (row(1), row(2, Trigger.SIGNAL))
    data = DataFiles(stamp="new", changed_at=NOW)
    said = decide(facts(rules, now=NOW + 3 * 3_600, asked=asked, data=data, learned="old"))
    assert said.step is Step.START
    assert said.begins == asked[0]
    assert said.answers == asked[1:]
    for words in ("cause 1", "cause 2", "the schedule `0 3 * * *`", "the data changed"):
        assert words in said.because


def test_the_schedule_is_answered_once() -> None:
    """Not before its time, at its time, and not again once a training has begun."""
    due = NOW + 3 * 3_600
    assert next_due(facts(NIGHTLY)) == due
    assert decide(facts(NIGHTLY, now=due - 1)).step is Step.SKIP
    assert decide(facts(NIGHTLY, now=due)).trigger is Trigger.SCHEDULE
    last = row(state=RetrainState.SUCCEEDED, started_at=due + 1)
    assert decide(facts(NIGHTLY, now=due + 2, last=last)).step is Step.SKIP


def test_missed_times_are_caught_up_once() -> None:
    """Three nights asleep are one training, which says so."""
    said = decide(facts(NIGHTLY, now=NOW + 2.5 * DAY))
    assert said.step is Step.START
    assert "caught up once" in said.because
    assert "3 times" in said.because


def test_a_clock_that_was_set_back_holds_and_says_so() -> None:
    """Nothing by itself until the remembered time has passed; a person may all the same."""
    rules = replace(NIGHTLY, on_new_data=True, at_most_every_s=0)
    last = row(state=RetrainState.SUCCEEDED, started_at=NOW + 400 * DAY)
    held = facts(rules, last=last, data=DataFiles(stamp="new", changed_at=NOW - DAY))
    said = decide(held)
    assert said.step is Step.WAIT
    assert "the clock says 2026-03-01" in said.because
    assert said.next_at == NOW + 400 * DAY
    assert decide(replace(held, asked=(row(),))).step is Step.START


@settings(max_examples=60)
@given(
    calls=st.lists(st.sampled_from(Trigger), min_size=1, max_size=5),
    every=st.integers(0, 5_000),
    since=st.integers(0, 10_000),
    running=st.integers(0, 2),
    run=st.sampled_from(["", "r"]),
    paused=st.sampled_from(["", "moving"]),
    fault=st.sampled_from(["", "gone"]),
)
def test_a_training_begins_only_where_nothing_is_in_its_way(  # noqa: PLR0913 - the facts
    *, calls: list[Trigger], every: int, since: int, running: int, run: str, paused: str, fault: str
) -> None:
    """One at a time, never more often than declared, never by a broken file, or while paused."""
    asked = tuple(row(n, one) for n, one in enumerate(calls, 1))
    last = row(99, state=RetrainState.FAILED, started_at=NOW - since)
    rules = RetrainRules(at_most_every_s=every)
    said = decide(
        facts(rules, asked=asked, last=last, running=running, run=run, paused=paused, fault=fault)
    )
    free = not (running or run or fault) and since >= every
    by_itself = paused and Trigger.HAND not in calls
    assert (said.step is Step.START) == (free and not by_itself)
    assert said.because


def test_never_more_often_than_declared() -> None:
    """It says when the next one may begin, and begins then."""
    last = row(state=RetrainState.SUCCEEDED, started_at=NOW - 10)
    early = facts(RetrainRules(at_most_every_s=60), asked=(row(2),), last=last)
    said = decide(early)
    assert (said.step, said.next_at) == (Step.WAIT, NOW + 50)
    assert decide(replace(early, now=NOW + 50)).step is Step.START


def test_data_that_may_still_be_written_waits() -> None:
    """A file counts once it has stayed as it is for as long as declared."""
    fresh = facts(BY_DATA, data=DataFiles(stamp="new", changed_at=NOW - 4), learned="old")
    said = decide(fresh)
    assert (said.step, said.next_at) == (Step.WAIT, NOW + 6)
    assert decide(replace(fresh, now=NOW + 6)).trigger is Trigger.NEW_DATA


@pytest.mark.parametrize("stamp", ["", "old"])
def test_data_that_is_gone_or_the_same_calls_for_nothing(stamp: str) -> None:
    """A file that somebody took away is no new data."""
    data = DataFiles(stamp=stamp, changed_at=NOW - DAY)
    assert decide(facts(BY_DATA, data=data, learned="old")).step is Step.SKIP


def test_a_dataset_version_that_nothing_learned_from_calls() -> None:
    """By its name."""
    said = decide(facts(BY_DATA, newer="flights:4"))
    assert said.step is Step.START
    assert "flights:4" in said.because


def test_a_model_that_appeared_is_imported_by_itself() -> None:
    """Before what was asked later, and without waiting for the time between trainings."""
    model = row(1, Trigger.NEW_MODEL, source="a.onnx 1")
    last = row(9, state=RetrainState.SUCCEEDED, started_at=NOW - 1)
    said = decide(facts(asked=(model, row(2)), last=last))
    assert (said.begins, said.answers) == (model, ())


def test_an_interrupted_training_is_begun_again_after_a_pause() -> None:
    """It counts as the one that began, and answers what was asked meanwhile; pauses grow."""
    last = row(1, state=RetrainState.INTERRUPTED, started_at=NOW - 1, ended_at=NOW, attempt=1)
    waits = facts(interrupted=last, last=last, asked=(row(2),))
    said = decide(waits)
    assert (said.step, said.next_at) == (Step.WAIT, NOW + 5)
    said = decide(replace(waits, now=NOW + 5))
    assert (said.step, said.begins, said.answers) == (Step.START, last, (row(2),))
    pauses = [again_at(replace(last, attempt=one)) - NOW for one in (1, 2, 3, 4, 99)]
    assert pauses == [5, 20, 80, 300, 300]


def test_an_import_that_pauses_holds_nothing_else_up() -> None:
    """It waits by itself, and says for what."""
    away = row(
        1, Trigger.NEW_MODEL, source="a.onnx 1", state=RetrainState.INTERRUPTED,
        ended_at=NOW, attempt=2, outcome="the server is away",
    )  # fmt: skip
    said = decide(facts(interrupted=away))
    assert (said.step, said.next_at) == (Step.WAIT, NOW + 20)
    assert "the server is away" in said.because
    assert decide(facts(interrupted=away, asked=(row(2),))).begins == row(2)
    assert decide(facts(now=NOW + 20, interrupted=away, asked=(row(2),))).begins == away


def test_what_was_given_up_answers_nothing() -> None:
    """The data still calls, but only after an hour; a person need not wait for that."""
    gone = row(1, state=RetrainState.ABANDONED, started_at=NOW - 9, ended_at=NOW, data="new")
    data = DataFiles(stamp="new", changed_at=NOW - DAY)
    left = facts(BY_DATA, abandoned=gone, data=data, learned="old")
    said = decide(left)
    assert (said.step, said.next_at) == (Step.WAIT, NOW + 3_600)
    assert decide(replace(left, now=NOW + 3_600)).trigger is Trigger.NEW_DATA
    assert decide(replace(left, asked=(row(2),))).step is Step.START
    last = row(2, state=RetrainState.SUCCEEDED, started_at=NOW - 8)
    rules = replace(BY_DATA, at_most_every_s=0)
    assert decide(replace(left, last=last, rules=rules)).step is Step.START


def test_a_process_that_died_or_hangs_is_told_apart() -> None:
    """Dead: interrupted, with its last words. Too long: killed. Too often: given up."""
    rules = RetrainRules(timeout_s=100, attempts=2)
    running = row(state=RetrainState.RUNNING, started_at=NOW, attempt=1)

    def state(one: Retraining, age_s: float | None) -> RetrainState:
        return ending(one, age_s=age_s, rules=rules)[0]

    assert state(running, 99) is RetrainState.RUNNING
    assert state(running, None) is RetrainState.INTERRUPTED
    assert state(running, 101) is RetrainState.TIMED_OUT
    assert state(replace(running, attempt=2), None) is RetrainState.ABANDONED
    stopped = replace(running, state=RetrainState.INTERRUPTED, outcome="the server is away")
    assert state(stopped, None) is RetrainState.INTERRUPTED
    given_up = ending(replace(stopped, attempt=2), age_s=None, rules=rules)
    assert given_up == (
        RetrainState.ABANDONED,
        "it was interrupted 2 times, at last so: the server is away",
    )
    words = ending(running, age_s=None, rules=rules, last_words="; it last wrote: oh")[1]
    assert "oh" in words
    assert "`servewell logs retraining-1`" in words


@pytest.mark.parametrize(
    ("declared", "by_hand"),
    [("none", "promotion"), ("start", "both"), ("promotion", "promotion"), ("both", "both")],
)
def test_a_person_consents_where_the_workload_asks_for_it(declared: str, by_hand: str) -> None:
    """Automatic is what the rollout says; with approval a person's consent to promote is added."""
    rollout = RolloutRules(approval=declared)  # type: ignore[arg-type]
    described = Workload(workload="small", artifact=Artifact(path="a.onnx"), rollout=rollout)
    assert rollout_of(described) == rollout
    asked = replace(described, retrain=RetrainRules(promote="approval"))
    assert rollout_of(asked) == replace(rollout, approval=by_hand)  # type: ignore[arg-type]


def test_what_has_ended_moves_only_by_a_person() -> None:
    """The table of moves names every state, and what an end is; what failed is asked once more."""
    assert set(MOVES) == set(RetrainState)
    assert {state for state, moves in MOVES.items() if not moves} == {
        RetrainState.SUCCEEDED,
        RetrainState.MERGED,
    }
    failed = {state for state, moves in MOVES.items() if moves == (RetrainState.ASKED,)}
    assert failed == {RetrainState.FAILED, RetrainState.TIMED_OUT, RetrainState.ABANDONED}
    assert OPEN.isdisjoint(failed)
