"""Decide the next move of a rollout.

A rollout is a state machine: `Stage` names the states, `MOVES` is the whole table, and `decide`
picks the one move to make now. Its rules are asked in order, and the first that has an answer wins:
what is unsafe before what a person wants, and both before progress.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from servewell.core.catalog.endpoint import BP_FULL, Deployment, Endpoint
from servewell.core.catalog.judgement import Judgement, Verdict
from servewell.core.catalog.rollout import Rollout, Stage, Strategy
from servewell.core.operations.traffic import describe, percent
from servewell.errors import ServewellError

WARM_WITHIN_S: Final = 300.0  # that workers may take to load a candidate
QUIET_S: Final = 30.0  # without a record, after which no share grows
NOT_BEGUN: Final = frozenset({Stage.PROPOSED, Stage.WAITING})
TIMED: Final = frozenset({Stage.WARMING, Stage.SHADOWING, Stage.SHIFTING})  # by `longest_s`
RUNNING: Final = TIMED | {Stage.WATCHING}  # the candidate is a deployment
STEP_REQUESTS: Final = 20  # that a candidate answers at each share before it gets more


class Move(StrEnum):
    """What is done with a rollout."""

    STAY = "stay"
    APPROVE = "approve"  # a person consents, or nobody has to
    WARM = "warm"  # let workers load the candidate
    SHADOW = "shadow"  # send it copies
    SHIFT = "shift"  # give it the share of a step
    TAKE_ALL = "take all"  # give it all traffic
    FINISH = "finish"
    HOLD = "hold"
    RESTART = "restart"  # from the beginning, where it has no traffic
    ROLL_BACK = "roll back"
    CANCEL = "cancel"


# What may be done in each stage, and where that leads.
MOVES: Final[Mapping[Stage, Mapping[Move, Stage]]] = {
    Stage.PROPOSED: {
        Move.APPROVE: Stage.WAITING,
        Move.HOLD: Stage.HELD,
        Move.ROLL_BACK: Stage.ROLLED_BACK,
        Move.CANCEL: Stage.CANCELLED,
    },
    Stage.WAITING: {
        Move.WARM: Stage.WARMING,
        Move.HOLD: Stage.HELD,
        Move.ROLL_BACK: Stage.ROLLED_BACK,
        Move.CANCEL: Stage.CANCELLED,
    },
    Stage.WARMING: {
        Move.SHADOW: Stage.SHADOWING,
        Move.SHIFT: Stage.SHIFTING,
        Move.TAKE_ALL: Stage.WATCHING,
        Move.HOLD: Stage.HELD,
        Move.ROLL_BACK: Stage.ROLLED_BACK,
        Move.CANCEL: Stage.CANCELLED,
    },
    Stage.SHADOWING: {
        Move.SHIFT: Stage.SHIFTING,
        Move.TAKE_ALL: Stage.WATCHING,
        Move.HOLD: Stage.HELD,
        Move.ROLL_BACK: Stage.ROLLED_BACK,
        Move.CANCEL: Stage.CANCELLED,
    },
    Stage.SHIFTING: {
        Move.SHIFT: Stage.SHIFTING,
        Move.TAKE_ALL: Stage.WATCHING,
        Move.HOLD: Stage.HELD,
        Move.ROLL_BACK: Stage.ROLLED_BACK,
        Move.CANCEL: Stage.CANCELLED,
    },
    Stage.WATCHING: {
        Move.FINISH: Stage.PROMOTED,
        Move.HOLD: Stage.HELD,
        Move.ROLL_BACK: Stage.ROLLED_BACK,
        Move.CANCEL: Stage.CANCELLED,
    },
    Stage.HELD: {
        Move.RESTART: Stage.PROPOSED,
        Move.SHIFT: Stage.SHIFTING,
        Move.TAKE_ALL: Stage.WATCHING,
        Move.ROLL_BACK: Stage.ROLLED_BACK,
        Move.CANCEL: Stage.CANCELLED,
    },
    Stage.PROMOTED: {},
    Stage.ROLLED_BACK: {},
    Stage.CANCELLED: {},
}


class Order(StrEnum):
    """What a person wants of a rollout."""

    APPROVE = "approve"
    PROMOTE = "promote"  # all traffic now; no judge is asked, the gates are
    HOLD = "hold"
    RESUME = "resume"
    CANCEL = "cancel"
    ROLL_BACK = "roll back"
    QUARANTINE = "quarantine"  # roll back, and do not run the candidate again


class OrderRefusedError(ServewellError):
    """What a person wants of a rollout is not possible where it stands."""

    code = "SW-231"


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """Everything that the next move depends on."""

    endpoint: Endpoint  # as it is
    watched_s: float = 0.0  # since the last look, 0 where the clock jumped
    jumped_s: float = 0.0  # by which the clock is off what was expected; 0 for not at all
    quiet_s: float = 0.0  # since the last record of the endpoint
    requests: int = 0  # that the candidate has got so far
    judgement: Judgement | None = None
    shadow_worse: str = ""  # why the shadow is not what it should be
    shadow_missing: tuple[str, ...] = ()  # what a comparison still waits for
    unready: tuple[str, ...] = ()  # what workers lack to serve the candidate
    guard: str = ""  # what takes the candidate back whatever the strategy
    blind: str = ""  # why the records could not be read
    closed: str = ""  # the window, open now, in which no change is allowed
    refused: str = ""  # why the gates do not let the candidate through
    order: Order | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RolloutDecision:
    """The one move to make, and where it leads.

    Shares are basis points of the requests; None leaves the traffic as it is.
    """

    move: Move
    stage: Stage
    step: int
    because: str
    candidate_bp: int | None = None
    shadow_bp: int = 0  # of the live requests that is copied
    waits_for: tuple[str, ...] = ()
    quarantine: str = ""  # why the candidate is not run again
    consent: bool = False  # an approval is to be kept
    unjudged: bool = False  # from now on only hard guards count
    noted: bool = False  # belongs in the history, though nothing moves


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


Answer = RolloutDecision | None


def _ended(rollout: Rollout, _: Facts) -> Answer:
    return stay(rollout, because="it has ended") if rollout.ended else None


def _candidate_gone(rollout: Rollout, facts: Facts) -> Answer:
    if rollout.stage not in RUNNING or _deployment(facts, rollout.candidate):
        return None
    because = f"`{rollout.candidate}` is no deployment of `{rollout.endpoint}` any more"
    return move(rollout, Move.CANCEL, because=because, leave=True)


def _candidate_ill(rollout: Rollout, facts: Facts) -> Answer:
    candidate = _deployment(facts, rollout.candidate)
    if candidate is None or not candidate.quarantined or rollout.stage in NOT_BEGUN:
        return None
    because = f"`{rollout.candidate}` is in quarantine: {candidate.quarantined}"
    return _back(rollout, facts, because=because, quarantine=candidate.quarantined)


def _ordered(rollout: Rollout, facts: Facts) -> Answer:
    return None if facts.order is None else ORDERS[facts.order](rollout, facts)


def _judged_worse(rollout: Rollout, facts: Facts) -> Answer:
    judgement = facts.judgement
    if judgement is None or judgement.verdict is not Verdict.ROLL_BACK or _unjudged(rollout):
        return None
    if not facts.endpoint.traffic.get(rollout.candidate):
        return None
    return _back(rollout, facts, because=judgement.because, quarantine=judgement.because)


def _shadow_worse(rollout: Rollout, facts: Facts) -> Answer:
    if rollout.stage is not Stage.SHADOWING or not facts.shadow_worse:
        return None
    return _back(rollout, facts, because=facts.shadow_worse, quarantine=facts.shadow_worse)


def _guarded(rollout: Rollout, facts: Facts) -> Answer:
    if not facts.guard or rollout.stage in NOT_BEGUN:
        return None
    return _back(rollout, facts, because=facts.guard, quarantine=facts.guard)


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


def _clock_jumped(rollout: Rollout, facts: Facts) -> Answer:
    if not facts.jumped_s:
        return None
    way = "back" if facts.jumped_s < 0 else "ahead, or nobody looked,"
    because = (
        f"the clock went {way} by {abs(facts.jumped_s):,.0f} s: that time does not count, "
        "and nothing moves on its account"
    )
    return stay(rollout, because=because, noted=True)


def _blind(rollout: Rollout, facts: Facts) -> Answer:
    if not facts.blind or rollout.stage not in RUNNING:
        return None
    return stay(rollout, because=facts.blind, waits_for=("records that can be read",))


def _progress(rollout: Rollout, facts: Facts) -> RolloutDecision:
    found = PROGRESS[rollout.stage](rollout, facts)
    late = rollout.running_s + facts.watched_s > rollout.plan.longest_s
    if found.move is not Move.STAY or not late or rollout.stage not in TIMED:
        return found
    because = (
        f"inconclusive after {rollout.plan.longest_s:,.0f} s; "
        f"what is missing: {'; '.join(found.waits_for)}"
    )
    if rollout.plan.on_inconclusive == "roll-back":
        return _back(rollout, facts, because=because)
    return move(rollout, Move.HOLD, because=because, leave=True, waits_for=found.waits_for)


RULES: Final[tuple[Callable[[Rollout, Facts], Answer], ...]] = (
    _ended,
    _candidate_gone,
    _candidate_ill,
    _ordered,
    _judged_worse,
    _shadow_worse,
    _guarded,
    _changed_by_others,
    _gates_closed,
    _clock_jumped,
    _blind,
    _progress,
)


# What happens by itself in each stage.


def _proposed(rollout: Rollout, _: Facts) -> RolloutDecision:
    if rollout.plan.approval in ("start", "both"):
        given = [one for one in rollout.approvals if one.of is Stage.PROPOSED]
        if not given:
            return _wait(rollout, "the approval of a person, to begin")
        return move(rollout, Move.APPROVE, because=f"approved by {given[-1].principal}")
    return move(rollout, Move.APPROVE, because="no approval is asked for")


def _waiting(rollout: Rollout, facts: Facts) -> RolloutDecision:
    if facts.closed:
        return _wait(rollout, _opening(facts))
    return move(rollout, Move.WARM, because=f"workers load {rollout.candidate_version}")


def _warming(rollout: Rollout, facts: Facts) -> RolloutDecision:
    if facts.unready:
        lacking = "; ".join(facts.unready)
        if rollout.stage_s + facts.watched_s < WARM_WITHIN_S:
            return _wait(rollout, *facts.unready)
        because = f"the workers were not ready after {WARM_WITHIN_S:.0f} s: {lacking}"
        return _back(rollout, facts, because=because)
    if rollout.plan.strategy is Strategy.BLUE_GREEN:
        return _promotion(rollout, facts, because="every worker has it, and it answers its example")
    if rollout.plan.strategy is Strategy.SHADOW_THEN_CANARY:
        because = (
            f"every worker has it: {percent(rollout.plan.shadow_bp)} of the requests is copied"
        )
        return move(rollout, Move.SHADOW, because=because)
    return _shift(rollout, facts, step=0, because="every worker has it")


def _shadowing(rollout: Rollout, facts: Facts) -> RolloutDecision:
    if facts.shadow_missing:
        return _wait(rollout, *facts.shadow_missing)
    return _shift(rollout, facts, step=0, because="its copies were answered as they should be")


def _shifting(rollout: Rollout, facts: Facts) -> RolloutDecision:
    last = rollout.step + 1 >= len(rollout.plan.steps_bp)
    missing = [*_too_young(rollout, facts, rollout.plan.step_s), *_unshown(rollout, facts, last)]
    if missing:
        return _wait(rollout, *missing)
    because = _shown(rollout, facts)
    if last:
        return _promotion(rollout, facts, because=because)
    return _shift(rollout, facts, step=rollout.step + 1, because=because)


def _watching(rollout: Rollout, facts: Facts) -> RolloutDecision:
    if missing := _too_young(rollout, facts, rollout.plan.watch_s):
        return _wait(rollout, *missing)
    because = f"nothing spoke against it for {rollout.plan.watch_s:,.0f} s with all requests"
    return move(rollout, Move.FINISH, because=because)


def _held(rollout: Rollout, _: Facts) -> RolloutDecision:
    return stay(
        rollout,
        because=rollout.because,
        waits_for=("a person who resumes, promotes or cancels it",),
    )


PROGRESS: Final[Mapping[Stage, Callable[[Rollout, Facts], RolloutDecision]]] = {
    Stage.PROPOSED: _proposed,
    Stage.WAITING: _waiting,
    Stage.WARMING: _warming,
    Stage.SHADOWING: _shadowing,
    Stage.SHIFTING: _shifting,
    Stage.WATCHING: _watching,
    Stage.HELD: _held,
}


# What a person may order.


def _approve(rollout: Rollout, facts: Facts) -> RolloutDecision:
    if rollout.stage is Stage.PROPOSED and rollout.plan.approval in ("start", "both"):
        return move(rollout, Move.APPROVE, because="approved to begin", consent=True)
    if rollout.plan.approval in ("promotion", "both") and not _consented(rollout):
        del facts
        because = "its promotion is approved"
        return stay(rollout, because=because, consent=True, noted=True)
    raise _refused(rollout, Order.APPROVE, why="nothing of it waits for an approval")


def _promote(rollout: Rollout, facts: Facts) -> RolloutDecision:
    if Move.TAKE_ALL not in MOVES[rollout.stage]:
        why = f"it is {rollout.stage.value}, where the candidate cannot take all requests"
        raise _refused(rollout, Order.PROMOTE, why=why)
    for why in (facts.refused, *facts.unready):
        if why:
            raise _refused(rollout, Order.PROMOTE, why=why)
    because = "a person promoted it; from now on only hard guards count"
    return move(rollout, Move.TAKE_ALL, because=because, unjudged=True)


def _hold(rollout: Rollout, facts: Facts) -> RolloutDecision:
    del facts
    if rollout.stage is Stage.HELD:
        raise _refused(rollout, Order.HOLD, why="it is held already")
    return move(rollout, Move.HOLD, because="a person holds it", leave=True)


def _resume(rollout: Rollout, facts: Facts) -> RolloutDecision:
    if rollout.stage is not Stage.HELD:
        raise _refused(rollout, Order.RESUME, why="it is not held")
    share_bp = facts.endpoint.traffic.get(rollout.candidate, 0)
    if share_bp == 0:
        return move(rollout, Move.RESTART, because="a person resumed it")
    for why in (facts.refused, *facts.unready):
        if why:
            raise _refused(rollout, Order.RESUME, why=why)
    because = f"a person resumed it, at {percent(share_bp)}"
    if share_bp == BP_FULL:
        return move(rollout, Move.TAKE_ALL, because=because, leave=True)
    return move(rollout, Move.SHIFT, because=because, step=rollout.step)


def _cancel(rollout: Rollout, facts: Facts) -> RolloutDecision:
    because = f"a person cancelled it; the requests go to `{rollout.stable}`"
    return move(rollout, Move.CANCEL, because=because, leave=_stable_ill(rollout, facts))


def _roll_back(rollout: Rollout, facts: Facts) -> RolloutDecision:
    return _back(rollout, facts, because="a person rolled it back")


def _quarantine(rollout: Rollout, facts: Facts) -> RolloutDecision:
    because = "a person rolled it back"
    return _back(rollout, facts, because=because, quarantine=because)


ORDERS: Final[Mapping[Order, Callable[[Rollout, Facts], RolloutDecision]]] = {
    Order.APPROVE: _approve,
    Order.PROMOTE: _promote,
    Order.HOLD: _hold,
    Order.RESUME: _resume,
    Order.CANCEL: _cancel,
    Order.ROLL_BACK: _roll_back,
    Order.QUARANTINE: _quarantine,
}


# Moves, and what they rest on.


def share_of(rollout: Rollout, stage: Stage, step: int) -> int:
    """Return the candidate's share in a stage that is not HELD, in basis points."""
    if stage is Stage.SHIFTING:
        return rollout.plan.steps_bp[step]
    return BP_FULL if stage in (Stage.WATCHING, Stage.PROMOTED) else 0


