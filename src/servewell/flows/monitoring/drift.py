"""Whether what is served has moved from what it was made for, from the profiles that are kept."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from servewell.core.catalog.drift import DriftReport
from servewell.core.catalog.endpoint import Deployment, Endpoint
from servewell.core.catalog.profile import MINUTE_S, ReferenceProfile, WindowProfile
from servewell.core.catalog.workload_monitoring import DriftRules, MonitoringRules
from servewell.core.operations.monitoring.drift import Look, judge, unknown
from servewell.core.operations.monitoring.looking import (
    WEEK_S,
    Seen,
    days_from,
    hours_from,
    looks_of,
    minutes_from,
    window_length,
)
from servewell.core.operations.monitoring.profiles import DAY_S, HOUR_S
from servewell.flows.platform import Platform
from servewell.ports.workloads import WorkloadMissingError

NO_REFERENCE: Final = "its version has no reference profile yet: there were no rows to make it of"
NO_ROWS: Final = "no row of it was counted in the last week"


def drift_of(
    platform: Platform, endpoint: str, *, now: float, since: float | None = None
) -> tuple[DriftReport, ...]:
    """Return the drift of each deployment of an endpoint that takes requests, or took any.

    With `since`, the time from then to `now` is judged, in as many parts as drift takes windows;
    without it, the newest windows on the clock. Times are in seconds since the epoch, UTC.

    Raises: EndpointMissingError, StateUnavailableError.
    """
    found = platform.endpoints.get(endpoint)
    rules = monitoring_rules(platform, found).drift
    return tuple(
        _judged(platform, found, one, rules=rules, now=now, since=since)
        for one in found.deployments
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
        return unknown(empty, version=version, because=NO_REFERENCE)
    looks = _looks(platform, empty, reference, rules=rules, now=now, since=since)
    if not looks:
        return unknown(empty, version=version, because=NO_ROWS)
    return judge(reference, looks, rules=rules)


def _looks(  # noqa: PLR0913 - what is looked at, by what, and when
    platform: Platform,
    of: WindowProfile,
    reference: ReferenceProfile,
    *,
    rules: DriftRules,
    now: float,
    since: float | None,
) -> tuple[Look, ...]:
    if since is not None:
        return tuple(_parts(platform, of, rules.windows, since=since, until=now))
    seen = Seen(
        minutes=_kept(platform, of, since=minutes_from(rules, now=now), now=now, finest=MINUTE_S),
        hours=_kept(platform, of, since=hours_from(rules, now=now), now=now, finest=HOUR_S),
        days=_kept(platform, of, since=days_from(rules, now=now), now=now, finest=DAY_S),
    )
    seconds = window_length(reference, seen, rules=rules, now=now)
    looks = looks_of(seen, seconds=seconds, rules=rules, now=now)
    return looks or tuple(_so_far(platform, of, rules=rules, now=now))


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
