"""From the files of a workload to a version that takes over the traffic: nothing skips a gate."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from servewell.core.catalog.dataset import DatasetVersion
from servewell.core.catalog.endpoint import Endpoint
from servewell.core.catalog.gate import GateReport
from servewell.core.catalog.model import ModelVersion
from servewell.core.catalog.rollout import Rollout
from servewell.core.catalog.workload import Workload
from servewell.core.operations.clearance import Clearance, decide_clearance
from servewell.core.operations.rollout_plan import plan_of
from servewell.flows.gates import judge_version
from servewell.flows.make_model import Made, keep_dataset, make_model
from servewell.flows.platform import Platform
from servewell.flows.rollouts import start_rollout
from servewell.ports.endpoints import EndpointMissingError

Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivered:
    """What came of a delivery. Without a rollout nothing that serves has changed."""

    dataset: DatasetVersion | None
    made: Made
    report: GateReport
    rollout: Rollout | None
    clearance: Clearance
    because: str  # why there is a rollout, or none

    @property
    def version(self) -> ModelVersion:
        """The version that was made, or found made."""
        return self.made.version


def deliver(
    platform: Platform, workload: Workload, folder: Path, *, because: str, progress: Progress
) -> Delivered:
    """Make the version of a workload, have the gates judge it, and begin to roll it out.

    Where the gates do not let it through, or it serves already, nothing that serves changes.

    Raises: whatever a step raises; what was done before it stays done.
    """
    progress("data")
    dataset = keep_dataset(platform, workload, folder)
    made = make_model(platform, workload, folder, dataset=dataset, progress=progress)
    report = ensure_judged(platform, workload, folder, made.version, progress=progress)
    endpoint = endpoint_of(platform, workload)
    decision = decide_clearance(endpoint, report)
    rollout = None
    if decision.clearance is Clearance.ROLL_OUT and endpoint is not None:
        rollout = roll_out(platform, workload, endpoint, made.version, because=because)
    return Delivered(
        dataset=made.dataset,
        made=made,
        report=report,
        rollout=rollout,
        clearance=decision.clearance,
        because=decision.because,
    )


def roll_out(  # noqa: PLR0913 - who rolls out what, where and why
    platform: Platform,
    workload: Workload,
    endpoint: Endpoint,
    version: ModelVersion,
    *,
    because: str,
    dry_run: bool = False,
) -> Rollout:
    """Begin the rollout that a workload declares.

    Raises: as `start_rollout`.
    """
    return start_rollout(
        platform,
        endpoint.name,
        version,
        plan=plan_of(workload.rollout),
        because=because,
        name=free_name(endpoint, version),
        dry_run=dry_run,
    )


def ensure_judged(
    platform: Platform,
    workload: Workload,
    folder: Path,
    version: ModelVersion,
    *,
    progress: Progress,
) -> GateReport:
    """Return the report on a version against what serves now; judge it where there is none.

    A version that serves is not judged again: its report is of the time before it did.
    """
    endpoint = endpoint_of(platform, workload)
    champion = champion_of(platform, endpoint, version)
    known = platform.gates.latest(version.package)
    if known is not None and known.champion == (champion.name if champion else known.champion):
        return known
    progress(f"judging it {f'against {champion.name}' if champion else 'by itself'}")
    return judge_version(platform, workload, folder, version, champion=champion, progress=progress)


def champion_of(
    platform: Platform, endpoint: Endpoint | None, version: ModelVersion
) -> ModelVersion | None:
    """Return what a version is to be compared with: what serves most, unless it is itself."""
    serving = [one for one in endpoint.deployments if one.share_bp] if endpoint else []
    if not serving or any(one.package == version.package for one in serving):
        return None
    most = max(serving, key=lambda one: one.share_bp)
    return platform.registry.get(most.model, most.version)


def endpoint_of(platform: Platform, workload: Workload) -> Endpoint | None:
    """Return the endpoint of a workload, or None before its first `up`."""
    try:
        return platform.endpoints.get(workload.endpoint_name)
    except EndpointMissingError:
        return None


def free_name(endpoint: Endpoint, version: ModelVersion) -> str:
    """Return `v<number>`, told apart from a deployment of another model that has that name."""
    plain = f"v{version.number}"
    taken = {one.name for one in endpoint.deployments if one.package != version.package}
    return plain if plain not in taken else f"{version.model}-{plain}"
