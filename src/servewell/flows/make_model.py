"""Make a model version from a workload: steps, a dataset version, a run, a signed package."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Final

import msgspec

from servewell.core.catalog.dataset import DatasetVersion
from servewell.core.catalog.model import ModelVersion
from servewell.core.catalog.run import Run, RunState
from servewell.core.catalog.run_query import RunQuery
from servewell.core.catalog.step_graph import steps_after_training, steps_before_training
from servewell.core.catalog.workload import Workload
from servewell.core.catalog.workload_steps import TRAIN
from servewell.core.operations.freshness import RunDecision
from servewell.core.operations.pipeline import StepForecast, flat_parameters, told_metrics
from servewell.errors import ServewellError
from servewell.flows.environments import TRAINING_LOCK, ensure_environment, training_lock
from servewell.flows.forecast import foresee_run, foresee_training, row_file, version_of
from servewell.flows.pipeline import (
    STOPPED,
    ChangedMeanwhileError,
    StepsDone,
    close_steps,
    foresee_steps,
    run_steps,
)
from servewell.flows.platform import Platform
from servewell.flows.registration import register
from servewell.flows.run_inputs import run_digest, scripts_of, training_parts
from servewell.flows.train_model import train_model
from servewell.flows.workload_rows import foresee_workload_rows, keep_workload_rows

Progress = Callable[[str], None]
RUNS_AT_ONCE: Final = 100  # that are looked through for what a kill left open


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """A model version, and whether it had to be made."""

    version: ModelVersion
    run: Run
    decision: RunDecision
    dataset: DatasetVersion | None = None


def keep_dataset(platform: Platform, workload: Workload, folder: Path) -> DatasetVersion | None:
    """Keep the workload's rows as a dataset version; None where it names none.

    Where a step makes them, it is the version that was kept last.

    Raises: as `keep_workload_rows`.
    """
    if workload.data is None:
        return None
    if workload.data.step is not None:
        return _newest_rows(platform, workload)
    return keep_workload_rows(platform, workload, workload.data, folder)


def foresee_dataset(platform: Platform, workload: Workload, folder: Path) -> DatasetVersion | None:
    """Return the dataset version that these rows are or would be; a new one has number 0."""
    if workload.data is None:
        return None
    if workload.data.step is not None:
        return _newest_rows(platform, workload)
    return foresee_workload_rows(platform, workload, workload.data, folder)


def foresee_model(platform: Platform, workload: Workload, folder: Path) -> RunDecision:
    """Return whether the model would have to be made, and why; change nothing.

    Raises: TableFaultsError, TrainingFailedError, StateUnavailableError.
    """
    dataset = foresee_dataset(platform, workload, folder)
    return foresee_run(platform, workload, folder, dataset=dataset).decision


def foresee_pipeline(
    platform: Platform, workload: Workload, folder: Path
) -> tuple[StepForecast, ...]:
    """Return which steps a run would do, training among them, and why; change nothing.

    Raises: TableFaultsError, TrainingFailedError, LockInvalidError, StateUnavailableError.
    """
    dataset = foresee_dataset(platform, workload, folder)
    foreseen = foresee_run(platform, workload, folder, dataset=dataset)
    train = foresee_training(platform, workload, folder, foreseen=foreseen)
    outputs = {one.name: one.output for one in (*foreseen.steps, train) if one.output}
    names = steps_after_training(workload.steps)
    after = foresee_steps(platform, workload, folder, names=names, outputs=outputs)
    return (*foreseen.steps, train, *after)


def make_model(
    platform: Platform,
    workload: Workload,
    folder: Path,
    *,
    dataset: DatasetVersion | None,
    progress: Progress,
) -> Made:
    """Return the model version of this workload, made only where something it depends on changed.

    Where another process makes it just now, it waits for that, and mostly finds it made then.

    A `dataset` that a step makes is kept here: what is given for it does not count.

    Raises: TrainingFailedError, ConversionFailedError, NotEquivalentError, PickleRefusedError,
    StepFailedError, ChangedMeanwhileError, OutputInvalidError, StepOutputMissingError,
    StateUnavailableError, StorageError.
    """
    with _alone(platform, workload, progress):
        return _made(platform, workload, folder, dataset=dataset, progress=progress)


@contextmanager
def _alone(platform: Platform, workload: Workload, progress: Progress) -> Iterator[None]:
    """Hold the making of a workload's model: two at once would make the same twice."""
    making = f"making-{workload.workload}"
    if platform.steps.alive(making):
        progress("waiting: another process makes a model of this workload")
    with platform.steps.held(making):
        yield


