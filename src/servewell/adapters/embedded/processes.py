"""Facts about processes of this machine, and how ours are started."""

import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROLES: Final = ("supervisor", "control", "worker")
ROOT: Final = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class HomeProcess:
    """One of the processes that serve from a home."""

    pid: int
    role: str  # one of ROLES
    index: int | None  # of a worker


def command_line(role: str, home: Path, *arguments: str) -> list[str]:
    """Return the command that starts one of our processes; it holds no secret."""
    return process_command(role, str(home), *arguments)


def process_command(role: str, *arguments: str) -> list[str]:
    """Return the command that starts a process of ours that belongs to no home."""
    return [sys.executable, "-P", "-m", "servewell", role, *arguments]


def processes_of(home: Path) -> tuple[HomeProcess, ...]:
    """Return what lives of this home, by pid, read from the system: no file can lack or lose one.

    A process of a user who has no business in this home is not believed.

    Raises: OSError where this process may open no more files.
    """
    trusted = _owners(home)
    pids = sorted(int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdecimal())
    found = (_home_process(pid, home) for pid in pids)
    return tuple(one for one in found if one is not None and _owner(one.pid) in trusted)


def is_ours(pid: int, role: str, home: Path) -> bool:
    """Whether this process lives and is our `role` of this home, not a stranger with its number."""
    words = _words_from_role(pid)
    return words[:2] == [role.encode(), os.fsencode(home)]


def find_ours(role: str, home: Path, *arguments: str) -> int | None:
    """Return the pid of our `role` of this home with these arguments, or None where none lives.

    A process of a user who has no business in this home is not believed.

    Raises: OSError where this process may open no more files.
    """
    words = [os.fsencode(one) for one in (role, str(home), *arguments)]
    trusted = _owners(home)
    pids = (int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdecimal())
    return next(
        (
            pid
            for pid in pids
            if _words_from_role(pid)[: len(words)] == words and _owner(pid) in trusted
        ),
        None,
    )


def lived_s(pid: int) -> float | None:
    """Return for how many seconds a process has lived, or None where it does not.

    Source: proc_pid_stat(5), field 22: the start in ticks of the clock since the machine's.
    """
    try:
        told = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except OSError:
        return None
    started = int(told.rpartition(")")[2].split()[19]) / os.sysconf("SC_CLK_TCK")
    return max(0.0, time.clock_gettime(time.CLOCK_BOOTTIME) - started)


def _home_process(pid: int, home: Path) -> HomeProcess | None:
    words = _words_from_role(pid)
    role = os.fsdecode(words[0]) if words else ""
    if role not in ROLES or words[1:2] != [os.fsencode(home)]:
        return None
    index = int(words[2]) if role == "worker" and words[2:] and words[2].isdigit() else None
    return HomeProcess(pid=pid, role=role, index=index)


def _words_from_role(pid: int) -> list[bytes]:
    """Return the words of a process's `command_line` from its role on; none for a stranger's."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return []
    return words[4:] if words[1:4] == [b"-P", b"-m", b"servewell"] else []


def _owners(home: Path) -> set[int]:
    try:
        return {os.geteuid(), ROOT, home.stat().st_uid}
    except OSError:
        return {os.geteuid(), ROOT}


def _owner(pid: int) -> int | None:
    try:
        return Path(f"/proc/{pid}").stat().st_uid
    except OSError:
        return None


def spawn_session(words: list[str], output: int) -> int:
    """Start a process that outlives this one, in a session of its own; return its pid.

    It reads nothing and writes to the descriptor `output`.
    """
    actions = [
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_DUP2, output, 1),
        (os.POSIX_SPAWN_DUP2, output, 2),
    ]
    return os.posix_spawn(words[0], words, os.environ, file_actions=actions, setsid=True)
