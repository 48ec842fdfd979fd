"""Facts about processes of this machine, and how ours are started."""

import os
import sys
from pathlib import Path


def command_line(role: str, home: Path, *arguments: str) -> list[str]:
    """Return the command that starts one of our processes; it holds no secret."""
    return [sys.executable, "-P", "-m", "servewell", role, str(home), *arguments]


def is_ours(pid: int, role: str, home: Path) -> bool:
    """Whether this process lives and is our `role` of this home, not a stranger with its number."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
    wanted = [b"servewell", role.encode(), os.fsencode(home)]
    return any(words[i : i + len(wanted)] == wanted for i in range(len(words)))


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
