"""What the process of one retraining does, from its row to what came of it."""

import sys
import traceback
from dataclasses import replace
from pathlib import Path
from typing import Final, Literal

from servewell.core.catalog.retraining import Retraining, RetrainState
from servewell.core.catalog.workload import Artifact, Workload
from servewell.core.operations.clearance import Clearance
from servewell.core.operations.retraining import rollout_of
from servewell.errors import ServewellError
from servewell.flows.deliver import Delivered, deliver, told
from servewell.flows.platform import Platform
from servewell.flows.retrain import change_of
from servewell.ports.state import StateConflictError, StateUnavailableError
from servewell.ports.storage import StorageError
from servewell.ports.tracking import TrackingFailedError

ArtifactFormat = Literal["onnx", "sklearn", "xgboost", "lightgbm", "torch", "mlflow", "pyfunc"]
BY_ENDING: Final[dict[str, ArtifactFormat]] = {
    ".onnx": "onnx",
    ".pkl": "sklearn",
    ".pickle": "sklearn",
    ".joblib": "sklearn",
    ".ubj": "xgboost",
    ".json": "xgboost",
    ".txt": "lightgbm",
    ".pt2": "torch",
}


class FormatUnknownError(ServewellError):
    """The ending of a file that appeared does not say what kind of model it is."""

    code = "SW-161"


REGISTRY: Final = "models:/"  # begins the location of a version in a registry
PASSING: Final = (  # what is away or busy now, and may be there the next time
    TrackingFailedError,
    StorageError,
    StateUnavailableError,
    StateConflictError,
)


def train_again(platform: Platform, number: int, *, attempt: int, pid: int) -> int:
    """Do an attempt that has begun; return the exit code of the process: 0 where it succeeded.

    Whatever goes wrong is its outcome, and changes nothing that serves. What cannot be kept is
    said in the log; then the attempt counts as interrupted.
    """
    try:
        row = platform.retrainings.get(number)
        refusal = _refusal(row, attempt=attempt, pid=pid)
        if refusal:
            _say(f"this process does nothing: {refusal}")
            return 1
        row = platform.retrainings.save(replace(row, pid=pid))[0]
        ended = replace(_attempt(platform, row), ended_at=platform.clock.now())
        platform.retrainings.save(ended, change=change_of(platform, ended))
    except ServewellError as error:
        _say(str(error))
        return 1
    platform.arrivals.discard(f"{number}")
    return 0 if ended.state is RetrainState.SUCCEEDED else 1


def _refusal(row: Retraining, *, attempt: int, pid: int) -> str:
    """Return why an attempt is not this process's to do, or nothing where it is."""
    if row.state is not RetrainState.RUNNING:
        return f"retraining {row.id} is {row.state}"
    if row.attempt != attempt:
        return f"retraining {row.id} is at attempt {row.attempt}, and this is {attempt}"
    if row.pid not in (None, pid):
        return f"process {row.pid} does attempt {attempt} of retraining {row.id}"
    return ""


def _attempt(platform: Platform, row: Retraining) -> Retraining:
    try:
        known = platform.workloads.get(row.workload)
        workload = _of_row(platform, known.workload, row)
        done = deliver(platform, workload, Path(known.folder), because=_because(row), progress=_say)
    except ServewellError as error:
        _say(str(error))
        state = RetrainState.INTERRUPTED if isinstance(error, PASSING) else RetrainState.FAILED
        return replace(row, state=state, outcome=told(error))
    except Exception as error:  # noqa: BLE001 - whatever it is, the history says it
        traceback.print_exc()
        words = f"{type(error).__name__}: {error}; its log has the traceback"
        return replace(row, state=RetrainState.FAILED, outcome=words)
    return _delivered(row, done)


def _delivered(row: Retraining, done: Delivered) -> Retraining:
    kept_out = done.clearance is Clearance.KEEP_OUT
    rollout = f"; the rollout {done.rollout.id} began" if done.rollout else ""
    return replace(
        row,
        state=RetrainState.FAILED if kept_out else RetrainState.SUCCEEDED,
        outcome=f"{done.version.name}, {done.made.decision.because}; {done.because}{rollout}",
        model_version=done.version.name,
        run=done.made.run.id,
    )


def _because(row: Retraining) -> str:
    return f"retraining {row.id}, {row.because}"


def _of_row(platform: Platform, workload: Workload, row: Retraining) -> Workload:
    """Return the workload by its rules for retraining.

    A model that appeared stands in the place of its own.

    Raises: FormatUnknownError, TrackingFailedError, StorageError.
    """
    workload = replace(workload, rollout=rollout_of(workload))
    if not row.source:
        return workload
    watch, path = workload.retrain.watch, _brought(platform, workload, row)
    artifact = Artifact(
        path=str(path),
        format=(watch.format if watch else None) or _format(path),
        allow_pickle=bool(watch and watch.allow_pickle),
    )
    return replace(workload, train=None, predictor=None, artifact=artifact)


def _brought(platform: Platform, workload: Workload, row: Retraining) -> Path:
    """Return a copy of the model that appeared."""
    watch, uri = workload.retrain.watch, row.location.removeprefix(REGISTRY)
    if uri == row.location or watch is None or watch.mlflow is None:
        return platform.arrivals.keep(Path(row.location), f"{row.id}")
    model, _, number = uri.rpartition("/")
    to = platform.arrivals.place(f"{row.id}")
    return platform.tracking.fetch(watch.mlflow, model, int(number), to=to)


def _format(path: Path) -> ArtifactFormat:
    if path.is_dir():
        return "mlflow"
    if path.suffix not in BY_ENDING:
        raise FormatUnknownError(
            f"The ending of `{path.name}` does not say what it is.",
            why="a model is read by the rules of its kind",
            fix="write `format:` below `retrain.watch`, or give the file an ending like `.onnx`",
        )
    return BY_ENDING[path.suffix]


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()
