"""The processes that train, on this machine: each in a session of its own, with a log."""

import os
import signal
from contextlib import suppress
from pathlib import Path
from typing import Final

from servewell.adapters.embedded.atomic_file import ensure_folder
from servewell.adapters.embedded.processes import command_line, find_ours, spawn_session
from servewell.ports.retraining_processes import ProcessNotStartedError

ROLE: Final = "retraining"


class LocalRetrainings:
    """`RetrainingProcesses` of one home."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._children: set[int] = set()

    def start(self, retraining: int) -> int:
        """See `RetrainingProcesses.start`."""
        log = self.log(retraining)
        try:
            ensure_folder(log.parent)
            with log.open("ab") as output:
                words = command_line(ROLE, self._home, str(retraining))
                pid = spawn_session(words, output.fileno())
        except OSError as error:
            raise ProcessNotStartedError(
                f"The process of retraining {retraining} cannot be started.",
                why=f"the operating system says: {error.strerror or error}",
                fix="see to the disk, the memory and the number of processes of this machine; it "
                "is tried again",
            ) from error
        self._children.add(pid)
        return pid

    def find(self, retraining: int) -> int | None:
        """See `RetrainingProcesses.find`."""
        self._let_go()
        return find_ours(ROLE, self._home, str(retraining))

    def end(self, retraining: int) -> None:
        """See `RetrainingProcesses.end`."""
        pid = find_ours(ROLE, self._home, str(retraining))
        if pid is not None:
            with suppress(ProcessLookupError):  # its jobs end with it: they watch a pipe of it
                os.killpg(pid, signal.SIGKILL)

    def log(self, retraining: int) -> Path:
        """See `RetrainingProcesses.log`."""
        return self._home / "logs" / f"retraining-{retraining}.log"

    def _let_go(self) -> None:
        """Take note of children that have ended; else their numbers stay taken."""
        for pid in tuple(self._children):
            with suppress(ChildProcessError):
                if os.waitpid(pid, os.WNOHANG)[0] == 0:
                    continue
            self._children.discard(pid)
