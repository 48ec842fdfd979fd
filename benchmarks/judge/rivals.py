"""Two common ways to judge a canary, each asked once a minute."""

import math
from dataclasses import dataclass
from typing import Final

SHARE_MAX: Final = 0.01
FAILED_CHECKS: Final = 5
Z: Final = 1.645  # one-sided 5 %


@dataclass(kw_only=True)
class FixedThreshold:
    """Ends a release at the fifth minute in which more than 1 % of the candidate's requests fail.

    A minimal success rate of 99 within an interval of a minute and a threshold of 5 failed checks
    is the example with which Flagger's documentation begins.
    """

    failed_checks: int = 0

    def ends(self, requests: int, errors: int) -> bool:
        """Take the candidate's last minute, and say whether it is one too many."""
        if requests and errors / requests > SHARE_MAX:
            self.failed_checks += 1
        return self.failed_checks >= FAILED_CHECKS


def peeking_ends(requests: tuple[int, int], errors: tuple[int, int]) -> bool:
    """Say whether a z-test of two shares, repeated on all counts so far, is significant at 5 %."""
    (n, m), (x, y) = requests, errors
    if not n or not m or not x + y:
        return False
    pooled = (x + y) / (n + m)
    return (y / m - x / n) / math.sqrt(pooled * (1 - pooled) * (1 / n + 1 / m)) > Z