def traffic_of(rollout: Rollout, endpoint: Endpoint) -> dict[str, int]:
    """Return the traffic that a rollout, not held, left behind; in the order of the endpoint."""
    share_bp = share_of(rollout, rollout.stage, rollout.step)
    shares = {rollout.stable: BP_FULL - share_bp, rollout.candidate: share_bp}
    names = [one.name for one in endpoint.deployments if one.name in shares]
    return {name: shares[name] for name in names if shares[name]}


def move(  # noqa: PLR0913 - the fields of a decision, each optional
    rollout: Rollout,
    way: Move,
    *,
    because: str,
    step: int | None = None,
    leave: bool = False,
    waits_for: tuple[str, ...] = (),
    quarantine: str = "",
    consent: bool = False,
    unjudged: bool = False,
) -> RolloutDecision:
    """Return the decision to make a move of the table; `leave` lets the traffic be."""
    stage = MOVES[rollout.stage][way]
    step = rollout.step if step is None else step
    return RolloutDecision(
        move=way,
        stage=stage,
        step=step,
        because=because,
        candidate_bp=None if leave else share_of(rollout, stage, step),
        shadow_bp=rollout.plan.shadow_bp if stage is Stage.SHADOWING else 0,
        waits_for=waits_for,
        quarantine=quarantine,
        consent=consent,
        unjudged=unjudged,
        noted=True,
    )


