"""Make a model version from a workload: a dataset version, a run, a signed package."""

import base64
import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Final

from servewell.core.catalog.dataset import DatasetVersion
from servewell.core.catalog.model import (
    Format,
    Lineage,
    Manifest,
    ModelVersion,
    Predictor,
    digest_of,
    manifest_bytes,
)
from servewell.core.catalog.run import Run, RunState
from servewell.core.catalog.workload import PredictorCode, Workload
from servewell.core.operations.freshness import RunDecision, decide_run, inputs_digest
from servewell.errors import ServewellError
from servewell.flows.environments import LOCK, ensure_environment, lock_of
from servewell.flows.platform import Platform
from servewell.ports.trainer import Job, JobResult, PredictorJob

Progress = Callable[[str], None]

PYFUNC_SCRIPT: Final = "servewell_pyfunc.py"  # stands in the package beside the folder of MLflow


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """A model version, and whether it had to be made."""

    version: ModelVersion
    run: Run
    decision: RunDecision


def keep_dataset(platform: Platform, workload: Workload, folder: Path) -> DatasetVersion | None:
    """Keep the workload's rows as a dataset version; None where it names none.

    Raises: TableFaultsError, StateUnavailableError, StorageError.
    """
    if workload.data is None:
        return None
    path = folder / workload.data.path
    digest = platform.blobs.put_file(path)
    return platform.datasets.add(_dataset(platform, workload, path, digest=digest))


def foresee_model(platform: Platform, workload: Workload, folder: Path) -> RunDecision:
    """Return whether the model would have to be made, and why; change nothing.

    Raises: TableFaultsError, TrainingFailedError, StateUnavailableError.
    """
    dataset = foresee_dataset(platform, workload, folder)
    run = _run_for(platform, workload, folder, dataset=dataset)
    last = platform.runs.succeeded(workload.workload, run.inputs_digest)
    return decide_run(
        last=last,
        before=_last_success(platform, workload.workload),
        package_kept=_version_of(platform, last) is not None,
    )


def foresee_dataset(platform: Platform, workload: Workload, folder: Path) -> DatasetVersion | None:
    """Return the dataset version that these rows are or would be; a new one has number 0."""
    if workload.data is None:
        return None
    path = folder / workload.data.path
    new = _dataset(platform, workload, path, digest=platform.blobs.digest(path))
    known = platform.datasets.list(workload.workload)
    return next((one for one in known if one.digest == new.digest), new)


def make_model(
    platform: Platform,
    workload: Workload,
    folder: Path,
    *,
    dataset: DatasetVersion | None,
    progress: Progress,
) -> Made:
    """Return the model version of this workload, made only where something it depends on changed.

    Raises: TrainingFailedError, ConversionFailedError, NotEquivalentError, PickleRefusedError,
    StateUnavailableError, StorageError.
    """
    close_interrupted(platform, workload.workload)
    run = _run_for(platform, workload, folder, dataset=dataset)
    last = platform.runs.succeeded(workload.workload, run.inputs_digest)
    kept = _version_of(platform, last)
    decision = decide_run(
        last=last,
        before=_last_success(platform, workload.workload),
        package_kept=kept is not None,
    )
    if not decision.needed and last is not None and kept is not None:
        ensure_environment(platform, kept, progress)
        return Made(version=kept, run=last, decision=decision)
    progress(f"because {decision.because}")
    lock = lock_of(platform, workload, folder, progress)
    if lock:
        platform.environments.ensure(lock, progress)
    code = _predictor(platform, workload, folder, lock=lock)
    job = replace(_job(platform, workload, folder, run=run, dataset=dataset), predictor=code)
    version, done = _execute(platform, workload, job, run=run, progress=progress)
    return Made(version=version, run=done, decision=decision)


def close_interrupted(platform: Platform, workload: str) -> None:
    """Mark the runs that a kill left open, so that nothing waits for them."""
    for run in platform.runs.list(workload):
        if run.state is RunState.RUNNING and not platform.trainer.alive(run.id):
            ended = replace(
                run,
                state=RunState.INTERRUPTED,
                ended_at=platform.clock.now(),
                error="the process was killed before the run ended",
            )
            platform.runs.save(ended)


def _dataset(platform: Platform, workload: Workload, path: Path, *, digest: str) -> DatasetVersion:
    facts = platform.tables.describe(path)
    return DatasetVersion(
        name=workload.workload,
        number=0,
        digest=digest,
        rows=facts.rows,
        size_bytes=facts.size_bytes,
        columns=facts.columns,
        source=workload.data.path if workload.data else path.name,
        created_at=platform.clock.now(),
    )


def _execute(
    platform: Platform, workload: Workload, job: Job, *, run: Run, progress: Progress
) -> tuple[ModelVersion, Run]:
    platform.runs.save(run)
    try:
        result = platform.trainer.run(job, progress)
        progress("signing the package")
        version = register(platform, workload, run=run, job=job, result=result)
    except (ServewellError, KeyboardInterrupt) as error:
        platform.runs.save(_failed(platform, run, error))
        raise
    done = replace(
        run,
        state=RunState.SUCCEEDED,
        ended_at=platform.clock.now(),
        model_version=version.name,
        metrics=version.manifest.metrics,
    )
    platform.runs.save(done)
    return version, done


