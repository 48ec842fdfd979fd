"""The step that makes the model: training or import, in a job, once for the same inputs."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from servewell.core.catalog.dataset import DatasetVersion
from servewell.core.catalog.model import Predictor
from servewell.core.catalog.run import ID_SHOWN, Run
from servewell.core.catalog.step import Attempt, Step, StepState
from servewell.core.catalog.workload import PredictorCode, Workload
from servewell.core.catalog.workload_steps import TRAIN
from servewell.core.operations.pipeline import decide_cached, step_key, try_again
from servewell.flows.environments import lock_of, training_lock
from servewell.flows.pipeline import (
    StepsDone,
    given_up,
    refuse_changed,
    taken,
    tried,
    whole,
)
from servewell.flows.platform import Platform
from servewell.flows.run_inputs import training_parts
from servewell.ports.trainer import Job, JobResult, PredictorJob, TrainingFailedError

Progress = Callable[[str], None]

PYFUNC_SCRIPT: Final = "servewell_pyfunc.py"  # stands in the package beside the folder of MLflow
ROWS: Final = "rows.parquet"  # name of the data in the output of the step


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """What training made, and the steps until there."""

    job: Job
    result: JobResult
    done: StepsDone


def train_model(  # noqa: PLR0913 - what to train on what, after which steps, for which run
    platform: Platform,
    workload: Workload,
    folder: Path,
    *,
    run: Run,
    parts: dict[str, str],
    dataset: DatasetVersion | None,
    after: StepsDone,
    progress: Progress,
) -> Trained:
    """Make the model, or take what an earlier run made of the same `parts`.

    Raises: TrainingFailedError, ConversionFailedError, NotEquivalentError, PickleRefusedError,
    ChangedMeanwhileError, LockInvalidError, EnvironmentFailedError, StateUnavailableError,
    StorageError.
    """
    lock = lock_of(platform, workload, folder, progress)
    if lock:
        platform.environments.ensure(lock, progress)
    code = _predictor(platform, workload, folder, lock=lock)
    job = replace(_job(platform, workload, folder, run=run, dataset=dataset), predictor=code)
    job = _in_its_environment(platform, job, training_lock(workload, folder), progress)

    def refuse() -> None:
        now = training_parts(platform, workload, folder, dataset=dataset)
        refuse_changed(TRAIN, parts, now)

    key = step_key(parts)
    made = whole(platform, platform.pipelines.made(key))
    last = platform.pipelines.last(workload.workload, TRAIN)
    decision = decide_cached(made=made, last=last, parts=parts)
    step = Step(
        run=run.id,
        name=TRAIN,
        position=len(after.steps),
        kind=TRAIN,
        state=StepState.RUNNING,
        key=key,
        because=decision.because,
        needs=(workload.data.step,) if workload.data and workload.data.step else (),
        started_at=platform.clock.now(),
        parts=parts,
    )
    if made is not None and made.output is not None:
        progress(f"train: taken from run {made.run[:ID_SHOWN]}")
        step = taken(platform, run, of=made, needs=step.needs, position=step.position)
        place = platform.steps.place(run.id, TRAIN)
        result = platform.trainer.result(platform.outputs.bring(made.output.digest, place))
    else:
        retries = workload.train.retries if workload.train else 0
        work = _Work(job=job, retries=retries, refuse_changed=refuse)
        step, result = _run(platform, work, step, progress)
    outputs = {**after.outputs, **({TRAIN: step.output} if step.output else {})}
    return Trained(
        job=job, result=result, done=StepsDone(steps=(*after.steps, step), outputs=outputs)
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Work:
    """A training, how often it may be tried again, and what refuses its result."""

    job: Job
    retries: int
    refuse_changed: Callable[[], None]  # raises ChangedMeanwhileError


def _run(platform: Platform, work: _Work, step: Step, progress: Progress) -> tuple[Step, JobResult]:
    """Train until an attempt succeeds, or no other one is due.

    What the conversion refuses it would refuse again: only the script is given another try.
    """
    platform.pipelines.save(step)
    while True:
        began = platform.clock.now()
        try:
            result = platform.trainer.run(work.job, progress)
            work.refuse_changed()
            return _succeeded(platform, work.job, step, began=began, result=result), result
        except BaseException as error:
            step = tried(platform, step, began, error)
            platform.pipelines.save(step)
            failed = isinstance(error, TrainingFailedError)
            if not try_again(step, retries=work.retries, failed=failed):
                platform.pipelines.save(given_up(step, error))
                raise
            progress(f"train: tried again, because {step.attempts[-1].error}")


def _succeeded(
    platform: Platform, job: Job, step: Step, *, began: float, result: JobResult
) -> Step:
    """Keep what training made; from then on no run has to do it again."""
    output = platform.outputs.keep_files(_files(job, result))
    now = platform.clock.now()
    number = len(step.attempts) + 1
    attempt = Attempt(number=number, started_at=began, ended_at=now, usage=result.usage)
    done = replace(
        step,
        state=StepState.SUCCEEDED,
        ended_at=now,
        attempts=(*step.attempts, attempt),
        output=output,
        metrics=result.metrics,
        usage=result.usage,
    )
    platform.pipelines.save(done)
    return done


def _files(job: Job, result: JobResult) -> dict[str, Path]:
    """Return what the step writes, for the steps after it and for a run that takes it over."""
    made = [result.artifact, result.environment, result.log, result.told]
    made += [one for one in (result.reference, result.quality) if one]
    return {one.name: one for one in made} | ({ROWS: job.data} if job.data else {})


def _job(
    platform: Platform,
    workload: Workload,
    folder: Path,
    *,
    run: Run,
    dataset: DatasetVersion | None,
) -> Job:
    data, train, artifact = workload.data, workload.train, workload.artifact
    return Job(
        run=run.id,
        folder=folder,
        script=folder / train.script if train else None,
        function=train.function if train else "train",
        artifact=folder / artifact.path if artifact else None,
        format=artifact.format if artifact else "sklearn",
        allow_pickle=artifact.allow_pickle if artifact else False,
        data=platform.blobs.path(dataset.digest) if dataset else None,
        dataset=f"{dataset.name}:{dataset.number}" if dataset else "",
        label=data.label if data else None,
        held_out=data.held_out if data else None,
        slices=workload.monitoring.slices,
        parameters=dict(train.parameters) if train else {},
        inputs=dict(workload.inputs),
        tolerance=workload.model.tolerance,
        timeout_s=float(train.timeout_s) if train else 3_600.0,
        memory_bytes_max=train.memory_bytes_max if train else None,
    )


def _in_its_environment(platform: Platform, job: Job, lock: bytes, progress: Progress) -> Job:
    if not lock:
        return job
    environment = platform.environments.ensure(lock, progress)
    return replace(job, python=platform.environments.python(environment), lock=lock)


def _predictor(
    platform: Platform, workload: Workload, folder: Path, *, lock: bytes
) -> PredictorJob | None:
    """Return the code that a workload names, or None where it names a model to be converted."""
    code, artifact = workload.predictor, workload.artifact
    if code is None and (artifact is None or artifact.format != "pyfunc"):
        return None
    rules = code or PredictorCode(script=PYFUNC_SCRIPT)
    environment = platform.environments.digest(lock) if lock else ""
    return PredictorJob(
        script=folder / code.script if code else None,
        files=tuple(folder / one for one in rules.files or ()),
        lock=lock,
        python=platform.environments.python(environment) if environment else None,
        bounds=Predictor(
            script=rules.script,
            class_name=rules.class_name,
            environment=environment,
            timeout_s=rules.timeout_ms / 1_000,
            memory_bytes_max=rules.memory_bytes_max,
        ),
    )
