"""Roll a model version out: begin, go on by evidence, and what people order."""

from dataclasses import dataclass, replace
from typing import Final

from servewell.core.catalog.change import Change, ChangeKind
from servewell.core.catalog.change_window import window_at
from servewell.core.catalog.endpoint import Endpoint
from servewell.core.catalog.model import ModelVersion
from servewell.core.catalog.rollout import ENDED, Rollout, RolloutPlan, Stage
from servewell.core.operations.judge import all_failing, judge
from servewell.core.operations.rollout import decide
from servewell.core.operations.rollout_change import endpoint_after, rollout_after, watched
from servewell.core.operations.rollout_moves import Facts, Order, RolloutDecision
from servewell.core.operations.rollout_start import decide_start
from servewell.flows.clearance import require_let_through
from servewell.flows.environments import Progress, ensure_environment
from servewell.flows.platform import Platform
from servewell.flows.publish import publish_snapshot
from servewell.ports.gates import GatesNotPassedError
from servewell.ports.rollouts import RolloutMissingError, busy
from servewell.ports.state import StateConflictError

SAVE_EVERY_S: Final = 2.0  # what was observed, where nothing moves


@dataclass(frozen=True, slots=True, kw_only=True)
class Advanced:
    """A decision, and the rollout after it."""

    rollout: Rollout
    decision: RolloutDecision
    endpoint: Endpoint
    carried_out: bool  # False for a dry run


def start_rollout(  # noqa: PLR0913 - the words of the command, each optional
    platform: Platform,
    endpoint: str,
    version: ModelVersion,
    *,
    plan: RolloutPlan,
    because: str,
    name: str = "",
    dry_run: bool = False,
    progress: Progress = lambda words: None,  # noqa: ARG005 - nobody listens
) -> Rollout:
    """Begin to roll a version out; a control process goes on with it.

    Raises: EndpointMissingError, RolloutBusyError, RolloutImpossibleError, QuarantinedError,
    DeploymentTakenError, GatesNotPassedError, EnvironmentFailedError, StateConflictError,
    StateUnavailableError, StorageError.
    """
    before = platform.endpoints.get(endpoint)
    for one in platform.rollouts.list(endpoint, open_only=True):
        raise busy(endpoint, one.candidate_version)
    rollout = decide_start(
        before,
        version,
        plan=plan,
        name=name,
        because=because,
        rollout_id=platform.ids.new(),
        principal=platform.principal,
        now=platform.clock.now(),
    )
    require_let_through(platform, version)
    if dry_run:
        return rollout
    ensure_environment(platform, version, progress)
    kind = ChangeKind.ROLLOUT_STARTED
    change = _change(platform, rollout, before, kind, principal=platform.principal)
    kept = platform.rollouts.save(rollout, change=change)
    publish_snapshot(platform)
    return kept


def advance_rollouts(platform: Platform) -> None:
    """Make the next move of every rollout that has one; what another one made is done.

    Raises: StateUnavailableError, StorageError.
    """
    for rollout in platform.rollouts.list(open_only=True):
        try:
            advance(platform, rollout)
        except StateConflictError:
            continue  # another control process, or a person, was first: the next look sees it


def open_rollout(platform: Platform, endpoint: str) -> Rollout:
    """Return the rollout of an endpoint that has not ended.

    Raises: EndpointMissingError, RolloutMissingError, StateUnavailableError.
    """
    platform.endpoints.get(endpoint)
    for one in platform.rollouts.list(endpoint, open_only=True):
        return one
    raise RolloutMissingError(
        f"`{endpoint}` has no rollout under way.",
        why="none was started, or the last one has ended",
        fix=f"`servewell rollouts list` shows them; `servewell rollouts start {endpoint} MODEL` "
        "begins one",
    )


def give_order(
    platform: Platform, endpoint: str, order: Order, *, because: str = "", dry_run: bool = False
) -> Advanced:
    """Do with the rollout of an endpoint what a person wants.

    Raises: EndpointMissingError, RolloutMissingError, OrderRefusedError, StateConflictError,
    StateUnavailableError, StorageError.
    """
    rollout = open_rollout(platform, endpoint)
    return advance(platform, rollout, order=order, because=because, dry_run=dry_run)


