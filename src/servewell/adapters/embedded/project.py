"""The folder of a workload on this machine."""

import os
import re
import shlex
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from threading import Event, Timer
from typing import Final

from servewell.adapters.embedded.atomic_file import storage_faults, write_atomically
from servewell.ports.project import CommandFailedError, Root

BRANCH: Final = "main"
HEAD: Final = re.compile(r"ref: refs/remotes/origin/(\S+)")
SHOWN_LINES: Final = 20  # of a command that failed
FILE_MODE: Final = 0o644
HIDDEN: Final = "."


class FolderProject:
    """`Project` in folders of this machine."""

    def root(self, folder: Path) -> Root:
        """See `Project.root`."""
        absolute = folder.absolute()
        for one in (absolute, *absolute.parents):
            if (one / ".git").exists():
                return Root(folder=one, branch=_branch(one))
        return Root(folder=absolute, branch=BRANCH)

    def read(self, path: Path) -> str | None:
        """See `Project.read`."""
        with storage_faults(path, doing="read"):
            return path.read_text(encoding="utf-8", errors="replace") if path.is_file() else None

    def write(self, path: Path, text: str) -> None:
        """See `Project.write`."""
        with storage_faults(path):
            path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
            write_atomically(path, text.encode(), mode=FILE_MODE)

    def has_tests(self, folder: Path) -> bool:
        """See `Project.has_tests`."""
        found = (path.relative_to(folder) for path in folder.rglob("test_*.py"))
        return any(not any(part.startswith(HIDDEN) for part in path.parts) for path in found)

    def run(
        self, command: str, folder: Path, *, timeout_s: float, progress: Callable[[str], None]
    ) -> None:
        """See `Project.run`."""
        lines: deque[str] = deque(maxlen=SHOWN_LINES)
        process = _started(command, folder)
        late = Event()
        alarm = Timer(timeout_s, _end_late, (process, late))
        alarm.start()
        try:
            assert process.stdout is not None  # noqa: S101 - it is a pipe
            for line in process.stdout:
                lines.append(line.rstrip())
                progress(line.rstrip())
            code = process.wait()
        finally:
            alarm.cancel()
            _end(process)
        if late.is_set():
            raise _failed(command, f"it was ended after {timeout_s:g} s", lines)
        if code:
            raise _failed(command, f"it ended with {code}", lines)


def _branch(root: Path) -> str:
    with suppress(OSError):
        head = (root / ".git" / "refs" / "remotes" / "origin" / "HEAD").read_text("utf-8")
        if found := HEAD.match(head):
            return found[1]
    return BRANCH


def _started(command: str, folder: Path) -> subprocess.Popen[str]:
    try:
        words = shlex.split(command)
        if words[:1] == ["python"]:
            words[0] = sys.executable  # the tests are to see what training sees
        return subprocess.Popen(
            words,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        )
    except (OSError, ValueError, IndexError) as error:
        raise _failed(command, str(error) or "it is empty", ()) from error


def _end_late(process: subprocess.Popen[str], late: Event) -> None:
    late.set()
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)


def _end(process: subprocess.Popen[str]) -> None:
    """End a command and all that it started: they share its session."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    if process.stdout is not None:
        process.stdout.close()


def _failed(command: str, why: str, lines: deque[str] | tuple[()]) -> CommandFailedError:
    said = "".join(f"\n    {line}" for line in lines)
    return CommandFailedError(
        f"`{command}` failed.",
        why=f"{why}{'; its last words:' if said else ''}{said}",
        fix="run it in the folder of the workload, and mend what it says",
    )
