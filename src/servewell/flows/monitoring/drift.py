"""Whether what is served has moved from what it was made for, from the profiles that are kept."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final

from servewell.core.catalog.drift import DriftReport
from servewell.core.catalog.endpoint import Deployment, Endpoint
from servewell.core.catalog.profile import MINUTE_S, WindowProfile
from servewell.core.catalog.workload_monitoring import DriftRules, MonitoringRules
from servewell.core.operations.monitoring.drift import Look, judge, unknown
from servewell.core.operations.monitoring.looking import (
    WEEK_S,
    Seen,
    days_from,
    hours_from,
    is_quiet,
    looks_of,
    minutes_from,
    window_length,
)
from servewell.core.operations.monitoring.profiles import DAY_S, HOUR_S
from servewell.flows.platform import Platform
from servewell.ports.workloads import WorkloadMissingError

NO_REFERENCE: Final = (
    "its version came without a reference profile, and fewer than 10,000 of its rows went to "
    "callers, to make one of; those of a shadow go to none"
)
NO_ROWS: Final = "no row of it was counted in the last week"


def drift_of(
    platform: Platform, endpoint: str, *, now: float, since: float | None = None
) -> tuple[DriftReport, ...]:
    """Return the drift of each deployment of an endpoint that takes requests, or took any.

    With `since`, the time from then to `now` is judged, in as many parts as drift takes windows;
    without it, the newest windows on the clock. Times are in seconds since the epoch, UTC.

    Raises: EndpointMissingError, StateUnavailableError.
    """
    return drift_at(platform, platform.endpoints.get(endpoint), now=now, since=since)


def drift_at(
    platform: Platform, endpoint: Endpoint, *, now: float, since: float | None = None
) -> tuple[DriftReport, ...]:
    """Return the same of an endpoint as it was read, in the order of its deployments.

    Raises: StateUnavailableError.
    """
    rules = monitoring_rules(platform, endpoint).drift
    return tuple(
        _judged(platform, endpoint, one, rules=rules, now=now, since=since)
        for one in endpoint.deployments
    )


def monitoring_rules(platform: Platform, endpoint: Endpoint) -> MonitoringRules:
    """Return how closely an endpoint is watched: as its workload says, or as is usual.

    Raises: StateUnavailableError.
    """
    try:
        return platform.workloads.get(endpoint.workload).workload.monitoring
    except WorkloadMissingError:
        return MonitoringRules()


def _judged(  # noqa: PLR0913 - what is judged, by what, and when
    platform: Platform,
    endpoint: Endpoint,
    deployment: Deployment,
    *,
    rules: DriftRules,
    now: float,
    since: float | None,
) -> DriftReport:
    version = f"{deployment.model}:{deployment.version}"
    reference = platform.profiles.reference(deployment.package)
    empty = WindowProfile(
        endpoint=endpoint.name,
        deployment=deployment.name,
        package=deployment.package,
        start=int(now if since is None else since),
        seconds=0 if since is None else int(now - since),
    )
    if reference is None:
        damage = platform.reference_damages.noted().get(deployment.package)
        because = f"its reference profile cannot be read: {damage}" if damage else NO_REFERENCE
        return unknown(empty, version=version, because=because)
    if since is not None:
        looks = tuple(_parts(platform, empty, rules.windows, since=since, until=now))
        return judge(reference, looks, rules=rules) if looks else _silent(empty, version)
    seen = _seen(platform, empty, rules=rules, now=now)
    seconds = window_length(reference, seen, rules=rules, now=now)
    if is_quiet(seen, seconds=seconds, now=now):
        return _silent(empty, version, since=seen.until)
    looks = looks_of(seen, seconds=seconds, rules=rules, now=now)
    looks = looks or tuple(_so_far(platform, empty, rules=rules, now=now))
    return judge(reference, looks, rules=rules) if looks else _silent(empty, version)


def _silent(empty: WindowProfile, version: str, *, since: float | None = None) -> DriftReport:
    """Return the verdict where nothing was counted, or nothing for long."""
    when = f"{datetime.fromtimestamp(since or 0, UTC):%Y-%m-%d %H:%M} UTC"
    because = NO_ROWS if since is None else f"no rows of it were counted since {when}"
    return unknown(empty, version=version, because=because)


def _seen(platform: Platform, of: WindowProfile, *, rules: DriftRules, now: float) -> Seen:
    return Seen(
        minutes=_kept(platform, of, since=minutes_from(rules, now=now), now=now, finest=MINUTE_S),
        hours=_kept(platform, of, since=hours_from(rules, now=now), now=now, finest=HOUR_S),
        days=_kept(platform, of, since=days_from(rules, now=now), now=now, finest=DAY_S),
    )


def _so_far(
    platform: Platform, of: WindowProfile, *, rules: DriftRules, now: float
) -> Iterator[Look]:
    """Yield what was counted of the last days, where no window is over yet."""
    for look in _parts(platform, of, 1, since=now - WEEK_S, until=now):
        yield replace(look, young=rules.seasons and look.window.seconds < DAY_S)


def _kept(
    platform: Platform, of: WindowProfile, *, since: float, now: float, finest: int
) -> tuple[WindowProfile, ...]:
    if since >= now:
        return ()
    kept = platform.profiles.windows(
        of.endpoint, of.deployment, since=since, until=now, finest=finest
    )
    return tuple(one for one in kept if one.package == of.package)


def _parts(
    platform: Platform, of: WindowProfile, count: int, *, since: float, until: float
) -> Iterator[Look]:
    length = (until - since) / count
    for place in range(count):
        start = since + place * length
        total = platform.profiles.total(
            of.endpoint, of.deployment, since=start, until=start + length
        )
        if total is not None and total.package == of.package:
            yield Look(window=total)
