"""Jobs as processes of this machine."""

import hashlib
import platform
import signal
import subprocess
import sys
import sysconfig
from collections.abc import Callable, Iterator
from dataclasses import replace
from importlib.metadata import distributions
from os import environ
from pathlib import Path
from typing import Final

from servewell.adapters.embedded.atomic_file import ensure_folder, storage_faults
from servewell.adapters.embedded.job.elsewhere import fit_elsewhere
from servewell.adapters.embedded.job.exchange import (
    ERRORS,
    Failure,
    Order,
    Result,
    RunFiles,
)
from servewell.adapters.embedded.job.launch import Ending, Work, follow
from servewell.adapters.embedded.json_files import read_told
from servewell.adapters.embedded.processes import is_ours
from servewell.adapters.embedded.source_files import source_files
from servewell.core.catalog.model import digest_of
from servewell.core.catalog.step import NO_USAGE, Usage, both
from servewell.errors import ServewellError
from servewell.ports.trainer import (
    CodeVersion,
    Environment,
    Job,
    JobResult,
    TrainingFailedError,
)

GIT_WITHIN_S: Final = 10.0
LAST_LINES: Final = 5  # of the log, shown where a job ended without a word of its own


class ProcessTrainer:
    """`Trainer` for one machine: each job a process, each run a folder below `runs`."""

    def __init__(self, runs: Path) -> None:
        self._runs = runs
        self._known: tuple[tuple[int, ...], Environment] | None = None

    def run(self, job: Job, progress: Callable[[str], None]) -> JobResult:
        """See `Trainer.run`."""
        files = self._files(job.run)
        with storage_faults(files.folder):
            ensure_folder(files.folder)
            files.clear()
            files.environment.write_text(self.environment().lock, encoding="utf-8")
            ending = _followed(job, files, progress)
            result = read_told(files.result, Result) if ending.exit_code == 0 else None
        if result is None:
            files.result.unlink(missing_ok=True)
            raise _failure(job, files, ending)
        return _job_result(files, result, ending.usage)

    def environment(self) -> Environment:
        """See `Trainer.environment`. Reading all packages takes long: it is done once a change."""
        stamp = _folders_changed()
        if self._known is None or self._known[0] != stamp:
            self._known = (stamp, _environment())
        return self._known[1]

    def code_digest(self, folder: Path, source: Path) -> str:
        """See `Trainer.code_digest`."""
        try:
            return _digest_of_files(folder, _code_files(source))
        except OSError as error:
            raise unreadable(source, error) from error

    def code_version(self, folder: Path) -> CodeVersion:
        """See `Trainer.code_version`."""
        commit = git(folder, "rev-parse", "HEAD")
        status = git(folder, "status", "--porcelain", "--", ".")
        return CodeVersion(commit=commit or None, dirty=bool(commit and status))

    def alive(self, run: str) -> bool:
        """See `Trainer.alive`."""
        files = self._files(run)
        try:
            pid = int(files.pid.read_text(encoding="ascii"))
        except (OSError, ValueError):
            return False
        return is_ours(pid, "job", files.folder)

    def log(self, run: str) -> Path:
        """See `Trainer.log`."""
        return self._files(run).log

    def result(self, folder: Path) -> JobResult:
        """See `Trainer.result`."""
        files = RunFiles(folder)
        result = read_told(files.result, Result)
        if result is None:
            raise TrainingFailedError(
                "What a job made cannot be read back.",
                why=f"{files.result} is missing, or another release of Servewell wrote it",
                fix="change a parameter, so that it is made anew",
            )
        return _job_result(files, result)

    def _files(self, run: str) -> RunFiles:
        return RunFiles(self._runs / run)


def _followed(job: Job, files: RunFiles, progress: Callable[[str], None]) -> Ending:
    """Run a job to its end; a script with an environment of its own runs there before."""
    if job.python is None:
        return follow(_work(job), files, progress)
    fit = fit_elsewhere(job, files, progress)
    if fit.exit_code != 0:
        return fit
    ending = follow(_work(job), files, progress)
    return replace(ending, usage=both(fit.usage, ending.usage))


def _work(job: Job) -> Work:
    def order(progress_pipe: int, parent_pipe: int) -> Order:
        return Order(job=job, progress_pipe=progress_pipe, parent_pipe=parent_pipe)

    appends = job.python is not None  # to what the script wrote in its own environment
    return Work(order=order, folder=job.folder, timeout_s=job.timeout_s, appends=appends)


