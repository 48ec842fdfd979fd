"""Find models that appear in a watched folder; each is asked for once."""

from dataclasses import replace
from pathlib import Path

from servewell.core.catalog.known_workload import KnownWorkload
from servewell.core.catalog.retraining import Retraining, Trigger
from servewell.flows.platform import Platform
from servewell.ports.arrivals import Arrival


def discover(
    platform: Platform, known: KnownWorkload, rows: tuple[Retraining, ...]
) -> tuple[Retraining, ...]:
    """Ask for each model in the watched folder that was not taken and is written to its end.

    Raises: StateConflictError, StateUnavailableError.
    """
    watch = known.workload.retrain.watch
    if watch is None or watch.folder is None or known.fault or known.paused:
        return ()
    taken = {one.source for one in rows}
    latest = platform.clock.now() - known.workload.retrain.settle_s
    found = (
        _asked(platform, known, one)
        for one in platform.arrivals.models(Path(known.folder) / watch.folder)
        if one.changed_at <= latest
    )
    new = tuple(one for one in found if one.source not in taken)
    return platform.retrainings.save(*new) if new else ()


def ask_for_version(
    platform: Platform, known: KnownWorkload, *, version: str, url: str
) -> Retraining:
    """Ask for a version of a watched registry.

    Raises: StateConflictError where it was taken, StateUnavailableError.
    """
    row = replace(
        _row(platform, known),
        because=f"`{version}` appeared in the registry at {url}",
        source=f"{url} {version}",
        location=version,
    )
    return platform.retrainings.save(row)[0]


def _asked(platform: Platform, known: KnownWorkload, found: Arrival) -> Retraining:
    return replace(
        _row(platform, known),
        because=f"`{found.path.name}` appeared in `{found.path.parent}`",
        source=f"{found.path} {found.stamp}",
        location=str(found.path),
    )


def _row(platform: Platform, known: KnownWorkload) -> Retraining:
    return Retraining(
        workload=known.name,
        trigger=Trigger.NEW_MODEL,
        because="",
        principal=platform.principal,
        asked_at=platform.clock.now(),
    )
