"""Look at runs: find one by the beginning of its id, and compare what was kept of several."""

from dataclasses import dataclass
from pathlib import Path

from servewell.core.catalog.dataset import DatasetVersion
from servewell.core.catalog.run import ID_SHOWN, Run
from servewell.core.catalog.run_query import RunQuery
from servewell.core.catalog.step import Step, StepState
from servewell.core.catalog.workload_steps import TRAIN
from servewell.core.operations.run_comparison import (
    RunDiff,
    compare,
    diff_data,
    diff_files,
    diff_locks,
)
from servewell.errors import ServewellError
from servewell.flows.platform import Platform


class RunAmbiguousError(ServewellError):
    """Several runs have an id that begins so."""

    code = "SW-224"


class StepMissingError(ServewellError):
    """A run has no step of that name."""

    code = "SW-225"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunDetails:
    """A run, and the steps that it did."""

    run: Run
    steps: tuple[Step, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class StepLog:
    """Where the log of an attempt of a step is."""

    step: str
    attempt: int
    path: Path


def find_run(platform: Platform, beginning: str) -> Run:
    """Return the run whose id is, or uniquely begins with, a text.

    Raises: RunMissingError, RunAmbiguousError, StateUnavailableError.
    """
    found = platform.runs.find(RunQuery(begins=beginning, limit=3)) if beginning else ()
    if len(found) == 1:
        return found[0]
    exact = [one for one in found if one.id == beginning]
    if exact or not found:
        return platform.runs.get(beginning)
    raise RunAmbiguousError(
        f"Several runs have an id that begins with `{beginning}`.",
        why=f"among them are {' and '.join(one.id for one in found[:2])}",
        fix="write more of the id; `servewell runs list` shows the beginnings",
    )


def details_of(platform: Platform, beginning: str) -> RunDetails:
    """Return a run with its steps. Raises: as `find_run`."""
    run = find_run(platform, beginning)
    return RunDetails(run=run, steps=platform.pipelines.of(run.id))


def diff_runs(platform: Platform, old: Run, new: Run) -> RunDiff:
    """Return what changed from one run to another.

    Raises: BlobMissingError, BlobCorruptError, StateUnavailableError, StorageError.
    """
    parameters = [one for one in compare((old, new)) if one.kind == "parameter" and one.differs]
    return RunDiff(
        code=diff_files(_code(platform, old), _code(platform, new)),
        environment=diff_locks(_lock(platform, old), _lock(platform, new)),
        data=diff_data(_data(platform, old), _data(platform, new)),
        parameters=tuple(parameters),
    )


def logs_of(platform: Platform, details: RunDetails, step: str | None) -> tuple[StepLog, ...]:
    """Return the logs of a run's steps, or of one; of a cached step those of the run it is from.

    A run without steps is one job.

    Raises: StepMissingError.
    """
    if step is None and not details.steps:
        return (StepLog(step=TRAIN, attempt=1, path=platform.trainer.log(details.run.id)),)
    names = [one.name for one in details.steps]
    if step is not None and step not in names:
        raise StepMissingError(
            f"The run `{details.run.id[:ID_SHOWN]}` has no step `{step}`.",
            why=f"its steps are {', '.join(f'`{one}`' for one in names) or 'none'}",
            fix="name one of them, or none to see them all",
        )
    wanted = [one for one in details.steps if step in (None, one.name)]
    return tuple(log for one in wanted for log in _logs(platform, one))


def _logs(platform: Platform, step: Step) -> list[StepLog]:
    run = step.cached_from or step.run
    if step.name == TRAIN:
        return [StepLog(step=TRAIN, attempt=1, path=platform.trainer.log(run))]
    going_on = step.state is StepState.RUNNING
    made = next((one for one in platform.pipelines.of(run) if one.name == step.name), step)
    return [
        StepLog(step=step.name, attempt=number, path=platform.steps.log(run, step.name, number))
        for number in range(1, len(made.attempts) + going_on + 1)
    ]


def _code(platform: Platform, run: Run) -> dict[str, str]:
    if "code" not in run.artifacts:
        return {}
    files = platform.outputs.files(run.artifacts["code"])
    return {
        name: platform.blobs.read(digest).decode("utf-8", "replace")
        for name, digest in files.items()
    }


def _lock(platform: Platform, run: Run) -> str:
    kept = run.artifacts.get("environment.lock")
    return platform.blobs.read(kept).decode("utf-8", "replace") if kept else ""


def _data(platform: Platform, run: Run) -> DatasetVersion | None:
    name, _, number = (run.dataset or "").partition(":")
    known = platform.datasets.list(name) if name else ()
    return next((one for one in known if str(one.number) == number), None)
