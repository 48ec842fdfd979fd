"""What could not be told is a signal too."""

from collections.abc import Sequence
from typing import Final

from servewell.core.catalog.alert import DeliveryState, GivenUp
from servewell.core.catalog.signal import Severity, Signal, SignalKind
from servewell.core.operations.monitoring.alerts_notices import most_urgent_of
from servewell.flows.platform import Platform

WITHIN_S: Final = 86_400.0


def delivery_signals(platform: Platform, *, now: float) -> tuple[Signal, ...]:
    """Return a signal of each receiver that lately did not take all, or not for everybody.

    One that no workload names any more was taken out by a person: that is no fault.

    Raises: StateUnavailableError.
    """
    by_receiver: dict[tuple[str, str, DeliveryState], list[GivenUp]] = {}
    for one in platform.outbox.given_up(since=now - WITHIN_S):
        by_receiver.setdefault((one.workload, one.receiver, one.state), []).append(one)
    if not by_receiver:
        return ()
    named = {
        (one.name, receiver)
        for one in platform.workloads.list()
        for receiver in one.workload.alerts.receivers
    }
    return tuple(
        _dead(workload, receiver, found)
        if state is DeliveryState.DEAD
        else _partly(workload, receiver, found)
        for (workload, receiver, state), found in by_receiver.items()
        if (workload, receiver) in named
    )


def _dead(workload: str, receiver: str, dead: Sequence[GivenUp]) -> Signal:
    severity = Severity.TICKET
    for one in dead:  # a page that nobody got is as urgent as it was
        severity = most_urgent_of(one.severity, severity)
    return Signal(
        kind=SignalKind.SERVING,
        severity=severity,
        endpoint="",
        subject=f"receiver {workload}/{receiver}",
        since=dead[0].made_at,
        what=f"{len(dead):,} alerts to `{receiver}` of `{workload}` could not be delivered.",
        because=f"the last try ended so: {dead[-1].answer}",
        value=float(len(dead)),
        bound=0.0,
        command="servewell alerts dead-letters",
        runbook="receiver-fails",
    )


def _partly(workload: str, receiver: str, partly: Sequence[GivenUp]) -> Signal:
    return Signal(
        kind=SignalKind.SERVING,
        severity=Severity.TICKET,
        endpoint="",
        subject=f"recipients {workload}/{receiver}",
        since=partly[0].made_at,
        what=f"{len(partly):,} alerts to `{receiver}` of `{workload}` did not reach everybody.",
        because=f"of the last one the mail server said: {partly[-1].answer}",
        value=float(len(partly)),
        bound=0.0,
        command="servewell alerts test",
        runbook="receiver-fails",
    )
