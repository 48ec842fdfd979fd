"""What a run would find done already, and what it would have to do."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from servewell.core.catalog.dataset import DatasetVersion
from servewell.core.catalog.model import ModelVersion, digest_of
from servewell.core.catalog.run import ID_SHOWN, Run, RunState
from servewell.core.catalog.run_query import RunQuery
from servewell.core.catalog.step import Output
from servewell.core.catalog.step_graph import steps_before_training
from servewell.core.catalog.workload import Workload
from servewell.core.catalog.workload_steps import TRAIN
from servewell.core.operations.freshness import RunDecision, decide_run
from servewell.core.operations.pipeline import StepForecast, decide_cached, step_key, unknown_yet
from servewell.errors import ServewellError
from servewell.flows.pipeline import foresee_steps, whole
from servewell.flows.platform import Platform
from servewell.flows.run_inputs import run_digest, training_parts
from servewell.flows.workload_rows import foresee_workload_rows

KEPT_AS_IT_IS: Final = ".parquet"  # ending of files whose rows are kept byte by byte


class StepOutputMissingError(ServewellError):
    """A step did not write the file that the workload names."""

    code = "SW-432"


@dataclass(frozen=True, slots=True, kw_only=True)
class Foreseen:
    """What is known before a run begins."""

    steps: tuple[StepForecast, ...]  # those before training
    dataset: DatasetVersion | None
    decision: RunDecision
    last: Run | None = None  # that did exactly this work
    kept: ModelVersion | None = None  # what it made


def foresee_run(
    platform: Platform, workload: Workload, folder: Path, *, dataset: DatasetVersion | None
) -> Foreseen:
    """Return what is known of a run from what was done before."""
    names = steps_before_training(workload.steps)
    steps = foresee_steps(platform, workload, folder, names=names, outputs={})
    if needed := unknown_yet(steps):
        return Foreseen(
            steps=steps, dataset=None, decision=RunDecision(needed=True, because=needed)
        )
    outputs = {one.name: one.output for one in steps if one.output}
    rows = _known_rows(platform, workload, outputs=outputs, dataset=dataset)
    parts = training_parts(platform, workload, folder, dataset=rows)
    last = platform.runs.succeeded(workload.workload, run_digest(workload, folder, platform, parts))
    kept = version_of(platform, last)
    decision = decide_run(
        last=last,
        before=_last_success(platform, workload.workload),
        package_kept=kept is not None,
    )
    return Foreseen(steps=steps, dataset=rows, decision=decision, last=last, kept=kept)


def foresee_training(
    platform: Platform, workload: Workload, folder: Path, *, foreseen: Foreseen
) -> StepForecast:
    """Return whether training would run, and why.

    Raises: TrainingFailedError, StateUnavailableError.
    """
    if needed := unknown_yet(foreseen.steps):
        return StepForecast(name=TRAIN, kind=TRAIN, needed=True, because=needed)
    parts = training_parts(platform, workload, folder, dataset=foreseen.dataset)
    made = whole(platform, platform.pipelines.made(step_key(parts)))
    last = platform.pipelines.last(workload.workload, TRAIN)
    decision = decide_cached(made=made, last=last, parts=parts)
    return StepForecast(
        name=TRAIN,
        kind=TRAIN,
        needed=decision.needed,
        because=decision.because,
        output=made.output if made else None,
    )


def _known_rows(
    platform: Platform,
    workload: Workload,
    *,
    outputs: dict[str, Output],
    dataset: DatasetVersion | None,
) -> DatasetVersion | None:
    """Return the dataset version of these rows; where a step made new ones, one of number 0."""
    data = workload.data
    if data is None or data.step is None:
        return dataset
    output = outputs[data.step]
    digest = row_file(platform, workload, output)
    if not data.path.endswith(KEPT_AS_IT_IS):
        return _converted_rows(platform, workload, output)
    known = platform.datasets.list(workload.workload)
    unseen = DatasetVersion(
        name=workload.workload,
        number=0,
        digest=digest,
        rows=0,
        size_bytes=0,
        columns=(),
        source=data.path,
        created_at=0.0,
    )
    return next((one for one in known if one.digest == digest), unseen)


def _converted_rows(
    platform: Platform, workload: Workload, output: Output
) -> DatasetVersion | None:
    """Return the dataset version of rows that are kept in another form than the step wrote."""
    data = workload.data
    assert data is not None  # noqa: S101 - whoever asks has looked
    scratch = f"foreseen-{output.digest[:ID_SHOWN]}"
    try:
        place = platform.outputs.bring(output.digest, platform.steps.place(scratch, "rows"))
        return foresee_workload_rows(platform, workload, data, place)
    finally:
        platform.steps.clear(scratch)


def row_file(platform: Platform, workload: Workload, output: Output) -> str:
    """Return the digest of the rows among what a step wrote. Raises: StepOutputMissingError."""
    data = workload.data
    assert data is not None  # noqa: S101 - whoever asks has looked
    files = platform.outputs.files(output.digest)
    if data.path in files:
        return files[data.path]
    wrote = ", ".join(f"`{one}`" for one in sorted(files)[:10]) or "nothing"
    raise StepOutputMissingError(
        f"The step `{data.step}` wrote no `{data.path}`.",
        why=f"in its output folder there is {wrote}",
        fix="let the step write that file into its output folder, or correct `data.path`",
    )


def version_of(platform: Platform, run: Run | None) -> ModelVersion | None:
    """Return the version that a run made, if its package is whole."""
    if run is None or run.model_version is None:
        return None
    model, _, number = run.model_version.partition(":")
    try:
        version = platform.registry.get(model, int(number))
        intact = digest_of(platform.blobs.read(version.package)) == version.package
        platform.blobs.path(version.manifest.artifact)
    except ServewellError:
        return None
    return version if intact else None


def _last_success(platform: Platform, workload: str) -> Run | None:
    query = RunQuery(workload=workload, states=(RunState.SUCCEEDED,), limit=1)
    return next(iter(platform.runs.find(query)), None)
