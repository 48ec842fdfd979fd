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
from servewell.core.operations.clearance import (
    Clearance,
    decide_clearance,
    serves_most,
    still_counts,
)
from servewell.core.operations.rollout_plan import plan_of
from servewell.core.operations.rollout_start import RolloutImpossibleError
from servewell.errors import ServewellError
from servewell.flows.gates import judge_version, rules_of
from servewell.flows.make_model import Made, keep_dataset, make_model
from servewell.flows.platform import Platform
from servewell.flows.rollouts import start_rollout
from servewell.ports.endpoints import EndpointMissingError
from servewell.ports.gates import GatesNotPassedError
from servewell.ports.rollouts import RolloutBusyError

Progress = Callable[[str], None]


class EndpointTakenError(ServewellError):
    """The endpoint belongs to another workload."""

    code = "SW-211"


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

    Where the gates do not let it through, or it serves already, nothing that serves changes. A
    version for which no rollout can begin now is kept all the same, with what to do.

    Raises: EndpointTakenError, before anything is done; whatever a step raises: what was done
    before it stays done.
    """
    endpoint_of(platform, workload)
    progress("data")
    dataset = keep_dataset(platform, workload, folder)
    made = make_model(platform, workload, folder, dataset=dataset, progress=progress)
    report = ensure_judged(platform, workload, folder, made.version, progress=progress)
    if report.lets_through:  # another version may have come to serve while the gates looked
        report = ensure_judged(platform, workload, folder, made.version, progress=progress)
    endpoint = endpoint_of(platform, workload)
    decision = decide_clearance(endpoint, report)
    rollout, words = None, decision.because
    if decision.clearance is Clearance.SERVE:
        words += f"; nothing serves yet: `servewell up {folder}`"
    if decision.clearance is Clearance.ROLL_OUT and endpoint is not None:
        try:
            rollout = roll_out(platform, workload, endpoint, made.version, because=because)
        except (RolloutBusyError, RolloutImpossibleError, GatesNotPassedError) as error:
            words += _put_off(endpoint, made.version, error)
    return Delivered(
        dataset=made.dataset,
        made=made,
        report=report,
        rollout=rollout,
        clearance=decision.clearance,
        because=words,
    )


def _put_off(endpoint: Endpoint, version: ModelVersion, error: ServewellError) -> str:
    """Return why no rollout of a version began, and how a person begins it."""
    begin = f"`servewell rollouts start {endpoint.name} {version.name}`"
    return f"; no rollout of it began: {told(error)}; then {begin}"


def told(error: ServewellError) -> str:
    """Return an error as one line of the history."""
    return f"{error.what} Because {error.why}. Next: {error.fix}"


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
    name = champion.name if champion else None
    known = platform.gates.latest(version.package)
    rules = rules_of(platform, workload, folder, version)
    if known and still_counts(known, endpoint=endpoint, champion=name, rules=rules):
        return known
    progress(f"judging it {f'against {champion.name}' if champion else 'by itself'}")
    return judge_version(platform, workload, folder, version, champion=champion, progress=progress)


def champion_of(
    platform: Platform, endpoint: Endpoint | None, version: ModelVersion
) -> ModelVersion | None:
    """Return what a version is to be compared with: what serves most, unless it is itself."""
    most = serves_most(endpoint)
    if endpoint is None or most is None:
        return None
    serves = any(one.share_bp and one.package == version.package for one in endpoint.deployments)
    return None if serves else platform.registry.get(most.model, most.version)


def endpoint_of(platform: Platform, workload: Workload) -> Endpoint | None:
    """Return the endpoint of a workload, or None before its first `up`.

    Raises: EndpointTakenError.
    """
    try:
        endpoint = platform.endpoints.get(workload.endpoint_name)
    except EndpointMissingError:
        return None
    if endpoint.workload != workload.workload:
        raise EndpointTakenError(
            f"The endpoint `{endpoint.name}` belongs to the workload `{endpoint.workload}`.",
            why="two workloads under one name would take turns at each other's traffic",
            fix="give this one another name with `endpoint.name` in its file",
        )
    return endpoint


def free_name(endpoint: Endpoint, version: ModelVersion) -> str:
    """Return `v<number>`, told apart from a deployment of another model that has that name."""
    plain = f"v{version.number}"
    taken = {one.name for one in endpoint.deployments if one.package != version.package}
    return plain if plain not in taken else f"{version.model}-{plain}"
