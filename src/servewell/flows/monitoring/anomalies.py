"""Judge each finished half hour of every figure, once, and tell what is unusual."""

from collections.abc import Iterator
from typing import Final

from servewell.core.catalog.profile import MINUTE_S
from servewell.core.catalog.series import DAY_S, Sample, SeriesPoint
from servewell.core.catalog.series_names import (
    CORRECTED,
    COUNTED,
    EXPECTED,
    FAILED,
    LATENCY,
    MISSING,
    MOVED,
    MOVED_DAYS,
    REFUSED,
    REQUESTS,
    SCORE,
    SLOW,
    UNUSUAL,
    WORKERS,
    of_endpoint,
)
from servewell.core.catalog.signal import Severity, Signal
from servewell.core.operations.monitoring.anomalies import (
    OF,
    STEP_S,
    judged,
    slow_change,
)
from servewell.core.operations.monitoring.anomaly_signals import (
    SHOWN_S,
    anomaly_signal,
    holds_now,
    least,
    slow_signal,
    steps,
    sums,
    whole_steps,
)
from servewell.flows.monitoring.figures import keep_points, known_until
from servewell.flows.monitoring.objectives import objective_signals
from servewell.flows.monitoring.series import SETTLED_S
from servewell.flows.platform import Platform

FIGURES_EVERY_S: Final = 300.0
HISTORY_S: Final = 35 * DAY_S  # as long as steps of five minutes are kept
WHOLE: Final = (REQUESTS, FAILED, REFUSED, SLOW, LATENCY)
EACH: Final = (SCORE, MISSING)


def judge_figures(platform: Platform) -> None:
    """Judge the half hours that have ended since the last time, and keep what was expected.

    Only what is counted is judged: half hours of which records wait still are left for later. Those
    that figures came late for are judged again.

    Raises: StateUnavailableError.
    """
    now = platform.clock.now()
    for endpoint in platform.endpoints.list():
        counted = known_until(platform, of_endpoint(endpoint.name, COUNTED))
        settled = min(now, counted if counted is not None else now) - SETTLED_S
        until = int(settled // STEP_S * STEP_S)
        done = platform.series.newest(of_endpoint(endpoint.name, MOVED) + "/")
        corrected = _corrected(platform, endpoint.name, now=now)
        for name in _figures(platform, endpoint.name):
            last = done.get(_beside(name, MOVED), 0)
            if last < until - STEP_S:
                later = [value for at, value in corrected if at >= last + STEP_S]
                last = int(min((last, *(value - STEP_S for value in later))))
                points = list(_judgement(platform, name, last=last, until=until))
                keep_points(platform, points, now=now)


def _corrected(platform: Platform, endpoint: str, *, now: float) -> list[tuple[int, float]]:
    """Return when figures came late, and the start of the half hour of the earliest of them."""
    found = platform.series.read(
        of_endpoint(endpoint, CORRECTED), since=now - SHOWN_S, until=now + STEP_S, step=MINUTE_S
    )
    return [(one.start, one.least // STEP_S * STEP_S) for one in found]


def anomaly_signals(platform: Platform, *, now: float) -> tuple[Signal, ...]:
    """Return the figures that are unusual now, and those whose level has moved.

    Raises: StateUnavailableError.
    """
    figures = [
        (endpoint.name, name)
        for endpoint in platform.endpoints.list()
        for name in _figures(platform, endpoint.name)
    ]
    unusual = [one for one in figures if holds_now(_last(platform, one[1], UNUSUAL, now=now))]
    burning = _burning(platform, now=now) if unusual else ()
    sudden = [_sudden(platform, *one, now=now, burning=burning) for one in unusual]
    slow = [_slow(platform, *one, now=now) for one in figures]
    return tuple(one for one in (*sudden, *slow) if one is not None)


def _burning(platform: Platform, *, now: float) -> tuple[Signal, ...]:
    found = objective_signals(platform, now=now)
    return tuple(one for one in found if one.severity is not Severity.NOTE)


def _sudden(
    platform: Platform, endpoint: str, name: str, *, now: float, burning: tuple[Signal, ...]
) -> Signal | None:
    def read(series: str) -> tuple[Sample, ...]:
        return platform.series.read(series, since=now - SHOWN_S, until=now, step=STEP_S)

    return anomaly_signal(
        endpoint,
        name,
        values=whole_steps(read(name), total=sums(name)),
        expected=read(_beside(name, EXPECTED)),
        distances=_last(platform, name, UNUSUAL, now=now),
        burning=burning,
    )


def _slow(platform: Platform, endpoint: str, name: str, *, now: float) -> Signal | None:
    moved, days = (_last(platform, name, kind, now=now) for kind in (MOVED, MOVED_DAYS))
    return slow_signal(endpoint, name, moved, days, now=now)


def _last(platform: Platform, name: str, kind: str, *, now: float) -> tuple[Sample, ...]:
    """Return the last points of what is kept beside a figure."""
    since = (now - SETTLED_S) // STEP_S * STEP_S - (OF + 1) * STEP_S
    return platform.series.read(_beside(name, kind), since=since, until=now, step=STEP_S)


def _figures(platform: Platform, endpoint: str) -> Iterator[str]:
    known = platform.series.newest(of_endpoint(endpoint) + "/")
    for kind in WHOLE:
        if (name := of_endpoint(endpoint, kind)) in known:
            yield name
    for kind in EACH:
        prefix = of_endpoint(endpoint, kind) + "/"
        yield from (name for name in sorted(known) if name.startswith(prefix))


def _beside(name: str, kind: str) -> str:
    """Return the name of the series of a kind that belongs to a figure."""
    _, endpoint, figure = name.split("/", 2)
    return of_endpoint(endpoint, kind, figure)


def _judgement(platform: Platform, name: str, *, last: int, until: int) -> Iterator[SeriesPoint]:
    since = int((until - HISTORY_S) // DAY_S * DAY_S)
    samples = platform.series.read(name, since=since, until=until, step=STEP_S)
    if not samples:
        return
    first = int(samples[0].start // DAY_S * DAY_S)
    watched = platform.series.read(WORKERS, since=first, until=until, step=STEP_S)
    values = steps(samples, since=first, until=until, watched=watched if sums(name) else None)
    for at, one in enumerate(judged(values, counts=sums(name), least=least(name))):
        start = first + at * STEP_S
        if one.expected is not None and start > max(last, until - SHOWN_S):
            yield _point(_beside(name, EXPECTED), start, one.expected)
            if one.distance is not None:
                yield _point(_beside(name, UNUSUAL), start, one.distance)
    moved = slow_change(values)
    newest = until - STEP_S
    yield _point(_beside(name, MOVED), newest, moved.now / moved.before - 1 if moved else 0.0)
    yield _point(_beside(name, MOVED_DAYS), newest, moved.days if moved else 0)


def _point(name: str, start: int, value: float) -> SeriesPoint:
    return SeriesPoint(name=name, start=start, seconds=STEP_S, value=value)
