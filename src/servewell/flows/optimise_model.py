"""Make a model version faster: measure its variants, judge them, and register one if asked to."""

import base64
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from servewell.core.catalog.dataset import DatasetVersion
from servewell.core.catalog.model import (
    Equivalence,
    Manifest,
    ModelVersion,
    Optimised,
    manifest_bytes,
)
from servewell.core.catalog.run import Run, RunState
from servewell.core.catalog.workload import Optimize, Workload
from servewell.core.operations.freshness import inputs_digest
from servewell.core.performance.optimisation import Choice, Gate, Metric, Variant, choose, gate_of
from servewell.errors import ServewellError
from servewell.flows.make_model import close_interrupted, foresee_dataset, keep_dataset
from servewell.flows.platform import Platform
from servewell.ports.optimiser import Effort, OptimiseJob, Step, Study, Subject

REPORT: Final = "report.html"
SEED: Final = 0


class NotOptimisableError(ServewellError):
    """The model version is of a kind that has no variants."""

    code = "SW-417"


@dataclass(frozen=True, slots=True, kw_only=True)
class Described:
    """A workload file, and the folder that its paths start from."""

    workload: Workload
    folder: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What is to be optimised, and by what it is judged."""

    model: str
    number: int | None = None  # None: the newest
    described: Described | None = None  # its data and gate come before those of the lineage
    metric: Metric | None = None  # comes before that of the workload
    loss_max: float | None = None  # comes before that of the workload
    effort: Effort = field(default_factory=Effort)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What an optimisation works on."""

    version: ModelVersion
    subject: Subject
    dataset: str | None  # `name:number`
    rules: Optimize


@dataclass(frozen=True, slots=True, kw_only=True)
class Optimisation:
    """What was measured, and what is to be taken."""

    plan: Plan
    study: Study
    gate: Gate
    choice: Choice

    @property
    def chosen(self) -> Variant | None:
        """The variant to take; None to keep the original."""
        named = [one for one in self.study.variants if one.name == self.choice.name]
        return named[0] if named else None


Draw = Callable[[Optimisation], str]


def plan_optimisation(platform: Platform, wish: Wish, *, keep: bool) -> Plan:
    """Return what an optimisation would work on; with `keep`, its rows become a dataset version.

    Raises: ModelMissingError, NotOptimisableError, BlobMissingError, BlobCorruptError,
    TableFaultsError, StateUnavailableError, StorageError.
    """
    version = platform.registry.get(wish.model, wish.number)
    _check_kind(version)
    rules = wish.described.workload.model.optimize if wish.described else Optimize()
    dataset = _dataset(platform, wish.described, version, keep=keep)
    subject = _subject(platform, wish.described, version, dataset=dataset)
    return Plan(
        version=version,
        subject=subject,
        dataset=f"{dataset.name}:{dataset.number}" if dataset else None,
        rules=rules,
    )


def optimise_model(
    platform: Platform, wish: Wish, *, draw: Draw, progress: Callable[[Step], None]
) -> tuple[Optimisation, Path]:
    """Measure the variants of a version and choose; return it with the path of the report.

    Nothing is registered and nothing deployed.

    Raises: as `plan_optimisation`, and as `Optimiser.optimise`.
    """
    plan = plan_optimisation(platform, wish, keep=True)
    metric = wish.metric or (Metric(plan.rules.metric) if plan.rules.metric else None)
    run = _begun(platform, plan)
    try:
        study = platform.optimiser.optimise(
            OptimiseJob(subject=plan.subject, metric=metric, seed=SEED, effort=wish.effort),
            progress,
        )
        gate = _gate(plan, study.metric, wish.loss_max)
        choice = choose(gate, study.variants, size_bytes=study.cost.size_bytes)
        done = Optimisation(plan=plan, study=study, gate=gate, choice=choice)
        report = platform.optimiser.keep(run.id, REPORT, draw(done))
    except (ServewellError, KeyboardInterrupt) as error:
        platform.runs.save(_ended(platform, run, error))
        raise
    metrics = {study.metric.value: study.quality}
    platform.runs.save(replace(_ended(platform, run, None), metrics=metrics))
    return done, report


def register_variant(platform: Platform, done: Optimisation, variant: Variant) -> ModelVersion:
    """Keep a variant as a signed package, and give it the next number of its model.

    The registry's entry is the last thing that is written, so that a kill leaves no part of it.

    Raises: StateUnavailableError, StorageError.
    """
    blobs, optimiser, plan = platform.blobs, platform.optimiser, done.plan
    run, original = plan.subject.run, plan.version.manifest
    artifact = optimiser.artifact(run, variant.name)
    log, lock = optimiser.log(run), optimiser.lock(run)
    manifest = replace(
        original,
        artifact=blobs.put_file(artifact),
        artifact_bytes=artifact.stat().st_size,
        lineage=replace(
            original.lineage,
            run=run,
            environment_digest=blobs.digest(lock),
            optimised=_optimised(done, variant),
        ),
        equivalence=Equivalence(
            rows=done.study.rows,
            largest_difference=variant.largest_difference,
            tolerance=original.equivalence.tolerance,
            labels_changed=variant.labels_changed,
        ),
        metrics={done.study.metric.value: variant.quality},
        files={
            **original.files,
            "environment.lock": blobs.put_file(lock),
            "log.txt": blobs.put_file(log),
            REPORT: blobs.put_file(log.with_name(REPORT)),
        },
    )
    version = platform.registry.add(_signed(platform, manifest))
    platform.runs.save(replace(platform.runs.get(run), model_version=version.name))
    return version


