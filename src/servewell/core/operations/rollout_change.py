"""What a decision makes of a rollout and of its endpoint."""

from dataclasses import replace
from typing import Final

from servewell.core.catalog.endpoint import BP_FULL, Deployment, Endpoint, Shadow
from servewell.core.catalog.model import ModelVersion
from servewell.core.catalog.rollout import ENDED, Approval, Rollout, Stage
from servewell.core.operations.quarantine import decide_withdrawal
from servewell.core.operations.rollout_moves import RUNNING, Facts, Move, RolloutDecision
from servewell.core.operations.traffic import retired, with_shares, with_version

LOOK_MAX_S: Final = 30.0  # between two looks, so that the time between them counts
BACK_MAX_S: Final = 1.0  # that a clock may be set back by those who keep it right


def watched(looked_at: float, now: float) -> tuple[float, float]:
    """Return the seconds that count since the last look, and those by which the clock is off.

    One of the two is 0. Time in which nobody looked shows nothing of a candidate, and a clock that
    jumped tells no time: neither makes a rollout older.
    """
    passed = now - looked_at
    if -BACK_MAX_S <= passed <= LOOK_MAX_S:
        return max(passed, 0.0), 0.0
    return 0.0, passed


def rollout_after(
    rollout: Rollout, decision: RolloutDecision, facts: Facts, *, now: float, principal: str
) -> Rollout:
    """Return the rollout as it is once a decision has been carried out."""
    moved = decision.move is not Move.STAY
    begun = decision.move is Move.WARM or (moved and rollout.stage is Stage.HELD)
    counted_s = facts.watched_s if rollout.stage in RUNNING else 0.0
    approval = Approval(principal=principal, because=decision.because, at=now, of=rollout.stage)
    return replace(
        rollout,
        stage=decision.stage,
        step=decision.step,
        stage_at=now if moved else rollout.stage_at,
        stage_s=0.0 if moved or facts.gap else rollout.stage_s + facts.watched_s,
        stage_requests=facts.requests if moved else rollout.stage_requests,
        running_s=0.0 if begun else rollout.running_s + counted_s,
        looked_at=now,
        quiet_s=facts.quiet_s,
        memory_bytes=rollout.memory_bytes
        or (facts.memory_bytes if decision.move is Move.WARM else 0),
        ended_at=now if decision.stage in ENDED else rollout.ended_at,
        because=decision.because if decision.noted else rollout.because,
        approvals=(*rollout.approvals, approval) if decision.consent else rollout.approvals,
        unjudged=rollout.unjudged or decision.unjudged,
        waits_for=decision.waits_for,
        judgement=facts.judgement or rollout.judgement,
    )


def endpoint_after(
    endpoint: Endpoint,
    rollout: Rollout,
    decision: RolloutDecision,
    *,
    version: ModelVersion,
    by: str = "",
) -> Endpoint:
    """Return the endpoint as it is once a decision has been carried out; `by` names who ordered it.

    However many steps a rollout takes, one rollback returns from it to the traffic before it: its
    steps are not among the earlier splits.

    Raises: DeploymentTakenError.
    """
    if decision.move is Move.STAY:
        return endpoint
    if decision.move is Move.WARM:
        return retired(with_version(endpoint, version, name=rollout.candidate))
    shadow = Shadow(deployment=rollout.candidate, share_bp=decision.shadow_bp)
    known = _known(endpoint, rollout, decision, version)
    shadowed = replace(known, shadow=shadow if decision.shadow_bp else None)
    if decision.candidate_bp is None:
        return _withdrawn(shadowed, rollout, because=decision.quarantine)
    shared = _shared(shadowed, rollout, share_bp=decision.candidate_bp)
    return retired(_marked(shared, rollout, decision, by=by))


def _known(
    endpoint: Endpoint, rollout: Rollout, decision: RolloutDecision, version: ModelVersion
) -> Endpoint:
    """Return the endpoint with a candidate that never came to it, so that its end is remembered."""
    ends = decision.stage in ENDED and (decision.candidate_bp == 0 or decision.quarantine)
    if not ends or any(one.name == rollout.candidate for one in endpoint.deployments):
        return endpoint
    return with_version(endpoint, version, name=rollout.candidate)


def _shared(endpoint: Endpoint, rollout: Rollout, *, share_bp: int) -> Endpoint:
    before = endpoint.traffic
    if before.get(rollout.candidate, 0) == share_bp:
        return endpoint
    shares = {rollout.stable: BP_FULL - share_bp, rollout.candidate: share_bp}
    past = endpoint.past
    if rollout.candidate not in before:
        past = (*past, tuple(before.items()))
    elif share_bp == 0 and past and dict(past[-1]) == {rollout.stable: BP_FULL}:
        past = past[:-1]
    return with_shares(replace(endpoint, past=past), shares)


def _marked(
    endpoint: Endpoint, rollout: Rollout, decision: RolloutDecision, *, by: str
) -> Endpoint:
    """Return the endpoint with the candidate marked by why it has no share, where it ended so."""
    if decision.stage not in ENDED or decision.candidate_bp:
        return endpoint
    who = f"{by} took it back" if by else "its rollout ended"

    def mark(one: Deployment) -> Deployment:
        if one.name != rollout.candidate:
            return one
        ill = one.quarantined or decision.quarantine
        return replace(one, quarantined=ill, withdrawn=f"{who}: {decision.because}")

    return replace(endpoint, deployments=tuple(mark(one) for one in endpoint.deployments))


def _withdrawn(endpoint: Endpoint, rollout: Rollout, *, because: str) -> Endpoint:
    """Return the endpoint with the candidate in quarantine, where there is no stable one to trust.

    Its traffic goes to whatever else is good.
    """
    for one in endpoint.deployments:
        if because and one.name == rollout.candidate:
            return decide_withdrawal(
                endpoint, one.package, trial=one.trial, because=because
            ).endpoint
    return endpoint
