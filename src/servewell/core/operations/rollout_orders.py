"""What a person may order of a rollout."""

from collections.abc import Callable, Mapping
from typing import Final

from servewell.core.catalog.endpoint import BP_FULL
from servewell.core.catalog.rollout import Rollout, Stage
from servewell.core.operations.rollout_moves import (
    MOVES,
    Facts,
    Move,
    Order,
    RolloutDecision,
    back,
    consented,
    deployment_in,
    move,
    stable_ill,
    stay,
)
from servewell.core.operations.traffic import describe, percent
from servewell.errors import ServewellError


class OrderRefusedError(ServewellError):
    """What a person wants of a rollout is not possible where it stands."""

    code = "SW-231"


def _approve(rollout: Rollout, facts: Facts) -> RolloutDecision:
    if rollout.stage is Stage.PROPOSED and rollout.plan.approval in ("start", "both"):
        return move(rollout, Move.APPROVE, because="approved to begin", consent=True)
    if rollout.stage is Stage.PROPOSED:
        why = "nothing of it waits for an approval yet; its promotion is approved once it has begun"
        raise _refused(rollout, Order.APPROVE, why=why)
    if rollout.plan.approval in ("promotion", "both") and not consented(rollout):
        del facts
        because = "its promotion is approved"
        return stay(rollout, because=because, consent=True, noted=True)
    raise _refused(rollout, Order.APPROVE, why="nothing of it waits for an approval")


def _promote(rollout: Rollout, facts: Facts) -> RolloutDecision:
    if Move.TAKE_ALL not in MOVES[rollout.stage]:
        why = f"it is {rollout.stage.value}, where the candidate cannot take all requests"
        raise _refused(rollout, Order.PROMOTE, why=why)
    if deployment_in(facts, rollout.candidate) is None:
        raise _refused(rollout, Order.PROMOTE, why="no worker was told to load the candidate yet")
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
    ill = stable_ill(rollout, facts)
    left = f"{ill}: the requests stay with {describe(facts.endpoint.traffic)}"
    because = f"a person cancelled it; {left if ill else f'the requests go to `{rollout.stable}`'}"
    return move(rollout, Move.CANCEL, because=because, leave=bool(ill))


def _roll_back(rollout: Rollout, facts: Facts) -> RolloutDecision:
    return back(rollout, facts, because="a person rolled it back")


def _quarantine(rollout: Rollout, facts: Facts) -> RolloutDecision:
    because = "a person rolled it back"
    return back(rollout, facts, because=because, quarantine=because)


def _refused(rollout: Rollout, order: Order, *, why: str) -> OrderRefusedError:
    return OrderRefusedError(
        f"The rollout of `{rollout.endpoint}` cannot {order.value} now."
        if order is Order.RESUME
        else f"The rollout of `{rollout.endpoint}` takes no `{order.value}` now.",
        why=why,
        fix=f"`servewell rollouts show {rollout.endpoint}` says where it stands and what is next",
    )


ORDERS: Final[Mapping[Order, Callable[[Rollout, Facts], RolloutDecision]]] = {
    Order.APPROVE: _approve,
    Order.PROMOTE: _promote,
    Order.HOLD: _hold,
    Order.RESUME: _resume,
    Order.CANCEL: _cancel,
    Order.ROLL_BACK: _roll_back,
    Order.QUARANTINE: _quarantine,
}
