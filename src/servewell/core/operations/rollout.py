"""Decide the next move of a rollout.

A rollout is a state machine: `Stage` names the states, `MOVES` is the whole table, and `decide`
picks the one move to make now. Its rules are asked in order, and the first that has an answer wins:
what is unsafe before what a person wants, and both before progress.
"""

from collections.abc import Callable
from typing import Final

from servewell.core.catalog.judgement import Verdict
from servewell.core.catalog.rollout import Rollout, Stage
from servewell.core.operations.rollout_moves import (
    NOT_BEGUN,
    RUNNING,
    Facts,
    Move,
    RolloutDecision,
    back,
    deployment_in,
    has_all,
    move,
    stable_ill,
    stay,
    traffic_of,
    unjudged,
)
from servewell.core.operations.rollout_orders import ORDERS
from servewell.core.operations.rollout_progress import PROGRESS
from servewell.core.operations.traffic import describe

Answer = RolloutDecision | None


def decide(rollout: Rollout, facts: Facts) -> RolloutDecision:
    """Return the one move to make now.

    Safety before progress: a candidate that is shown worse leaves at once, however young; one that
    has shown too little waits. Time and counts arrive as facts.

    Units:  shares in basis points of requests; ages in seconds.
    Raises: OrderRefusedError, where an order of a person is not possible in this stage.
    Source: Argo Rollouts, docs/features/analysis.md, "Inconclusive Runs": they pause.
    """
    answers = (rule(rollout, facts) for rule in RULES)
    return next(one for one in answers if one is not None)


def _ended(rollout: Rollout, _: Facts) -> Answer:
    return stay(rollout, because="it has ended") if rollout.ended else None


def _candidate_gone(rollout: Rollout, facts: Facts) -> Answer:
    if rollout.stage not in RUNNING or deployment_in(facts, rollout.candidate):
        return None
    because = f"`{rollout.candidate}` is no deployment of `{rollout.endpoint}` any more"
    return move(rollout, Move.CANCEL, because=because, leave=True)


def _candidate_ill(rollout: Rollout, facts: Facts) -> Answer:
    candidate = deployment_in(facts, rollout.candidate)
    if candidate is None or not candidate.quarantined or rollout.stage in NOT_BEGUN:
        return None
    because = f"`{rollout.candidate}` is in quarantine: {candidate.quarantined}"
    return back(rollout, facts, because=because, quarantine=candidate.quarantined)


def _ordered(rollout: Rollout, facts: Facts) -> Answer:
    return None if facts.order is None else ORDERS[facts.order](rollout, facts)


def _judged_worse(rollout: Rollout, facts: Facts) -> Answer:
    judgement = facts.judgement
    if judgement is None or judgement.verdict is not Verdict.ROLL_BACK or unjudged(rollout):
        return None
    if not facts.endpoint.traffic.get(rollout.candidate):
        return None
    return back(rollout, facts, because=judgement.because, quarantine=judgement.because)


def _shadow_worse(rollout: Rollout, facts: Facts) -> Answer:
    if rollout.stage is not Stage.SHADOWING or not facts.shadow_worse:
        return None
    return back(rollout, facts, because=facts.shadow_worse, quarantine=facts.shadow_worse)


def _worse_alone(rollout: Rollout, facts: Facts) -> Answer:
    held = rollout.stage is Stage.HELD and has_all(rollout, facts.endpoint)
    watched = rollout.stage is Stage.WATCHING or held
    if not watched or not facts.worse_alone or rollout.unjudged:
        return None
    return back(rollout, facts, because=facts.worse_alone, quarantine=facts.worse_alone)


def _guarded(rollout: Rollout, facts: Facts) -> Answer:
    if not facts.guard or rollout.stage in NOT_BEGUN:
        return None
    return back(rollout, facts, because=facts.guard, quarantine=facts.guard)


def _gates_failed(rollout: Rollout, facts: Facts) -> Answer:
    if not facts.failed or not facts.endpoint.traffic.get(rollout.candidate):
        return None
    return back(rollout, facts, because=facts.refused)


