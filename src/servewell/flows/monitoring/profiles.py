"""What the deployments of an endpoint took and gave over a time, and what the log tells of it."""

from dataclasses import dataclass
from typing import Final

from servewell.core.catalog.profile import (
    MINUTE_S,
    ReferenceProfile,
    TrafficWindow,
    WindowProfile,
)
from servewell.core.catalog.signal import Signal
from servewell.core.operations.monitoring.profiles import DAY_S, HOUR_S, merged_traffic
from servewell.core.operations.monitoring.record_signals import LOOK_S, record_signals_of
from servewell.errors import ServewellError
from servewell.flows.platform import Platform

SHARES: Final = (0.5, 0.95, 0.99)  # of the latency
NO_NAME: Final = ""  # of the endpoint of records that nobody knows the endpoint of


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
    )


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
    names = (NO_NAME, *(one.name for one in platform.endpoints.list()))
    return tuple(
        signal
        for name in names
        for signal in record_signals_of(
            name, platform.profiles.traffic(name, since=now - LOOK_S, until=now)
        )
    )
