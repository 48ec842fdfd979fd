"""How far a benchmark is: a line for each measurement, and when it will be done."""

import sys
import time


class Progress:
    """Counts measurements. Writes to standard error, a line each, which a log can hold too."""

    def __init__(self, total: int) -> None:
        self._total = total
        self._done = 0
        self._began = time.perf_counter()

    def step(self, told: str) -> None:
        """Say what was measured."""
        self._done += 1
        left_s = (time.perf_counter() - self._began) / self._done * (self._total - self._done)
        sys.stderr.write(f"  {self._done:>3} of {self._total}, {clock(left_s)} left: {told}\n")
        sys.stderr.flush()


def clock(seconds: float) -> str:
    """Return a duration as minutes and seconds."""
    return f"{int(seconds) // 60}:{int(seconds) % 60:02}"
