"""Keep what a job made as a signed package, and give it a number."""

import base64
import math
from collections.abc import Mapping
from pathlib import Path

from servewell.core.catalog.model import (
    Format,
    Lineage,
    Manifest,
    ModelVersion,
    manifest_bytes,
)
from servewell.core.catalog.run import Run
from servewell.core.catalog.workload import Workload
from servewell.flows.environments import LOCK, TRAINING_LOCK
from servewell.flows.monitoring.profiling import REFERENCE_FILE
from servewell.flows.monitoring.quality import QUALITY_FILE
from servewell.flows.platform import Platform
from servewell.ports.trainer import Job, JobResult


def register(  # noqa: PLR0913 - what was made of what, by which job of which run, and its metrics
    platform: Platform,
    workload: Workload,
    *,
    run: Run,
    job: Job,
    result: JobResult,
    source_digest: str,
    metrics: Mapping[str, float],
) -> ModelVersion:
    """Keep what a job made as a signed, content-addressed package, and give it a number.

    The `source_digest` is that of the code when the job began: it may have been edited since.

    Raises: StateUnavailableError, StorageError.
    """
    blobs = platform.blobs
    manifest = Manifest(
        model=workload.model_name,
        artifact=blobs.put_file(result.artifact),
        artifact_bytes=result.artifact.stat().st_size,
        signature=result.signature,
        lineage=_lineage(platform, run, job, source_digest=source_digest),
        equivalence=result.equivalence,
        metrics=finite(metrics),
        files={
            "environment.lock": blobs.put_file(result.environment),
            "log.txt": blobs.put_file(result.log),
            **({REFERENCE_FILE: blobs.put_file(result.reference)} if result.reference else {}),
            **({QUALITY_FILE: blobs.put_file(result.quality)} if result.quality else {}),
            **({LOCK: blobs.put(job.predictor.lock)} if job.predictor else {}),
            **({TRAINING_LOCK: blobs.put(job.lock)} if job.lock else {}),
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


def _shown(source: Path, folder: Path) -> str:
    """Return the path of a source from its folder; of one from elsewhere its name."""
    return source.relative_to(folder).as_posix() if source.is_relative_to(folder) else source.name


def _lineage(platform: Platform, run: Run, job: Job, *, source_digest: str) -> Lineage:
    script = job.predictor.script if job.predictor else job.script
    source = script or job.artifact
    assert source is not None  # noqa: S101 - a workload has one of them
    name, _, number = (run.dataset or "").partition(":")
    dataset = next((one for one in platform.datasets.list(name) if str(one.number) == number), None)
    return Lineage(
        run=run.id,
        format=Format.PREDICTOR if job.predictor and script else Format(job.format),
        source=_shown(source, job.folder),
        source_digest=source_digest,
        dataset=run.dataset,
        dataset_digest=dataset.digest if dataset else None,
        commit=run.commit,
        dirty=run.dirty,
        environment_digest=run.environment_digest,
        parameters=run.parameters,
        label=job.label,
        held_out=job.held_out,
    )
