"""Steps of pipelines as processes of this machine.

`RUN/steps/STEP/N/` holds the order, the log and the outcome of attempt N, and `work/STEP` of RUN
its output for the time of the run.
"""

import fcntl
import json
import re
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from servewell.adapters.embedded.atomic_file import (
    ensure_folder,
    storage_faults,
    write_atomically,
)
from servewell.adapters.embedded.job import step_program
from servewell.adapters.embedded.job.launch import Ending, Start, attend
from servewell.adapters.embedded.trainer import how_it_ended, last_words
from servewell.core.catalog.breach import printable
from servewell.ports.steps import (
    Progressed,
    StepFailedError,
    StepJob,
    StepMemoryError,
    StepResult,
    StepTimeoutError,
)

PROGRESS: Final = re.compile(r"progress (\d+(?:\.\d+)?)(%?)(?: (.*))?")
WORDS_MAX: Final = 100  # characters that a step says of its progress
TAIL_BYTES_MAX: Final = 1 << 20  # of a log that are read at once


class ProcessSteps:
    """`Steps` for one machine: each attempt a process, each run a folder below `runs`."""

    def __init__(self, runs: Path) -> None:
        self._runs = runs

    def run(self, job: StepJob, progress: Callable[[Progressed], None]) -> StepResult:
        """See `Steps.run`."""
        files = _Files(self._attempt(job.run, job.step, job.attempt), self.place(job.run, job.step))
        with storage_faults(files.folder):
            files.clear()
            ending = attend(_start(job, files, progress), lambda _: None)
            outcome = files.read_outcome()
        ending = _with_peak(ending, outcome)
        if ending.exit_code == 0 and outcome is not None and "metrics" in outcome:
            return StepResult(
                output=files.output, metrics=dict(outcome["metrics"]), usage=ending.usage
            )
        raise _failure(job, files, ending, outcome)

    def log(self, run: str, step: str, attempt: int) -> Path:
        """See `Steps.log`."""
        return self._attempt(run, step, attempt) / "log.txt"

    def place(self, run: str, step: str) -> Path:
        """See `Steps.place`."""
        return self._runs / run / "work" / step

    @contextmanager
    def held(self, run: str) -> Iterator[None]:
        """See `Steps.held`. The lock of the system ends with the process, whatever ends it."""
        lock = self._lock(run)
        with storage_faults(lock):
            ensure_folder(lock.parent)
            file = lock.open("ab")
        with file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def alive(self, run: str) -> bool:
        """See `Steps.alive`."""
        try:
            with self._lock(run).open("rb") as file:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except OSError:
            return False
        return False

    def clear(self, run: str) -> None:
        """See `Steps.clear`."""
        place = self._runs / run / "work"
        with storage_faults(place):
            if place.exists():
                shutil.rmtree(place)

    def _lock(self, run: str) -> Path:
        return self._runs / run / "held"

    def _attempt(self, run: str, step: str, attempt: int) -> Path:
        return self._runs / run / "steps" / step / str(attempt)


