"""Processes beside what serves, on this machine: each in a session of its own, with a log."""

import os
import signal
import time
from contextlib import suppress
from pathlib import Path
from socket import gethostname
from typing import Final

from servewell.adapters.embedded.atomic_file import ensure_folder
from servewell.adapters.embedded.processes import command_line, find_ours, lived_s, spawn_session
from servewell.adapters.embedded.trainer import last_words
from servewell.ports.side_processes import ProcessNotStartedError

LOGS_KEPT: Final = 20  # of each role
NAMED_WITHIN_S: Final = 0.5


class LocalSideProcesses:
    """`SideProcesses` of one home."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._children: set[int] = set()

    @property
    def place(self) -> str:
        """See `SideProcesses.place`."""
        return f"{gethostname()}:{self._home.absolute()}"

    def start(self, role: str, *name: str, words: tuple[str, ...] = ()) -> int:
        """See `SideProcesses.start`."""
        log = self.log(role, *name)
        try:
            ensure_folder(log.parent)
            self._forget_logs(role)
            with log.open("ab") as output:
                pid = spawn_session(command_line(role, self._home, *name, *words), output.fileno())
        except OSError as error:
            raise ProcessNotStartedError(
                f"The process `{' '.join((role, *name))}` cannot be started.",
                why=f"the operating system says: {error.strerror or error}",
                fix="see to the disk, the memory and the number of processes of this machine; it "
                "is tried again",
            ) from error
        self._children.add(pid)
        _wait_for_name(pid)
        return pid

    def find(self, role: str, *name: str) -> int | None:
        """See `SideProcesses.find`."""
        self._let_go()
        return find_ours(role, self._home, *name)

    def age_s(self, role: str, *name: str) -> float | None:
        """See `SideProcesses.age_s`."""
        pid = self.find(role, *name)
        return None if pid is None else lived_s(pid)

    def end(self, role: str, *name: str) -> None:
        """See `SideProcesses.end`."""
        pid = find_ours(role, self._home, *name)
        if pid is not None:
            with suppress(ProcessLookupError):  # its jobs end with it: they watch a pipe of it
                os.killpg(pid, signal.SIGKILL)

    def log(self, role: str, *name: str) -> Path:
        """See `SideProcesses.log`."""
        return self._home / "logs" / f"{'-'.join((role, *name))}.log"

    def last_words(self, role: str, *name: str) -> str:
        """See `SideProcesses.last_words`."""
        return last_words(self.log(role, *name))

    def _forget_logs(self, role: str) -> None:
        """Remove the oldest logs of a role, to make room for one more."""
        found = sorted(self.log(role).parent.glob(f"{role}-*.log"), key=os.path.getmtime)
        for log in found[: 1 - LOGS_KEPT]:
            log.unlink(missing_ok=True)
            log.with_name(f"{log.name}.1").unlink(missing_ok=True)  # where it had grown large

    def _let_go(self) -> None:
        """Take note of children that have ended; else their numbers stay taken."""
        for pid in tuple(self._children):
            with suppress(ChildProcessError):
                if os.waitpid(pid, os.WNOHANG)[0] == 0:
                    continue
            self._children.discard(pid)


def _wait_for_name(pid: int) -> None:
    """Wait until the system tells the command of a process, which it does just after the start.

    Before that nobody would find it, and it might be started again.
    """
    end = time.monotonic() + NAMED_WITHIN_S
    with suppress(OSError):
        while not Path(f"/proc/{pid}/cmdline").read_bytes() and time.monotonic() < end:
            time.sleep(0.001)
