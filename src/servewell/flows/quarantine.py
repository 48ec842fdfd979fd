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
    workers = platform.fleet.state().workers
    live = [one for one in platform.snapshots.reports() if workers.get(one.worker) == one.pid]
    return [one for report in live for one in report.quarantined]
