"""Load or unload the models of an endpoint: for a person, and for who asked a worker for it."""

from dataclasses import dataclass
from typing import Final

from servewell.core.catalog.change import Change
from servewell.core.operations.loading import LoadingDecision, decide_loading
from servewell.errors import ServewellError
from servewell.flows.platform import Platform
from servewell.flows.publish import publish_snapshot, wait_acknowledged
from servewell.ports.errands import Errand, Report

OVER_HTTP: Final = "asked over HTTP"


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadingDone:
    """A decision, and what came of it."""

    decision: LoadingDecision
    carried_out: bool  # False for a dry run, or where nothing was to change
    behind: tuple[int, ...] = ()  # live workers that did not acknowledge it in time


def set_loaded(
    platform: Platform, endpoint: str, *, loaded: bool, because: str = "", dry_run: bool = False
) -> LoadingDone:
    """Load or unload an endpoint, and wait until the workers serve it so.

    Raises: EndpointMissingError, StateConflictError, StateUnavailableError, StorageError.
    """
    before = platform.endpoints.get(endpoint)
    decision = decide_loading(before, loaded=loaded)
    if dry_run or not decision.changes(before):
        return LoadingDone(decision=decision, carried_out=False)
    _keep(platform, decision, principal=platform.principal, because=because)
    version = publish_snapshot(platform).version
    return LoadingDone(
        decision=decision, carried_out=True, behind=wait_acknowledged(platform, version)
    )


def run_errands(platform: Platform) -> None:
    """Do what workers ask for, and tell them what came of it. Nothing is raised."""
    for errand in platform.errands.open(platform.clock.now()):
        platform.errands.done(Report(id=errand.id, fault=_run(platform, errand)))


def _run(platform: Platform, errand: Errand) -> str:
    """Carry an errand out; return why it could not be, or an empty text."""
    try:
        before = platform.endpoints.get(errand.endpoint)
        decision = decide_loading(before, loaded=errand.loaded)
        if decision.changes(before):
            _keep(platform, decision, principal=errand.principal, because=OVER_HTTP)
        publish_snapshot(platform)
    except ServewellError as error:
        return f"{error.what} {error.why}"
    return ""


def _keep(platform: Platform, decision: LoadingDecision, *, principal: str, because: str) -> None:
    endpoint = decision.endpoint
    change = Change(
        at=platform.clock.now(),
        principal=principal,
        kind=decision.kind,
        subject=endpoint.name,
        because=": ".join(part for part in (because, decision.because) if part),
        traffic=endpoint.traffic,
        versions={one.name: f"{one.model}:{one.version}" for one in endpoint.deployments},
    )
    platform.endpoints.save(endpoint, change)
