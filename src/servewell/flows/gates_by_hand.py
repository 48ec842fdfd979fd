"""Ask the gates, and overrule them, by hand."""

from dataclasses import dataclass
from pathlib import Path

from servewell.core.catalog.change import Change, ChangeKind
from servewell.core.catalog.gate import GateOverride, GateReport
from servewell.core.catalog.model import ModelVersion
from servewell.core.catalog.workload import Workload
from servewell.core.operations.clearance import why_only_a_look
from servewell.errors import ServewellError
from servewell.flows.deliver import champion_of, endpoint_of
from servewell.flows.platform import Platform
from servewell.ports.gates import GatesNotPassedError


class OverrideInvalidError(ServewellError):
    """An override of the gates has no reason, or there is nothing to overrule."""

    code = "SW-141"


class GateWorkloadUnknownError(ServewellError):
    """It is not known which workload file holds the gates of a model."""

    code = "SW-142"


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What the gates are to judge, by what, beside what."""

    version: ModelVersion
    workload: Workload
    folder: Path
    champion: ModelVersion | None
    only_look: str  # why the report will not count, if it will not


def what_to_judge(  # noqa: PLR0913 - the words of the command, each optional
    platform: Platform,
    model: str,
    number: int | None,
    *,
    folder: Path | None = None,
    champion: tuple[str, int | None] | None = None,
    alone: bool = False,
) -> Asked:
    """Return what is judged: by the workload in `folder`, or the one that was last brought up.

    The champion is what serves most, unless another is named, or none is wanted (`alone`).

    Raises: ModelMissingError, GateWorkloadUnknownError, WorkloadFaultsError,
    StateUnavailableError.
    """
    version = platform.registry.get(model, number)
    workload, place = platform.workload_files.read(folder or _last_folder(platform, model))
    if workload.model_name != model:
        raise _of_another(workload, model, place)
    serving = champion_of(platform, endpoint_of(platform, workload), version)
    chosen = platform.registry.get(*champion) if champion else None
    beside = chosen if champion or alone else serving
    only_look = why_only_a_look(
        champion=beside.name if beside else None,
        serving=serving.name if serving else None,
        folder=str(place.resolve()),
        remembered=_remembered(platform, workload),
    )
    return Asked(
        version=version, workload=workload, folder=place, champion=beside, only_look=only_look
    )


def newest_report(platform: Platform, model: str, number: int | None) -> GateReport:
    """Return the report that counts of a version.

    Raises: ModelMissingError, GatesNotPassedError where it was never judged,
    StateUnavailableError.
    """
    version = platform.registry.get(model, number)
    report = platform.gates.latest(version.package)
    if report is None:
        raise GatesNotPassedError.never_judged(version.name)
    return report


def overridable(platform: Platform, model: str, number: int | None, because: str) -> GateReport:
    """Return the report that an override would be of.

    Raises: OverrideInvalidError, and as `newest_report`.
    """
    if not because.strip():
        raise OverrideInvalidError(
            "An override needs a reason.",
            why="it lets a version through that was not shown to be good, and is kept for ever",
            fix='say why with `--because "…"`',
        )
    report = newest_report(platform, model, number)
    if report.lets_through:
        raise OverrideInvalidError(
            f"{report.version} needs no override.",
            why="the gates let it through"
            if report.override is None
            else f"`{report.override.principal}` let it through: {report.override.because}",
            fix="deploy it, or begin a rollout",
        )
    return report


def override(platform: Platform, model: str, number: int | None, *, because: str) -> GateReport:
    """Let a version through by a person's word, which stays in the history with it.

    Raises: OverrideInvalidError, GatesNotPassedError where it was never judged,
    StateConflictError, StateUnavailableError.
    """
    report = overridable(platform, model, number, because)
    at = platform.clock.now()
    given = GateOverride(principal=platform.principal, because=because.strip(), at=at)
    change = Change(
        at=at,
        principal=platform.principal,
        kind=ChangeKind.GATES_OVERRIDDEN,
        subject=report.version,
        because=f"{given.because}; the gates said `{report.verdict}`: {report.because}",
    )
    return platform.gates.override(report.id, given, change)


def _last_folder(platform: Platform, model: str) -> Path:
    """Return the folder of the workload that makes a model, as it was last brought up.

    Raises: GateWorkloadUnknownError, StateUnavailableError.
    """
    known = [one for one in platform.workloads.list() if one.workload.model_name == model]
    if not known:
        raise GateWorkloadUnknownError(
            f"It is not known by which gates `{model}` is judged.",
            why="no workload that makes it was brought up in this home",
            fix="name the folder of its workload file with `--folder`",
        )
    return Path(max(known, key=lambda one: one.at).folder)


def _remembered(platform: Platform, workload: Workload) -> str:
    """Return where the gates of a model are, as this home knows it; empty where it does not."""
    known = [
        one for one in platform.workloads.list() if one.workload.model_name == workload.model_name
    ]
    own = [one for one in known if one.name == workload.workload] or known
    return str(Path(max(own, key=lambda one: one.at).folder).resolve()) if own else ""


def _of_another(workload: Workload, model: str, folder: Path) -> GateWorkloadUnknownError:
    return GateWorkloadUnknownError(
        f"The workload in {folder} does not hold the gates of `{model}`.",
        why=f"`{workload.workload}` makes the model `{workload.model_name}`",
        fix=f"name the folder of the workload that makes `{model}` with `--folder`",
    )
