"""See that the environment of a model that is Python code is in this home."""

from collections.abc import Callable
from pathlib import Path
from typing import Final

from servewell.core.catalog.model import ModelVersion
from servewell.core.catalog.workload import Workload
from servewell.flows.platform import Platform

LOCK: Final = "requirements.txt"  # name of the lock among the files of a package
TRAINING_LOCK: Final = "training-requirements.txt"  # and of that of the training script

Progress = Callable[[str], None]


def lock_of(platform: Platform, workload: Workload, folder: Path, progress: Progress) -> bytes:
    """Return the lock of the code that a workload names; empty for the platform's own environment.

    A folder of MLflow says which packages it needs, not which those need: that is found out here.

    Raises: LockInvalidError, EnvironmentFailedError, OSError.
    """
    predictor, artifact = workload.predictor, workload.artifact
    if predictor is not None and predictor.requirements is not None:
        return (folder / predictor.requirements).read_bytes()
    if artifact is not None and artifact.format == "pyfunc":
        wanted = folder / artifact.path / LOCK
        if wanted.is_file():
            return platform.environments.resolve(wanted.read_bytes(), progress)
    return b""


def training_lock(workload: Workload, folder: Path) -> bytes:
    """Return the lock that a training script runs in; empty for the platform's own environment.

    Raises: OSError.
    """
    train = workload.train
    return (folder / train.requirements).read_bytes() if train and train.requirements else b""


def ensure_environment(platform: Platform, version: ModelVersion, progress: Progress) -> None:
    """Make the environment of a version where it is not in this home any more.

    Raises: EnvironmentFailedError, BlobMissingError, StorageError.
    """
    predictor = version.manifest.predictor
    if predictor is not None and predictor.environment:
        lock = platform.blobs.read(version.manifest.files[LOCK])
        platform.environments.ensure(lock, progress)