def _made(
    platform: Platform,
    workload: Workload,
    folder: Path,
    *,
    dataset: DatasetVersion | None,
    progress: Progress,
) -> Made:
    close_interrupted(platform, workload.workload)
    foreseen = foresee_run(platform, workload, folder, dataset=dataset)
    if foreseen.last is not None and foreseen.kept is not None:  # then no run is needed
        ensure_environment(platform, foreseen.kept, progress)
        return Made(
            version=foreseen.kept,
            run=foreseen.last,
            decision=foreseen.decision,
            dataset=foreseen.dataset,
        )
    progress(f"because {foreseen.decision.because}")
    run = _begun(platform, workload, folder, because=foreseen.decision.because)
    with platform.steps.held(run.id):
        platform.runs.save(run)
        return _carry_out(
            *(platform, workload, folder),
            run=run,
            dataset=dataset,
            decision=foreseen.decision,
            progress=progress,
        )


def close_interrupted(platform: Platform, workload: str) -> None:
    """Mark the runs that a kill left open, so that nothing waits for them.

    One whose version is in the registry had nothing left to do but to say so.
    """
    query = RunQuery(workload=workload, states=(RunState.RUNNING,), limit=RUNS_AT_ONCE)
    for run in platform.runs.find(query):
        if not (platform.steps.alive(run.id) or platform.trainer.alive(run.id)):
            close_steps(platform, run.id)
            made = [one for one in platform.registry.list() if one.manifest.lineage.run == run.id]
            platform.runs.save(_ended(platform, run, made[0]) if made else _killed(platform, run))


def _newest_rows(platform: Platform, workload: Workload) -> DatasetVersion | None:
    return max(platform.datasets.list(workload.workload), key=lambda one: one.number, default=None)


def _kept_rows(
    platform: Platform,
    workload: Workload,
    *,
    run: Run,
    done: StepsDone,
    dataset: DatasetVersion | None,
) -> DatasetVersion | None:
    """Return the dataset version of a run, kept from the output of a step where one makes it."""
    data = workload.data
    if data is None or data.step is None:
        return dataset
    output = done.outputs[data.step]
    row_file(platform, workload, output)
    place = platform.outputs.bring(output.digest, platform.steps.place(run.id, data.step))
    return keep_dataset(platform, replace(workload, data=replace(data, step=None)), place)


def _begun(platform: Platform, workload: Workload, folder: Path, *, because: str) -> Run:
    """Return a new run, with what is known of it at its start; its code is kept."""
    version = platform.trainer.code_version(folder)
    environment = platform.trainer.environment()
    code = _kept_code(platform, workload, folder)
    changes = platform.sources.changes(folder) if version.dirty else b""
    lock, trained_in = environment.lock.encode(), training_lock(workload, folder)
    described = msgspec.json.format(msgspec.json.encode(asdict(workload)), indent=2)
    return Run(
        id=platform.ids.new(),
        workload=workload.workload,
        state=RunState.RUNNING,
        inputs_digest="",
        parameters=flat_parameters(
            workload.steps, dict(workload.train.parameters) if workload.train else {}
        ),
        environment_digest=environment.digest,
        started_at=platform.clock.now(),
        commit=version.commit,
        dirty=version.dirty,
        code_digest=code,
        because=because,
        principal=platform.principal,
        artifacts={
            "code": code,
            "environment.lock": platform.blobs.put(lock),
            "workload.json": platform.blobs.put(described),
            **({TRAINING_LOCK: platform.blobs.put(trained_in)} if trained_in else {}),
            **({"changes.diff": platform.blobs.put(changes)} if changes else {}),
        },
    )


