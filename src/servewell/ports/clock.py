"""What time it is."""

from typing import Protocol


class Clock(Protocol):
    """Tells the time, and waits. Contract: tests/ports/test_clock.py."""

    def now(self) -> float:
        """Return the seconds since the epoch, UTC."""
        ...

    def sleep(self, seconds: float) -> None:
        """Return after at least so many seconds."""
        ...
