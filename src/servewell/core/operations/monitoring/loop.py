"""What a verdict of triage starts by itself: a training, a rollback, or nothing.

Only what the workload declares, never on *cannot tell*, never a training on a broken feed, never
while a rollout runs, and no more often than declared.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from servewell.core.catalog.triage import Kind, Remedy, Triage
from servewell.core.catalog.workload_monitoring import SignalRules

NAMES: Final[dict[Kind, str]] = {  # of verdicts, as signals
    Kind.CONCEPT_DRIFT: "concept-drift",
    Kind.COVARIATE_SHIFT: "covariate-shift",
    Kind.SKEW: "skew",
}


class Act(StrEnum):
    """What is done."""

    NOTHING = "nothing"
    RETRAIN = "retrain"
    ROLL_BACK = "roll back"


NOUNS: Final = {Act.RETRAIN: "training", Act.ROLL_BACK: "rollback"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What the decision rests on. Times are seconds since the epoch, UTC."""

    now: float
    triage: Triage
    rules: SignalRules
    takes_requests: bool  # the deployment has a share of the traffic
    rollout: str = ""  # of the endpoint, that has not ended
    retraining: int = 0  # that is asked for or runs; 0 for none
    halted: str = ""  # why nothing may be started: trainings are paused, the file has a fault
    retrained_at: float | None = None  # when a verdict last started a training
    rolled_back_at: float | None = None  # when the endpoint was last rolled back, by anybody
    changed_at: float | None = None  # when the traffic last changed otherwise
    no_way_back: str = ""  # why the traffic before the last change is none to return to


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What to do, and why."""

    act: Act
    because: str
    signal: str = ""  # the name of the verdict, where something is done


def decide(facts: Facts) -> Decision:
    """Return what a verdict starts now.

    A rollback goes before a training: it helps at once.

    Raises: nothing; rules are checked when they are read.
    """
    kind, told = facts.triage.kind, f"{facts.triage.kind} in `{facts.triage.deployment}`"
    if facts.triage.remedy in (Remedy.NOTHING, Remedy.WAIT, Remedy.FIX_FEED):
        return _nothing(f"{told}: {facts.triage.remedy}")
    wanted = _wanted(kind, facts.rules)
    if not wanted:
        return _nothing(f"{told}: the workload declares nothing for it")
    hindrances = []
    for act in wanted:
        hindrance = _hindrance(act, facts)
        if not hindrance:
            return Decision(act=act, signal=NAMES[kind], because=f"{told}: {facts.triage.because}")
        hindrances.append(f"no {NOUNS[act]}: {hindrance}")
    return _nothing(f"{told}; {'; '.join(hindrances)}")


def _nothing(because: str) -> Decision:
    return Decision(act=Act.NOTHING, because=because)


def _wanted(kind: Kind, rules: SignalRules) -> tuple[Act, ...]:
    name = NAMES.get(kind, "")
    back, again = rules.roll_back, rules.retrain
    acts = []
    if back is not None and name in back.on:
        acts.append(Act.ROLL_BACK)
    if again is not None and name in again.on:
        acts.append(Act.RETRAIN)
    return tuple(acts)


def _hindrance(act: Act, facts: Facts) -> str:
    """Return what is in the way; nothing where nothing is."""
    if facts.rollout:
        return f"the rollout {facts.rollout} has not ended"
    if not facts.takes_requests:
        return "it takes no requests"
    return _no_rollback(facts) if act is Act.ROLL_BACK else _no_training(facts)


def _no_training(facts: Facts) -> str:
    rules = facts.rules.retrain
    if facts.halted:
        return facts.halted
    if facts.retraining:
        return f"retraining {facts.retraining} is under way"
    if rules is not None and _too_soon(facts.retrained_at, rules.at_most_every_s, facts.now):
        return f"a verdict started one less than {rules.at_most_every_s:,.0f} s ago"
    return ""


def _no_rollback(facts: Facts) -> str:
    rules = facts.rules.roll_back
    if facts.no_way_back:
        return facts.no_way_back
    if rules is None:
        return "none is declared"
    if facts.changed_at is None or facts.now - facts.changed_at > rules.within_s:
        return f"the traffic has not changed for {rules.within_s:,.0f} s, so that is not the cause"
    if _too_soon(facts.rolled_back_at, rules.at_most_every_s, facts.now):
        return f"there was one less than {rules.at_most_every_s:,.0f} s ago"
    return ""


def _too_soon(last: float | None, pause_s: float, now: float) -> bool:
    """Whether a pause has not passed; a clock that was set back lets nothing happen either."""
    return last is not None and now < last + pause_s
