"""The process of one step: `python step_program.py ORDER`.

It runs in the environment of the step, where Servewell need not be: it uses the standard library
alone, and imports nothing of ours.
"""

import importlib.util
import inspect
import json
import math
import os
import pickle
import resource
import runpy
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Mapping
from contextlib import suppress
from numbers import Real
from pathlib import Path
from typing import Any, Final

WHY_MAX: Final = 500  # characters of the user's own message that are repeated


class UnfitError(Exception):
    """The code does not agree with what the workload says of it."""

    def __init__(self, why: str, fix: str) -> None:
        super().__init__(why)
        self.fix = fix


def main(order_file: Path) -> int:
    """Do what the order says; return 0 with a result, else 1. The result is the last thing written.

    A fork of the user's code that comes back ends here: the step is not its to finish.
    """
    order = json.loads(order_file.read_text(encoding="utf-8"))
    _end_with(order["parent_pipe"])
    _limit(order["memory_bytes_max"])
    _end_before_who_serves()
    sys.dont_write_bytecode = True  # the folder of the workload is not ours to write to
    me = os.getpid()
    try:
        outcome: dict[str, object] = {"metrics": _checked(_work(order))}
    except BaseException as error:  # noqa: BLE001 - whatever it is, the one who waits is told
        outcome = _failure(error, Path(order["script"]).parent)
    if os.getpid() != me:
        os._exit(0)
    sys.stdout.flush()
    outcome["memory_bytes"] = _peak_bytes()
    _write(Path(order["outcome"]), outcome)
    return 1 if "why" in outcome else 0


def _work(order: dict[str, Any]) -> object:
    script = Path(order["script"])
    sys.path.insert(0, str(script.parent))
    if order["function"] is None:
        return _run_program(script, order)
    module = _load(script)
    function = getattr(module, order["function"], None)
    if not callable(function):
        names = [name for name, _ in inspect.getmembers(module, inspect.isfunction)]
        raise UnfitError(
            f"`{script.name}` has no function `{order['function']}`; "
            f"it has {', '.join(f'`{name}`' for name in names) or 'none'}",
            "correct `function` in the workload file",
        )
    if "data" in order:
        return _handed_over(_call(function, order), Path(order["output"]))
    return _call(function, order)


def _handed_over(returned: object, output: Path) -> object:
    """Write the fitted model for the process that converts it; return its metrics."""
    both = returned if isinstance(returned, tuple) else (returned, None)
    if len(both) != 2:  # noqa: PLR2004 - model, metrics
        raise UnfitError(
            f"it returned a tuple of {len(both)} things", "return `model`, or `(model, metrics)`"
        )
    model, metrics = both
    if hasattr(model, "SerializeToString"):  # of ONNX
        (output / "model.onnx").write_bytes(model.SerializeToString())
    elif type(model).__name__ == "ExportedProgram":
        sys.modules["torch"].export.save(model, output / "model.pt2")
    else:
        (output / "model.pkl").write_bytes(pickle.dumps(model))
    return metrics


