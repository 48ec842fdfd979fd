"""Runs the training script of a workload."""

import importlib.util
import inspect
import math
import os
import sys
import traceback
from collections.abc import Callable, Mapping
from functools import partial
from numbers import Real
from pathlib import Path
from types import ModuleType
from typing import Final

from servewell.ports.trainer import Job, TrainingFailedError

REASON_LENGTH_MAX: Final = 500  # characters of a user's own message that are repeated


def fit(job: Job) -> tuple[object, dict[str, float]]:
    """Return the model and the metrics that the script's function returns.

    Raises: TrainingFailedError.
    """
    script, data = script_and_data(job)
    me = os.getpid()
    try:
        function = _function(_load(script), job)
        returned = _call(function, job, data)
        sys.path.append(sys.path.pop(0))  # what is imported from here on is not the script's
    finally:
        if os.getpid() != me:  # a fork of the script came back too: the job is not its to finish
            os._exit(0)
    return _model_and_metrics(returned, job)


def script_and_data(job: Job) -> tuple[Path, Path]:
    """Return what a training needs. Raises: TrainingFailedError where it lacks one."""
    if job.script is None or job.data is None:
        raise TrainingFailedError(
            "There is nothing to train on.",
            why="a training script needs data",
            fix="name a Parquet file under `data` in the workload file",
        )
    return job.script, job.data


def _load(script: Path) -> ModuleType:
    """Run the script as a module of its own name, its folder first on the path, as Python does."""
    if not script.is_file():
        raise TrainingFailedError(
            f"There is no training script `{script.name}`.",
            why=f"no such file in {script.parent}",
            fix="correct `train.script` in the workload file",
        )
    sys.path.insert(0, str(script.parent))
    spec = importlib.util.spec_from_file_location(script.stem, script)
    if spec is None or spec.loader is None:
        raise TrainingFailedError(
            f"`{script.name}` is no Python file.",
            why="its name does not end in .py",
            fix="correct `train.script` in the workload file",
        )
    module = importlib.util.module_from_spec(spec)
    sys.modules[script.stem] = module
    _guarded(partial(spec.loader.exec_module, module), script)
    return module


def _function(module: ModuleType, job: Job) -> Callable[..., object]:
    function = getattr(module, job.function, None)
    if callable(function):
        return function  # type: ignore[no-any-return]  # it is the user's: checked when called
    functions = [name for name, _ in inspect.getmembers(module, inspect.isfunction)]
    raise TrainingFailedError(
        f"The training script has no function `{job.function}`.",
        why=f"it has {', '.join(f'`{name}`' for name in functions) or 'no functions'}",
        fix="correct `train.function` in the workload file, or name the function so",
    )


def _call(function: Callable[..., object], job: Job, data: Path) -> object:
    try:
        inspect.signature(function).bind(data, **job.parameters)
    except TypeError as error:
        raise TrainingFailedError(
            f"`{job.function}` does not take what the workload gives it.",
            why=f"{error}; it is given the path of the data and "
            f"{', '.join(f'`{name}`' for name in job.parameters) or 'no parameters'}, and is "
            f"written as {job.function}{inspect.signature(function)}",
            fix="make `train.parameters` in the workload file and the function agree",
        ) from error
    return _guarded(partial(function, data, **job.parameters), job.script or data)


def _guarded(work: Callable[[], object], script: Path) -> object:
    """Run code of the user; whatever it raises becomes one sentence, with its file and line."""
    try:
        return work()
    except BaseException as error:
        if isinstance(error, ImportError) and error.name:
            raise _import_failed(error, script) from error
        traceback.print_exc()
        raise TrainingFailedError(
            f"The training script `{script.name}` failed.",
            why=reason(error, script.parent),
            fix=_fix(error),
        ) from error


def _fix(error: BaseException) -> str:
    if isinstance(error, MemoryError):
        return "read the data in parts, or raise `train.memory_bytes_max`"
    return "correct the script"


def _import_failed(error: ImportError, script: Path) -> TrainingFailedError:
    traceback.print_exc()
    return TrainingFailedError(
        f"The training script `{script.name}` failed.",
        why=reason(error, script.parent),
        fix=f"install what the script imports into the environment of Servewell "
        f"({sys.prefix}): `{error.name}`",
    )


def reason(error: BaseException, folder: Path) -> str:
    """Return what was raised, and where in the user's own files."""
    text = " ".join(str(error).split())[:REASON_LENGTH_MAX]
    said = f"{type(error).__name__}: {text}" if text else type(error).__name__
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if Path(frame.filename).is_relative_to(folder)]
    if isinstance(error, SyntaxError) and error.filename:
        return f"{said} ({Path(error.filename).name}, line {error.lineno})"
    if not own:
        return said
    return f"{said} ({Path(own[-1].filename).name}, line {own[-1].lineno})"


def _model_and_metrics(returned: object, job: Job) -> tuple[object, dict[str, float]]:
    if not isinstance(returned, tuple):
        return returned, {}
    if len(returned) != 2 or not isinstance(returned[1], Mapping):  # noqa: PLR2004  # model, metrics
        raise TrainingFailedError(
            f"`{job.function}` returned a tuple of {len(returned)} things.",
            why="it may return the fitted model, or the model and a dictionary of metrics",
            fix="return `model`, or `(model, metrics)`",
        )
    return returned[0], {str(name): _metric(str(name), one) for name, one in returned[1].items()}


def _metric(name: str, value: object) -> float:
    try:
        number = float(value) if isinstance(value, Real) else math.nan
    except (TypeError, ValueError):
        number = math.nan
    if math.isfinite(number):
        return number
    raise TrainingFailedError(
        f"The metric `{name}` is no finite number.",
        why=f"it is {str(value)[:60]!r}",
        fix="return metrics as a dictionary of names and numbers",
    )
