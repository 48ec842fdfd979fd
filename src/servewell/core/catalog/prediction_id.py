"""The id of a prediction, and the time that it tells.

32 hexadecimal digits: nanoseconds since the epoch when the request came in, then chance.
"""

import re
from typing import Final

PATTERN: Final = re.compile(r"[0-9a-f]{32}")
TIME_DIGITS: Final = 16
SLACK_S: Final = 7_200.0  # by which a clock may have been set between the id and its record
NANOSECONDS: Final = 1_000_000_000


def made_at(prediction_id: str) -> float | None:
    """Return when an id was made, in seconds since the epoch; None where it is no such id."""
    if not PATTERN.fullmatch(prediction_id):
        return None
    return int(prediction_id[:TIME_DIGITS], 16) / NANOSECONDS
