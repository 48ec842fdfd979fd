"""Whether a workload is trained again now.

Several calls at once are one training, a workload has one at a time, and never more often than
its rules say. What was due while the machine slept is caught up once.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from itertools import islice, takewhile
from typing import Final

from servewell.core.catalog.cron import moments
from servewell.core.catalog.retraining import Retraining, RetrainState, Trigger
from servewell.core.catalog.workload import Workload
from servewell.core.catalog.workload_retrain import RetrainRules
from servewell.core.catalog.workload_rollout import RolloutRules

AGAIN: Final = "begun again after an interruption: "
LATE_S: Final = 60.0  # after which a scheduled time counts as missed, and is caught up
CLOCK_S: Final = 60.0  # by which the clock may be set back without a word
COUNTED_MAX: Final = 1_000  # missed times
AGAIN_FIRST_S: Final = 5.0  # from an interruption to the next attempt; longer each time
AGAIN_GROWS: Final = 4.0
AGAIN_MAX_S: Final = 300.0
GIVEN_UP_S: Final = 3_600.0  # in which nothing begins by itself after one that was given up


@dataclass(frozen=True, slots=True, kw_only=True)
class DataFiles:
    """What the files of the data look like."""

    stamp: str = ""  # another one when a file came, went or changed; empty where there are none
    changed_at: float = 0.0  # seconds since the epoch, UTC, of the last change


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What a decision rests on. Times are seconds since the epoch, UTC."""

    now: float
    rules: RetrainRules
    scheduled_from: float  # what was due before is dealt with
    asked: tuple[Retraining, ...] = ()  # oldest first
    interrupted: Retraining | None = None  # that may be begun again
    last: Retraining | None = None  # training that was begun last and not given up; no import
    abandoned: Retraining | None = None  # training that was given up last
    running: int = 0  # retraining that runs; 0 for none
    run: str = ""  # training of somebody else, like `servewell up`, that is under way
    rollout: str = ""  # of the endpoint, that has not ended
    data: DataFiles = DataFiles()
    learned: str = ""  # the stamp of the files that were last learned from
    newer: str = ""  # dataset version that nothing was made of yet, `name:number`
    paused: str = ""  # why a person halted it
    fault: str = ""  # why the workload cannot be acted on


