"""A rate, with a second's worth of burst."""

from typing import Final

BURST_S: Final = 1.0
LEAST: Final = 1.0  # a bucket holds one request, however low its rate
ROUNDING: Final = 1e-9


class TokenBucket:
    """What may still be taken now, where `rate` a second comes in and a second's worth is kept.

    Others may take from the same rate without asking (`charge`), so the level may be negative:
    a debt, that is paid before anything is given again. Over any time t no more is given, by all
    who tell each other what they took, than `capacity + rate * t` and what they had not told yet.
    Source: J. S. Turner, "New Directions in Communications (or Which Way to the Information
    Age?)", IEEE Communications 24 (10), 1986: the leaky bucket as a meter.
    """

    __slots__ = ("_at", "_level", "capacity", "rate")

    def __init__(self, rate: float, now: float) -> None:
        """`rate` > 0 a second; `now` in seconds of a clock that never goes back."""
        self.rate = rate
        self.capacity = max(LEAST, rate * BURST_S)
        self._level = self.capacity
        self._at = now

    def wait_s(self, amount: float, now: float) -> float:
        """Return in how many seconds `amount` can be taken: 0 for now.

        An amount above the capacity can never be taken; who asks has to look at that before.
        """
        level = self._level + (now - self._at) * self.rate
        self._level = level = min(level, self.capacity)
        self._at = now
        return 0.0 if level >= amount - ROUNDING else (amount - level) / self.rate

    def charge(self, amount: float) -> None:
        """Take an amount, whether or not it is there."""
        self._level -= amount
