"""A small plot on one line of a terminal."""

from collections.abc import Sequence
from typing import Final

BARS: Final = "▁▂▃▄▅▆▇█"
NONE: Final = "·"


def sparkline(values: Sequence[float | None], *, top: float = 0.0) -> str:
    """Return a bar for each value from 0 up, `·` where there is none.

    The highest bar stands for `top`, or for the largest value where that is more.
    """
    known = [one for one in values if one is not None]
    highest = max([top, *known], default=0.0) or 1.0
    return "".join(NONE if one is None else BARS[_height(one / highest)] for one in values)


def _height(share: float) -> int:
    return min(max(round(share * (len(BARS) - 1)), 0), len(BARS) - 1)
