"""Studies of models as processes of this machine."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Final

from servewell.adapters.embedded.atomic_file import ensure_folder, storage_faults, write_atomically
from servewell.adapters.embedded.job.exchange import (
    ERRORS,
    Failure,
    Order,
    Outcome,
    RunFiles,
)
from servewell.adapters.embedded.job.launch import Ending, Work, follow
from servewell.adapters.embedded.json_files import read_told
from servewell.adapters.embedded.trainer import how_it_ended, last_words
from servewell.errors import ServewellError
from servewell.ports.optimiser import (
    OptimiseJob,
    Profile,
    ProfileJob,
    Step,
    Study,
    StudyFailedError,
    Subject,
)
from servewell.ports.trainer import Environment

STEP: Final = re.compile(r"(\d+)/(\d+) (.*)")


class ProcessOptimiser:
    """`Optimiser` for one machine: each job a process, each run a folder below `runs`."""

    def __init__(self, runs: Path, environment: Callable[[], Environment]) -> None:
        self._runs = runs
        self._environment = environment

    def optimise(self, job: OptimiseJob, progress: Callable[[Step], None]) -> Study:
        """See `Optimiser.optimise`."""

        def order(progress_pipe: int, parent_pipe: int) -> Order:
            return Order(optimise=job, progress_pipe=progress_pipe, parent_pipe=parent_pipe)

        return self._run(job.subject, order, Study, progress)

    def profile(self, job: ProfileJob, progress: Callable[[Step], None]) -> Profile:
        """See `Optimiser.profile`."""

        def order(progress_pipe: int, parent_pipe: int) -> Order:
            return Order(profile=job, progress_pipe=progress_pipe, parent_pipe=parent_pipe)

        return self._run(job.subject, order, Profile, progress)

    def artifact(self, run: str, variant: str) -> Path:
        """See `Optimiser.artifact`."""
        return self._files(run).variants / f"{variant}.onnx"

    def log(self, run: str) -> Path:
        """See `Optimiser.log`."""
        return self._files(run).log

    def lock(self, run: str) -> Path:
        """See `Optimiser.lock`."""
        return self._files(run).environment

    def keep(self, run: str, name: str, text: str) -> Path:
        """See `Optimiser.keep`."""
        path = self._files(run).folder / name
        with storage_faults(path.parent):
            write_atomically(path, text.encode())
        return path

    def _files(self, run: str) -> RunFiles:
        return RunFiles(self._runs / run)

    def _run(
        self,
        subject: Subject,
        order: Callable[[int, int], Order],
        kind: type[Outcome],
        progress: Callable[[Step], None],
    ) -> Outcome:
        files = self._files(subject.run)
        work = Work(order=order, folder=files.folder, timeout_s=subject.timeout_s)
        with storage_faults(files.folder):
            ensure_folder(files.folder)
            files.clear()
            files.environment.write_text(self._environment().lock, encoding="utf-8")
            ending = follow(work, files, lambda line: progress(step_of(line)))
            result = read_told(files.result, kind) if ending.exit_code == 0 else None
        if result is None:
            files.result.unlink(missing_ok=True)
            raise _failure(subject, files, ending)
        return result


def step_of(line: str) -> Step:
    """Return what a line of progress says."""
    found = STEP.fullmatch(line)
    if found is None:
        return Step(done=0, total=0, words=line)
    return Step(done=int(found[1]), total=int(found[2]), words=found[3])


def _failure(subject: Subject, files: RunFiles, ending: Ending) -> ServewellError:
    see_log = f"the whole output is in {files.log}"
    told = read_told(files.failure, Failure)
    if ending.timed_out:
        return StudyFailedError(
            f"The job was ended after {subject.timeout_s:,.0f} s.",
            why=f"that is its time limit; it was at: {ending.last_said or 'starting'}",
            fix=f"measure fewer rounds; {see_log}",
        )
    if told is not None:
        return _told(told, see_log)
    return StudyFailedError(
        f"The job ended before it had a result, at: {ending.last_said or 'starting'}.",
        why=how_it_ended(ending.exit_code) + last_words(files.log),
        fix=f"run it again; {see_log}",
    )


def _told(told: Failure, see_log: str) -> ServewellError:
    kind = ERRORS.get(told.code, StudyFailedError)
    return kind(told.what, why=told.why, fix=f"{told.fix}; {see_log}")