def _carry_out(  # noqa: PLR0913 - a run of a workload, and why it is one
    platform: Platform,
    workload: Workload,
    folder: Path,
    *,
    run: Run,
    dataset: DatasetVersion | None,
    decision: RunDecision,
    progress: Progress,
) -> Made:
    """Do the run, and record how it ends."""
    try:
        before = run_steps(
            *(platform, workload, folder),
            run=run,
            names=steps_before_training(workload.steps),
            after=StepsDone(),
            progress=progress,
        )
        dataset = _kept_rows(platform, workload, run=run, done=before, dataset=dataset)
        parts = training_parts(platform, workload, folder, dataset=dataset)
        run = replace(
            run,
            inputs_digest=run_digest(workload, folder, platform, parts),
            dataset=f"{dataset.name}:{dataset.number}" if dataset else None,
        )
        known = version_of(platform, platform.runs.succeeded(run.workload, run.inputs_digest))
        platform.runs.save(run)
        version = known or _make(
            *(platform, workload, folder),
            run=run,
            parts=parts,
            dataset=dataset,
            before=before,
            progress=progress,
        )
    except BaseException as error:
        platform.runs.save(_failed(platform, run, error))
        raise
    finally:
        platform.steps.clear(run.id)
    done = _ended(platform, run, version)
    platform.runs.save(done)
    return Made(version=version, run=done, decision=decision, dataset=dataset)


def _make(  # noqa: PLR0913 - a run, what it is made of, and what is done of it
    platform: Platform,
    workload: Workload,
    folder: Path,
    *,
    run: Run,
    parts: dict[str, str],
    dataset: DatasetVersion | None,
    before: StepsDone,
    progress: Progress,
) -> ModelVersion:
    """Train, run the steps after it, and register what came of it."""
    trained = train_model(
        *(platform, workload, folder),
        run=run,
        parts=parts,
        dataset=dataset,
        after=before,
        progress=progress,
    )
    done = run_steps(
        *(platform, workload, folder),
        run=run,
        names=steps_after_training(workload.steps),
        after=trained.done,
        progress=progress,
    )
    _refuse_changed(platform, workload, folder, run=run, parts=parts)
    progress("signing the package")
    own = tuple(step for step in done.steps if step.name != TRAIN)
    return register(
        platform,
        workload,
        run=run,
        job=trained.job,
        result=trained.result,
        source_digest=parts["code"],
        metrics={**trained.result.metrics, **told_metrics(own)},
    )


def _refuse_changed(
    platform: Platform, workload: Workload, folder: Path, *, run: Run, parts: dict[str, str]
) -> None:
    """Let no version be signed whose run names other code or files than its steps ran.

    Each step looks at its own while it runs; this is about what lies between them.

    Raises: ChangedMeanwhileError.
    """
    digest = run_digest(workload, folder, platform, parts)
    code = _kept_code(platform, workload, folder)
    if (digest, code) != (run.inputs_digest, run.code_digest):
        raise ChangedMeanwhileError(
            "Code or files were changed during the run, so no version is made of it.",
            why="what the run names is not in every step what ran",
            fix="run the same command again; steps that were done are not done again",
        )


def _kept_code(platform: Platform, workload: Workload, folder: Path) -> str:
    """Keep the code that a workload names; return the digest of its list."""
    files = platform.sources.files(folder, scripts_of(workload, folder))
    return platform.outputs.keep_files(files).digest


def _ended(platform: Platform, run: Run, version: ModelVersion) -> Run:
    return replace(
        run,
        state=RunState.SUCCEEDED,
        ended_at=platform.clock.now(),
        model_version=version.name,
        metrics=version.manifest.metrics,
    )


def _killed(platform: Platform, run: Run) -> Run:
    return replace(
        run,
        state=RunState.INTERRUPTED,
        ended_at=platform.clock.now(),
        error="the process was killed before the run ended",
    )


def _failed(platform: Platform, run: Run, error: BaseException) -> Run:
    failed = isinstance(error, Exception)
    told = str(error) if isinstance(error, ServewellError) else f"{type(error).__name__}: {error}"
    return replace(
        run,
        state=RunState.FAILED if failed else RunState.INTERRUPTED,
        ended_at=platform.clock.now(),
        error=told if failed else STOPPED,
    )