def _load(script: Path) -> object:
    spec = importlib.util.spec_from_file_location(script.stem, script)
    if spec is None or spec.loader is None:
        raise UnfitError(f"`{script.name}` does not end in .py", "name a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[script.stem] = module
    spec.loader.exec_module(module)
    return module


def _call(function: Callable[..., object], order: dict[str, Any]) -> object:
    if "data" in order:  # a training
        return _called(function, order["parameters"], Path(order["data"]))
    given: dict[str, object] = {
        "inputs": {name: Path(folder) for name, folder in order["inputs"].items()},
        "output": Path(order["output"]),
        **order["parameters"],
    }
    return _called(function, given)


def _called(function: Callable[..., object], given: dict[str, object], *first: object) -> object:
    signature = inspect.signature(function)
    if "progress" in signature.parameters and "progress" not in given:
        given["progress"] = progress
    try:
        signature.bind(*first, **given)
    except TypeError as error:
        raise UnfitError(
            f"{error}; it is given {', '.join(f'`{name}`' for name in given)}, and is written as "
            f"{getattr(function, '__name__', 'it')}{signature}",
            "make `parameters` in the workload file and the function agree",
        ) from error
    return function(*first, **given)


def progress(share: float, words: str = "") -> None:
    """Tell how far the step is: a share from 0 to 1."""
    print(f"progress {share:.4f} {words}", flush=True)  # noqa: T201 - the log is where it is read


def _run_program(script: Path, order: dict[str, Any]) -> object:
    metrics = Path(order["metrics"])
    os.environ["STEP_OUTPUT"] = order["output"]
    os.environ["STEP_METRICS"] = str(metrics)
    for name, folder in order["inputs"].items():
        os.environ[f"STEP_INPUT_{name.upper().replace('-', '_')}"] = folder
    parameters = [f"--{name}={_word(value)}" for name, value in order["parameters"].items()]
    sys.argv = [str(script), *parameters]
    try:
        runpy.run_path(str(script), run_name="__main__")
    except SystemExit as ended:
        if ended.code not in (None, 0):
            raise
    return json.loads(metrics.read_text(encoding="utf-8")) if metrics.exists() else None


def _word(value: object) -> str:
    return str(value) if isinstance(value, str) else json.dumps(value)


def _checked(returned: object) -> dict[str, float]:
    if returned is None:
        return {}
    if not isinstance(returned, Mapping):
        raise UnfitError(
            f"it returned {type(returned).__name__}", "return nothing, or a dictionary of metrics"
        )
    return {str(name): _number(str(name), value) for name, value in returned.items()}


def _number(name: str, value: object) -> float:
    try:
        number = float(value) if isinstance(value, Real) else math.nan
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if math.isfinite(number):
        return number
    raise UnfitError(
        f"the metric `{name}` is {str(value)[:60]!r}, which is no finite number",
        "return metrics as a dictionary of names and numbers",
    )


def _failure(error: BaseException, folder: Path) -> dict[str, object]:
    if isinstance(error, UnfitError):
        return {"why": str(error), "fix": error.fix, "memory": False}
    traceback.print_exc()
    return {"why": _reason(error, folder), "fix": "", "memory": isinstance(error, MemoryError)}


def _reason(error: BaseException, folder: Path) -> str:
    """Return what was raised, and where in the user's own files."""
    text = " ".join(str(error).split())[:WHY_MAX]
    said = f"{type(error).__name__}: {text}" if text else type(error).__name__
    if isinstance(error, SyntaxError) and error.filename:
        return f"{said} ({Path(error.filename).name}, line {error.lineno})"
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if Path(frame.filename).is_relative_to(folder)]
    return f"{said} ({Path(own[-1].filename).name}, line {own[-1].lineno})" if own else said


def _peak_bytes() -> int:
    """Return the most that this process has held resident."""
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1_024
    return 0


def _limit(memory_bytes: int) -> None:
    resource.setrlimit(resource.RLIMIT_DATA, (memory_bytes, memory_bytes))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _end_before_who_serves() -> None:
    """See `end_before_who_serves` of `bounds`."""
    score = Path("/proc/self/oom_score_adj")
    with suppress(OSError, ValueError):
        score.write_text(str(max(500, int(score.read_text(encoding="ascii")))), encoding="ascii")


def _write(path: Path, outcome: dict[str, object]) -> None:
    """Write so that a reader sees all of it or nothing."""
    beside = path.with_suffix(".writing")
    beside.write_text(json.dumps(outcome), encoding="utf-8")
    beside.rename(path)


def _end_with(parent_pipe: int) -> None:
    """End this process and all it started as soon as the one that waits for it is gone."""
    os.set_inheritable(parent_pipe, False)  # noqa: FBT003 - as `os` names it

    def watch() -> None:
        os.read(parent_pipe, 1)  # nothing is ever written: this returns when the other end closes
        if os.getpgrp() == os.getpid():
            os.killpg(os.getpgrp(), signal.SIGKILL)
        os.kill(os.getpid(), signal.SIGKILL)

    threading.Thread(target=watch, daemon=True, name="parent").start()


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
