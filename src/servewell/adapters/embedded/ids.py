"""Ids and random bytes from the operating system."""

import os
import time


class SystemIds:
    """`Ids` of this machine.

    An id is the nanoseconds since the epoch and 64 random bits, 16 hex digits each. Within one
    process they always rise, also when the clock is set back.
    """

    def __init__(self) -> None:
        self._last_ns = 0

    def new(self) -> str:
        """See `Ids.new`."""
        self._last_ns = max(self._last_ns + 1, time.time_ns())
        return f"{self._last_ns:016x}{os.urandom(8).hex()}"

    def entropy(self, size: int) -> bytes:
        """See `Ids.entropy`."""
        return os.urandom(size)
