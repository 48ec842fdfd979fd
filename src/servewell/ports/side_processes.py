"""Processes that work beside what serves: a training, the mirror of runs."""

from pathlib import Path
from typing import Protocol

from servewell.errors import ServewellError


class ProcessNotStartedError(ServewellError):
    """The machine starts no more processes, or has no room for their log."""

    code = "SW-530"


class SideProcesses(Protocol):
    """Starts, finds and ends processes by their role and, where there are several, by name.

    Every implementation passes tests/ports/test_side_processes.py, and holds:
    - a process outlives the one that starts it;
    - whoever looks finds it, also one that did not start it.
    """

    @property
    def place(self) -> str:
        """The machine and the home whose processes these are."""
        ...

    def start(self, role: str, *name: str, words: tuple[str, ...] = ()) -> int:
        """Start a process; return its pid. `words` are told to it beside its name.

        Raises: ProcessNotStartedError.
        """
        ...

    def find(self, role: str, *name: str) -> int | None:
        """Return the pid of a process, or None where none lives."""
        ...

    def age_s(self, role: str, *name: str) -> float | None:
        """Return for how many seconds a process has lived, or None where none does.

        It does not change when the clock is set.
        """
        ...

    def end(self, role: str, *name: str) -> None:
        """Kill a process and what it started; nothing where none lives."""
        ...

    def log(self, role: str, *name: str) -> Path:
        """Return where its log is, whether it exists yet or not."""
        ...

    def last_words(self, role: str, *name: str) -> str:
        """Return the end of its log, to be added to a sentence; nothing where there is none."""
        ...
