"""What is wrong with what serves: processes, records, disk, quarantine and stops."""

from typing import Final

from servewell.core.catalog.series import HOUR_S, Sample
from servewell.core.catalog.series_names import RECORDS_LOST, SERIES_LEFT_OUT, WORKERS
from servewell.core.catalog.signal import Signal
from servewell.core.reliability.serving_signals import (
    ServingFacts,
    WorkerState,
    serving_signals_of,
)
from servewell.flows.platform import Platform

LOOK_S: Final = float(HOUR_S)


def serving_signals(platform: Platform, *, now: float) -> tuple[Signal, ...]:
    """Return what is wrong with what serves. `now` is in seconds since the epoch.

    Raises: StateUnavailableError, SnapshotCorruptError, StopsCorruptError, StorageError.
    """
    return tuple(serving_signals_of(_facts(platform, now=now)))


def _facts(platform: Platform, *, now: float) -> ServingFacts:
    state = platform.fleet.state()
    facts = platform.machine.facts()
    left_out = _read(platform, SERIES_LEFT_OUT, now=now)
    return ServingFacts(
        now=now,
        wanted=state.plan.workers if state.plan else 0,
        supervisor=state.supervisor is not None,
        control=state.control is not None,
        workers=_workers(platform, state.workers),
        alive=len(state.workers),
        disk_free=facts.disk_free_bytes / max(facts.disk_total_bytes, 1),
        records_lost=_read(platform, RECORDS_LOST, now=now),
        ready=_read(platform, WORKERS, now=now),
        left_out=sum(one.total for one in left_out),
        endpoints=platform.endpoints.list(),
        stops=platform.stops.current(),
    )


def _workers(platform: Platform, alive: dict[int, int]) -> tuple[WorkerState, ...]:
    snapshot = platform.snapshots.current()
    newest = snapshot.version if snapshot else 0
    return tuple(
        WorkerState(
            index=one.worker,
            ready=one.ready,
            behind=one.snapshot < newest,
            fault=one.fault,
            at=snapshot.created_at if snapshot else one.at,
        )
        for one in platform.snapshots.reports()
        if alive.get(one.worker) == one.pid
    )


def _read(platform: Platform, name: str, *, now: float) -> tuple[Sample, ...]:
    return platform.series.read(name, since=now - LOOK_S, until=now, step=60)
