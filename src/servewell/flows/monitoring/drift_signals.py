"""What is to be said of drift and of broken feeds."""

from servewell.core.catalog.signal import Signal
from servewell.core.operations.monitoring.drift_alarms import signals_of
from servewell.flows.monitoring.triage import examined
from servewell.flows.platform import Platform


def drift_signals(platform: Platform, *, now: float) -> tuple[Signal, ...]:
    """Return what is to be said of drift and of broken feeds, of all that takes requests.

    Raises: StateUnavailableError, StorageError.
    """
    return tuple(
        signal
        for endpoint in platform.endpoints.list()
        for report, verdict in examined(platform, endpoint.name, now=now)
        if report.deployment in endpoint.traffic
        for signal in signals_of(report, verdict)
    )
