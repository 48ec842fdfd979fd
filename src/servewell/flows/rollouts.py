"""Roll a model version out: begin, go on by evidence, and what people order."""

from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Final

from servewell.core.catalog.change import Change, ChangeKind
from servewell.core.catalog.endpoint import Endpoint
from servewell.core.catalog.model import ModelVersion
from servewell.core.catalog.rollout import Rollout, RolloutPlan
from servewell.core.catalog.workload_rollout import RolloutRules
from servewell.core.operations.rollout import decide
from servewell.core.operations.rollout_change import endpoint_after, rollout_after
from servewell.core.operations.rollout_evidence import (
    worth_keeping,
)
from servewell.core.operations.rollout_moves import Order, RolloutDecision
from servewell.core.operations.rollout_start import decide_start
from servewell.errors import ServewellError
from servewell.flows.clearance import require_let_through
from servewell.flows.environments import Progress, ensure_environment
from servewell.flows.platform import Platform
from servewell.flows.publish import publish_snapshot, wait_acknowledged
from servewell.flows.rollout_facts import facts_of, observed
from servewell.ports.rollouts import RolloutMissingError, busy
from servewell.ports.state import StateConflictError
from servewell.ports.workloads import WorkloadMissingError

ORDER_ATTEMPTS: Final = 10  # while the control process looks at it too


@dataclass(frozen=True, slots=True, kw_only=True)
class Advanced:
    """A decision, and the rollout after it."""

    rollout: Rollout
    decision: RolloutDecision
    endpoint: Endpoint
    carried_out: bool  # False for a dry run
    behind: tuple[int, ...] = ()  # live workers that did not acknowledge it in time


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
    require_let_through(platform, version, beside=before)
    if dry_run:
        return rollout
    ensure_environment(platform, version, progress)
    kind = ChangeKind.ROLLOUT_STARTED
    change = _change(platform, rollout, before, kind, principal=platform.principal)
    kept = platform.rollouts.save(rollout, change=change)
    publish_snapshot(platform)
    return kept


def advance_rollouts(platform: Platform) -> bool:
    """Make the next move of every rollout that has one; return whether any was under way.

    What another one made is done.

    Raises: what the first raised that could not go on, after all others were looked at.
    """
    faults: list[ServewellError] = []
    under_way = platform.rollouts.list(open_only=True)
    for rollout in under_way:
        try:
            advance(platform, rollout)
        except StateConflictError:
            continue  # another control process, or a person, was first: the next look sees it
        except ServewellError as fault:
            faults.append(fault)
    for first in faults:
        raise first
    return bool(under_way)


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


def find_rollout(platform: Platform, name: str) -> Rollout:
    """Return the newest rollout of an endpoint, or the one of that id.

    Raises: RolloutMissingError, StateUnavailableError.
    """
    found = platform.rollouts.list(name)
    return found[-1] if found else platform.rollouts.get(name)


def rules_of(platform: Platform, endpoint: str) -> RolloutRules:
    """Return the rules that the workload of an endpoint declares, as far as this home knows it.

    Raises: EndpointMissingError, StateUnavailableError.
    """
    name = platform.endpoints.get(endpoint).workload
    try:
        return platform.workloads.get(name).workload.rollout
    except WorkloadMissingError:
        return RolloutRules()


def give_order(
    platform: Platform, endpoint: str, order: Order, *, because: str = "", dry_run: bool = False
) -> Advanced:
    """Do with the rollout of an endpoint what a person wants; wait until the workers serve it so.

    Raises: EndpointMissingError, RolloutMissingError, OrderRefusedError, StateConflictError,
    StateUnavailableError, StorageError.
    """
    done = _ordered(platform, endpoint, order, because=because, dry_run=dry_run)
    if dry_run:
        return done
    version = platform.history.revision()
    return replace(done, behind=wait_acknowledged(platform, version))


def _ordered(
    platform: Platform, endpoint: str, order: Order, *, because: str, dry_run: bool
) -> Advanced:
    """Carry an order out on the rollout as it is by then: the reconciler looks all the time."""
    for _ in range(ORDER_ATTEMPTS - 1):
        with suppress(StateConflictError):
            rollout = open_rollout(platform, endpoint)
            return advance(platform, rollout, order=order, because=because, dry_run=dry_run)
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
    seen, blind = observed(platform, rollout)
    facts = facts_of(platform, (rollout, seen), blind=blind, version=version, order=order, now=now)
    decision = decide(seen, facts)
    told = replace(decision, because=_words(because, decision.because))
    principal = platform.principal if order else rollout.principal
    after = rollout_after(seen, told, facts, now=now, principal=principal)
    by = platform.principal if order else ""
    endpoint = endpoint_after(facts.endpoint, rollout, told, version=version, by=by)
    if not dry_run:
        after = _keep(platform, (rollout, after), told, facts.endpoint, endpoint, principal)
    return Advanced(rollout=after, decision=told, endpoint=endpoint, carried_out=not dry_run)


def _version(platform: Platform, rollout: Rollout) -> ModelVersion:
    model, _, number = rollout.candidate_version.rpartition(":")
    return platform.registry.get(model, int(number))


def _words(*parts: str) -> str:
    return ": ".join(part for part in parts if part)


def _keep(  # noqa: PLR0913, PLR0917 - what was, what is to be, and by whom
    platform: Platform,
    rollout: tuple[Rollout, Rollout],
    decision: RolloutDecision,
    before: Endpoint,
    endpoint: Endpoint,
    principal: str,
) -> Rollout:
    """Keep a decision in one piece, and publish it; keep what was only observed now and then."""
    read, after = rollout
    if not decision.noted:
        return platform.rollouts.save(after) if worth_keeping(read, after) else after
    kind = ChangeKind.ROLLOUT_ENDED if after.ended else ChangeKind.ROLLOUT_MOVED
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
