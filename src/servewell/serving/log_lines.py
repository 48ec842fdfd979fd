"""Lines of a worker's log that a caller can cause: few, so that no caller fills the disk."""

import sys
from collections.abc import Callable
from typing import Final

PERIOD_S: Final = 1.0  # between two lines


class LogLines:
    """Writes at most one line a second, and says how many were left out since the one before."""

    def __init__(self, now: Callable[[], float]) -> None:
        """`now` is a clock in seconds that never goes back."""
        self._now = now
        self._next_at = float("-inf")
        self._left_out = 0

    def say(self, line: str) -> None:
        """Write a line, or count it."""
        now = self._now()
        if now < self._next_at:
            self._left_out += 1
            return
        more = f" {self._left_out} lines like it were left out." if self._left_out else ""
        self._next_at, self._left_out = now + PERIOD_S, 0
        print(line + more, file=sys.stderr)  # noqa: T201  (a worker's log is its standard error)