def _unsure(rollout: Rollout, facts: Facts) -> Answer:
    """Hold where something is amiss, and it is not shown that the candidate is to blame."""
    unsure = facts.unsure_alone if rollout.stage is Stage.WATCHING else ""
    because = unsure or facts.crowded
    if not because or rollout.stage not in RUNNING or rollout.unjudged:
        return None
    return move(rollout, Move.HOLD, because=because, leave=True)


def _stable_lost(rollout: Rollout, facts: Facts) -> Answer:
    ill = stable_ill(rollout, facts)
    if not ill or rollout.stage in (Stage.HELD, Stage.WATCHING):
        return None
    because = f"{ill}: nothing could take the requests back from the candidate"
    return move(rollout, Move.HOLD, because=because, leave=True)


def _changed_by_others(rollout: Rollout, facts: Facts) -> Answer:
    expected = traffic_of(rollout, facts.endpoint)
    if rollout.stage is Stage.HELD or facts.endpoint.traffic == expected:
        return None
    because = (
        f"the traffic is {describe(facts.endpoint.traffic)} and not {describe(expected)}: "
        "something else changed it"
    )
    return move(rollout, Move.HOLD, because=because, leave=True)


def _gates_closed(rollout: Rollout, facts: Facts) -> Answer:
    if not facts.refused or rollout.stage is Stage.HELD:
        return None
    return move(rollout, Move.HOLD, because=facts.refused, leave=True)


def _stopped(rollout: Rollout, facts: Facts) -> Answer:
    if not facts.stopped or rollout.stage is Stage.HELD:
        return None
    return stay(rollout, because=facts.stopped, waits_for=(facts.stopped,))


def _clock_jumped(rollout: Rollout, facts: Facts) -> Answer:
    if not facts.jumped_s or rollout.stage is Stage.HELD:
        return None
    seconds = f"{abs(facts.jumped_s):,.0f} s"
    what = f"nobody looked for {seconds}, or the clock went ahead"
    if facts.jumped_s < 0:
        what = f"the clock was set back by {seconds}"
    because = f"{what}: that time does not count, and nothing moves on its account"
    return stay(rollout, because=because, noted=True)


def _unseen(rollout: Rollout, facts: Facts) -> Answer:
    if rollout.stage not in RUNNING:
        return None
    if facts.blind:
        return stay(rollout, because=facts.blind, waits_for=(f"all records: {facts.blind}",))
    if facts.gap:
        because = f"{facts.gap}: what they held is not known, and this share begins anew"
        return stay(rollout, because=because, waits_for=(because,), noted=True)
    return None


def _is_late(rollout: Rollout, facts: Facts) -> bool:
    """Whether the time for evidence is over; that in which it is only watched comes on top."""
    watch_s = rollout.plan.watch_s if rollout.stage is Stage.WATCHING else 0.0
    passed_s = rollout.running_s + facts.watched_s
    return rollout.stage in RUNNING and passed_s > rollout.plan.longest_s + watch_s


def _progress(rollout: Rollout, facts: Facts) -> RolloutDecision:
    found = _unseen(rollout, facts) or PROGRESS[rollout.stage](rollout, facts)
    if found.move is not Move.STAY or not _is_late(rollout, facts):
        return found
    because = (
        f"inconclusive after {rollout.plan.longest_s:,.0f} s; "
        f"what is missing: {'; '.join(found.waits_for)}"
    )
    if rollout.plan.on_inconclusive == "roll-back":
        return back(rollout, facts, because=because)
    return move(rollout, Move.HOLD, because=because, leave=True, waits_for=found.waits_for)


RULES: Final[tuple[Callable[[Rollout, Facts], Answer], ...]] = (
    _ended,
    _candidate_gone,
    _candidate_ill,
    _ordered,
    _judged_worse,
    _shadow_worse,
    _worse_alone,
    _guarded,
    _gates_failed,
    _unsure,
    _stable_lost,
    _changed_by_others,
    _gates_closed,
    _stopped,
    _clock_jumped,
    _progress,
)
