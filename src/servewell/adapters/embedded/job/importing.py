"""Makes a package of a model that was trained elsewhere."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import onnx

from servewell.adapters.embedded.job import mlflow_folder
from servewell.adapters.embedded.job.exchange import Result, RunFiles
from servewell.adapters.embedded.job.packaging import Loaded, package
from servewell.adapters.embedded.job.unpickling import load_pickle
from servewell.core.catalog.model import Format
from servewell.ports.trainer import (
    ConversionFailedError,
    Job,
    PickleRefusedError,
    TrainingFailedError,
)


def import_model(job: Job, files: RunFiles, say: Callable[[str], None]) -> Result:
    """Check an artifact and return what is to be known of it.

    Raises: PickleRefusedError, TrainingFailedError where it cannot be read, and what `package`
    raises.
    """
    artifact = job.artifact
    if artifact is None or not artifact.exists():
        raise TrainingFailedError(
            f"There is no model `{artifact.name if artifact else ''}`.",
            why=f"no such file in {artifact.parent if artifact else job.folder}",
            fix="correct `artifact.path` in the workload file",
        )
    say("reading the model")
    loaded = _load(artifact, Format(job.format), allow_pickle=job.allow_pickle)
    return package(loaded, job, files, say=say)


def _load(artifact: Path, kind: Format, *, allow_pickle: bool) -> Loaded:
    if kind is not Format.MLFLOW:
        return Loaded(model=LOADERS[kind](artifact, allow_pickle=allow_pickle))
    folder = mlflow_folder.read(artifact)
    model = LOADERS[folder.format](folder.path_of_model, allow_pickle=allow_pickle)
    return Loaded(model=model, described=folder.described)


def _onnx(path: Path, **_: bool) -> object:
    try:
        return onnx.load_model(path, load_external_data=False)
    except Exception as error:
        raise _unreadable(path, "an ONNX file", error) from error


def _sklearn(path: Path, *, allow_pickle: bool) -> object:
    if _starts_with(path, b"PK"):
        raise _unreadable(path, "a pickle or a file of joblib", ValueError("a zip archive"))
    return load_pickle(path, allowed=allow_pickle)


def _xgboost(path: Path, *, allow_pickle: bool) -> object:
    """Load XGBoost's own format: JSON, or UBJSON, in which a file also starts with a brace."""
    import xgboost  # noqa: PLC0415  # may be missing

    if not _starts_with(path, b"{"):
        return load_pickle(path, allowed=allow_pickle)
    booster = xgboost.Booster()
    try:
        booster.load_model(bytearray(path.read_bytes()))
    except Exception as error:
        raise _unreadable(path, "an XGBoost model (.json or .ubj)", error) from error
    return booster


def _lightgbm(path: Path, *, allow_pickle: bool) -> object:
    """Load LightGBM's own format, which is text and starts with the word `tree`."""
    import lightgbm  # noqa: PLC0415  # may be missing

    if not _starts_with(path, b"tree"):
        return load_pickle(path, allowed=allow_pickle)
    try:
        return lightgbm.Booster(model_str=path.read_text(encoding="utf-8"))
    except Exception as error:
        raise _unreadable(path, "a LightGBM model (.txt)", error) from error


def _torch(path: Path, **_: bool) -> object:
    """Load a program of `torch.export.save`; nothing in it is unpickled."""
    from servewell.adapters.embedded.job.torch_program import load_program  # noqa: PLC0415  # heavy

    try:
        return load_program(path)
    except PickleRefusedError:
        raise
    except Exception as error:
        raise _unreadable(path, "a program of `torch.export.save` (.pt2)", error) from error


LOADERS: Final[Mapping[Format, Any]] = {
    Format.ONNX: _onnx,
    Format.SKLEARN: _sklearn,
    Format.XGBOOST: _xgboost,
    Format.LIGHTGBM: _lightgbm,
    Format.TORCH: _torch,
}


def _starts_with(path: Path, words: bytes) -> bool:
    with path.open("rb") as file:
        return file.read(len(words)) == words


def _unreadable(path: Path, what: str, error: Exception) -> ConversionFailedError:
    return ConversionFailedError(
        f"`{path.name}` cannot be read.",
        why=f"it is not {what}: {' '.join(str(error).split())[:200]}",
        fix="correct `artifact.path` and `artifact.format` in the workload file",
    )
