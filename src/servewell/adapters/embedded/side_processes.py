"""Processes beside what serves, on this machine: each in a session of its own, with a log."""

import os
import signal
from contextlib import suppress
from pathlib import Path

from servewell.adapters.embedded.atomic_file import ensure_folder
from servewell.adapters.embedded.processes import command_line, find_ours, spawn_session
from servewell.ports.side_processes import ProcessNotStartedError


class LocalSideProcesses:
    """`SideProcesses` of one home."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._children: set[int] = set()

    def start(self, role: str, *name: str) -> int:
        """See `SideProcesses.start`."""
        log = self.log(role, *name)
        try:
            ensure_folder(log.parent)
            with log.open("ab") as output:
                pid = spawn_session(command_line(role, self._home, *name), output.fileno())
        except OSError as error:
            raise ProcessNotStartedError(
                f"The process `{' '.join((role, *name))}` cannot be started.",
                why=f"the operating system says: {error.strerror or error}",
                fix="see to the disk, the memory and the number of processes of this machine; it "
                "is tried again",
            ) from error
        self._children.add(pid)
        return pid

    def find(self, role: str, *name: str) -> int | None:
        """See `SideProcesses.find`."""
        self._let_go()
        return find_ours(role, self._home, *name)

    def end(self, role: str, *name: str) -> None:
        """See `SideProcesses.end`."""
        pid = find_ours(role, self._home, *name)
        if pid is not None:
            with suppress(ProcessLookupError):  # its jobs end with it: they watch a pipe of it
                os.killpg(pid, signal.SIGKILL)

    def log(self, role: str, *name: str) -> Path:
        """See `SideProcesses.log`."""
        return self._home / "logs" / f"{'-'.join((role, *name))}.log"

    def _let_go(self) -> None:
        """Take note of children that have ended; else their numbers stay taken."""
        for pid in tuple(self._children):
            with suppress(ChildProcessError):
                if os.waitpid(pid, os.WNOHANG)[0] == 0:
                    continue
            self._children.discard(pid)
