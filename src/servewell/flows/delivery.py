"""Run the steps of a delivery as a pipeline does, one after the other or one alone."""

import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from servewell.core.catalog.gate import GateReport
from servewell.core.catalog.model import ModelVersion, digest_of
from servewell.core.catalog.rollout import ENDED, Rollout, Stage
from servewell.core.catalog.workload import Workload
from servewell.core.operations.clearance import Clearance, decide_clearance, is_safe, security_rows
from servewell.core.operations.delivery import (
    LOCK_FILE,
    Delivery,
    DeliveryStep,
    Pipeline,
    PipelineFile,
    lock_differences,
    pipeline_file,
    python_of,
)
from servewell.errors import ServewellError
from servewell.flows.clearance import kept_out
from servewell.flows.deliver import endpoint_of, ensure_judged, roll_out
from servewell.flows.make_model import Made, keep_dataset, make_model
from servewell.flows.platform import Platform
from servewell.ports.blobs import BlobCorruptError
from servewell.ports.gates import GatesNotPassedError

DIFFERENCES_SHOWN: Final = 10
LOOK_AGAIN_S: Final = 1.0
TESTS: Final = "python -m pytest"

Progress = Callable[[str], None]


class LockDiffersError(ServewellError):
    """The environment is not the one that the lock of the workload names."""

    code = "SW-165"


class RolloutNotDoneError(ServewellError):
    """A rollout that a delivery began did not end with its version promoted."""

    code = "SW-255"


