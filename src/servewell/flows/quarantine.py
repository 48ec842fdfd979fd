"""Carry out what workers have found of versions that keep ending their processes."""

from servewell.core.operations.quarantine import decide_withdrawal
from servewell.flows.platform import Platform
from servewell.flows.release import carry_out
from servewell.ports.snapshots import Quarantined


def enforce_quarantine(platform: Platform) -> None:
    """Take the traffic from every deployment that a live worker runs no more.

    What was carried out once changes nothing again.

    Raises: StateConflictError, StateUnavailableError, StorageError.
    """
    for one in _found(platform):
        for endpoint in platform.endpoints.list():
            decision = decide_withdrawal(
                endpoint, one.package, trial=one.trial, because=one.because
            )
            carry_out(platform, endpoint, decision)


def _found(platform: Platform) -> list[Quarantined]:
    blaming = [report for report in platform.snapshots.reports() if report.quarantined]
    workers = platform.fleet.state().workers if blaming else {}  # looks at all processes there are
    live = [report for report in blaming if workers.get(report.worker) == report.pid]
    return [one for report in live for one in report.quarantined]