def _job_result(files: RunFiles, result: Result, usage: Usage = NO_USAGE) -> JobResult:
    return JobResult(
        artifact=files.archive if result.predictor else files.artifact,
        signature=result.signature,
        equivalence=result.equivalence,
        metrics=result.metrics,
        example=result.example,
        log=files.log,
        environment=files.environment,
        predictor=result.predictor,
        told=files.result,
        reference=files.reference if files.reference.exists() else None,
        quality=files.quality if files.quality.exists() else None,
        usage=usage,
    )


def unreadable(source: Path, error: OSError) -> TrainingFailedError:
    """Return what to tell a person of code that cannot be read."""
    return TrainingFailedError(
        f"`{error.filename or source}` cannot be read.",
        why=f"the operating system says: {error.strerror or error}",
        fix="correct the path in the workload file, or the rights of the file",
    )


def _failure(job: Job, files: RunFiles, ending: Ending) -> ServewellError:
    see_log = f"the whole output is in {files.log}"
    told = read_told(files.failure, Failure)
    if ending.timed_out:
        return TrainingFailedError(
            f"The job was ended after {job.timeout_s:,.0f} s.",
            why=f"that is its time limit; it was at: {ending.last_said or 'starting'}",
            fix=f"make the work smaller, or raise `train.timeout_s`; {see_log}",
        )
    if told is not None and told.code in ERRORS:
        return ERRORS[told.code](told.what, why=told.why, fix=f"{told.fix}; {see_log}")
    return TrainingFailedError(
        f"The job ended before it had a result, at: {ending.last_said or 'starting'}.",
        why=how_it_ended(ending.exit_code) + last_words(files.log),
        fix=f"run the script alone to see why; {see_log}",
    )


def how_it_ended(exit_code: int) -> str:
    """Return in words how a process ended; a negative code is the signal that killed it."""
    if exit_code >= 0:
        return f"its process ended with exit code {exit_code}"
    name = signal.Signals(-exit_code).name
    because = ", as when a machine runs out of memory" if name == "SIGKILL" else ""
    return f"its process was ended by {name}{because}"


def last_words(log: Path) -> str:
    """Return the end of a log, to be added to a sentence; nothing where there is none."""
    try:
        lines = log.read_text(encoding="utf-8", errors="replace").split("\n")
    except OSError:
        return ""
    last = [line.strip() for line in lines if line.strip()][-LAST_LINES:]
    return f"; it last wrote: {' | '.join(last)}" if last else ""


def _folders_changed() -> tuple[int, ...]:
    """Return when each folder that Python imports from last got or lost something, in ns."""
    return tuple(Path(one).stat().st_mtime_ns for one in sys.path if one and Path(one).exists())


def _environment() -> Environment:
    head = f"# Python {platform.python_version()}\n# {sysconfig.get_platform()}\n"
    lock = head + "".join(f"{line}\n" for line in _installed())
    return Environment(lock=lock, digest=digest_of(lock.encode()))


def _installed() -> list[str]:
    """Return `name==version` of what can be imported, sorted; the first on the path counts."""
    found: dict[str, str] = {}
    for one in distributions():
        name, version = _name_and_version(one.metadata["Name"], one.version)
        found.setdefault(name, version)
    return [f"{name}=={version}" for name, version in sorted(found.items())]


def _name_and_version(name: str | None, version: str | None) -> tuple[str, str]:
    return (name or "unknown").lower().replace("_", "-"), version or "unknown"


def _code_files(source: Path) -> Iterator[Path]:
    """Yield a script and the Python files that it imports; or an artifact, file or folder."""
    if source.suffix == ".py":
        yield from source_files(source)
        return
    if not source.is_dir():
        yield source  # even where it does not exist: reading it says so
    for path in sorted(source.rglob("*")):
        hidden = any(part.startswith(".") for part in path.relative_to(source).parts)
        if path.is_file() and not hidden and path != source:
            yield path


def _digest_of_files(folder: Path, files: Iterator[Path]) -> str:
    whole = hashlib.sha256()
    for path in files:
        name = path.relative_to(folder) if path.is_relative_to(folder) else path.name
        content = hashlib.sha256(path.read_bytes()).hexdigest()
        whole.update(f"{content}  {name}\n".encode())
    return whole.hexdigest()


def git(folder: Path, *arguments: str) -> str | None:
    """Return what git says of a folder; None where it is in no repository, or there is no git.

    Space around it is cut off. The repository's file-system monitor is a program that the
    repository names: it is not run.
    """
    command = ["git", "-C", str(folder), "-c", "core.fsmonitor=false", *arguments]
    plain = {name: value for name, value in environ.items() if not name.startswith("GIT_")}
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=GIT_WITHIN_S, check=True, env=plain
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