def run_name(model: str) -> str:
    """Return the name under which runs that try a model are kept; no workload can have it."""
    return f"optimise:{model}"


def _check_kind(version: ModelVersion) -> None:
    if version.manifest.runtime == "onnx":
        return
    raise NotOptimisableError(
        f"`{version.name}` has no variants.",
        why="it is Python code, and variants are made of an ONNX graph",
        fix="export the model to ONNX, or name an ONNX version of it",
    )


def _dataset(
    platform: Platform, described: Described | None, version: ModelVersion, *, keep: bool
) -> DatasetVersion | None:
    """Return the rows that the workload file names, else those that the version was made from."""
    if described is not None and described.workload.data is not None:
        find = keep_dataset if keep else foresee_dataset
        return find(platform, described.workload, described.folder)
    name = version.manifest.lineage.dataset or ""
    known = platform.datasets.list(name.partition(":")[0]) if name else ()
    return next((one for one in known if f"{one.name}:{one.number}" == name), None)


def _subject(
    platform: Platform,
    described: Described | None,
    version: ModelVersion,
    *,
    dataset: DatasetVersion | None,
) -> Subject:
    lineage = version.manifest.lineage
    data = described.workload.data if described else None
    kept = dataset is not None and platform.blobs.has(dataset.digest)
    named = described.folder / data.path if described and data and data.path else None
    return Subject(
        run=platform.ids.new(),
        model=platform.blobs.path(version.manifest.artifact),
        signature=version.manifest.signature,
        data=platform.blobs.path(dataset.digest) if dataset and (kept or not named) else named,
        label=data.label if data else lineage.label,
        held_out=data.held_out if data else lineage.held_out,
    )


def _begun(platform: Platform, plan: Plan) -> Run:
    """Record that a run has begun; those that a kill left open are closed."""
    close_interrupted(platform, run_name(plan.version.model))
    run = Run(
        id=plan.subject.run,
        workload=run_name(plan.version.model),
        state=RunState.RUNNING,
        inputs_digest=inputs_digest({"package": plan.version.package, "dataset": plan.dataset}),
        dataset=plan.dataset,
        environment_digest=platform.trainer.environment().digest,
        started_at=platform.clock.now(),
    )
    platform.runs.save(run)
    return run


def _ended(platform: Platform, run: Run, error: BaseException | None) -> Run:
    stopped = isinstance(error, KeyboardInterrupt)
    failed = RunState.INTERRUPTED if stopped else RunState.FAILED
    return replace(
        run,
        state=RunState.SUCCEEDED if error is None else failed,
        ended_at=platform.clock.now(),
        error=None if error is None else "stopped by a person" if stopped else str(error),
    )


def _gate(plan: Plan, metric: Metric, loss_max: float | None) -> Gate:
    rules = plan.rules
    return gate_of(
        metric,
        loss_max=rules.loss_max if loss_max is None else loss_max,
        faster_min=rules.faster_min,
        smaller_min=rules.smaller_min,
        rows=rules.rows,
        tolerance=plan.version.manifest.equivalence.tolerance,
    )


def _optimised(done: Optimisation, variant: Variant) -> Optimised:
    speed, loss = variant.speedup[done.gate.rows], variant.loss
    return Optimised(
        of=done.plan.version.name,
        package=done.plan.version.package,
        variant=variant.name,
        about=variant.about,
        metric=done.study.metric.value,
        dataset=None if done.study.made_up else done.plan.dataset,
        quality=done.study.quality,
        loss=(loss.value, loss.low, loss.high),
        loss_max=done.gate.loss_max,
        rows_per_request=done.gate.rows,
        speedup=(speed.value, speed.low, speed.high),
        seed=done.study.seed,
        runtime=done.study.runtime,
        processor=done.study.processor,
    )


def _signed(platform: Platform, manifest: Manifest) -> ModelVersion:
    data = manifest_bytes(manifest)
    return ModelVersion(
        model=manifest.model,
        number=0,
        package=platform.blobs.put(data),
        package_signature=base64.b64encode(platform.signer.sign(data)).decode(),
        manifest=manifest,
        created_at=platform.clock.now(),
        created_by=platform.principal,
    )
