"""Run experiments: begin, observe, end."""

from dataclasses import dataclass, replace
from typing import Final

from servewell.core.catalog.change import Change, ChangeKind
from servewell.core.catalog.endpoint import BP_FULL, Endpoint
from servewell.core.catalog.evidence_cursor import (
    CursorUnreadableError,
    EvidenceCursor,
    cursor_of,
    written,
)
from servewell.core.catalog.experiment import Experiment, Goal
from servewell.core.catalog.model import ModelVersion
from servewell.core.operations.experiment import (
    decide_experiment,
    ended,
    result_of,
    with_labels,
    with_outcomes,
)
from servewell.core.operations.traffic import decide_traffic, taken_back
from servewell.errors import ServewellError
from servewell.flows.clearance import require_let_through, require_no_rollout
from servewell.flows.evidence import LABELS_AT_ONCE
from servewell.flows.platform import Platform
from servewell.flows.publish import publish_snapshot, wait_acknowledged
from servewell.ports.experiments import ExperimentMissingError, busy
from servewell.ports.state import StateConflictError
from servewell.ports.storage import StorageError

LOOKS_MAX: Final = 200  # at one time for a person, each bounded


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """An experiment after something was done with it, and the endpoint with it."""

    experiment: Experiment
    endpoint: Endpoint
    carried_out: bool  # False for a dry run
    behind: tuple[int, ...] = ()  # live workers that did not acknowledge it in time


def start_experiment(  # noqa: PLR0913 - the words of the command
    platform: Platform,
    endpoint: str,
    pair: tuple[str, str],
    *,
    share_bp: int,
    goal: Goal,
    because: str = "",
    dry_run: bool = False,
) -> Tried:
    """Split the requests between two deployments, the second getting `share_bp`, and compare them.

    Raises: EndpointMissingError, RolloutBusyError, ExperimentBusyError, DeploymentMissingError,
    ExperimentInvalidError, QuarantinedError, GatesNotPassedError, StateConflictError,
    StateUnavailableError, StorageError.
    """
    before = platform.endpoints.get(endpoint)
    require_no_rollout(platform, endpoint)
    for _ in platform.experiments.list(endpoint, open_only=True):
        raise busy(endpoint)
    experiment = decide_experiment(
        before,
        pair,
        share_bp=share_bp,
        goal=goal,
        because=because,
        experiment_id=platform.ids.new(),
        principal=platform.principal,
        now=platform.clock.now(),
    )
    for name in pair:
        require_let_through(platform, _version(platform, experiment, name), beside=before)
    shares = {experiment.first: BP_FULL - share_bp, experiment.second: share_bp}
    after = decide_traffic(before, shares).endpoint
    return _keep(platform, experiment, before, after, words=experiment.because, dry_run=dry_run)


def find_experiment(platform: Platform, name: str) -> Experiment:
    """Return the newest experiment of an endpoint, or the one of that id.

    Raises: ExperimentMissingError, StateUnavailableError.
    """
    found = platform.experiments.list(name)
    return found[-1] if found else platform.experiments.get(name)


def look_at(platform: Platform, experiment: Experiment, *, looks: int = LOOKS_MAX) -> Experiment:
    """Return an experiment with all that was recorded since the last look, and what it shows.

    One that has ended stays as it was at its end.

    Raises: CursorUnreadableError, StateConflictError, StateUnavailableError, StorageError.
    """
    seen, more = experiment, experiment.ended_at is None
    for _ in range(looks):
        if not more:
            break
        seen, more = _observed(platform, seen)
    if seen == experiment:
        return experiment
    return platform.experiments.save(replace(seen, result=result_of(seen)))


def follow_experiments(platform: Platform) -> None:
    """Take one bounded look at every experiment that has not ended; the next time goes on.

    Raises: what the first raised that could not be looked at, after all others were.
    """
    faults: list[ServewellError] = []
    for experiment in platform.experiments.list(open_only=True):
        try:
            look_at(platform, experiment, looks=1)
        except StateConflictError:
            continue  # somebody else looked at the same time, and kept what was seen
        except ServewellError as fault:
            faults.append(fault)
    for first in faults:
        raise first