@dataclass(frozen=True, slots=True, kw_only=True)
class StepDone:
    """What a step did, or found done."""

    step: DeliveryStep
    words: str
    report: GateReport | None = None  # of the gates
    skipped: bool = False  # there was nothing to do
    refusal: ServewellError | None = None  # why the delivery ends here


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What is to be delivered, and how."""

    workload: Workload
    folder: Path
    live: bool  # False for a dry run: the rollout is only foreseen
    because: str = ""
    progress: Progress


def pipeline_files(
    platform: Platform, workload: Workload, folder: Path, kinds: tuple[Pipeline, ...]
) -> dict[Path, str]:
    """Return the files that describe the pipelines, and the lock of the environment as it is.

    Raises: TrainingFailedError.
    """
    root = platform.project.root(folder)
    lock = platform.trainer.environment().lock
    delivery = Delivery(
        workload=workload.workload,
        folder=folder.absolute().relative_to(root.folder).as_posix(),
        python=python_of(lock),
        branch=root.branch,
    )
    written: list[PipelineFile] = [pipeline_file(kind, delivery) for kind in kinds]
    return {folder / LOCK_FILE: lock, **{root.folder / one.path: one.text for one in written}}


def run_step(platform: Platform, change: Change, step: DeliveryStep) -> StepDone:
    """Do one step; what those before it made is found made, so each can be run alone.

    Raises: LockDiffersError, CommandFailedError, GatesNotPassedError, RolloutNotDoneError, and
    whatever making the model raises.
    """
    return _STEPS[step](platform, change)


def _lock(platform: Platform, change: Change) -> StepDone:
    locked = platform.project.read(change.folder / LOCK_FILE)
    installed = platform.trainer.environment().lock
    fix = f"install what is locked with `pip install -r {LOCK_FILE}`, or `servewell ci init` again"
    if locked is None:
        raise LockDiffersError(
            f"The workload has no `{LOCK_FILE}`.",
            why="a pipeline installs what is locked, so that it makes what was made here",
            fix="`servewell ci init` writes it from this environment",
        )
    differences = lock_differences(locked, installed)
    if differences:
        rest = len(differences) - DIFFERENCES_SHOWN
        more = f"; and {rest} more" if rest > 0 else ""
        raise LockDiffersError(
            f"The environment is not that of `{LOCK_FILE}`.",
            why="; ".join(differences[:DIFFERENCES_SHOWN]) + more,
            fix=fix,
        )
    packages = sum("==" in line for line in locked.splitlines())
    return StepDone(step=DeliveryStep.LOCK, words=f"{packages} packages are as locked")


def _test(platform: Platform, change: Change) -> StepDone:
    rules = change.workload.delivery
    command = rules.test or (TESTS if platform.project.has_tests(change.folder) else "")
    if not command:
        words = "the workload has no tests: no `delivery.test`, and no file `test_*.py`"
        return StepDone(step=DeliveryStep.TEST, words=words, skipped=True)
    platform.project.run(
        command, change.folder, timeout_s=rules.test_timeout_s, progress=change.progress
    )
    return StepDone(step=DeliveryStep.TEST, words=f"`{command}` passed")


def _train(platform: Platform, change: Change) -> StepDone:
    made = _made(platform, change)
    return StepDone(step=DeliveryStep.TRAIN, words=f"{made.version.name}: {made.decision.because}")


def _gate(platform: Platform, change: Change) -> StepDone:
    report = _judged(platform, change)
    decision = decide_clearance(endpoint_of(platform, change.workload), report)
    out = decision.clearance is Clearance.KEEP_OUT
    return StepDone(
        step=DeliveryStep.GATE,
        words=f"{report.version}: {report.verdict}, {report.because}",
        report=report,
        refusal=kept_out(change.workload.endpoint_name, report, decision) if out else None,
    )


def _package(platform: Platform, change: Change) -> StepDone:
    """Verify the signature, and that every file of the package is there and whole."""
    version = _made(platform, change).version
    manifest = platform.blobs.read(version.package)
    if not platform.signer.verify(manifest, base64.b64decode(version.package_signature)):
        raise BlobCorruptError(
            f"The signature of {version.name} is not that of this home.",
            why="its manifest was changed, or the key of the home was replaced",
            fix="make the version again with `servewell train`",
        )
    files = {version.manifest.artifact, *version.manifest.files.values()}
    held = sum(platform.blobs.path(one).stat().st_size for one in files)
    words = f"{version.name} is signed and whole: {len(files)} files, {held:,} bytes, sha256 "
    return StepDone(step=DeliveryStep.PACKAGE, words=words + digest_of(manifest)[:12])


def _scan(platform: Platform, change: Change) -> StepDone:
    """Ask the report whether the package is signed, and whether it holds what may not be there.

    Raises: GatesNotPassedError, also where nothing was scanned.
    """
    report = _judged(platform, change)
    if not (is_safe(report) or report.override):
        raise GatesNotPassedError.of(report)
    words = "; ".join(row.because for row in security_rows(report))
    return StepDone(step=DeliveryStep.SCAN, words=words)


def _roll_out(platform: Platform, change: Change) -> StepDone:
    report = _judged(platform, change)
    endpoint = endpoint_of(platform, change.workload)
    decision = decide_clearance(endpoint, report)
    if decision.clearance is Clearance.KEEP_OUT:
        raise kept_out(change.workload.endpoint_name, report, decision)
    if endpoint is None or decision.clearance is not Clearance.ROLL_OUT:
        words = decision.because if endpoint else "nothing serves here: `servewell up` begins"
        return StepDone(step=DeliveryStep.ROLL_OUT, words=words, skipped=True)
    version = _made(platform, change).version
    because = change.because or "delivered by `servewell ci run`"
    rollout = roll_out(
        platform, change.workload, endpoint, version, because=because, dry_run=not change.live
    )
    if not change.live:
        return StepDone(step=DeliveryStep.ROLL_OUT, words=f"would begin: {rollout.because}")
    return _followed(platform, change, rollout)


def _followed(platform: Platform, change: Change, rollout: Rollout) -> StepDone:
    """Wait for the end of a rollout as long as the workload says.

    Raises: RolloutNotDoneError.
    """
    wait_s = change.workload.delivery.roll_out_s
    end = platform.clock.now() + wait_s
    while rollout.stage not in ENDED and platform.clock.now() < end:
        change.progress(f"{rollout.stage}: {rollout.because}")
        platform.clock.sleep(LOOK_AGAIN_S)
        rollout = platform.rollouts.get(rollout.id)
    if wait_s and rollout.stage is not Stage.PROMOTED:
        raise RolloutNotDoneError(
            f"The rollout of {rollout.candidate_version} is {rollout.stage}.",
            why=rollout.because,
            fix=f"`servewell rollouts show {rollout.endpoint}` shows the evidence; until it ends, "
            "it goes on by itself",
        )
    return StepDone(step=DeliveryStep.ROLL_OUT, words=f"{rollout.stage}: {rollout.because}")


def _made(platform: Platform, change: Change) -> Made:
    workload, folder = change.workload, change.folder
    dataset = keep_dataset(platform, workload, folder)
    return make_model(platform, workload, folder, dataset=dataset, progress=change.progress)


def _judged(platform: Platform, change: Change) -> GateReport:
    version: ModelVersion = _made(platform, change).version
    return ensure_judged(
        platform, change.workload, change.folder, version, progress=change.progress
    )


_STEPS: Final[Mapping[DeliveryStep, Callable[[Platform, Change], StepDone]]] = {
    DeliveryStep.LOCK: _lock,
    DeliveryStep.TEST: _test,
    DeliveryStep.TRAIN: _train,
    DeliveryStep.GATE: _gate,
    DeliveryStep.PACKAGE: _package,
    DeliveryStep.SCAN: _scan,
    DeliveryStep.ROLL_OUT: _roll_out,
}
