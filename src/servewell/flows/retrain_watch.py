"""Find models that appear in a watched folder; each is asked for once."""

from dataclasses import replace
from pathlib import Path

from servewell.core.catalog.known_workload import KnownWorkload
from servewell.core.catalog.retraining import Retraining, Trigger
from servewell.flows.platform import Platform
from servewell.ports.arrivals import Arrival


def discover(platform: Platform, known: KnownWorkload) -> tuple[Retraining, ...]:
    """Ask for each model in the watched folder that was not taken and is written to its end.

    Raises: StateConflictError, StateUnavailableError.
    """
    watch = known.workload.retrain.watch
    if watch is None or watch.folder is None or known.fault or known.paused:
        return ()
    taken = platform.retrainings.sources(known.name)
    latest = platform.clock.now() - known.workload.retrain.settle_s
    found = (
        _asked(platform, known, one)
        for one in platform.arrivals.models(Path(known.folder) / watch.folder)
        if one.changed_at <= latest
    )
    new = tuple(one for one in found if one.source not in taken)
    return platform.retrainings.save(*new) if new else ()


def look_at_registry(platform: Platform, known: KnownWorkload) -> tuple[Retraining, ...]:
    """Ask for each version in the watched registry that was not taken.

    At the first look that is the newest one; what Servewell mirrored there itself is none.

    Raises: TrackingFailedError, StateConflictError, StateUnavailableError.
    """
    watch = known.workload.retrain.watch
    if watch is None or watch.mlflow is None or known.fault or known.paused:
        return ()
    model = watch.model or known.workload.model_name
    of_model = f"{watch.mlflow} models:/{model}/"
    sources = platform.retrainings.sources(known.name)
    taken = [int(one.removeprefix(of_model)) for one in sources if one.startswith(of_model)]
    there = [one for one in platform.tracking.versions(watch.mlflow, model) if not one.ours]
    new = [one for one in there if one.number > max(taken)] if taken else there[-1:]
    asked = (
        replace(
            _row(platform, known),
            because=f"version {one.number} of `{model}` appeared in the registry at {watch.mlflow}",
            source=f"{of_model}{one.number}",
            location=f"models:/{model}/{one.number}",
        )
        for one in new
    )
    return platform.retrainings.save(*asked) if new else ()


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
