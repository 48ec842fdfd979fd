"""Keep points of figures over time, and until when something of them is known."""

from collections.abc import Sequence
from typing import Final

from servewell.core.catalog.series import SeriesPoint
from servewell.core.catalog.series_names import SERIES_LEFT_OUT
from servewell.flows.platform import Platform

LEFT_OUT_S: Final = 10
KNOWN_S: Final = 60


def keep_points(platform: Platform, points: Sequence[SeriesPoint], *, now: float) -> None:
    """Keep points; those that there is no room for are counted, and told of.

    Raises: StateUnavailableError.
    """
    left_out = platform.series.add(points, now=now)
    if left_out:
        start = int(now) // LEFT_OUT_S * LEFT_OUT_S
        before = platform.series.read(
            SERIES_LEFT_OUT, since=start, until=start + LEFT_OUT_S, step=LEFT_OUT_S
        )
        value = left_out + sum(one.total for one in before)
        told = SeriesPoint(name=SERIES_LEFT_OUT, start=start, seconds=LEFT_OUT_S, value=value)
        platform.series.add([told], now=now)


def known_until(platform: Platform, name: str) -> float | None:
    """Return until when something is known, in seconds (epoch); None where that was never kept.

    Raises: StateUnavailableError.
    """
    return platform.series.newest(name).get(name)


def keep_known(platform: Platform, name: str, *, until: float, now: float) -> None:
    """Keep until when something is known, to the minute before.

    Raises: StateUnavailableError.
    """
    point = known_point(name, until=until)
    if (known_until(platform, name) or 0.0) < point.start:
        platform.series.add([point], now=now)


def known_point(name: str, *, until: float) -> SeriesPoint:
    """Return the point that says until when something is known."""
    start = int(until) // KNOWN_S * KNOWN_S
    return SeriesPoint(name=name, start=start, seconds=KNOWN_S, value=1.0)
