"""Send copies of live requests to a version by hand, and compare what it answers."""

from contextlib import suppress
from dataclasses import replace
from typing import Final

from servewell.core.catalog.shadow import ShadowRun
from servewell.core.operations.observed import Seen
from servewell.core.operations.shadowing import (
    Shown,
    decide_shadow,
    decide_shadow_end,
    ended_with,
    newest_shown,
    shadow_observed,
)
from servewell.errors import ServewellError
from servewell.flows.clearance import require_let_through, require_no_rollout
from servewell.flows.environments import Progress, ensure_environment
from servewell.flows.platform import Platform
from servewell.flows.publish import publish_snapshot, wait_acknowledged
from servewell.flows.release import Released, change_of
from servewell.ports.shadows import ShadowMissingError
from servewell.ports.state import StateConflictError

LOOKS_MAX: Final = 200  # at one time for a person, each bounded


def start_shadow(  # noqa: PLR0913 - the words of the command, each optional
    platform: Platform,
    endpoint: str,
    *,
    model: str,
    number: int | None,
    share_bp: int,
    difference_max: float,
    name: str = "",
    because: str = "",
    dry_run: bool = False,
    progress: Progress = lambda words: None,  # noqa: ARG005 - nobody listens
) -> Released:
    """Send copies of a share of an endpoint's requests to a version that the gates let through.

    Raises: EndpointMissingError, ModelMissingError, RolloutBusyError, GatesNotPassedError,
    ShadowImpossibleError, DeploymentTakenError, TrafficInvalidError, EnvironmentFailedError,
    StateConflictError, StateUnavailableError, StorageError.
    """
    before = platform.endpoints.get(endpoint)
    require_no_rollout(platform, endpoint)
    version = platform.registry.get(model, number)
    require_let_through(platform, version)
    decision = decide_shadow(before, version, share_bp=share_bp, name=name)
    if dry_run:
        return Released(decision=decision, carried_out=False)
    ensure_environment(platform, version, progress)
    change = change_of(platform, decision, because=because)
    run = ShadowRun(
        endpoint=endpoint,
        deployment=name or f"v{version.number}",
        version=version.name,
        share_bp=share_bp,
        difference_max=difference_max,
        began_at=platform.clock.now(),
        because=change.because,
        principal=platform.principal,
        cursor=platform.records.start_cursor(float("inf")),
    )
    platform.shadows.save(run, endpoint=decision.endpoint, change=change)
    return _published(platform, Released(decision=decision, carried_out=True))


def stop_shadow(
    platform: Platform, endpoint: str, *, because: str = "", dry_run: bool = False
) -> Released:
    """End the shadow of an endpoint; what it compared is kept, also where its end cannot be read.

    Raises: EndpointMissingError, ShadowMissingError, RolloutBusyError, StateConflictError,
    StateUnavailableError, StorageError.
    """
    before = platform.endpoints.get(endpoint)
    require_no_rollout(platform, endpoint)
    for run in platform.shadows.list(endpoint, open_only=True):
        decision = decide_shadow_end(before, run)
        if dry_run:
            return Released(decision=decision, carried_out=False)
        ended = replace(_to_its_end(platform, run), ended_at=platform.clock.now())
        change = change_of(platform, decision, because=because)
        platform.shadows.save(ended, endpoint=decision.endpoint, change=change)
        return _published(platform, Released(decision=decision, carried_out=True))
    raise _missing(endpoint)


def show_shadow(platform: Platform, endpoint: str) -> Shown:
    """Return the newest comparison of an endpoint, by hand or of a rollout, up to now.

    Raises: EndpointMissingError, ShadowMissingError, StateUnavailableError, StorageError.
    """
    platform.endpoints.get(endpoint)
    for run in platform.shadows.list(endpoint, open_only=True):
        _keep_observed(platform, run, looks=LOOKS_MAX)
    shown = newest_shown(platform.shadows.list(endpoint), platform.rollouts.list(endpoint))
    if shown is None:
        raise _missing(endpoint)
    return shown


def observe_shadows(platform: Platform) -> None:
    """Take one bounded look at every shadow; the next time goes on from there.

    Raises: what the first raised that could not be observed, after all others were.
    """
    faults: list[ServewellError] = []
    for run in platform.shadows.list(open_only=True):
        try:
            _keep_observed(platform, run, looks=1)
        except ServewellError as fault:
            faults.append(fault)
    for first in faults:
        raise first


def observe_shadow(platform: Platform, run: ShadowRun, *, looks: int) -> ShadowRun:
    """Return a shadow with what was recorded since its cursor, by so many bounded looks at most.

    It is not saved.

    Raises: CursorUnreadableError, StorageError.
    """
    for _ in range(looks):
        followed = platform.records.follow(run.cursor, endpoint=run.endpoint, inputs=True)
        seen = Seen(outcomes=followed.outcomes, missing=followed.missing, gaps=followed.gaps)
        run = shadow_observed(run, seen, cursor=followed.cursor)
        if not followed.more:
            break
    return run


def _keep_observed(platform: Platform, run: ShadowRun, *, looks: int) -> None:
    """Take up what was recorded of a shadow; what another process took up is done."""
    before = platform.endpoints.get(run.endpoint)
    seen = observe_shadow(platform, run, looks=looks)
    after = ended_with(seen, before, now=platform.clock.now())
    if after == run:
        return
    with suppress(StateConflictError):
        platform.shadows.save(after)


def _to_its_end(platform: Platform, run: ShadowRun) -> ShadowRun:
    try:
        return observe_shadow(platform, run, looks=LOOKS_MAX)
    except ServewellError as fault:
        return shadow_observed(run, Seen(gaps=(fault.what,)), cursor=run.cursor)


def _published(platform: Platform, released: Released) -> Released:
    snapshot = publish_snapshot(platform)
    return replace(released, behind=wait_acknowledged(platform, snapshot.version))


def _missing(endpoint: str) -> ShadowMissingError:
    return ShadowMissingError(
        f"`{endpoint}` has no shadow.",
        why="none was started, and none of its rollouts compared one",
        fix=f"`servewell shadow start {endpoint} MODEL --share 10%` starts one",
    )
