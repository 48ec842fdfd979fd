"""The points that windows of traffic and profiles give."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import groupby

from servewell.core.catalog.profile import (
    EVERYTHING,
    MINUTE_S,
    Counts,
    ReferenceProfile,
    Side,
    TrafficWindow,
    WindowProfile,
)
from servewell.core.catalog.series import Sample, SeriesPoint
from servewell.core.catalog.series_names import (
    FAILED,
    FAILED_BY,
    LATENCY,
    MISSING,
    REFUSED,
    REQUESTS,
    SCORE,
    SLOW,
    of_endpoint,
)

SCORES = (Side.SCORE, Side.OUTPUT)
Latency = Callable[[Sequence[TrafficWindow]], float | None]  # 95th percentile, in milliseconds


def changed(
    windows: Iterable[TrafficWindow], *, minutes: Sequence[Sample], hours: Iterable[Sample]
) -> tuple[tuple[TrafficWindow, ...], ...]:
    """Return the windows, by start, of the times at which other requests were known of.

    `minutes` are the samples of the requests as finely as they are kept, `hours` those of hours: a
    window is compared with that of its own length. A minute of which only longer samples are kept
    is settled.
    """
    totals = {(one.start, one.seconds): one.total for one in (*minutes, *hours)}
    longer = (one for one in minutes if one.seconds > MINUTE_S)
    settled = {
        (start, MINUTE_S)
        for one in longer
        for start in range(one.start, one.start + one.seconds, MINUTE_S)
    }
    by_start = groupby(sorted(windows, key=_time), key=_time)
    found = ((time, tuple(one)) for time, one in by_start if time not in settled)
    return tuple(
        one for time, one in found if totals.get(time) != sum(window.requests for window in one)
    )


def _time(window: TrafficWindow) -> tuple[int, int]:
    return window.start, window.seconds


def traffic_points(windows: Sequence[TrafficWindow], latency: Latency) -> Iterator[SeriesPoint]:
    """Yield the points of all windows of one endpoint and start."""
    first = windows[0]
    requests = sum(one.requests for one in windows)

    def point(value: float, *words: str, weight: float = 1.0) -> SeriesPoint:
        name = of_endpoint(first.endpoint, *words)
        return SeriesPoint(
            name=name, start=first.start, seconds=first.seconds, value=value, weight=weight
        )

    yield point(requests, REQUESTS)
    yield point(sum(one.failed for one in windows), FAILED)
    yield point(sum(one.refused for one in windows), REFUSED)
    yield point(sum(one.slow for one in windows), SLOW)
    for one in windows:
        if one.failed:
            yield point(one.failed, FAILED_BY, one.deployment or "no deployment")
    answered = latency(windows)
    if answered is not None:
        yield point(answered, LATENCY, weight=max(requests, 1))


def profile_points(
    windows: Iterable[WindowProfile], references: Mapping[str, ReferenceProfile]
) -> Iterator[SeriesPoint]:
    """Yield the shares of missing inputs and the means of scores, all deployments together."""
    ordered = sorted(windows, key=lambda one: (one.start, one.seconds))
    for _, at_once in groupby(ordered, key=lambda one: (one.start, one.seconds)):
        found: dict[str, list[SeriesPoint]] = {}
        for one in at_once:
            for point in _of_window(one, references.get(one.package)):
                found.setdefault(point.name, []).append(point)
        yield from map(_weighed, found.values())


def _of_window(window: WindowProfile, reference: ReferenceProfile | None) -> Iterator[SeriesPoint]:
    counts = window.counts.get(EVERYTHING, {})
    for bins in reference.bins if reference else ():
        count = counts.get(bins.column)
        if count is None or not count.rows:
            continue
        if bins.side is Side.INPUT:
            yield _point(window, count.places[0] / count.rows, MISSING, bins.column, count.rows)
        elif bins.side in SCORES and count.least is not None:
            rows = _numbers(count, len(bins.edges))
            if rows:
                yield _point(window, count.total / rows, SCORE, bins.column, rows)


def _numbers(count: Counts, edges: int) -> int:
    """Return how many finite numbers were counted; 0 of what is no number."""
    return count.rows - count.places[0] - count.places[1] if edges else 0


def _point(window: WindowProfile, value: float, kind: str, column: str, rows: int) -> SeriesPoint:
    return SeriesPoint(
        name=of_endpoint(window.endpoint, kind, column),
        start=window.start,
        seconds=window.seconds,
        value=value,
        weight=rows,
    )


def _weighed(points: Sequence[SeriesPoint]) -> SeriesPoint:
    """Return one point for several of the same series and start."""
    weight = sum(one.weight for one in points)
    first = points[0]
    return SeriesPoint(
        name=first.name,
        start=first.start,
        seconds=first.seconds,
        value=sum(one.value * one.weight for one in points) / weight,
        weight=weight,
    )
