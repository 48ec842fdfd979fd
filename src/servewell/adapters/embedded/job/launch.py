"""Starts a job's process and follows it to its end."""

import os
import re
import selectors
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from io import FileIO
from pathlib import Path
from typing import Final

from servewell.adapters.embedded.atomic_file import write_atomically
from servewell.adapters.embedded.job.exchange import SAID_BYTES_MAX, Order, RunFiles
from servewell.adapters.embedded.json_files import write
from servewell.adapters.embedded.processes import command_line
from servewell.core.catalog.step import NO_USAGE, Usage

LOOK_AGAIN_S: Final = 0.1  # at most this long after its end a job is seen to have ended
READ_BYTES: Final = 65_536
KIBIBYTE: Final = 1_024
PEAK: Final = re.compile(rb"^VmHWM:\s*(\d+) kB$", re.MULTILINE)

# Of the environment a job gets what a Python program needs to run as its author is used to, and
# nothing that could be a secret: no `SERVEWELL_DATABASE_URL`, no key, no token.
NAMES_KEPT: Final = frozenset({"PATH", "HOME", "LANG", "TZ", "TMPDIR", "VIRTUAL_ENV"})
PREFIXES_KEPT: Final = (
    "LC_",
    "PYTHON",
    "OMP_",  # how many threads numerical libraries start
    "OPENBLAS_",
    "MKL_",
    "COVERAGE_PROCESS_",  # so that a measured test measures its jobs too
)
UNSEEN: Final = "PYTHONPATH"  # code on it is in no digest, so it could change unseen


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """How a job's process ended."""

    exit_code: int  # negative: the signal that killed it
    timed_out: bool
    last_said: str  # its last line of progress, or empty
    usage: Usage = NO_USAGE


def job_environment(surroundings: Mapping[str, str]) -> dict[str, str]:
    """Return the environment variables of a job.

    Its hashes are fixed, because libraries that walk a set would write another file each time.
    """
    kept = {
        name: value
        for name, value in surroundings.items()
        if (name in NAMES_KEPT or name.startswith(PREFIXES_KEPT)) and name != UNSEEN
    }
    return kept | {"PYTHONUNBUFFERED": "1", "PYTHONHASHSEED": "0"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What a job's process is started for."""

    order: Callable[[int, int], Order]  # takes the pipes for progress and of the parent
    folder: Path  # in which it works
    timeout_s: float
    appends: bool = False  # to a log that is there


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """How a process is started, and how long it may take."""

    command: Callable[[int, int], list[str]]  # takes the pipes, as `Work.order`
    folder: Path  # in which it works
    log: Path
    pid: Path
    timeout_s: float
    appends: bool = False  # to a log that is there
    look: Callable[[], None] = lambda: None  # called about every `LOOK_AGAIN_S`, and at the end


def follow(work: Work, files: RunFiles, progress: Callable[[str], None]) -> Ending:
    """Run a job to its end, or to its timeout; nothing of it runs afterwards.

    Raises: OSError where the run's folder cannot be written or no process can be started.
    """

    def command(say: int, parent: int) -> list[str]:
        write(files.order, work.order(say, parent))
        return command_line("job", files.folder)

    return attend(
        Start(
            command=command,
            folder=work.folder,
            log=files.log,
            pid=files.pid,
            timeout_s=work.timeout_s,
            appends=work.appends,
        ),
        progress,
    )


def attend(start: Start, progress: Callable[[str], None]) -> Ending:
    """Run a process to its end, or to its timeout; nothing of it runs afterwards.

    Raises: OSError where a file cannot be written or no process can be started.
    """
    deadline = time.monotonic() + start.timeout_s
    with _pipe() as (parent, _held_open), _pipe() as (said, say):
        pipes = (say.fileno(), parent.fileno())
        with _process(start, start.command(*pipes), pipes=pipes) as process:
            say.close()
            parent.close()
            ending = _watch(process, said, deadline=deadline, progress=progress, look=start.look)
    start.look()
    return ending


@contextmanager
def _pipe() -> Iterator[tuple[FileIO, FileIO]]:
    source, sink = os.pipe()
    with FileIO(source, "r") as reader, FileIO(sink, "w") as writer:
        yield reader, writer


@contextmanager
def _process(
    start: Start, command: list[str], *, pipes: tuple[int, int]
) -> Iterator[subprocess.Popen[bytes]]:
    with start.log.open("ab" if start.appends else "wb") as log:
        process = subprocess.Popen(
            command,
            cwd=start.folder,
            env=job_environment(os.environ),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            pass_fds=pipes,
            start_new_session=True,
        )
    try:
        write_atomically(start.pid, str(process.pid).encode())
        yield process
    finally:
        _end_group(process)


def _end_group(process: subprocess.Popen[bytes]) -> Usage:
    """Kill the job and whatever it started; return what it took.

    The group is killed before its leader is waited for: until then no other process can have
    its number.
    """
    if process.returncode is not None:
        return NO_USAGE
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    _, status, took = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return Usage(cpu_s=took.ru_utime + took.ru_stime)


def _peak_bytes(pid: int) -> int:
    """Return the most that a process has held resident until now; 0 where it has ended.

    The `ru_maxrss` of a process is no such number: it starts from what its parent held.
    """
    try:
        found = PEAK.search(Path(f"/proc/{pid}/status").read_bytes())
    except OSError:
        return 0
    return int(found[1]) * KIBIBYTE if found else 0


def _watch(
    process: subprocess.Popen[bytes],
    said: FileIO,
    *,
    deadline: float,
    progress: Callable[[str], None],
    look: Callable[[], None],
) -> Ending:
    lines = _Lines(progress)
    timed_out = False
    peak = 0
    with selectors.DefaultSelector() as selector:
        selector.register(said, selectors.EVENT_READ)
        while not (ended := _has_ended(process)) and not timed_out:
            left = deadline - time.monotonic()
            timed_out = left <= 0
            if selector.select(max(0.0, min(left, LOOK_AGAIN_S))) and not lines.read(said):
                selector.unregister(said)
            peak = max(peak, _peak_bytes(process.pid))
            look()
        if selector.get_map() and selector.select(0):
            lines.read(said)
    usage = _end_group(process)
    return Ending(
        exit_code=process.returncode if ended else -signal.SIGKILL,
        timed_out=timed_out and not ended,
        last_said=lines.last,
        usage=replace(usage, memory_bytes=peak),
    )


def _has_ended(process: subprocess.Popen[bytes]) -> bool:
    """Whether the process has ended; it stays unwaited-for, so its number stays taken."""
    seen = os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    return seen is not None


class _Lines:
    """Puts what comes through the pipe together to lines, and passes each on."""

    def __init__(self, progress: Callable[[str], None]) -> None:
        self._progress = progress
        self._rest = b""
        self.last = ""

    def read(self, pipe: FileIO) -> bool:
        """Read what there is; False at the end of the pipe."""
        data = pipe.read(READ_BYTES)
        *lines, self._rest = (self._rest + data).split(b"\n")
        self._rest = self._rest[:SAID_BYTES_MAX]
        for line in lines:
            text = line[:SAID_BYTES_MAX].decode(errors="replace")
            self.last = "".join(one for one in text if one.isprintable())
            self._progress(self.last)
        return bool(data)
