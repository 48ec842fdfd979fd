"""Decide whether a rollout may begin, and how it stands when it does."""

from servewell.core.catalog.endpoint import BP_FULL, Deployment, Endpoint
from servewell.core.catalog.model import ModelVersion
from servewell.core.catalog.rollout import Rollout, RolloutPlan, Stage
from servewell.core.operations.traffic import (
    QuarantinedError,
    decide_deploy,
    describe,
)
from servewell.errors import ServewellError


class RolloutImpossibleError(ServewellError):
    """The endpoint is not in a state from which a version can be rolled out."""

    code = "SW-230"


def decide_start(  # noqa: PLR0913 - what a rollout is made of
    endpoint: Endpoint,
    version: ModelVersion,
    *,
    plan: RolloutPlan,
    name: str,
    because: str,
    rollout_id: str,
    principal: str,
    now: float,
) -> Rollout:
    """Return the rollout that is to begin: of `version`, against what gets all requests now.

    Raises: RolloutImpossibleError, DeploymentTakenError, QuarantinedError.
    """
    name = name or f"v{version.number}"
    stable = _stable(endpoint)
    if version.package == stable.package:
        raise RolloutImpossibleError(
            f"`{endpoint.name}` serves {version.name} already, as `{stable.name}`.",
            why="a rollout takes the traffic from one version to another",
            fix="`servewell models list` shows the other versions",
        )
    for one in endpoint.deployments:
        if one.package == version.package and one.quarantined:
            raise QuarantinedError.of(endpoint.name, version.name, because=one.quarantined)
    _refuse_shadow(endpoint)
    decide_deploy(endpoint, version, share_bp=0, name=name)  # refuses a name that is taken
    words = f"{version.name} is to take the requests from {stable.model}:{stable.version}"
    return Rollout(
        id=rollout_id,
        endpoint=endpoint.name,
        candidate=name,
        candidate_version=version.name,
        stable=stable.name,
        stable_version=f"{stable.model}:{stable.version}",
        plan=plan,
        stage=Stage.PROPOSED,
        began_at=now,
        stage_at=now,
        looked_at=now,
        because=": ".join(one for one in (because, words) if one),
        principal=principal,
    )


def _refuse_shadow(endpoint: Endpoint) -> None:
    if endpoint.shadow is not None:
        raise RolloutImpossibleError(
            f"`{endpoint.name}` has a shadow: `{endpoint.shadow.deployment}`.",
            why="an endpoint has one shadow at a time, and a rollout may need it for its candidate",
            fix=f"`servewell shadow stop {endpoint.name}` ends it, and keeps what it compared",
        )


def _stable(endpoint: Endpoint) -> Deployment:
    for one in endpoint.deployments:
        if one.share_bp == BP_FULL and not one.quarantined:
            return one
    raise RolloutImpossibleError(
        f"The requests of `{endpoint.name}` go to {describe(endpoint.traffic)}.",
        why="a rollout begins where one deployment that is well gets all requests: the new one is "
        "compared with it",
        fix=f"`servewell deploy {endpoint.name} MODEL` serves a first version; "
        f"`servewell traffic {endpoint.name} DEPLOYMENT=100%` ends a split",
    )
