"""The job's own process: reads its order, does the work, leaves a result or the reason of none."""

import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final

from servewell.adapters.embedded.job.bounds import (
    bound_memory,
    end_before_who_serves,
    end_with,
)
from servewell.adapters.embedded.job.elsewhere import fitted
from servewell.adapters.embedded.job.exchange import (
    Failure,
    Order,
    Result,
    RunFiles,
    say_to,
)
from servewell.adapters.embedded.job.held_out import check_held_out
from servewell.adapters.embedded.job.training import fit
from servewell.adapters.embedded.json_files import read, write
from servewell.core.operations.gate_measures import Measures
from servewell.errors import ServewellError
from servewell.ports.evaluator import EvaluationFailedError
from servewell.ports.optimiser import Profile, Study, StudyFailedError
from servewell.ports.trainer import Job, LibraryMissingError, TrainingFailedError

if TYPE_CHECKING:
    from servewell.adapters.embedded.job.study.operators import TimeStages

Say = Callable[[str], None]

EXTRAS: Final = {
    "xgboost": "xgboost",
    "lightgbm": "lightgbm",
    "torch": "torch",
    "onnxscript": "torch",
}  # the rest comes with `sklearn`


def main(folder: Path, time_stages: "TimeStages") -> int:
    """Do the job of a run's folder; return the exit code of the process: 0 with a result, else 1.

    `time_stages` times the stages of the serving path, for a job that asks for it.

    The result is the last thing that is written, so a job that is killed leaves none.
    """
    files = RunFiles(folder)
    order = read(files.order, Order)
    end_with(order.parent_pipe)
    end_before_who_serves()
    sys.dont_write_bytecode = True  # the workload's folder is not ours to write to
    outcome = _outcome(order, files, time_stages)
    failed = isinstance(outcome, Failure)
    write(files.failure if failed else files.result, outcome)
    return 1 if failed else 0


def _outcome(
    order: Order, files: RunFiles, time_stages: "TimeStages"
) -> Result | Study | Profile | Measures | Failure:
    def say(line: str) -> None:
        say_to(order.progress_pipe, line)

    try:
        return _done(order, files, say, time_stages)
    except ServewellError as error:
        return Failure(code=error.code, what=error.what, why=error.why, fix=error.fix)
    except ImportError as error:
        return _failure(_library_missing(error))
    except Exception as error:  # noqa: BLE001  # whatever it is, the one who waits is told
        traceback.print_exc()
        return _failure(
            _kind_of_failure(order)(
                "The job failed between its steps.",
                why=f"{type(error).__name__}: {error}",
                fix="look at the traceback in the log; it is a fault of Servewell",
            )
        )


def _kind_of_failure(order: Order) -> type[ServewellError]:
    if order.evaluate is not None:
        return EvaluationFailedError
    return TrainingFailedError if order.job else StudyFailedError


def _failure(error: ServewellError) -> Failure:
    return Failure(code=error.code, what=error.what, why=error.why, fix=error.fix)


def _done(
    order: Order, files: RunFiles, say: Say, time_stages: "TimeStages"
) -> Result | Study | Profile | Measures:
    def step(done: int, total: int, words: str) -> None:
        say(f"{done}/{total} {words}")

    # Each kind of work loads libraries of its own.
    if order.optimise is not None:
        from servewell.adapters.embedded.job.study.trial import optimise  # noqa: PLC0415

        return optimise(order.optimise, files.variants, step)
    if order.profile is not None:
        from servewell.adapters.embedded.job.study.operators import profile  # noqa: PLC0415

        return profile(order.profile, step, time_stages)
    if order.evaluate is not None:
        from servewell.adapters.embedded.job.gates.evaluation import evaluate  # noqa: PLC0415

        return evaluate(order.evaluate, files.folder, step)
    assert order.job is not None  # noqa: S101 - an order is one of the jobs
    return _work(order.job, files, say)


def _work(job: Job, files: RunFiles, say: Say) -> Result:
    """Do the job: get a model, and make of it what can be served."""
    if job.data is not None:
        check_held_out(job.data, job.held_out)
    if job.predictor is not None:
        from servewell.adapters.embedded.job.predicting import package_predictor  # noqa: PLC0415

        return package_predictor(job, job.predictor, files, say=say)
    if job.script is not None:
        if job.memory_bytes_max is not None:
            bound_memory(job.memory_bytes_max)
        if job.python is None:
            say("training")
        model, metrics = fit(job) if job.python is None else fitted(files)
        # These load libraries that may not be installed, which `_outcome` turns into words.
        from servewell.adapters.embedded.job.packaging import Loaded, package  # noqa: PLC0415

        return _profiled(
            job, package(Loaded(model=model, metrics=metrics), job, files, say=say), files, say
        )
    from servewell.adapters.embedded.job.importing import import_model  # noqa: PLC0415

    return _profiled(job, import_model(job, files, say), files, say)


def _profiled(job: Job, result: Result, files: RunFiles, say: Say) -> Result:
    """Write the reference profile of an ONNX model beside it."""
    from servewell.adapters.embedded.job.reference import write_reference_of_onnx  # noqa: PLC0415

    write_reference_of_onnx(job, result, files, say)
    return result


def _library_missing(error: ImportError) -> LibraryMissingError:
    library = (error.name or str(error)).partition(".")[0]
    return LibraryMissingError(
        f"The library `{library}` is not installed.",
        why="models of this kind cannot be loaded or converted without it",
        fix=f"pip install 'servewell[{EXTRAS.get(library, 'sklearn')}]'",
    )
