"""Starts, calls and ends the process of a predictor."""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from threading import Lock
from typing import Final

from servewell.adapters.embedded.predictor import host
from servewell.adapters.embedded.predictor.host import Frames, RubbishError, framed
from servewell.adapters.embedded.predictor.log import Prints
from servewell.core.catalog.model import Predictor
from servewell.ports.predictors import (
    Array,
    Columns,
    PredictorLostError,
    PredictorRaisedError,
    PredictorSlowError,
    PredictorStartError,
)

PAGE_BYTES: Final = os.sysconf("SC_PAGE_SIZE")
PASSED_ON: Final = ("PATH", "LANG", "LC_ALL", "TZ")


class Process:
    """One process that has been started, with the socket to it."""

    def __init__(self, command: list[str], folder: Path, log: Path) -> None:
        ours, theirs = socket.socketpair()
        watched, held = os.pipe()
        output, writes = os.pipe()
        try:
            self._process = subprocess.Popen(
                [*command[:3], str(theirs.fileno()), str(watched), *command[3:]],
                cwd=folder,
                env=_environment(folder),
                stdin=subprocess.DEVNULL,
                stdout=writes,
                stderr=writes,
                pass_fds=(theirs.fileno(), watched),
                start_new_session=True,
            )
        except BaseException:
            for one in (held, output):
                os.close(one)
            ours.close()
            raise
        finally:
            theirs.close()
            os.close(watched)
            os.close(writes)
        self._held = held  # the process ends when this does
        self._line = ours
        self._frames = Frames(ours)
        self._number = 0
        self._ending = Lock()
        self._prints = Prints(output, log)

    def take(self, *, within_s: float) -> dict[str, Array]:
        """Return the columns of the next answer.

        Raises: PredictorRaisedError, PredictorSlowError, PredictorLostError.
        """
        end = time.monotonic() + within_s
        try:
            header, columns = self._frames.take(lambda: max(end - time.monotonic(), 0.001))
            host.require_number(header, self._number)
        except TimeoutError as error:
            raise PredictorSlowError from error
        except (EOFError, OSError, RubbishError, MemoryError) as error:
            self.kill()
            raise PredictorLostError(_ending(error)) from error
        if "error" in header:
            raise PredictorRaisedError(str(header["error"]))
        return columns

    def call(self, columns: Columns, *, within_s: float) -> dict[str, Array]:
        """See `PredictorHost.call`."""
        end = time.monotonic() + within_s
        self._number += 1
        try:
            data = framed({"number": self._number}, columns)
        except RubbishError as error:  # a text that is none, which a request should not hold
            raise PredictorRaisedError(str(error)) from error
        self._line.settimeout(within_s)
        try:
            self._line.sendall(data)
        except (TimeoutError, OSError) as error:  # half a request is on the line: it is of no use
            self.kill()
            raise PredictorLostError("it took no request") from error
        return self.take(within_s=end - time.monotonic())

    @property
    def last_words(self) -> str:
        """What it printed last, once it has ended."""
        return self._prints.last_words

    @property
    def memory_bytes(self) -> int:
        """What the process holds: resident, or written and swapped out."""
        try:
            words = Path(f"/proc/{self._process.pid}/statm").read_bytes().split()
        except OSError:
            return 0
        return max(int(words[1]), int(words[5])) * PAGE_BYTES

    def kill(self) -> None:
        """End the process and what it started.

        The group is killed before its leader is waited for: until then no other process can have
        its number.
        """
        with self._ending:
            if self._process.returncode is not None:
                return
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            os.close(self._held)
        with suppress(OSError):  # wakes a call that waits in another thread
            self._line.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Kill it, and let go of the socket."""
        self.kill()
        self._line.close()


def started(python: str, predictor: Predictor, folder: Path, log: Path) -> Process:
    """Return a process that begins to load the predictor in `folder`.

    Raises: PredictorStartError.
    """
    command = [
        python,
        "-IBu",
        str(Path(host.__file__).resolve()),
        str(folder / predictor.script),
        predictor.class_name,
        str(predictor.memory_bytes_max),
    ]
    try:
        return Process(command, folder, log)
    except OSError as error:
        raise not_started(
            f"the system starts no process of `{python}`: {error.strerror}"
        ) from error


def not_started(why: str) -> PredictorStartError:
    """Return the error that says why a predictor does not run."""
    return PredictorStartError(
        "The predictor does not start.",
        why=why,
        fix="correct the script or its requirements and bring the workload up again; the log "
        "`predictor-…` of `servewell logs` has its last words",
    )


def _environment(folder: Path) -> Mapping[str, str]:
    """Return the environment variables of a predictor: no secret, no folder of the user.

    One thread for numerical libraries: each worker has a process of its own, on the same cores.
    """
    kept = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    return {**kept, **threads, "HOME": str(folder), "PYTHONUNBUFFERED": "1"}


def _ending(error: Exception) -> str:
    return f"it sent rubbish ({error})" if isinstance(error, RubbishError) else "it ended"
