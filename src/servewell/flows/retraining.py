"""What the process of one retraining does, from its row to what came of it."""

import sys
import traceback
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Literal

from servewell.core.catalog.retraining import Retraining, RetrainState
from servewell.core.catalog.workload import Artifact, Workload
from servewell.errors import ServewellError
from servewell.flows.make_model import keep_dataset, make_model
from servewell.flows.platform import Platform
from servewell.flows.retrain import change_of

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


@dataclass(frozen=True, slots=True, kw_only=True)
class _Came:
    words: str
    version: str | None
    run: str | None


def train_again(platform: Platform, number: int, *, pid: int) -> int:
    """Do a retraining that has begun; return the exit code of the process: 0 where it succeeded.

    Whatever goes wrong is its outcome, and changes nothing that serves.
    """
    row = platform.retrainings.get(number)
    if row.state is not RetrainState.RUNNING:
        return 1
    row = platform.retrainings.save(replace(row, pid=pid))[0]
    try:
        came = _deliver(platform, row)
        ended = replace(
            row,
            state=RetrainState.SUCCEEDED,
            outcome=came.words,
            model_version=came.version,
            run=came.run,
        )
    except ServewellError as error:
        _say(str(error))
        ended = replace(row, state=RetrainState.FAILED, outcome=str(error))
    except Exception as error:  # noqa: BLE001 - whatever it is, the history says it
        traceback.print_exc()
        words = f"{type(error).__name__}: {error}; its log has the traceback"
        ended = replace(row, state=RetrainState.FAILED, outcome=words)
    ended = replace(ended, ended_at=platform.clock.now())
    platform.retrainings.save(ended, change=change_of(platform, ended))
    return 0 if ended.state is RetrainState.SUCCEEDED else 1


def _deliver(platform: Platform, row: Retraining) -> _Came:
    known = platform.workloads.get(row.workload)
    workload, folder = _of_row(platform, known.workload, row), Path(known.folder)
    dataset = keep_dataset(platform, workload, folder)
    made = make_model(platform, workload, folder, dataset=dataset, progress=_say)
    words = f"{made.version.name}: {made.decision.because}"
    return _Came(words=words, version=made.version.name, run=made.run.id)


def _of_row(platform: Platform, workload: Workload, row: Retraining) -> Workload:
    """Return the workload, with the model that appeared in the place of its own.

    Raises: FormatUnknownError, StorageError.
    """
    if not row.source:
        return workload
    path = platform.arrivals.keep(Path(row.location), f"{row.id}")
    watch = workload.retrain.watch
    artifact = Artifact(
        path=str(path),
        format=(watch.format if watch else None) or _format(path),
        allow_pickle=bool(watch and watch.allow_pickle),
    )
    return replace(workload, train=None, predictor=None, artifact=artifact)


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
