"""What is known of a rollout at one moment: everything that its next move depends on."""

from typing import Final

from servewell.core.catalog.change_window import window_at
from servewell.core.catalog.endpoint import Endpoint
from servewell.core.catalog.evidence_cursor import CursorUnreadableError
from servewell.core.catalog.gate import GateVerdict
from servewell.core.catalog.judgement import GuardFacts
from servewell.core.catalog.model import ModelVersion
from servewell.core.catalog.rollout import Rollout, Stage
from servewell.core.operations.judge import all_failing, crowded, hard_guard, judge
from servewell.core.operations.rollout_change import watched
from servewell.core.operations.rollout_evidence import alone_word, gap_word, news, shadow_word
from servewell.core.operations.rollout_moves import NOT_BEGUN, Facts, Order
from servewell.core.operations.stopping import describe_stop, order_for
from servewell.flows.clearance import require_let_through
from servewell.flows.evidence import observe
from servewell.flows.platform import Platform
from servewell.ports.gates import GatesNotPassedError
from servewell.ports.stops import StopsCorruptError
from servewell.ports.storage import StorageError

UNREAD: Final = "records are still being read"
SPOKE_WITHIN_S: Final = 30.0  # of a worker that tells its memory each two seconds
MEMORY_SHARE_MAX: Final = 0.9  # of the machine's, that all workers together may hold


def observed(platform: Platform, rollout: Rollout) -> tuple[Rollout, str]:
    """Return the rollout with what was recorded since the last look, or why that is not known."""
    if rollout.stage in NOT_BEGUN:
        return rollout, ""
    try:
        return observe(platform, rollout), ""
    except (StorageError, CursorUnreadableError) as error:
        return rollout, f"{error.what} {error.why}"


def facts_of(  # noqa: PLR0913 - what a decision depends on
    platform: Platform,
    looks: tuple[Rollout, Rollout],
    *,
    blind: str,
    version: ModelVersion,
    order: Order | None,
    now: float,
) -> Facts:
    """Return the facts; `looks` are the rollout that was read, and with what was observed since.

    Raises: EndpointMissingError, StateUnavailableError.
    """
    before, rollout = looks
    watched_s, jumped_s = watched(rollout.looked_at, now)
    endpoint = platform.endpoints.get(rollout.endpoint)
    plan, evidence = rollout.plan, rollout.evidence
    shadow, alone = shadow_word(plan, rollout.comparison), alone_word(plan, evidence)
    machine = _guard_facts(platform, rollout, now)
    stopped = _stop(platform, rollout.endpoint)
    watched_s = 0.0 if stopped else watched_s
    refused, failed = _refusal(platform, version)
    return Facts(
        endpoint=endpoint,
        watched_s=watched_s,
        jumped_s=jumped_s,
        quiet_s=0.0 if news(before, rollout) else rollout.quiet_s + watched_s,
        requests=evidence.requests[1] + evidence.alone[0],
        judgement=judge(plan, evidence) if evidence.looks else None,
        worse_alone=alone.worse,
        unsure_alone=alone.unsure,
        guard=all_failing(plan, evidence) or hard_guard(machine),
        crowded=crowded(machine),
        memory_bytes=machine.memory_bytes,
        stopped=stopped,
        blind=blind or (UNREAD if rollout.unread else ""),
        gap=gap_word(before, rollout),
        shadow_worse=shadow.worse,
        shadow_missing=shadow.missing,
        unready=_unready(platform, endpoint) if _asks_workers(rollout, order) else (),
        closed=window_at(plan.not_during, now),
        refused=refused,
        failed=failed,
        order=order,
    )


def _guard_facts(platform: Platform, rollout: Rollout, now: float) -> GuardFacts:
    """Return what the workers that spoke of late hold, and what each of them may."""
    held = [
        report.memory_bytes
        for report in platform.snapshots.reports()
        if abs(now - report.at) < SPOKE_WITHIN_S
    ]
    memory_bytes = platform.machine.facts().memory_bytes
    return GuardFacts(
        memory_bytes=max(held, default=0),
        memory_bytes_before=rollout.memory_bytes,
        memory_bytes_max=int(MEMORY_SHARE_MAX * memory_bytes / max(1, len(held))),
    )


def _stop(platform: Platform, endpoint: str) -> str:
    """Return why no deployment answers an endpoint, or an empty text.

    Workers that cannot read the stops keep those that they had, so nothing is known then.
    """
    try:
        order = order_for(platform.stops.current(), endpoint)
    except StopsCorruptError as error:
        return f"it cannot be told whether the endpoint is stopped: {error.what}"
    return f"the endpoint is {describe_stop(order)}" if order else ""


def _refusal(platform: Platform, version: ModelVersion) -> tuple[str, bool]:
    """Return why the gates do not let a version through, and whether it failed them."""
    try:
        require_let_through(platform, version)
    except GatesNotPassedError as error:
        report = platform.gates.latest(version.package)
        failed = report is not None and report.verdict is GateVerdict.FAIL
        return f"{error.what} {error.why}", failed
    return "", False


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
