"""Compare two deployments of an endpoint over any time, from their profiles and labels."""

import math
from collections.abc import Sequence
from typing import Final

from servewell.core.catalog.profile import TrafficWindow
from servewell.core.catalog.quality import Figure
from servewell.core.catalog.version_comparison import VersionComparison
from servewell.core.operations.monitoring.realised import judged
from servewell.core.operations.monitoring.version_comparison import Side, compare_versions
from servewell.errors import ServewellError
from servewell.flows.monitoring.query import sight_of
from servewell.flows.platform import Platform
from servewell.ports.endpoints import EndpointMissingError
from servewell.ports.labels import LabelQuery

LABELS_MAX: Final = 100_000  # of either
QUANTILES: Final = {"p50": 0.5, "p95": 0.95, "p99": 0.99}
RANK_ERROR: Final = 0.014  # of a sketch: see `Profiles.latency_ms`
Z: Final = 1.96


class NothingToCompareError(ServewellError):
    """A deployment has answered nothing in the time that is asked for."""

    code = "SW-273"


def compare_deployments(  # noqa: PLR0913 - the words of the command
    platform: Platform,
    endpoint: str,
    first: str,
    second: str,
    *,
    since: float,
    until: float,
    principal: str,
) -> VersionComparison:
    """Compare two deployments over a time, in seconds since the epoch.

    An endpoint that the principal may not observe is none to them.

    Raises: EndpointMissingError, NothingToCompareError, StateUnavailableError.
    """
    _require_seen(platform, endpoint, principal)
    platform.endpoints.get(endpoint)
    traffic = platform.profiles.traffic(endpoint, since=since, until=until)
    for one in (first, second):
        _require(endpoint, one, traffic)
    sides = (
        _side(platform, endpoint, one, traffic, since=since, until=until) for one in (first, second)
    )
    return compare_versions(endpoint, *sides, since=since, until=until)


def _require_seen(platform: Platform, endpoint: str, principal: str) -> None:
    if not sight_of(platform, principal).shows(endpoint):
        raise EndpointMissingError.of(endpoint)


def _require(endpoint: str, deployment: str, traffic: Sequence[TrafficWindow]) -> None:
    known = sorted({one.deployment for one in traffic if one.deployment})
    if deployment not in known:
        raise NothingToCompareError(
            f"`{deployment}` of `{endpoint}` answered nothing in that time.",
            why=f"the profiles of that time are of: {', '.join(known) or 'no deployment'}",
            fix="choose another time with `--since` and `--until`; profiles are counted from the "
            "records within minutes while `servewell up` runs",
        )


def _side(  # noqa: PLR0913 - what it is put together from
    platform: Platform,
    endpoint: str,
    deployment: str,
    traffic: Sequence[TrafficWindow],
    *,
    since: float,
    until: float,
) -> Side:
    own = tuple(one for one in traffic if one.deployment == deployment)
    profile = platform.profiles.total(endpoint, deployment, since=since, until=until)
    reference = None if profile is None else platform.profiles.reference(profile.package)
    query = LabelQuery(endpoint=endpoint, deployment=deployment, since=since, until=until)
    known = platform.labels.holding(query, limit=LABELS_MAX + 1, newest=True)
    labels = known[-LABELS_MAX:]
    # What a caller asked for by name is not of the traffic's draw.
    rows = (judged(one.outputs, one.value) for one in labels if not one.role)
    return Side(
        deployment=deployment,
        version=reference.version if reference else "",
        traffic=own,
        latency=_latency(platform, own),
        profile=profile,
        reference=reference,
        judged=tuple(one for one in rows if one is not None),
        cut=len(known) > len(labels),
    )


def _latency(platform: Platform, windows: Sequence[TrafficWindow]) -> dict[str, Figure]:
    """Return the quantiles of the latency, each between those of the ranks that it may be."""
    requests = sum(one.requests for one in windows)
    found = {}
    for name, share in QUANTILES.items():
        reach = Z * math.sqrt(share * (1 - share) / max(requests, 1)) + RANK_ERROR
        ranks = (max(share - reach, 0.0), share, min(share + reach, 1.0))
        quantiles = platform.profiles.latency_ms(windows, ranks)
        if quantiles is not None:
            low, value, high = quantiles
            found[name] = Figure(value=value, low=low, high=high)
    return found
