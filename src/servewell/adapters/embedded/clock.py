"""The clock of this machine."""

import time


class SystemClock:
    """`Clock` of this machine."""

    def now(self) -> float:
        """See `Clock.now`."""
        return time.time()
