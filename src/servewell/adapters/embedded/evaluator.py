"""Measurements for the gates as processes of this machine."""

from collections.abc import Callable
from pathlib import Path

from servewell.adapters.embedded.atomic_file import ensure_folder, storage_faults
from servewell.adapters.embedded.behaviour_files import read_behaviours
from servewell.adapters.embedded.job.exchange import (
    ERRORS,
    Failure,
    Order,
    RunFiles,
)
from servewell.adapters.embedded.job.launch import Ending, Work, follow
from servewell.adapters.embedded.json_files import read_told
from servewell.adapters.embedded.optimiser import step_of
from servewell.adapters.embedded.trainer import how_it_ended, last_words
from servewell.core.catalog.behaviour import BehaviourTest
from servewell.core.catalog.signature import Signature
from servewell.core.operations.gate_measures import Measures
from servewell.errors import ServewellError
from servewell.ports.evaluator import EvaluateJob, EvaluationFailedError
from servewell.ports.optimiser import Step
from servewell.ports.trainer import Environment


class ProcessEvaluator:
    """`Evaluator` for one machine: each job a process, each run a folder below `runs`."""

    def __init__(self, runs: Path, environment: Callable[[], Environment]) -> None:
        self._runs = runs
        self._environment = environment

    def evaluate(self, job: EvaluateJob, progress: Callable[[Step], None]) -> Measures:
        """See `Evaluator.evaluate`."""

        def order(progress_pipe: int, parent_pipe: int) -> Order:
            return Order(evaluate=job, progress_pipe=progress_pipe, parent_pipe=parent_pipe)

        files = RunFiles(self._runs / job.run)
        work = Work(order=order, folder=files.folder, timeout_s=job.timeout_s)
        with storage_faults(files.folder):
            ensure_folder(files.folder)
            files.clear()
            files.environment.write_text(self._environment().lock, encoding="utf-8")
            ending = follow(work, files, lambda line: progress(step_of(line)))
            result = read_told(files.result, Measures) if ending.exit_code == 0 else None
        if result is None:
            files.result.unlink(missing_ok=True)
            raise _failure(job, files, ending)
        return result

    def behaviours(self, path: Path, signature: Signature) -> tuple[BehaviourTest, ...]:
        """See `Evaluator.behaviours`."""
        return read_behaviours(path, signature)

    def log(self, run: str) -> Path:
        """See `Evaluator.log`."""
        return RunFiles(self._runs / run).log


def _failure(job: EvaluateJob, files: RunFiles, ending: Ending) -> ServewellError:
    see_log = f"the whole output is in {files.log}"
    told = read_told(files.failure, Failure)
    if ending.timed_out:
        return EvaluationFailedError(
            f"The measuring of {job.candidate.version} was ended after {job.timeout_s:,.0f} s.",
            why=f"that is its time limit; it was at: {ending.last_said or 'starting'}",
            fix=f"raise `gates.timeout_s` in the workload file; {see_log}",
        )
    if told is not None:
        kind = ERRORS.get(told.code, EvaluationFailedError)
        return kind(told.what, why=told.why, fix=f"{told.fix}; {see_log}")
    return EvaluationFailedError(
        f"The measuring of {job.candidate.version} ended before it had a result, at: "
        f"{ending.last_said or 'starting'}.",
        why=how_it_ended(ending.exit_code) + last_words(files.log),
        fix=f"run `servewell gates run` again; {see_log}",
    )
