"""Trains in an environment of the workload's own, where Servewell need not be.

The script runs there by the program of steps. It hands its model over as a file, and the job's
process takes it from there, through the same door as a model that was made elsewhere.
"""

import json
import resource
import shutil
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from servewell.adapters.embedded.atomic_file import ensure_folder, write_atomically
from servewell.adapters.embedded.job import step_program
from servewell.adapters.embedded.job.exchange import Failure, RunFiles
from servewell.adapters.embedded.job.held_out import check_held_out
from servewell.adapters.embedded.job.launch import Ending, Start, attend
from servewell.adapters.embedded.job.training import script_and_data
from servewell.adapters.embedded.json_files import write
from servewell.core.catalog.model import Format
from servewell.ports.trainer import Job, TrainingFailedError

OUTCOME: Final = "outcome.json"
ORDER: Final = "order.json"
KINDS: Final = {"model.onnx": Format.ONNX, "model.pt2": Format.TORCH, "model.pkl": Format.SKLEARN}


def fit_elsewhere(job: Job, files: RunFiles, progress: Callable[[str], None]) -> Ending:
    """Run the script of a job in its own environment; leave its model, or the reason of none.

    Raises: TrainingFailedError, HeldOutRowsError, OSError.
    """
    script, data = script_and_data(job)
    check_held_out(data, job.held_out)
    shutil.rmtree(files.fitted, ignore_errors=True)
    ensure_folder(files.fitted)

    def command(say: int, parent: int) -> list[str]:
        del say  # the script tells nothing of its progress
        order = {
            "parent_pipe": parent,
            "script": str(script),
            "function": job.function,
            "data": str(data),
            "output": str(files.fitted),
            "parameters": job.parameters,
            "outcome": str(files.fitted / OUTCOME),
            "memory_bytes_max": job.memory_bytes_max or resource.RLIM_INFINITY,
        }
        write_atomically(files.fitted / ORDER, json.dumps(order).encode())
        return [str(job.python), "-P", step_program.__file__, str(files.fitted / ORDER)]

    progress("training")
    start = Start(
        command=command,
        folder=job.folder,
        log=files.log,
        pid=files.pid,
        timeout_s=job.timeout_s,
    )
    ending = replace(attend(start, lambda _: None), last_said="training")
    if ending.exit_code != 0 and (told := _outcome(files)):
        write(files.failure, _failure(script, told))
    return ending


def fitted(files: RunFiles) -> tuple[object, dict[str, float]]:
    """Return the model that was handed over, and its metrics.

    Raises: PickleRefusedError, ConversionFailedError, OSError.
    """
    from servewell.adapters.embedded.job.importing import LOADERS  # noqa: PLC0415 - heavy

    path = next(files.fitted / name for name in KINDS if (files.fitted / name).exists())
    with warnings.catch_warnings():
        # Of another release a model may answer otherwise, which no proof would show.
        warnings.filterwarnings("error", message="Trying to unpickle estimator")
        model: object = LOADERS[KINDS[path.name]](path, allow_pickle=True)
    return model, (_outcome(files) or {}).get("metrics", {})


def _outcome(files: RunFiles) -> dict[str, Any] | None:
    try:
        read: dict[str, Any] = json.loads((files.fitted / OUTCOME).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    return read


def _failure(script: Path, told: dict[str, Any]) -> Failure:
    smaller = "read the data in parts, or raise `train.memory_bytes_max`"
    correct = "correct the script, or add what it imports to `train.requirements`"
    return Failure(
        code=TrainingFailedError.code,
        what=f"The training script `{script.name}` failed.",
        why=told["why"],
        fix=smaller if told["memory"] else told["fix"] or correct,
    )
