"""What the deployments of an endpoint took and gave over a time, and what the log tells of it."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import chain
from typing import Final

from servewell.core.catalog.profile import (
    EVERYTHING,
    MINUTE_S,
    ReferenceProfile,
    TrafficWindow,
    WindowProfile,
)
from servewell.core.catalog.series_names import DISK_FREE
from servewell.core.catalog.signal import Signal
from servewell.core.operations.monitoring.profiles import DAY_S, HOUR_S, merged, merged_traffic
from servewell.core.operations.monitoring.record_signals import (
    LOOK_S,
    damaged_reference,
    record_signals_of,
)
from servewell.errors import ServewellError
from servewell.flows.monitoring.series import HOME_EVERY_S
from servewell.flows.platform import Platform

SHARES: Final = (0.5, 0.95, 0.99)  # of the latency
NO_NAME: Final = ""  # of the endpoint of records that nobody knows the endpoint of
LOOK_EACH_S: Final = 600  # in which the control process looks at the home at least once


class ProfileMissingError(ServewellError):
    """Nothing was counted of an endpoint or deployment in that time."""

    code = "SW-260"


@dataclass(frozen=True, slots=True, kw_only=True)
class Profiled:
    """One deployment over a time."""

    deployment: str  # empty for requests that were refused before one was chosen
    traffic: TrafficWindow | None  # None of a shadow, which no caller asks
    latency_ms: tuple[float, ...] | None  # within which the SHARES were answered
    window: WindowProfile | None  # None where no row was counted
    reference: ReferenceProfile | None  # of the package of the window
    # column -> a few texts that the reference never saw, with their rows of the last hour
    unseen: dict[str, dict[str, int]] = field(default_factory=dict)


def profiles_of(
    platform: Platform, endpoint: str, *, since: float, until: float, deployment: str | None = None
) -> tuple[Profiled, ...]:
    """Return what each deployment took and gave. Times are in seconds since the epoch, UTC.

    Raises: EndpointMissingError, ProfileMissingError, StateUnavailableError.
    """
    known = platform.endpoints.get(endpoint)
    finest = MINUTE_S if until - since <= DAY_S else HOUR_S
    windows = platform.profiles.traffic(endpoint, since=since, until=until, finest=finest)
    names = {one.name for one in known.deployments} | {one.deployment for one in windows}
    found = tuple(
        one
        for name in sorted(names if deployment is None else names & {deployment})
        if (one := _profiled(platform, endpoint, name, windows, since=since, until=until))
    )
    if not found:
        raise _missing(endpoint, deployment)
    return found


def _profiled(  # noqa: PLR0913 - which deployment, and when
    platform: Platform,
    endpoint: str,
    deployment: str,
    windows: tuple[TrafficWindow, ...],
    *,
    since: float,
    until: float,
) -> Profiled | None:
    """Return one deployment; None where neither a request nor a row of it was counted."""
    those = [one for one in windows if one.deployment == deployment]
    window = platform.profiles.total(endpoint, deployment, since=since, until=until)
    if not those and window is None:
        return None
    return Profiled(
        deployment=deployment,
        traffic=merged_traffic(those) if those else None,
        latency_ms=platform.profiles.latency_ms(those, SHARES),
        window=window,
        reference=platform.profiles.reference(window.package) if window else None,
        unseen=_unseen(platform, window, since=max(since, until - HOUR_S), until=until)
        if window
        else {},
    )


def _unseen(
    platform: Platform, of: WindowProfile, *, since: float, until: float
) -> dict[str, dict[str, int]]:
    """Return the texts that are named in windows of a minute, by column."""
    minutes = [
        one
        for one in platform.profiles.windows(of.endpoint, of.deployment, since=since, until=until)
        if one.package == of.package and one.seconds == MINUTE_S
    ]
    counts = merged(minutes).counts.get(EVERYTHING, {}) if minutes else {}
    return {column: one.unseen for column, one in counts.items() if one.unseen}


def _missing(endpoint: str, deployment: str | None) -> ProfileMissingError:
    of = f"`{deployment}` of `{endpoint}`" if deployment else f"`{endpoint}`"
    return ProfileMissingError(
        f"Nothing was counted of {of} in that time.",
        why="no request came, the deployment has another name, or its records are not compacted "
        "yet, which takes about a minute while `servewell up` runs",
        fix="`servewell status` shows whether it serves; `--since` and `--until` name another time",
    )


def record_signals(platform: Platform, *, now: float) -> tuple[Signal, ...]:
    """Return what is to be told of the prediction log itself. `now` is in seconds since the epoch.

    Raises: StateUnavailableError.
    """
    endpoints = platform.endpoints.list()
    damaged = platform.reference_damages.noted()
    names = (NO_NAME, *(one.name for one in endpoints))
    return (
        *chain.from_iterable(_signals_of(platform, name, now=now) for name in names),
        *(
            damaged_reference(one.name, deployment, damaged[deployment.package], now=now)
            for one in endpoints
            for deployment in one.deployments
            if deployment.package in damaged
        ),
    )


def _signals_of(platform: Platform, endpoint: str, *, now: float) -> Iterator[Signal]:
    windows = platform.profiles.traffic(endpoint, since=now - LOOK_S, until=now)
    late = min((one.start for one in windows if one.late), default=None)
    attended = late is not None and _attended(platform, before=late)
    return record_signals_of(endpoint, windows, attended=attended)


def _attended(platform: Platform, *, before: float) -> bool:
    """Whether the control process looked at the home all through the hour before a time."""
    kept = platform.series.read(
        DISK_FREE, since=before - HOUR_S, until=before, step=int(HOME_EVERY_S)
    )
    return len({one.start // LOOK_EACH_S for one in kept}) >= HOUR_S // LOOK_EACH_S