def stop_experiment(
    platform: Platform,
    endpoint: str,
    *,
    apply: bool,
    because: str = "",
    dry_run: bool = False,
) -> Tried:
    """End the experiment of an endpoint; give all requests to what it recommends, or leave them.

    Where they are left, it ends also where its last requests cannot be read.

    Raises: EndpointMissingError, ExperimentMissingError, ExperimentUndecidedError,
    RolloutBusyError, QuarantinedError, GatesNotPassedError, StateConflictError,
    StateUnavailableError, StorageError.
    """
    before = platform.endpoints.get(endpoint)
    seen = _last_look(platform, _running(platform, endpoint), needed=apply)
    experiment = ended(seen, apply=apply, now=platform.clock.now())
    result = experiment.result or result_of(experiment)
    after = before
    if apply:
        require_no_rollout(platform, endpoint)
        require_let_through(platform, _version(platform, experiment, result.recommends))
        decision = decide_traffic(before, {result.recommends: BP_FULL})
        after = taken_back(decision, before, by=platform.principal, because=because).endpoint
    words = ": ".join(one for one in (because, result.standing.value, result.because) if one)
    return _keep(platform, experiment, before, after, words=words, dry_run=dry_run)


def _last_look(platform: Platform, experiment: Experiment, *, needed: bool) -> Experiment:
    """Return an experiment after its last look, or before it where that fails and is not needed."""
    try:
        return look_at(platform, experiment)
    except (CursorUnreadableError, StorageError):
        if needed:
            raise
        return experiment


def _version(platform: Platform, experiment: Experiment, deployment: str) -> ModelVersion:
    versions = {
        experiment.first: experiment.first_version,
        experiment.second: experiment.second_version,
    }
    model, _, number = versions[deployment].rpartition(":")
    return platform.registry.get(model, int(number))


def _running(platform: Platform, endpoint: str) -> Experiment:
    for one in platform.experiments.list(endpoint, open_only=True):
        return one
    raise ExperimentMissingError(
        f"`{endpoint}` has no experiment under way.",
        why="none was started, or the last one has ended",
        fix=f"`servewell experiments list` shows them; `servewell experiments start {endpoint} "
        "--between V1 V2` begins one",
    )


def _observed(platform: Platform, experiment: Experiment) -> tuple[Experiment, bool]:
    """Return the experiment after one bounded look, and whether there is more already."""
    at = cursor_of(experiment.cursor)
    records = at.records or platform.records.start_cursor(experiment.began_at)
    followed = platform.records.follow(records, endpoint=experiment.endpoint)
    known = platform.labels.last() if at.labels is None else at.labels
    labels = platform.labels.since(known, endpoint=experiment.endpoint, limit=LABELS_AT_ONCE)
    behind = labels[-1].number if labels else known
    cursor = written(EvidenceCursor(records=followed.cursor, labels=behind))
    seen = with_outcomes(experiment, followed.outcomes, missing=followed.missing)
    more = followed.more or len(labels) == LABELS_AT_ONCE
    return replace(with_labels(seen, labels), cursor=cursor), more


def _keep(  # noqa: PLR0913 - what was, what is to be, and why
    platform: Platform,
    experiment: Experiment,
    before: Endpoint,
    after: Endpoint,
    *,
    words: str,
    dry_run: bool,
) -> Tried:
    if dry_run:
        return Tried(experiment=experiment, endpoint=after, carried_out=False)
    change = Change(
        at=platform.clock.now(),
        principal=platform.principal,
        kind=ChangeKind.EXPERIMENT,
        subject=after.name,
        because=words,
        traffic=after.traffic,
        versions={one.name: f"{one.model}:{one.version}" for one in after.deployments},
    )
    changed = after if after != before else None
    kept = platform.experiments.save(experiment, endpoint=changed, change=change)
    snapshot = publish_snapshot(platform)
    return Tried(
        experiment=kept,
        endpoint=after,
        carried_out=True,
        behind=wait_acknowledged(platform, snapshot.version),
    )
