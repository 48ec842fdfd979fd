"""What could not be told is a signal too."""

from typing import Final

from servewell.core.catalog.alert import Delivery, DeliveryState
from servewell.core.catalog.signal import Severity, Signal, SignalKind
from servewell.flows.platform import Platform

WITHIN_S: Final = 86_400.0
DEAD_MAX: Final = 1_000


def delivery_signals(platform: Platform, *, now: float) -> tuple[Signal, ...]:
    """Return a signal of each receiver whose deliveries were given up within a day.

    Raises: StateUnavailableError.
    """
    dead = platform.outbox.list(DeliveryState.DEAD, limit=DEAD_MAX)
    by_receiver: dict[tuple[str, str], list[Delivery]] = {}
    for one in dead:
        if 0 <= now - one.made_at <= WITHIN_S:
            by_receiver.setdefault((one.workload, one.receiver), []).append(one)
    return tuple(_signal(*whom, found) for whom, found in by_receiver.items())


def _signal(workload: str, receiver: str, dead: list[Delivery]) -> Signal:
    return Signal(
        kind=SignalKind.SERVING,
        severity=Severity.TICKET,
        endpoint="",
        subject=f"receiver {workload}/{receiver}",
        since=min(one.made_at for one in dead),
        what=f"{len(dead):,} alerts to `{receiver}` of `{workload}` could not be delivered.",
        because=f"the last try ended so: {dead[0].answer}",
        value=float(len(dead)),
        bound=0.0,
        command="servewell alerts dead-letters",
        runbook="receiver-fails",
    )
