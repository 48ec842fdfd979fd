"""Start what a verdict calls for: a training or a rollback, by the path of all changes."""

from dataclasses import replace
from typing import Final

from servewell.core.catalog.change import ChangeKind
from servewell.core.catalog.endpoint import Endpoint
from servewell.core.catalog.known_workload import KnownWorkload
from servewell.core.catalog.retraining import Trigger
from servewell.core.catalog.triage import Triage
from servewell.core.operations.monitoring.loop import Act, Decision, Facts, decide
from servewell.core.operations.traffic import (
    NothingToRollBackError,
    QuarantinedError,
    TrafficDecision,
    decide_rollback,
    describe,
    taken_back,
)
from servewell.errors import ServewellError
from servewell.flows.clearance import require_no_rollout, require_not_failed
from servewell.flows.monitoring.triage import triage_of
from servewell.flows.platform import Platform
from servewell.flows.release import carry_out
from servewell.flows.retrain import ask_by_verdict
from servewell.ports.gates import GatesNotPassedError
from servewell.ports.rollouts import RolloutBusyError
from servewell.ports.state import StateConflictError

TRAFFIC: Final = frozenset(
    {
        ChangeKind.DEPLOYED,
        ChangeKind.TRAFFIC_SET,
        ChangeKind.ROLLOUT_MOVED,
        ChangeKind.ROLLOUT_ENDED,
    }
)


def close_loop(platform: Platform) -> None:
    """Start what the verdicts on all endpoints call for, as far as their workloads declare it.

    Raises: what the first endpoint raised that could not be looked at, after all the others were.
    """
    now = platform.clock.now()
    declaring = {one.name: one for one in platform.workloads.list() if _declares(one)}
    faults: list[ServewellError] = []
    for endpoint in platform.endpoints.list():
        if endpoint.workload in declaring:
            try:
                _close(platform, declaring[endpoint.workload], endpoint, now=now)
            except (StateConflictError, RolloutBusyError):
                continue  # somebody changed it meanwhile: looked at again
            except ServewellError as fault:
                faults.append(fault)
    for first in faults:
        raise first


def _declares(known: KnownWorkload) -> bool:
    signals = known.workload.monitoring.signals
    return signals.retrain is not None or signals.roll_back is not None


def _close(platform: Platform, known: KnownWorkload, endpoint: Endpoint, *, now: float) -> None:
    """Start the first thing that is called for; what comes after it is seen at the next look."""
    decisions = (
        decide(facts_of(platform, known, endpoint, triage, now=now))
        for triage in triage_of(platform, endpoint.name, now=now)
    )
    due = next((one for one in decisions if one.act is not Act.NOTHING), None)
    if due is not None:
        act(platform, known, endpoint, due)


def act(platform: Platform, known: KnownWorkload, endpoint: Endpoint, decision: Decision) -> None:
    """Carry a decision out on the endpoint that it was made on, as it was read.

    Raises: StateConflictError, RolloutBusyError, NothingToRollBackError, QuarantinedError,
    GatesNotPassedError, StateUnavailableError, StorageError.
    """
    signal, because = decision.signal, decision.because
    if decision.act is Act.RETRAIN:
        ask_by_verdict(platform, known, signal=signal, because=because, endpoint=endpoint.name)
    if decision.act is Act.ROLL_BACK:
        _take_back(platform, endpoint, because=f"the signal `{signal}`: {because}")


def _take_back(platform: Platform, endpoint: Endpoint, *, because: str) -> None:
    """Return to the traffic before the last change that the verdict knew of."""
    back = decide_rollback(endpoint)
    require_no_rollout(platform, endpoint.name)
    _require_sound(platform, endpoint, back)
    back = taken_back(back, endpoint, by=platform.principal, because=because)
    carry_out(platform, endpoint, back, because=because)


def _require_sound(platform: Platform, endpoint: Endpoint, back: TrafficDecision) -> None:
    """Refuse what fails its newest report; a person may go back to that, a verdict may not.

    Raises: GatesNotPassedError, StateUnavailableError.
    """
    require_not_failed(platform, replace(endpoint, past=()), back.endpoint.traffic)


def facts_of(
    platform: Platform, known: KnownWorkload, endpoint: Endpoint, triage: Triage, *, now: float
) -> Facts:
    """Return what a decision on a verdict rests on.

    Raises: StateUnavailableError.
    """
    rollouts = platform.rollouts.list(endpoint.name, open_only=True)
    trainings = platform.retrainings.list(known.name)
    under_way = platform.retrainings.list(known.name, open_only=True)
    by_verdict = [one.asked_at for one in trainings if one.trigger is Trigger.SIGNAL]
    kinds = TRAFFIC | {ChangeKind.ROLLED_BACK}
    changes = platform.history.changes(endpoint.name, kinds=kinds)
    back = [one.at for one in changes if one.kind is ChangeKind.ROLLED_BACK]
    return Facts(
        now=now,
        triage=triage,
        rules=known.workload.monitoring.signals,
        takes_requests=triage.deployment in endpoint.traffic,
        rollout=rollouts[0].id if rollouts else "",
        retraining=under_way[0].id if under_way else 0,
        halted=known.fault or (f"trainings are paused: {known.paused}" if known.paused else ""),
        retrained_at=max(by_verdict, default=None),
        rolled_back_at=max(back, default=None),
        changed_at=max((one.at for one in changes if one.kind in TRAFFIC), default=None),
        no_way_back=_no_way_back(platform, endpoint, triage.deployment),
    )


def _no_way_back(platform: Platform, endpoint: Endpoint, deployment: str) -> str:
    """Return why the traffic before the last change is none to return to; nothing where it is."""
    try:
        back = decide_rollback(endpoint)
        _require_sound(platform, endpoint, back)
    except (NothingToRollBackError, QuarantinedError, GatesNotPassedError) as fault:
        return fault.what
    after = back.endpoint.traffic
    if deployment in after:
        return f"{describe(after)} before the last change has it too"
    withdrawn = [one for one in endpoint.deployments if one.withdrawn and one.name in after]
    return "; ".join(f"of `{one.name}`, {one.withdrawn}" for one in withdrawn)
