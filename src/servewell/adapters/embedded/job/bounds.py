"""The bounds of a job's process, so that what serves beside it does not suffer from it."""

import os
import resource
import signal
import threading
from contextlib import suppress
from pathlib import Path
from typing import Final

OOM_SCORE: Final = Path("/proc/self/oom_score_adj")
FIRST: Final = 500  # of at most 1,000; a process that serves has 0


def end_before_who_serves() -> None:
    """Let a machine that runs out of memory end this process and its children before others.

    Source: proc_pid_oom_score_adj(5). Where that is refused, do nothing.
    """
    with suppress(OSError, ValueError):
        OOM_SCORE.write_text(str(max(FIRST, int(OOM_SCORE.read_text(encoding="ascii")))))


def bound_memory(bytes_max: int) -> None:
    """Let this process fail by itself where it allocates more than this beyond what it has now."""
    taken = _bytes_taken()
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_DATA, (taken + bytes_max, hard))


def _bytes_taken() -> int:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[5])
    return pages * resource.getpagesize()


def end_with(parent_pipe: int) -> None:
    """End this process and all it started as soon as the one that waits for it is gone."""
    os.set_inheritable(parent_pipe, False)  # noqa: FBT003  # as `os` names it

    def watch() -> None:
        os.read(parent_pipe, 1)  # nothing is ever written: this returns when the other end closes
        if os.getpgrp() == os.getpid():
            os.killpg(os.getpgrp(), signal.SIGKILL)
        os.kill(os.getpid(), signal.SIGKILL)

    threading.Thread(target=watch, daemon=True, name="parent").start()
