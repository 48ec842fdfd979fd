"""Decide how a shadow begins and ends by hand, and take up what was recorded of it."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from servewell.core.catalog.change import ChangeKind
from servewell.core.catalog.comparison import Comparison
from servewell.core.catalog.endpoint import Endpoint, Shadow
from servewell.core.catalog.model import ModelVersion
from servewell.core.catalog.rollout import Rollout
from servewell.core.catalog.shadow import ShadowRun
from servewell.core.operations.comparison import Copied, compare
from servewell.core.operations.observed import Seen, with_gaps
from servewell.core.operations.traffic import (
    TrafficDecision,
    TrafficInvalidError,
    decide_deploy,
    percent,
    retired,
)
from servewell.errors import ServewellError


class ShadowImpossibleError(ServewellError):
    """A version cannot be a shadow of an endpoint as it stands."""

    code = "SW-241"


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A comparison, and what it is of."""

    endpoint: str
    deployment: str
    version: str
    share_bp: int
    difference_max: float
    began_at: float  # seconds since the epoch, UTC, as the next
    ended_at: float | None
    rollout: str  # id of the rollout that it belongs to, or empty
    comparison: Comparison


def decide_shadow(
    endpoint: Endpoint, version: ModelVersion, *, share_bp: int, name: str = ""
) -> TrafficDecision:
    """Return the endpoint with copies of a share of its requests sent to a version.

    Units:  shares in basis points, 1..10 000.
    Raises: ShadowImpossibleError, DeploymentTakenError, TrafficInvalidError.
    """
    name = name or f"v{version.number}"
    if share_bp < 1:
        raise TrafficInvalidError(
            "A shadow needs a share above nothing.",
            why="it is compared on the requests that are copied",
            fix="write it like `10%`; `servewell shadow stop` ends a shadow",
        )
    if not endpoint.traffic:
        raise _impossible(endpoint, version, "no deployment of it answers callers")
    if endpoint.traffic.get(name):
        raise _impossible(endpoint, version, f"`{name}` answers callers itself")
    if endpoint.shadow is not None:
        other = endpoint.shadow.deployment
        raise ShadowImpossibleError(
            f"`{endpoint.name}` has a shadow already: `{other}`.",
            why="an endpoint has one shadow at a time, so that it cannot slow its callers",
            fix=f"`servewell shadow stop {endpoint.name}` ends it",
        )
    grown = decide_deploy(endpoint, version, share_bp=0, name=name).endpoint
    return TrafficDecision(
        endpoint=replace(grown, shadow=Shadow(deployment=name, share_bp=share_bp)),
        kind=ChangeKind.SHADOW_STARTED,
        because=f"{version.name} gets copies of {percent(share_bp)} of the requests as `{name}`; "
        "nobody gets its answers",
    )


def decide_shadow_end(endpoint: Endpoint, run: ShadowRun) -> TrafficDecision:
    """Return the endpoint without its shadow; a deployment that serves nothing else goes too.

    Raises: nothing.
    """
    warm = {name for split in endpoint.past for name, _ in split}
    kept = tuple(
        one
        for one in endpoint.deployments
        if one.name != run.deployment or one.share_bp or one.name in warm or one.quarantined
    )
    return TrafficDecision(
        endpoint=retired(replace(endpoint, deployments=kept, shadow=None)),
        kind=ChangeKind.SHADOW_STOPPED,
        because=f"`{run.deployment}` gets no copies any more",
    )


def shadow_observed(run: ShadowRun, seen: Seen, *, cursor: str) -> ShadowRun:
    """Return the shadow with more compared. Raises: nothing."""
    copied = Copied(shadow=run.deployment, share_bp=run.share_bp, difference_max=run.difference_max)
    noted = with_gaps(run.comparison, seen)
    return replace(run, comparison=compare(noted, seen.outcomes, copied=copied), cursor=cursor)


def ended_with(run: ShadowRun, endpoint: Endpoint, *, now: float) -> ShadowRun:
    """Return the shadow as ended where its endpoint copies to it no more: a rollout may do that.

    Units: `now` in seconds since the epoch, UTC.
    Raises: nothing.
    """
    if endpoint.shadow is not None and endpoint.shadow.deployment == run.deployment:
        return run
    return replace(run, ended_at=now)


def newest_shown(runs: Iterable[ShadowRun], rollouts: Iterable[Rollout]) -> Shown | None:
    """Return the comparison that began last, by hand or of a rollout; None where none did."""
    by_hand = [_of_run(one) for one in runs]
    of_rollouts = [_of_rollout(one) for one in rollouts if _has_compared(one.comparison)]
    return max([*by_hand, *of_rollouts], key=lambda one: one.began_at, default=None)


def _has_compared(comparison: Comparison) -> bool:
    return bool(comparison.requests or comparison.failed or comparison.waiting)


def _of_run(run: ShadowRun) -> Shown:
    return Shown(
        endpoint=run.endpoint,
        deployment=run.deployment,
        version=run.version,
        share_bp=run.share_bp,
        difference_max=run.difference_max,
        began_at=run.began_at,
        ended_at=run.ended_at,
        rollout="",
        comparison=run.comparison,
    )


def _of_rollout(rollout: Rollout) -> Shown:
    return Shown(
        endpoint=rollout.endpoint,
        deployment=rollout.candidate,
        version=rollout.candidate_version,
        share_bp=rollout.plan.shadow_bp,
        difference_max=rollout.plan.difference_max,
        began_at=rollout.began_at,
        ended_at=rollout.ended_at,
        rollout=rollout.id,
        comparison=rollout.comparison,
    )


def _impossible(endpoint: Endpoint, version: ModelVersion, why: str) -> ShadowImpossibleError:
    return ShadowImpossibleError(
        f"{version.name} cannot be a shadow of `{endpoint.name}`.",
        why=why,
        fix=f"`servewell endpoints show {endpoint.name}` says what it serves",
    )