class Step(StrEnum):
    """What a decision says."""

    START = "start"
    WAIT = "wait"  # something calls for a training, and something is in its way
    SKIP = "skip"  # nothing calls for one


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What to do now, and why."""

    step: Step
    because: str
    trigger: Trigger | None = None  # the first of what calls
    begins: Retraining | None = None  # the row that is begun; None for a new one
    answers: tuple[Retraining, ...] = ()  # others that it answers too
    next_at: float | None = None  # when something is due, as far as can be told


@dataclass(frozen=True, slots=True, kw_only=True)
class _Call:
    trigger: Trigger
    because: str
    row: Retraining | None = None


def decide(facts: Facts) -> Decision:
    """Return whether to begin a training now.

    A model that appeared is imported by itself; whatever else calls is one training. A person's
    call goes before a pause and a clock that was set back, and waits for all the rest.

    Raises: nothing; rules are checked when they are read.
    """
    calls = tuple(_calls(facts))
    if not calls and facts.interrupted is not None:
        calls = (_again(facts.interrupted),)
    if not calls:
        return Decision(step=Step.SKIP, because=_quiet(facts), next_at=next_due(facts))
    hindrance, until = _hindrance(facts, calls)
    if hindrance:
        because = f"{_joined(calls)}; it waits: {hindrance}"
        return Decision(step=Step.WAIT, because=because, next_at=until)
    first = calls[0]
    rows = tuple(one.row for one in calls[1:] if one.row is not None)
    return Decision(
        step=Step.START,
        because=_joined(calls),
        trigger=first.trigger,
        begins=first.row,
        answers=rows,
    )


def ending(
    retraining: Retraining, *, age_s: float | None, rules: RetrainRules, last_words: str = ""
) -> tuple[RetrainState, str]:
    """Return where a begun retraining stands by what is seen of its process, and why.

    The process has lived for `age_s`; None where it does not live. Its own word, if it had one,
    stands in the state already; `last_words` are those of its log.
    """
    state, outcome = retraining.state, retraining.outcome
    if state is RetrainState.RUNNING and age_s is not None:
        if age_s <= rules.timeout_s:
            return state, outcome
        return RetrainState.TIMED_OUT, f"it was killed after {rules.timeout_s:,} s, its limit"
    if state is RetrainState.RUNNING:
        log = f"`servewell logs retraining-{retraining.id}` has all that it said"
        outcome = f"its process ended without a word of what came of it{last_words}; {log}"
    elif state is not RetrainState.INTERRUPTED:
        return state, outcome
    if retraining.attempt >= rules.attempts:
        times = "once" if retraining.attempt == 1 else f"{retraining.attempt} times"
        return RetrainState.ABANDONED, f"it was interrupted {times}, at last so: {outcome}"
    return RetrainState.INTERRUPTED, outcome


def again_at(interrupted: Retraining) -> float:
    """Return when an interrupted retraining may be begun again, in seconds since the epoch.

    What was away, like a server, is given more time each time.
    """
    pause_s = AGAIN_FIRST_S * AGAIN_GROWS ** min(interrupted.attempt - 1, 10)
    return (interrupted.ended_at or 0.0) + min(AGAIN_MAX_S, pause_s)


def rollout_of(workload: Workload) -> RolloutRules:
    """Return how what a training makes is rolled out: with a person's consent where that is asked.

    A consent that the rollout asks for by itself is asked for as well.
    """
    rules = workload.rollout
    if workload.retrain.promote == "automatic":
        return rules
    at_start = rules.approval in ("start", "both")
    return replace(rules, approval="both" if at_start else "promotion")


def next_due(facts: Facts) -> float | None:
    """Return when the schedule comes next; None where there is none."""
    rules = facts.rules
    if rules.schedule is None:
        return None
    return next(moments(rules.schedule, rules.time_zone, after=_dealt_with(facts)), None)


def _calls(facts: Facts) -> Iterator[_Call]:
    """Yield what calls for the next training, or the one model that is to be imported.

    An import that pauses, because a server is away, holds nothing else up.
    """
    one = facts.interrupted
    if one is not None and not (one.source and _pauses(one, facts.now)):
        yield _again(one)
        if one.source:
            return
    elif facts.asked and facts.asked[0].source:
        one = facts.asked[0]
        yield _Call(trigger=one.trigger, because=one.because, row=one)
        return
    for one in facts.asked:
        if not one.source:
            yield _Call(trigger=one.trigger, because=one.because, row=one)
    yield from _by_schedule(facts)
    yield from _by_data(facts)


def _again(interrupted: Retraining) -> _Call:
    because = interrupted.because.removeprefix(AGAIN)
    return _Call(trigger=interrupted.trigger, because=AGAIN + because, row=interrupted)


def _pauses(interrupted: Retraining, now: float) -> bool:
    return (interrupted.ended_at or 0.0) <= now < again_at(interrupted)


def _by_schedule(facts: Facts) -> Iterator[_Call]:
    rules = facts.rules
    if rules.schedule is None:
        return
    coming = moments(rules.schedule, rules.time_zone, after=_dealt_with(facts))
    due = list(islice(takewhile(lambda one: one <= facts.now, coming), COUNTED_MAX))
    if not due:
        return
    if len(due) == 1 and facts.now - due[0] <= LATE_S:
        because = f"the schedule `{rules.schedule}` said {_moment(due[0])}"
    else:
        count = "a time" if len(due) == 1 else f"{len(due)} times"
        because = (
            f"caught up once: the schedule `{rules.schedule}` was missed {count}, "
            f"the last at {_moment(due[-1])}"
        )
    yield _Call(trigger=Trigger.SCHEDULE, because=because)


def _by_data(facts: Facts) -> Iterator[_Call]:
    if not facts.rules.on_new_data:
        return
    if facts.data.stamp and facts.data.stamp != facts.learned:
        yield _Call(
            trigger=Trigger.NEW_DATA,
            because=f"the data changed at {_moment(facts.data.changed_at)}",
        )
    elif facts.newer:
        yield _Call(trigger=Trigger.NEW_DATA, because=f"nothing has learned from {facts.newer} yet")


def _hindrance(facts: Facts, calls: tuple[_Call, ...]) -> tuple[str, float | None]:
    """Return what is in the way of a training, and until when; nothing where nothing is."""
    underway = {
        facts.fault: facts.fault,
        facts.running: f"retraining {facts.running} runs, and a workload has one at a time",
        facts.run: f"the run {facts.run} is under way",
        facts.rollout: f"the rollout {facts.rollout} has not ended",
    }
    found = [words for what, words in underway.items() if what]
    if found:
        return found[0], None
    by_hand = any(one.trigger is Trigger.HAND for one in calls)
    if facts.paused and not by_hand:
        return f"it is paused: {facts.paused}", None
    if not by_hand and (ahead := _dealt_with(facts)) > facts.now + CLOCK_S:
        return f"the clock says {_moment(facts.now)}, and {_moment(ahead)} has been", ahead
    return _too_early(facts, calls)


def _too_early(facts: Facts, calls: tuple[_Call, ...]) -> tuple[str, float | None]:
    first = calls[0].row
    if first is not None and first is facts.interrupted:  # it counts as begun already
        return _pausing(first, facts.now)
    if first is not None and first.source:
        return "", None  # it trains nothing
    if (due := _given_up(facts)) and all(one.trigger is not Trigger.HAND for one in calls):
        return f"the last one was given up; the next may begin at {_moment(due)}", due
    return _too_often(facts, calls)


def _pausing(interrupted: Retraining, now: float) -> tuple[str, float | None]:
    if not _pauses(interrupted, now):
        return "", None
    due = again_at(interrupted)
    return f"it is begun again at {_moment(due)}: {interrupted.outcome}", due


def _too_often(facts: Facts, calls: tuple[_Call, ...]) -> tuple[str, float | None]:
    rules, began = facts.rules, facts.last.started_at if facts.last else None
    if began is not None and began <= facts.now < began + rules.at_most_every_s:
        due = began + rules.at_most_every_s
        return f"the last one began at {_moment(began)}, the next may at {_moment(due)}", due
    unsettled = facts.now - facts.data.changed_at < rules.settle_s
    if unsettled and all(one.trigger is Trigger.NEW_DATA for one in calls):
        return "the files may still be written", facts.data.changed_at + rules.settle_s
    return "", None


def _given_up(facts: Facts) -> float:
    """Return until when nothing begins by itself, because the last training was given up; or 0."""
    gone, began = facts.abandoned, facts.last.started_at if facts.last else None
    ended = gone.ended_at if gone and (gone.started_at or 0.0) > (began or 0.0) else None
    return ended + GIVEN_UP_S if ended and ended <= facts.now < ended + GIVEN_UP_S else 0.0


def _dealt_with(facts: Facts) -> float:
    """Return the time up to which the schedule is answered: a training answers what was due."""
    began = facts.last.started_at if facts.last else None
    return max(facts.scheduled_from, began or 0.0)


def _quiet(facts: Facts) -> str:
    if facts.fault:
        return facts.fault
    if facts.paused:
        return f"it is paused: {facts.paused}"
    due = next_due(facts)
    return "nothing calls for it" + (f"; the schedule says {_moment(due)}" if due else "")


def _joined(calls: tuple[_Call, ...]) -> str:
    return "; ".join(dict.fromkeys(one.because for one in calls))


def _moment(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
