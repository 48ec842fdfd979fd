"""What happens by itself at each stage of a rollout that nothing speaks against."""

from collections.abc import Callable, Mapping
from typing import Final

from servewell.core.catalog.judgement import Verdict
from servewell.core.catalog.rollout import Rollout, Stage, Strategy
from servewell.core.operations.rollout_moves import (
    Facts,
    Move,
    RolloutDecision,
    back,
    consented,
    move,
    stay,
    unjudged,
    wait,
)
from servewell.core.operations.traffic import percent

WARM_WITHIN_S: Final = 300.0  # that workers may take to load a candidate
QUIET_S: Final = 30.0  # without a record, after which no share grows
STEP_REQUESTS: Final = 20  # that a candidate answers at each share before it gets more


def _proposed(rollout: Rollout, _: Facts) -> RolloutDecision:
    if rollout.plan.approval in ("start", "both"):
        given = [one for one in rollout.approvals if one.of is Stage.PROPOSED]
        if not given:
            return wait(rollout, "the approval of a person, to begin")
        return move(rollout, Move.APPROVE, because=f"approved by {given[-1].principal}")
    return move(rollout, Move.APPROVE, because="no approval is asked for")


def _waiting(rollout: Rollout, facts: Facts) -> RolloutDecision:
    if facts.closed:
        return wait(rollout, _opening(facts))
    return move(rollout, Move.WARM, because=f"workers load {rollout.candidate_version}")


def _warming(rollout: Rollout, facts: Facts) -> RolloutDecision:
    if facts.unready:
        lacking = "; ".join(facts.unready)
        if rollout.stage_s + facts.watched_s < WARM_WITHIN_S:
            return wait(rollout, *facts.unready)
        because = f"the workers were not ready after {WARM_WITHIN_S:.0f} s: {lacking}"
        return back(rollout, facts, because=because)
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
        return wait(rollout, *facts.shadow_missing)
    return _shift(rollout, facts, step=0, because="its copies were answered as they should be")


def _shifting(rollout: Rollout, facts: Facts) -> RolloutDecision:
    last = rollout.step + 1 >= len(rollout.plan.steps_bp)
    missing = [
        *_too_young(rollout, facts, rollout.plan.step_min_s),
        *_unshown(rollout, facts, last),
    ]
    if missing:
        return wait(rollout, *missing)
    because = _shown(rollout, facts)
    if last:
        return _promotion(rollout, facts, because=because)
    return _shift(rollout, facts, step=rollout.step + 1, because=because)


def _watching(rollout: Rollout, facts: Facts) -> RolloutDecision:
    if missing := [*_too_young(rollout, facts, rollout.plan.watch_s), *_untried(rollout, facts)]:
        return wait(rollout, *missing)
    because = f"nothing spoke against it for {rollout.plan.watch_s:,.0f} s with all requests"
    return move(rollout, Move.FINISH, because=because)


def _held(rollout: Rollout, _: Facts) -> RolloutDecision:
    return stay(
        rollout,
        because=rollout.because,
        waits_for=("a person who resumes, promotes or cancels it",),
    )


def _shift(rollout: Rollout, facts: Facts, *, step: int, because: str) -> RolloutDecision:
    if facts.closed:
        return wait(rollout, _opening(facts))
    share = percent(rollout.plan.steps_bp[step])
    return move(rollout, Move.SHIFT, step=step, because=f"{because}: it gets {share}")


def _promotion(rollout: Rollout, facts: Facts, *, because: str) -> RolloutDecision:
    missing = [_opening(facts)] if facts.closed else []
    if rollout.plan.approval in ("promotion", "both") and not consented(rollout):
        missing.append("the approval of a person, to promote it")
    if missing:
        return wait(rollout, *missing)
    return move(rollout, Move.TAKE_ALL, because=f"{because}: it gets all requests")


def _opening(facts: Facts) -> str:
    return f"the end of `{facts.closed}`, during which nothing is to change"


def _too_young(rollout: Rollout, facts: Facts, least_s: float) -> list[str]:
    left_s = least_s - rollout.stage_s - facts.watched_s
    return [f"{left_s:,.0f} s more at this share"] if left_s > 0 else []


def _unshown(rollout: Rollout, facts: Facts, last: bool) -> list[str]:  # noqa: FBT001 - of two steps, the last
    """Return what a judge still has to be shown before the share may grow."""
    if unjudged(rollout):
        return []
    if facts.judgement is None:
        return ["evidence: the judge has no data"]
    if untried := _quiet(facts) or _too_few(rollout, facts, STEP_REQUESTS):
        return untried
    if last and facts.judgement.verdict is not Verdict.PROMOTE:
        return list(facts.judgement.missing) or [facts.judgement.because]
    return []


def _untried(rollout: Rollout, facts: Facts) -> list[str]:
    """Return what the candidate still has to do with all requests; nothing on a person's word."""
    if rollout.unjudged or not rollout.plan.watch_s:
        return []
    judged = rollout.plan.strategy in (Strategy.CANARY, Strategy.SHADOW_THEN_CANARY)
    least = STEP_REQUESTS if judged else rollout.plan.requests_min
    return [*_quiet(facts), *_too_few(rollout, facts, least)]


def _quiet(facts: Facts) -> list[str]:
    if facts.quiet_s <= QUIET_S:
        return []
    return [f"requests: no record came for {facts.quiet_s:,.0f} s"]


def _too_few(rollout: Rollout, facts: Facts, least: int) -> list[str]:
    lacking = least + rollout.stage_requests - facts.requests
    return [f"{lacking:,} requests more at this share"] if lacking > 0 else []


def _shown(rollout: Rollout, facts: Facts) -> str:
    if unjudged(rollout) or facts.judgement is None:
        return f"{rollout.plan.step_min_s:,.0f} s passed, and no hard guard spoke"
    return facts.judgement.because


PROGRESS: Final[Mapping[Stage, Callable[[Rollout, Facts], RolloutDecision]]] = {
    Stage.PROPOSED: _proposed,
    Stage.WAITING: _waiting,
    Stage.WARMING: _warming,
    Stage.SHADOWING: _shadowing,
    Stage.SHIFTING: _shifting,
    Stage.WATCHING: _watching,
    Stage.HELD: _held,
}
