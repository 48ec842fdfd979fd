"""The clock of this machine."""

import time


class SystemClock:
    """`Clock` of this machine."""

    def now(self) -> float:
        """See `Clock.now`."""
        return time.time()

    def sleep(self, seconds: float) -> None:
        """See `Clock.sleep`."""
        time.sleep(seconds)
