"""Keep figures over time: of the home, of the traffic, and of looks at what is served."""

from collections.abc import Iterator, Sequence
from typing import Final

from servewell.core.catalog.endpoint import Endpoint
from servewell.core.catalog.profile import MINUTE_S, ReferenceProfile, TrafficWindow, WindowProfile
from servewell.core.catalog.series import DAY_S, HOUR_S, SeriesPoint
from servewell.core.catalog.series_names import (
    COMPACTED,
    CORRECTED,
    COUNTED,
    DISK_FREE,
    MEMORY,
    PROFILED,
    QUEUE,
    RECORDS_LOST,
    REQUESTS,
    STALE,
    WORKERS,
    WORKERS_WANTED,
    of_endpoint,
)
from servewell.core.operations.monitoring.anomalies import STEP_S
from servewell.core.operations.monitoring.traffic_points import (
    changed,
    profile_points,
    traffic_points,
)
from servewell.errors import ServewellError
from servewell.flows.keys import OPERATOR_KEY
from servewell.flows.monitoring.figures import keep_known, keep_points, known_point, known_until
from servewell.flows.platform import Platform

HOME_EVERY_S: Final = 10.0
TRAFFIC_EVERY_S: Final = 60.0
LATE_EVERY_S: Final = 300.0
SERIES_SWEEP_EVERY_S: Final = 3_600.0
RECENT_S: Final = 600.0
SETTLED_S: Final = 300  # after the end of a half hour, until it is judged
LATE_S: Final = 2 * DAY_S - 2 * HOUR_S  # while windows of a minute and fine samples are both kept
FIRST_S: Final = 60 * DAY_S  # that are looked at where nothing is known yet
COUNTERS: Final = {
    QUEUE: "servewell_queue_requests",
    RECORDS_LOST: "servewell_records_lost_total",
}


