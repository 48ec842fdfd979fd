"""Mirror runs and versions to tracking servers, and look at the registries of others.

What is still to be sent is what the state holds and a server has not, so nothing is lost; it runs
in a process of its own, so nothing waits for a server.
"""

import sys
from collections.abc import Callable, Iterator
from typing import Final

import msgspec

from servewell.core.catalog.known_workload import KnownWorkload
from servewell.core.catalog.model import ModelVersion, digest_of
from servewell.core.catalog.run import Run
from servewell.core.catalog.tracked import RunCopy, Tracked
from servewell.errors import ServewellError
from servewell.flows.platform import Platform
from servewell.flows.retrain_watch import look_at_registry
from servewell.ports.tracking import TrackingFailedError

ROLE: Final = "tracking"
TICK_S: Final = 0.5
EVERY_S: Final = 2.0
SHARE: Final = 0.05  # of its time that it may work where nothing is new, with ever more runs
FAILURES_MAX: Final = 3  # of the server, after which the rest waits for the next time
AGAIN_S: Final = 15.0  # after a server did not answer


def keep_tracking(platform: Platform) -> None:
    """Have the process of the mirror run where a workload asks for it."""
    asked = any(_asks(one) for one in platform.workloads.list())
    if asked and platform.side_processes.find(ROLE) is None:
        platform.side_processes.start(ROLE)


def run_tracking(platform: Platform, *, stopping: Callable[[], bool]) -> None:
    """Mirror what is new and look for what appeared, until nothing asks for it any more."""
    said = ""
    due = wait_s = 0.0
    while not stopping():
        now = platform.clock.now()
        if now >= due or due > now + wait_s:  # also where the clock was set back
            known = [one for one in platform.workloads.list() if _asks(one)]
            if not known:
                return
            troubles = [trouble for one in known if (trouble := _attend(platform, one))]
            worked_s = max(0.0, platform.clock.now() - now)
            due = now + max(AGAIN_S if troubles else EVERY_S, worked_s / SHARE)
            wait_s = due - now
            words = "; ".join(troubles)
            if words != said:
                _say(words or "it works again")
            said = words
        platform.clock.sleep(TICK_S)


def mirror(platform: Platform, known: KnownWorkload) -> int:
    """Send what the server of a workload has not, the newest first; return how many runs that were.

    One that cannot be sent keeps no other from it, unless it is the server's fault.

    Raises: the first of TrackingFailedError, BlobMissingError, BlobCorruptError, StorageError,
    after the others; StateUnavailableError.
    """
    url, sent = known.workload.tracking.mlflow, 0
    if url is None:
        return sent
    has = {one.run: one.digest for one in platform.mirrors.list(url)}
    failures: list[ServewellError] = []
    away = 0
    for copy in _copies(platform, known):
        digest = digest_of(msgspec.json.encode(copy, order="sorted"))
        if has.get(copy.run) == digest:
            continue
        try:
            _send(platform, url, copy, digest)
            sent += 1
        except ServewellError as error:
            failures.append(error)
            away += isinstance(error, TrackingFailedError) and not error.of_one
        if away == FAILURES_MAX:
            break
    if failures:
        raise failures[0]
    return sent


def _send(platform: Platform, url: str, copy: RunCopy, digest: str) -> None:
    files = {name: platform.blobs.path(held) for name, held in copy.files.items()}
    if copy.model:
        files["model"] = platform.blobs.path(copy.artifact)
    place = platform.tracking.mirror(url, copy, files)
    platform.mirrors.keep(
        Tracked(
            run=copy.run,
            url=url,
            digest=digest,
            mlflow_run=place.run,
            mlflow_version=place.version,
            at=platform.clock.now(),
        )
    )


def _asks(known: KnownWorkload) -> bool:
    watch = known.workload.retrain.watch
    return bool(known.workload.tracking.mlflow or (watch and watch.mlflow))


def _attend(platform: Platform, known: KnownWorkload) -> str:
    """Do what is due for a workload; return what went wrong."""
    troubles = []
    for duty in (mirror, look_at_registry):  # neither waits for the other
        try:
            duty(platform, known)
        except (OSError, ServewellError) as error:
            troubles.append(f"{known.name}: {error}")
    return "; ".join(dict.fromkeys(troubles))


def _copies(platform: Platform, known: KnownWorkload) -> Iterator[RunCopy]:
    champion = _champion(platform, known)
    versions = {one.name: one for one in platform.registry.list(known.workload.model_name)}
    for run in reversed(platform.runs.list(known.name)):
        version = versions.get(run.model_version or "")
        yield _copy(platform, known, run, version=version, champion=champion)


def _copy(
    platform: Platform,
    known: KnownWorkload,
    run: Run,
    *,
    version: ModelVersion | None,
    champion: str,
) -> RunCopy:
    manifest = version.manifest if version else None
    return RunCopy(
        run=run.id,
        workload=run.workload,
        experiment=known.workload.tracking.experiment or known.name,
        state=run.state,
        started_at=run.started_at,
        ended_at=run.ended_at,
        parameters=dict(run.parameters),
        metrics=dict(run.metrics),
        tags=_tags(platform, run, version),
        files=_files(platform, version),
        model=version.model if version else "",
        artifact=manifest.artifact if manifest else "",
        runtime=manifest.runtime if manifest else "",
        champion=version is not None and version.package == champion,
    )


def _tags(platform: Platform, run: Run, version: ModelVersion | None) -> dict[str, str]:
    report = platform.gates.latest(version.package) if version else None
    tags = {
        "servewell.workload": run.workload,
        "servewell.dataset": run.dataset,
        "servewell.environment": run.environment_digest,
        "servewell.dirty": "true" if run.dirty else "false",
        "servewell.error": run.error,
        "servewell.version": version.name if version else None,
        "servewell.package": version.package if version else None,
        "servewell.dataset_digest": version.manifest.lineage.dataset_digest if version else None,
        "servewell.gates": report.verdict if report else None,
        "servewell.gates.because": report.because if report else None,
        "mlflow.source.git.commit": run.commit,
    }
    return {name: value for name, value in tags.items() if value}


def _files(platform: Platform, version: ModelVersion | None) -> dict[str, str]:
    if version is None:
        return {}
    report = platform.gates.latest(version.package)
    pages = (("gates.html", report.page), ("gates.json", report.document)) if report else ()
    return {**version.manifest.files, **{name: digest for name, digest in pages if digest}}


def _champion(platform: Platform, known: KnownWorkload) -> str:
    """Return the package that most requests of the endpoint go to; empty where there is none."""
    of_it = (known.workload.endpoint_name, known.name)
    found = [one for one in platform.endpoints.list() if (one.name, one.workload) == of_it]
    serving = [one for one in found[0].deployments if one.share_bp] if found else []
    return max(serving, key=lambda one: one.share_bp).package if serving else ""


def _say(words: str) -> None:
    sys.stderr.write(f"tracking: {words}\n")
    sys.stderr.flush()