def register(
    platform: Platform, workload: Workload, *, run: Run, job: Job, result: JobResult
) -> ModelVersion:
    """Keep what a job made as a signed, content-addressed package, and give it a number.

    Raises: StateUnavailableError, StorageError.
    """
    blobs = platform.blobs
    manifest = Manifest(
        model=workload.model_name,
        artifact=blobs.put_file(result.artifact),
        artifact_bytes=result.artifact.stat().st_size,
        signature=result.signature,
        lineage=_lineage(platform, run, job),
        equivalence=result.equivalence,
        metrics=finite(result.metrics),
        files={
            "environment.lock": blobs.put_file(result.environment),
            "log.txt": blobs.put_file(result.log),
            **({LOCK: blobs.put(job.predictor.lock)} if job.predictor else {}),
        },
        runtime="python" if result.predictor else "onnx",
        predictor=result.predictor,
    )
    data = manifest_bytes(manifest)
    package = blobs.put(data)
    return platform.registry.add(
        ModelVersion(
            model=workload.model_name,
            number=0,
            package=package,
            package_signature=base64.b64encode(platform.signer.sign(data)).decode(),
            manifest=manifest,
            created_at=platform.clock.now(),
            created_by=platform.principal,
        )
    )


def finite(metrics: Mapping[str, float]) -> dict[str, float]:
    """Return the metrics that are numbers; one that could not be computed is none."""
    return {name: value for name, value in metrics.items() if math.isfinite(value)}


def _run_for(
    platform: Platform, workload: Workload, folder: Path, *, dataset: DatasetVersion | None
) -> Run:
    code = platform.trainer.code_version(folder)
    environment = platform.trainer.environment()
    parts = {
        "dataset": dataset.digest if dataset else None,
        "code": platform.trainer.code_digest(folder, _source(workload, folder)),
        "environment": environment.digest,
        "files": [platform.trainer.code_digest(folder, path) for path in _beside(workload, folder)],
        "workload": _what_makes_the_model(workload),
    }
    return Run(
        id=platform.ids.new(),
        workload=workload.workload,
        state=RunState.RUNNING,
        inputs_digest=inputs_digest(parts),
        parameters=dict(workload.train.parameters) if workload.train else {},
        dataset=f"{dataset.name}:{dataset.number}" if dataset else None,
        environment_digest=environment.digest,
        started_at=platform.clock.now(),
        commit=code.commit,
        dirty=code.dirty,
    )


def _what_makes_the_model(workload: Workload) -> dict[str, object]:
    """Return the parts of the workload that a model depends on; how it is served is not one."""
    whole = asdict(workload)
    train = whole["train"]
    if isinstance(train, dict):
        train = {key: value for key, value in train.items() if key != "timeout_s"}
    model = {key: value for key, value in whole["model"].items() if key != "optimize"}
    data = {key: value for key, value in (whole["data"] or {}).items() if key != "contract"}
    return {
        **{part: whole[part] for part in ("artifact", "predictor", "inputs")},
        "data": data,
        "model": model,
        "train": train,
    }


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
        label=data.label if data else None,
        held_out=data.held_out if data else None,
        parameters=run.parameters,
        inputs=dict(workload.inputs),
        tolerance=workload.model.tolerance,
        timeout_s=float(train.timeout_s) if train else 3_600.0,
    )


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


def _beside(workload: Workload, folder: Path) -> list[Path]:
    """Return the files that a predictor needs beside its script."""
    code = workload.predictor
    if code is None:
        return []
    lock = (code.requirements,) if code.requirements else ()
    return [folder / one for one in (*(code.files or ()), *lock)]


def _lineage(platform: Platform, run: Run, job: Job) -> Lineage:
    script = job.predictor.script if job.predictor else job.script
    source = script or job.artifact
    assert source is not None  # noqa: S101 - a workload has one of them
    name, _, number = (run.dataset or "").partition(":")
    dataset = next((one for one in platform.datasets.list(name) if str(one.number) == number), None)
    return Lineage(
        run=run.id,
        format=Format.PREDICTOR if job.predictor and script else Format(job.format),
        source=source.relative_to(job.folder).as_posix(),
        source_digest=platform.trainer.code_digest(job.folder, source),
        dataset=run.dataset,
        dataset_digest=dataset.digest if dataset else None,
        commit=run.commit,
        dirty=run.dirty,
        environment_digest=run.environment_digest,
        parameters=run.parameters,
        label=job.label,
        held_out=job.held_out,
    )


def _version_of(platform: Platform, run: Run | None) -> ModelVersion | None:
    """Return the version that a run made, if its package is whole."""
    if run is None or run.model_version is None:
        return None
    model, _, number = run.model_version.partition(":")
    try:
        version = platform.registry.get(model, int(number))
        whole = digest_of(platform.blobs.read(version.package)) == version.package
        platform.blobs.path(version.manifest.artifact)
    except ServewellError:
        return None
    return version if whole else None


def _last_success(platform: Platform, workload: str) -> Run | None:
    done = [run for run in platform.runs.list(workload) if run.state is RunState.SUCCEEDED]
    return done[-1] if done else None


def _failed(platform: Platform, run: Run, error: BaseException) -> Run:
    stopped = isinstance(error, KeyboardInterrupt)
    return replace(
        run,
        state=RunState.INTERRUPTED if stopped else RunState.FAILED,
        ended_at=platform.clock.now(),
        error="stopped by a person" if stopped else str(error),
    )


def _source(workload: Workload, folder: Path) -> Path:
    train, artifact, predictor = workload.train, workload.artifact, workload.predictor
    if train is not None:
        return folder / train.script
    if predictor is not None:
        return folder / predictor.script
    return folder / (artifact.path if artifact else "")