def keep_home_series(platform: Platform) -> None:
    """Keep what the processes and the machine are like now.

    Raises: StateUnavailableError, StorageError.
    """
    now = platform.clock.now()
    start = int(now // HOME_EVERY_S * HOME_EVERY_S)
    figures = dict(_figures(platform))
    points = [
        SeriesPoint(name=name, start=start, seconds=int(HOME_EVERY_S), value=value)
        for name, value in figures.items()
    ]
    platform.series.add(points, now=now)


def keep_traffic_series(platform: Platform) -> None:
    """Keep what was counted of the traffic since the last time.

    Raises: StateUnavailableError.
    """
    _keep_traffic(platform, look_s=RECENT_S)


def keep_late_series(platform: Platform) -> None:
    """Correct the time of what was counted late: a worker's segment may come a day later.

    Raises: StateUnavailableError.
    """
    _keep_traffic(platform, look_s=LATE_S)


def keep_compacted(platform: Platform) -> None:
    """Keep that every segment is compacted that no worker writes any more.

    Raises: StateUnavailableError.
    """
    now = platform.clock.now()
    keep_known(platform, COMPACTED, until=now, now=now)


def sweep_series(platform: Platform) -> None:
    """Remove what is past its retention.

    Raises: StateUnavailableError.
    """
    platform.series.sweep(platform.clock.now())


def _keep_traffic(platform: Platform, *, look_s: float) -> None:
    """Keep the traffic of every endpoint.

    Raises: what the first raised that could not go on, after all others were looked at.
    """
    now = platform.clock.now()
    counted = known_until(platform, PROFILED)
    faults: list[ServewellError] = []
    kept: list[str] = []
    for endpoint in platform.endpoints.list():
        try:
            _keep(platform, endpoint, now=now, look_s=look_s)
            kept.append(of_endpoint(endpoint.name, COUNTED))
        except ServewellError as fault:
            faults.append(fault)
    if counted is not None:
        platform.series.add([known_point(one, until=counted) for one in kept], now=now)
    for first in faults:
        raise first


def _keep(platform: Platform, endpoint: Endpoint, *, now: float, look_s: float) -> None:
    points = list(_traffic(platform, endpoint, now=now, look_s=look_s))
    keep_points(platform, points, now=now)
    judged_to = (now - SETTLED_S) // STEP_S * STEP_S
    first = min((one.start for one in points), default=now)
    if first < judged_to:
        _keep_corrected(platform, endpoint.name, first=first, now=now)


def _keep_corrected(platform: Platform, endpoint: str, *, first: float, now: float) -> None:
    """Keep from when on figures came that may have been judged without them."""
    name, start = of_endpoint(endpoint, CORRECTED), int(now) // MINUTE_S * MINUTE_S
    before = platform.series.read(name, since=start, until=start + MINUTE_S, step=MINUTE_S)
    value = min((first, *(one.least for one in before)))
    point = SeriesPoint(name=name, start=start, seconds=MINUTE_S, value=value)
    platform.series.add([point], now=now)


def _traffic(
    platform: Platform, endpoint: Endpoint, *, now: float, look_s: float
) -> Iterator[SeriesPoint]:
    requests = of_endpoint(endpoint.name, REQUESTS)
    newest = platform.series.newest(requests).get(requests, now - FIRST_S)
    since = min(now - look_s, newest) // HOUR_S * HOUR_S
    until = now + HOUR_S
    windows = platform.profiles.traffic(endpoint.name, since=since, until=until)
    minutes, hours = (
        platform.series.read(requests, since=since, until=until, step=step)
        for step in (MINUTE_S, HOUR_S)
    )
    finer = [one for one in windows if one.seconds <= HOUR_S]
    other = changed(finer, minutes=minutes, hours=hours)
    for at_once in other:
        yield from traffic_points(at_once, lambda some: _latency(platform, some))
    yield from _profiles(platform, endpoint, [one[0] for one in other])


def _latency(platform: Platform, windows: Sequence[TrafficWindow]) -> float | None:
    found = platform.profiles.latency_ms(windows, (0.95,))
    return found[0] if found else None


def _profiles(
    platform: Platform, endpoint: Endpoint, changes: list[TrafficWindow]
) -> Iterator[SeriesPoint]:
    if not changes:
        return
    starts = {one.start for one in changes}
    found: list[WindowProfile] = []
    for deployment in endpoint.deployments:
        found += platform.profiles.windows(
            endpoint.name, deployment.name, since=min(starts), until=max(starts) + 1
        )
    anew = [one for one in found if one.start in starts]
    yield from profile_points(anew, _references(platform, anew))


def _references(platform: Platform, windows: list[WindowProfile]) -> dict[str, ReferenceProfile]:
    found = {one: platform.profiles.reference(one) for one in {one.package for one in windows}}
    return {package: one for package, one in found.items() if one is not None}


def _figures(platform: Platform) -> Iterator[tuple[str, float]]:
    state = platform.fleet.state()
    reports = [
        one for one in platform.snapshots.reports() if state.workers.get(one.worker) == one.pid
    ]
    newest = platform.history.revision()
    facts = platform.machine.facts()
    yield WORKERS, sum(one.ready for one in reports)
    yield WORKERS_WANTED, state.plan.workers if state.plan else 0
    yield MEMORY, sum(one.memory_bytes for one in reports)
    yield STALE, sum(one.snapshot < newest for one in reports)
    yield DISK_FREE, facts.disk_free_bytes / max(facts.disk_total_bytes, 1)
    if reports:
        yield from _counters(platform)


def _counters(platform: Platform) -> Iterator[tuple[str, float]]:
    """Yield what the workers count, or nothing where none of them answers."""
    key = platform.secrets.find(OPERATOR_KEY)
    try:
        counted = platform.door(key.decode() if key else "").metrics()
    except ServewellError:  # who does not answer is told of as such, not here
        return
    for name, counter in COUNTERS.items():
        yield name, sum(value for one, value in counted.items() if one.partition("{")[0] == counter)
