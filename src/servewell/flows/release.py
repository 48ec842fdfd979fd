"""Change what an endpoint serves: deploy, split traffic, roll back."""

from collections.abc import Mapping
from dataclasses import dataclass

from servewell.core.catalog.change import Change
from servewell.core.catalog.endpoint import BP_FULL, Endpoint
from servewell.core.operations.traffic import (
    TrafficDecision,
    decide_deploy,
    decide_rollback,
    decide_traffic,
    taken_back,
)
from servewell.flows.environments import Progress, ensure_environment
from servewell.flows.platform import Platform
from servewell.flows.publish import publish_snapshot, wait_acknowledged


@dataclass(frozen=True, slots=True, kw_only=True)
class Released:
    """A decision, and what came of it."""

    decision: TrafficDecision
    carried_out: bool  # False for a dry run, or where nothing was to change
    behind: tuple[int, ...] = ()  # live workers that did not acknowledge it in time


def deploy(  # noqa: PLR0913 - the words of the command, each optional
    platform: Platform,
    endpoint: str,
    *,
    model: str,
    number: int | None = None,
    name: str = "",
    share_bp: int = BP_FULL,
    because: str = "",
    dry_run: bool = False,
    progress: Progress = lambda words: None,  # noqa: ARG005 - nobody listens
) -> Released:
    """Serve a model version under an endpoint; its environment is made where it is missing.

    Raises: EndpointMissingError, ModelMissingError, DeploymentTakenError, TrafficInvalidError,
    EnvironmentFailedError, StateConflictError, StateUnavailableError, StorageError.
    """
    before = platform.endpoints.get(endpoint)
    version = platform.registry.get(model, number)
    decision = decide_deploy(before, version, share_bp=share_bp, name=name)
    if not dry_run:
        ensure_environment(platform, version, progress)
    return carry_out(platform, before, decision, because=because, dry_run=dry_run)


def set_traffic(
    platform: Platform,
    endpoint: str,
    shares: Mapping[str, int],
    *,
    because: str = "",
    dry_run: bool = False,
) -> Released:
    """Give the deployments of an endpoint these shares.

    Raises: EndpointMissingError, DeploymentMissingError, TrafficInvalidError, StateConflictError,
    StateUnavailableError, StorageError.
    """
    before = platform.endpoints.get(endpoint)
    decision = decide_traffic(before, shares)
    decision = taken_back(decision, before, by=platform.principal, because=because)
    return carry_out(platform, before, decision, because=because, dry_run=dry_run)


def roll_back(
    platform: Platform, endpoint: str, *, to: str = "", because: str = "", dry_run: bool = False
) -> Released:
    """Take back the last change of an endpoint's traffic, or send all of it to one deployment.

    Raises: EndpointMissingError, DeploymentMissingError, NothingToRollBackError,
    StateConflictError, StateUnavailableError, StorageError.
    """
    before = platform.endpoints.get(endpoint)
    decision = decide_rollback(before, to=to)
    decision = taken_back(decision, before, by=platform.principal, because=because)
    return carry_out(platform, before, decision, because=because, dry_run=dry_run)


def carry_out(
    platform: Platform,
    before: Endpoint,
    decision: TrafficDecision,
    *,
    because: str = "",
    dry_run: bool = False,
) -> Released:
    """Keep a decision with its reason, publish it, and wait until the workers serve it."""
    if dry_run or not decision.changes(before):
        return Released(decision=decision, carried_out=False)
    platform.endpoints.save(decision.endpoint, change_of(platform, decision, because=because))
    snapshot = publish_snapshot(platform)
    return Released(
        decision=decision,
        carried_out=True,
        behind=wait_acknowledged(platform, snapshot.version),
    )


def change_of(platform: Platform, decision: TrafficDecision, *, because: str = "") -> Change:
    """Return the line of history that explains a decision; a person's reason stands first."""
    endpoint = decision.endpoint
    return Change(
        at=platform.clock.now(),
        principal=platform.principal,
        kind=decision.kind,
        subject=endpoint.name,
        because=": ".join(part for part in (because, decision.because) if part),
        traffic=endpoint.traffic,
        versions={one.name: f"{one.model}:{one.version}" for one in endpoint.deployments},
    )
