"""What a run is made of: the code, data, parameters and environment that decide its result."""

from dataclasses import asdict
from pathlib import Path

from servewell.core.catalog.dataset import DatasetVersion
from servewell.core.catalog.step_graph import steps_after_training
from servewell.core.catalog.workload import Workload
from servewell.core.operations.freshness import inputs_digest
from servewell.core.operations.pipeline import digest_of_value
from servewell.flows.environments import training_lock
from servewell.flows.platform import Platform


def training_parts(
    platform: Platform, workload: Workload, folder: Path, *, dataset: DatasetVersion | None
) -> dict[str, str]:
    """Return a digest for each part of what a model depends on.

    Raises: TrainingFailedError where a file cannot be read, LockInvalidError.
    """
    trainer = platform.trainer
    return {
        "dataset": dataset.digest if dataset else "",
        "code": trainer.code_digest(folder, source_of(workload, folder)),
        "environment": _environment(platform, workload, folder),
        "files": digest_of_value(
            [trainer.code_digest(folder, path) for path in beside(workload, folder)]
        ),
        "parameters": digest_of_value(workload.train.parameters if workload.train else {}),
        "workload": digest_of_value(_what_makes_the_model(workload)),
    }


def _environment(platform: Platform, workload: Workload, folder: Path) -> str:
    """Return the digest of what the model is converted in, and of what it is trained in."""
    lock, converted_in = training_lock(workload, folder), platform.trainer.environment().digest
    if not lock:
        return converted_in
    return digest_of_value([converted_in, platform.environments.digest(lock)])


def run_digest(workload: Workload, folder: Path, platform: Platform, parts: dict[str, str]) -> str:
    """Return the digest of a whole run: training, and the steps after it.

    Raises: TrainingFailedError where a file cannot be read.
    """
    after = {
        name: [asdict(workload.steps[name]), _step_code(platform, workload, folder, name)]
        for name in steps_after_training(workload.steps)
    }
    return inputs_digest({**parts, "after": after})


def source_of(workload: Workload, folder: Path) -> Path:
    """Return the script or the artifact that a model is made of."""
    train, artifact, predictor = workload.train, workload.artifact, workload.predictor
    if train is not None:
        return folder / train.script
    if predictor is not None:
        return folder / predictor.script
    return folder / (artifact.path if artifact else "")


def scripts_of(workload: Workload, folder: Path) -> tuple[Path, ...]:
    """Return the Python files that a workload names."""
    named = (source_of(workload, folder), *(folder / one.script for one in workload.steps.values()))
    return tuple(path for path in named if path.suffix == ".py")


def beside(workload: Workload, folder: Path) -> list[Path]:
    """Return the files that a predictor needs beside its script."""
    code = workload.predictor
    if code is None:
        return []
    lock = (code.requirements,) if code.requirements else ()
    return [folder / one for one in (*(code.files or ()), *lock)]


def _what_makes_the_model(workload: Workload) -> dict[str, object]:
    """Return the parts of the workload that a model depends on; how it is served is not one.

    Where the rows come from is none: the digest of the rows is.
    """
    whole = asdict(workload)
    train = whole["train"] or {}
    data = whole["data"] or {}
    return {
        "data": {key: data.get(key) for key in ("label", "held_out")},
        "train": {key: train.get(key) for key in ("script", "function")},
        "model": {key: value for key, value in whole["model"].items() if key != "optimize"},
        **{part: whole[part] for part in ("artifact", "predictor", "inputs")},
    }


def _step_code(platform: Platform, workload: Workload, folder: Path, name: str) -> list[str]:
    rules = workload.steps[name]
    named = [rules.script, *(rules.files or ())]
    if rules.requirements:
        named.append(rules.requirements)
    return [platform.trainer.code_digest(folder, folder / one) for one in named]
