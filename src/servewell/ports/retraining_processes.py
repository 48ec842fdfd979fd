"""The processes that train."""

from pathlib import Path
from typing import Protocol

from servewell.errors import ServewellError


class ProcessNotStartedError(ServewellError):
    """The machine starts no more processes, or has no room for their log."""

    code = "SW-530"


class RetrainingProcesses(Protocol):
    """Starts, finds and ends the process of a retraining.

    Every implementation passes tests/ports/test_retraining_processes.py, and holds:
    - the process outlives the one that starts it;
    - whoever looks finds it, also one that did not start it.
    """

    def start(self, retraining: int) -> int:
        """Start the process of a retraining; return its pid.

        Raises: ProcessNotStartedError.
        """
        ...

    def find(self, retraining: int) -> int | None:
        """Return the pid of the process of a retraining, or None where none lives."""
        ...

    def end(self, retraining: int) -> None:
        """Kill the process of a retraining and what it started; nothing where none lives."""
        ...

    def log(self, retraining: int) -> Path:
        """Return where its log is, whether it exists yet or not."""
        ...