def stay(
    rollout: Rollout,
    *,
    because: str,
    waits_for: tuple[str, ...] = (),
    consent: bool = False,
    noted: bool = False,
) -> RolloutDecision:
    """Return the decision to leave a rollout where it is."""
    return RolloutDecision(
        move=Move.STAY,
        stage=rollout.stage,
        step=rollout.step,
        because=because,
        shadow_bp=rollout.plan.shadow_bp if rollout.stage is Stage.SHADOWING else 0,
        waits_for=waits_for,
        consent=consent,
        noted=noted,
    )


def _back(rollout: Rollout, facts: Facts, *, because: str, quarantine: str = "") -> RolloutDecision:
    leave = _stable_ill(rollout, facts)
    return move(rollout, Move.ROLL_BACK, because=because, leave=leave, quarantine=quarantine)


def _shift(rollout: Rollout, facts: Facts, *, step: int, because: str) -> RolloutDecision:
    if facts.closed:
        return _wait(rollout, _opening(facts))
    share = percent(rollout.plan.steps_bp[step])
    return move(rollout, Move.SHIFT, step=step, because=f"{because}: it gets {share}")


def _promotion(rollout: Rollout, facts: Facts, *, because: str) -> RolloutDecision:
    missing = [_opening(facts)] if facts.closed else []
    if rollout.plan.approval in ("promotion", "both") and not _consented(rollout):
        missing.append("the approval of a person, to promote it")
    if missing:
        return _wait(rollout, *missing)
    return move(rollout, Move.TAKE_ALL, because=f"{because}: it gets all requests")


