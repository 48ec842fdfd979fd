"""How much a caller, or all callers of an endpoint, may ask for."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Priority(StrEnum):
    """Who waits, and who is refused first, when there is more to do than can be done."""

    HIGH = "high"
    NORMAL = "normal"
    LOW = "low"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Rates and quotas. None stands for no limit.

    A rate may be exceeded for a moment, by what it gives in one second; a quota is counted over a
    day of UTC.
    """

    requests_per_s: float | None = None
    rows_per_s: float | None = None
    requests_per_day: int | None = None
    rows_per_day: int | None = None


NO_LIMITS: Final = Limits()