def advance(
    platform: Platform,
    rollout: Rollout,
    *,
    order: Order | None = None,
    because: str = "",
    dry_run: bool = False,
) -> Advanced:
    """Look at a rollout, decide its next move, and make it.

    Raises: OrderRefusedError, StateConflictError, StateUnavailableError, StorageError.
    """
    now = platform.clock.now()
    version = _version(platform, rollout)
    facts = _facts(platform, rollout, version, order=order, now=now)
    decision = _with_reason(decide(rollout, facts), because)
    principal = platform.principal if order else rollout.principal
    after = rollout_after(rollout, decision, facts, now=now, principal=principal)
    endpoint = endpoint_after(facts.endpoint, rollout, decision, version=version)
    if not dry_run:
        after = _keep(
            platform,
            after,
            decision,
            before=facts.endpoint,
            endpoint=endpoint,
            principal=principal,
            since_saved_s=abs(now - rollout.looked_at),
        )
    return Advanced(rollout=after, decision=decision, endpoint=endpoint, carried_out=not dry_run)


def _facts(
    platform: Platform,
    rollout: Rollout,
    version: ModelVersion,
    *,
    order: Order | None,
    now: float,
) -> Facts:
    watched_s, jumped_s = watched(rollout.looked_at, now)
    endpoint = platform.endpoints.get(rollout.endpoint)
    seen = rollout.evidence.looks > 0
    return Facts(
        endpoint=endpoint,
        watched_s=watched_s,
        jumped_s=jumped_s,
        quiet_s=rollout.quiet_s,
        requests=rollout.evidence.requests[1],
        judgement=judge(rollout.plan, rollout.evidence) if seen else None,
        guard=all_failing(rollout.plan, rollout.evidence),
        unready=_unready(platform, endpoint) if _asks_workers(rollout, order) else (),
        closed=window_at(rollout.plan.not_during, now),
        refused=_refusal(platform, version),
        order=order,
    )


def _refusal(platform: Platform, version: ModelVersion) -> str:
    """Return why the gates do not let a version through, or an empty text."""
    try:
        require_let_through(platform, version)
    except GatesNotPassedError as error:
        return f"{error.what} {error.why}"
    return ""


def _asks_workers(rollout: Rollout, order: Order | None) -> bool:
    """Whether it matters what workers have loaded: to ask looks at all processes there are."""
    return rollout.stage is Stage.WARMING or order in (Order.PROMOTE, Order.RESUME)


def _unready(platform: Platform, endpoint: Endpoint) -> tuple[str, ...]:
    """Return what the workers lack to answer for every deployment of an endpoint."""
    reports = {report.pid: report for report in platform.snapshots.reports()}
    workers = platform.fleet.state().workers
    lacking = [] if workers else ["a worker: none runs"]
    for index, pid in sorted(workers.items()):
        report = reports.get(pid)
        if report is None:
            lacking.append(f"worker {index}, which starts")
        elif report.snapshot < endpoint.revision:
            lacking.append(f"worker {index}, which loads it{report.fault and ': '}{report.fault}")
        elif report.fault:
            lacking.append(f"worker {index}: {report.fault}")
    return tuple(lacking)


def _version(platform: Platform, rollout: Rollout) -> ModelVersion:
    model, _, number = rollout.candidate_version.rpartition(":")
    return platform.registry.get(model, int(number))


def _with_reason(decision: RolloutDecision, because: str) -> RolloutDecision:
    """Return a decision with a person's reason before its own."""
    words = ": ".join(one for one in (because, decision.because) if one)
    return replace(decision, because=words)


def _keep(  # noqa: PLR0913 - what was, what is to be, and why
    platform: Platform,
    after: Rollout,
    decision: RolloutDecision,
    *,
    before: Endpoint,
    endpoint: Endpoint,
    principal: str,
    since_saved_s: float,
) -> Rollout:
    """Keep a decision in one piece, and publish it; keep what was only observed now and then."""
    if not decision.noted:
        return platform.rollouts.save(after) if since_saved_s >= SAVE_EVERY_S else after
    ended = decision.stage in ENDED
    kind = ChangeKind.ROLLOUT_ENDED if ended else ChangeKind.ROLLOUT_MOVED
    change = _change(platform, after, endpoint, kind, principal=principal)
    changed = endpoint if endpoint != before else None
    kept = platform.rollouts.save(after, endpoint=changed, change=change)
    publish_snapshot(platform)
    return kept


def _change(
    platform: Platform, rollout: Rollout, endpoint: Endpoint, kind: ChangeKind, *, principal: str
) -> Change:
    return Change(
        at=platform.clock.now(),
        principal=principal,
        kind=kind,
        subject=endpoint.name,
        because=f"rollout of {rollout.candidate_version}, {rollout.stage}: {rollout.because}",
        traffic=endpoint.traffic,
        versions={one.name: f"{one.model}:{one.version}" for one in endpoint.deployments},
    )