def _wait(rollout: Rollout, *missing: str) -> RolloutDecision:
    return stay(rollout, because=f"it waits for {'; '.join(missing)}", waits_for=missing)


def _opening(facts: Facts) -> str:
    return f"the end of `{facts.closed}`, during which nothing is to change"


def _too_young(rollout: Rollout, facts: Facts, least_s: float) -> list[str]:
    left_s = least_s - rollout.stage_s - facts.watched_s
    return [f"{left_s:,.0f} s more at this share"] if left_s > 0 else []


def _unshown(rollout: Rollout, facts: Facts, last: bool) -> list[str]:  # noqa: FBT001 - of two steps, the last
    """Return what a judge still has to be shown before the share may grow."""
    if _unjudged(rollout):
        return []
    if facts.judgement is None:
        return ["evidence: the judge has no data"]
    if facts.quiet_s > QUIET_S:
        return [f"requests: no record came for {facts.quiet_s:,.0f} s"]
    if (lacking := STEP_REQUESTS + rollout.stage_requests - facts.requests) > 0:
        return [f"{lacking} requests more at this share"]
    if last and facts.judgement.verdict is not Verdict.PROMOTE:
        return list(facts.judgement.missing) or [facts.judgement.because]
    return []


def _shown(rollout: Rollout, facts: Facts) -> str:
    if _unjudged(rollout) or facts.judgement is None:
        return f"{rollout.plan.step_s:,.0f} s passed, and no hard guard spoke"
    return facts.judgement.because


def _unjudged(rollout: Rollout) -> bool:
    return rollout.unjudged or rollout.plan.strategy is Strategy.ROLLING


def _consented(rollout: Rollout) -> bool:
    return any(one.of is not Stage.PROPOSED for one in rollout.approvals)


def _deployment(facts: Facts, name: str) -> Deployment | None:
    return next((one for one in facts.endpoint.deployments if one.name == name), None)


def _stable_ill(rollout: Rollout, facts: Facts) -> bool:
    stable = _deployment(facts, rollout.stable)
    return stable is None or bool(stable.quarantined)


def _refused(rollout: Rollout, order: Order, *, why: str) -> OrderRefusedError:
    return OrderRefusedError(
        f"The rollout of `{rollout.endpoint}` cannot {order.value} now."
        if order is Order.RESUME
        else f"The rollout of `{rollout.endpoint}` takes no `{order.value}` now.",
        why=why,
        fix=f"`servewell rollouts show {rollout.endpoint}` says where it stands and what is next",
    )
