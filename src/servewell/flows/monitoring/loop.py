"""Start what a verdict calls for: a training or a rollback, by the path of all changes."""

from contextlib import suppress
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
    decide_rollback,
    describe,
)
from servewell.flows.by_hand import roll_back
from servewell.flows.monitoring.triage import triage_of
from servewell.flows.platform import Platform
from servewell.flows.retrain import ask_by_verdict
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

    Raises: StateUnavailableError, StorageError, and as `roll_back`.
    """
    now = platform.clock.now()
    for known in platform.workloads.list():
        if _declares(known):
            for endpoint in platform.endpoints.list():
                if endpoint.workload == known.name:
                    _close(platform, known, endpoint, now=now)


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
        with suppress(StateConflictError):  # somebody changed it meanwhile: looked at again
            act(platform, known, endpoint, due)


def act(platform: Platform, known: KnownWorkload, endpoint: Endpoint, decision: Decision) -> None:
    """Carry a decision out.

    Raises: StateConflictError, StateUnavailableError, StorageError.
    """
    signal, because = decision.signal, decision.because
    if decision.act is Act.RETRAIN:
        ask_by_verdict(platform, known, signal=signal, because=because, endpoint=endpoint.name)
    if decision.act is Act.ROLL_BACK:
        roll_back(platform, endpoint.name, because=f"the signal `{signal}`: {because}")


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
    changes = platform.history.changes(endpoint.name)
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
        goes_back_to=_goes_back_to(endpoint, triage.deployment),
    )


def _goes_back_to(endpoint: Endpoint, deployment: str) -> str:
    """Return the traffic that a rollback would return to; nothing where it keeps the deployment."""
    try:
        after = decide_rollback(endpoint).endpoint.traffic
    except (NothingToRollBackError, QuarantinedError):
        return ""
    return "" if deployment in after else describe(after)
