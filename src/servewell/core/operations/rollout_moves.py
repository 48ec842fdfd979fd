"""The moves of a rollout: the table, the facts that they depend on, and what a decision is."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from servewell.core.catalog.endpoint import BP_FULL, Deployment, Endpoint
from servewell.core.catalog.judgement import Judgement
from servewell.core.catalog.rollout import Rollout, Stage, Strategy
from servewell.core.operations.quarantine import decide_withdrawal
from servewell.core.operations.traffic import describe

NOT_BEGUN: Final = frozenset({Stage.PROPOSED, Stage.WAITING})
# The candidate is a deployment, and `longest_s` bounds the time.
RUNNING: Final = frozenset({Stage.WARMING, Stage.SHADOWING, Stage.SHIFTING, Stage.WATCHING})


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """Everything that the next move depends on."""

    endpoint: Endpoint  # as it is
    watched_s: float = 0.0  # since the last look, 0 where the clock jumped or nothing is answered
    jumped_s: float = 0.0  # by which the clock is off what was expected; 0 for not at all
    quiet_s: float = 0.0  # since the last record of the endpoint
    requests: int = 0  # that the candidate has got so far
    judgement: Judgement | None = None
    shadow_worse: str = ""  # why the shadow is not what it should be
    shadow_missing: tuple[str, ...] = ()  # what a comparison still waits for
    unready: tuple[str, ...] = ()  # what workers lack to serve the candidate
    worse_alone: str = ""  # why it is not good enough, now that it has all requests
    unsure_alone: str = ""  # why it may not be, where too little is known of the stable one
    guard: str = ""  # what takes the candidate back whatever the strategy
    crowded: str = ""  # why there is too little room for more, though it is not to blame
    memory_bytes: int = 0  # of the largest worker
    stopped: str = ""  # why the endpoint is answered by no deployment
    blind: str = ""  # why the records could not be read
    gap: str = ""  # which records are missing since the last look
    closed: str = ""  # the window, open now, in which no change is allowed
    refused: str = ""  # why the gates do not let the candidate through
    failed: bool = False  # whether that is because it failed them
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


def back(rollout: Rollout, facts: Facts, *, because: str, quarantine: str = "") -> RolloutDecision:
    """Return the decision to give all requests back, unless the stable one is ill too."""
    ill = stable_ill(rollout, facts)
    if ill:
        because = f"{because}; {ill}: the requests {_left(rollout, facts, quarantine)}"
    return move(rollout, Move.ROLL_BACK, because=because, leave=bool(ill), quarantine=quarantine)


def _left(rollout: Rollout, facts: Facts, quarantine: str) -> str:
    """Return what becomes of the requests where the stable one cannot take them back."""
    candidate = deployment_in(facts, rollout.candidate)
    if candidate is None or not quarantine:
        return f"stay with {describe(facts.endpoint.traffic)}"
    after = decide_withdrawal(
        facts.endpoint, candidate.package, trial=candidate.trial, because=quarantine
    )
    return f"go to {describe(after.endpoint.traffic)}"


def wait(rollout: Rollout, *missing: str) -> RolloutDecision:
    """Return the decision to stay, and what is missing for more."""
    return stay(rollout, because=f"it waits for {'; '.join(missing)}", waits_for=missing)


def unjudged(rollout: Rollout) -> bool:
    """Whether the judge is not asked."""
    return rollout.unjudged or rollout.plan.strategy is Strategy.ROLLING


def consented(rollout: Rollout) -> bool:
    """Whether a person has consented to the promotion."""
    return any(one.of is not Stage.PROPOSED for one in rollout.approvals)


def deployment_in(facts: Facts, name: str) -> Deployment | None:
    """Return a deployment of the endpoint, or None."""
    return next((one for one in facts.endpoint.deployments if one.name == name), None)


def has_all(rollout: Rollout, endpoint: Endpoint) -> bool:
    """Whether the candidate gets all requests."""
    return endpoint.traffic.get(rollout.candidate) == BP_FULL


def stable_ill(rollout: Rollout, facts: Facts) -> str:
    """Return why the stable deployment cannot take the requests back, or an empty text."""
    stable = deployment_in(facts, rollout.stable)
    if stable is None:
        return f"`{rollout.stable}` is no deployment any more"
    return stable.quarantined and f"`{stable.name}` is in quarantine: {stable.quarantined}"