class _Files:
    """The files of one attempt."""

    def __init__(self, folder: Path, output: Path) -> None:
        self.folder = folder
        self.output = output
        self.order = folder / "order.json"
        self.pid = folder / "pid"
        self.log = folder / "log.txt"
        self.metrics = folder / "metrics.json"
        self.outcome = folder / "outcome.json"

    def clear(self) -> None:
        """Make the folders, without what an earlier attempt left. Raises: OSError."""
        ensure_folder(self.folder)
        for path in (self.pid, self.metrics, self.outcome):
            path.unlink(missing_ok=True)
        if self.output.exists():
            shutil.rmtree(self.output)
        ensure_folder(self.output)

    def read_outcome(self) -> dict[str, Any] | None:
        try:
            read: dict[str, Any] = json.loads(self.outcome.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        return read


def _start(job: StepJob, files: _Files, progress: Callable[[Progressed], None]) -> Start:
    def command(say: int, parent: int) -> list[str]:
        del say  # a step says what it has to say in its log
        write_atomically(files.order, _order(job, files, parent_pipe=parent))
        return [str(job.python or sys.executable), "-P", step_program.__file__, str(files.order)]

    return Start(
        command=command,
        folder=job.folder,
        log=files.log,
        pid=files.pid,
        timeout_s=job.timeout_s,
        look=_Tail(files.log, progress).read,
    )


def _order(job: StepJob, files: _Files, *, parent_pipe: int) -> bytes:
    order = {
        "parent_pipe": parent_pipe,
        "script": str(job.script),
        "function": job.function,
        "inputs": {name: str(folder) for name, folder in job.inputs.items()},
        "output": str(files.output),
        "parameters": job.parameters,
        "metrics": str(files.metrics),
        "outcome": str(files.outcome),
        "memory_bytes_max": job.memory_bytes_max,
    }
    return json.dumps(order).encode()


class _Tail:
    """Reads what a log got since the last look, and passes on each line that tells progress."""

    def __init__(self, log: Path, progress: Callable[[Progressed], None]) -> None:
        self._log = log
        self._progress = progress
        self._at = 0
        self._rest = b""

    def read(self) -> None:
        """Read what is new; of very much at once only the end."""
        with self._log.open("rb") as file:
            self._at = max(self._at, file.seek(0, 2) - TAIL_BYTES_MAX)
            file.seek(self._at)
            data = file.read(TAIL_BYTES_MAX)
        self._at += len(data)
        *lines, self._rest = (self._rest + data).split(b"\n")
        self._rest = self._rest[-TAIL_BYTES_MAX:]
        for line in lines:
            if line.startswith(b"progress ") and (told := _progressed(line)):
                self._progress(told)


def _progressed(line: bytes) -> Progressed | None:
    found = PROGRESS.fullmatch(line.decode(errors="replace").rstrip())
    if found is None:
        return None
    share = float(found[1]) / (100 if found[2] else 1)
    return Progressed(share=min(share, 1.0), words=printable(found[3] or "")[:WORDS_MAX])


def _with_peak(ending: Ending, outcome: dict[str, Any] | None) -> Ending:
    """Return an ending with the peak that the process told: one that is short is not watched."""
    told = int(outcome["memory_bytes"]) if outcome else 0
    peak = max(ending.usage.memory_bytes, told)
    return replace(ending, usage=replace(ending.usage, memory_bytes=peak))


def _failure(
    job: StepJob, files: _Files, ending: Ending, outcome: dict[str, Any] | None
) -> StepFailedError:
    key = f"`steps.{job.step}"
    see_log = f"the whole output is in {files.log}"
    if ending.timed_out:
        return StepTimeoutError(
            f"The step `{job.step}` was ended after {job.timeout_s:,.0f} s.",
            why="that is its time limit" + last_words(files.log),
            fix=f"make the work smaller, or raise {key}.timeout_s`; {see_log}",
            usage=ending.usage,
        )
    if outcome is not None and outcome.get("memory"):
        return StepMemoryError(
            f"The step `{job.step}` wanted more memory than it may have.",
            why=f"{outcome['why']}; its limit is {job.memory_bytes_max:,} bytes",
            fix=f"read and write in parts, or raise {key}.memory_bytes_max`; {see_log}",
            usage=ending.usage,
        )
    if outcome is not None and "why" in outcome:
        return StepFailedError(
            f"The step `{job.step}` failed.",
            why=outcome["why"],
            fix=f"{outcome['fix'] or 'correct the script'}; {see_log}",
            usage=ending.usage,
        )
    return StepFailedError(
        f"The step `{job.step}` ended before it had a result.",
        why=how_it_ended(ending.exit_code) + last_words(files.log),
        fix=f"run the script alone to see why; {see_log}",
        usage=ending.usage,
    )
