"""What could not be told is a signal too."""

from collections.abc import Sequence
from typing import Final

from servewell.core.catalog.alert import GivenUp
from servewell.core.catalog.signal import Severity, Signal, SignalKind
from servewell.core.operations.monitoring.alerts_notices import most_urgent_of
from servewell.flows.platform import Platform

WITHIN_S: Final = 86_400.0


def delivery_signals(platform: Platform, *, now: float) -> tuple[Signal, ...]:
    """Return a signal of each receiver whose deliveries were given up within a day.

    One that no workload names any more was taken out by a person: that is no fault.

    Raises: StateUnavailableError.
    """
    by_receiver: dict[tuple[str, str], list[GivenUp]] = {}
    for one in platform.outbox.given_up(since=now - WITHIN_S):
        by_receiver.setdefault((one.workload, one.receiver), []).append(one)
    if not by_receiver:
        return ()
    named = {
        (one.name, receiver)
        for one in platform.workloads.list()
        for receiver in one.workload.alerts.receivers
    }
    return tuple(_signal(*whom, found) for whom, found in by_receiver.items() if whom in named)


def _signal(workload: str, receiver: str, dead: Sequence[GivenUp]) -> Signal:
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
