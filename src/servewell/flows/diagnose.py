"""Look at a home, its machine and a workload, whatever of it is broken, and judge what is seen."""

import base64
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Final, TypeVar

from servewell.core.catalog.endpoint import Deployment
from servewell.core.catalog.model import manifest_from
from servewell.core.catalog.snapshot import Snapshot
from servewell.core.catalog.workload import Serving, Workload
from servewell.core.operations.diagnosis import (
    Facts,
    Finding,
    FleetSeen,
    MachineSeen,
    RecordsSeen,
    Trouble,
    WorkerSeen,
    WorkloadSeen,
    diagnose,
)
from servewell.errors import ServewellError
from servewell.flows.keys import OPERATOR_KEY, PEPPER
from servewell.flows.platform import Platform
from servewell.flows.predict import require_serving
from servewell.ports.fleet import FleetState
from servewell.ports.machine import MachineFacts

T = TypeVar("T")

SECRETS: Final = ("signing", PEPPER, "redaction", OPERATOR_KEY)
UNSERVABLE: Final = "SW-506"
LOST: Final = "servewell_records_lost_total"
FORMATS_WITHOUT_EXTRA: Final = ("onnx", "mlflow", "pyfunc")


def examine(platform: Platform, path: Path | None = None) -> tuple[Finding, ...]:
    """Return what is well and what is not; of the workload at `path` too, where there is one."""
    return diagnose(gather(platform, path))


def gather(platform: Platform, path: Path | None = None) -> Facts:
    """Look at everything. What raises an error of ours is a fact too, and hides nothing else."""
    described = None if path is None else _guarded(lambda: platform.workload_files.read(path)[0])
    state = platform.fleet.state()
    host, port = _address(state, described)
    seen = platform.machine.facts(host=host, port=None if state.workers else port)
    snapshot = _guarded(partial(_snapshot, platform))
    return Facts(
        machine=_machine(seen),
        database=_guarded(partial(_revision, platform)) if seen.home_exists else None,
        snapshot=snapshot if isinstance(snapshot, Trouble) else getattr(snapshot, "version", 0),
        packages=_guarded(partial(_packages, platform, snapshot)),
        keys=tuple(_key_troubles(platform)),
        fleet=_fleet(platform, state, host=host, port=port, port_free=seen.port_free),
        records=_guarded(partial(_records, platform, state)) if seen.home_exists else None,
        workload=_workload(described),
    )


def lost_records(platform: Platform) -> int | None:
    """Return how many records the workers could not write; None where they cannot be asked."""
    try:
        require_serving(platform)
        key = platform.secrets.find(OPERATOR_KEY)
        return None if key is None else int(platform.door(key.decode()).metrics().get(LOST, 0))
    except ServewellError:
        return None


def _guarded(look: Callable[[], T]) -> T | Trouble:
    try:
        return look()
    except ServewellError as error:
        return Trouble(what=error.what, why=error.why, fix=error.fix, code=error.code)


def _address(state: FleetState, described: Workload | Trouble | None) -> tuple[str, int]:
    """Return where this home serves, or would."""
    if state.plan is not None:
        return state.plan.host, state.plan.port
    serving = described.serving if isinstance(described, Workload) else Serving()
    return serving.host, serving.port


def _machine(seen: MachineFacts) -> MachineSeen:
    return MachineSeen(
        python=seen.python,
        platform=seen.platform,
        cores=seen.cores,
        memory_bytes=seen.memory_bytes,
        open_files_max=seen.open_files_max,
        home=seen.home,
        home_exists=seen.home_exists,
        home_fault=seen.home_fault,
        disk_free_bytes=seen.disk_free_bytes,
        extras=seen.extras,
    )


def _revision(platform: Platform) -> int:
    return platform.history.revision()  # opening the state may fail as well as reading it


def _snapshot(platform: Platform) -> Snapshot | None:
    return platform.snapshots.current()


def _packages(platform: Platform, snapshot: Snapshot | Trouble | None) -> int | Trouble | None:
    """Return how many deployments there are, after reading the package of each to its end."""
    if not isinstance(snapshot, Snapshot):
        return None
    deployments = [one for endpoint in snapshot.endpoints for one in endpoint.deployments]
    for one in deployments:
        data = platform.blobs.read(one.package)
        if not platform.signer.verify(data, base64.b64decode(one.package_signature)):
            return _forged(one)
        platform.blobs.path(manifest_from(data).artifact)
    return len(deployments)


def _forged(deployment: Deployment) -> Trouble:
    return Trouble(
        what=f"The package of {deployment.model}:{deployment.version} cannot be trusted.",
        why="its signature was not made with the key of this home",
        fix="`servewell rollback` returns to the deployment before it; `servewell up` makes the "
        "version anew",
        code=UNSERVABLE,
    )


def _key_troubles(platform: Platform) -> Iterator[Trouble]:
    for name in SECRETS:
        found = _guarded(partial(_secret, platform, name))
        if isinstance(found, Trouble):
            yield found


def _secret(platform: Platform, name: str) -> bool:
    return platform.secrets.find(name) is not None


def _fleet(
    platform: Platform, state: FleetState, *, host: str, port: int, port_free: bool | None
) -> FleetSeen:
    reports = {report.pid: report for report in platform.snapshots.reports()}
    workers = []
    for index, pid in sorted(state.workers.items()):
        report = reports.get(pid)
        workers.append(
            WorkerSeen(
                index=index,
                snapshot=report.snapshot if report else 0,
                ready=report.ready if report else False,
                fault=report.fault if report else "it has not spoken yet",
            )
        )
    return FleetSeen(
        supervisor=state.supervisor is not None,
        control=state.control is not None,
        workers=tuple(workers),
        wanted=state.plan.workers if state.plan else 0,
        host=host,
        port=port,
        port_free=port_free,
    )


def _records(platform: Platform, state: FleetState) -> RecordsSeen:
    usage = platform.records.usage()
    return RecordsSeen(
        records=usage.records,
        bytes=usage.bytes,
        bytes_max=state.plan.record_bytes_max if state.plan else None,
        damaged_bytes=usage.damaged_bytes,
        missing=usage.missing,
        lost=lost_records(platform),
    )


def _workload(described: Workload | Trouble | None) -> WorkloadSeen | Trouble | None:
    if not isinstance(described, Workload):
        return described
    artifact = described.artifact
    extra = artifact.format if artifact and artifact.format not in FORMATS_WITHOUT_EXTRA else ""
    return WorkloadSeen(name=described.workload, extra=extra, trains=described.train is not None)
