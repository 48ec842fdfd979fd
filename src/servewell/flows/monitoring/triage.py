"""What kind of trouble an endpoint is in: drift, quality, its first day and what it refuses."""

from dataclasses import replace
from typing import Final

from servewell.core.catalog.change import ChangeKind
from servewell.core.catalog.drift import DriftReport
from servewell.core.catalog.endpoint import Deployment, Endpoint
from servewell.core.catalog.triage import Triage
from servewell.core.catalog.workload_monitoring import DriftRules
from servewell.core.operations.monitoring.drift import Look, judge
from servewell.core.operations.monitoring.profiles import DAY_S, HOUR_S
from servewell.core.operations.monitoring.refusals import Refusals, explained
from servewell.core.operations.monitoring.triage import triage
from servewell.flows.monitoring.drift import drift_at, monitoring_rules
from servewell.flows.monitoring.quality import quality_of
from servewell.flows.platform import Platform
from servewell.ports.records import RecordQuery

UNFITTING: Final = "SW-313"  # the code of a request whose inputs do not fit the signature
READ_MAX: Final = 500  # of the newest records, for what is wrong with them
BEGINS: Final = frozenset(  # changes by which a version may first take requests
    {
        ChangeKind.DEPLOYED,
        ChangeKind.TRAFFIC_SET,
        ChangeKind.ROLLED_BACK,
        ChangeKind.QUARANTINED,
        ChangeKind.ROLLOUT_STARTED,
        ChangeKind.ROLLOUT_MOVED,
        ChangeKind.ROLLOUT_ENDED,
    }
)


def triage_of(platform: Platform, endpoint: str, *, now: float) -> tuple[Triage, ...]:
    """Return the verdict on each deployment of an endpoint.

    Raises: EndpointMissingError, StateUnavailableError, StorageError.
    """
    return tuple(verdict for _, verdict in examined(platform, endpoint, now=now))


def examined(
    platform: Platform, endpoint: str, *, now: float
) -> tuple[tuple[DriftReport, Triage], ...]:
    """Return the drift of each deployment of an endpoint, with the verdict on it.

    Raises: EndpointMissingError, StateUnavailableError, StorageError.
    """
    found = platform.endpoints.get(endpoint)
    refused = refusals_of(platform, endpoint, now=now)
    known = quality_of(platform, endpoint, now=now, in_sums=True)
    quality = {one.deployment: one for one in known}
    rules = monitoring_rules(platform, found)
    drifts = drift_at(platform, found, now=now)
    return tuple(
        (
            drift,
            triage(
                drift,
                quality.get(drift.deployment),
                now=now,
                rules=rules.quality,
                first_day=first_day(platform, found, deployment, rules=rules.drift, now=now),
                refusals=refused,
            ),
        )
        for deployment, drift in zip(found.deployments, drifts, strict=True)
    )


def first_day(
    platform: Platform,
    endpoint: Endpoint,
    deployment: Deployment,
    *,
    rules: DriftRules,
    now: float,
) -> DriftReport | None:
    """Return the drift of a deployment over its first day of traffic; None where nothing is kept.

    Raises: StateUnavailableError.
    """
    began = _began(platform, endpoint, deployment)
    reference = platform.profiles.reference(deployment.package)
    total = platform.profiles.total(
        endpoint.name, deployment.name, since=began, until=min(began + DAY_S, now)
    )
    if reference is None or total is None or total.package != deployment.package:
        return None
    return judge(reference, (Look(window=total),), rules=replace(rules, windows=1))


def _began(platform: Platform, endpoint: Endpoint, deployment: Deployment) -> float:
    """Return when a version first took requests under its deployment; 0 where nothing says."""
    version = f"{deployment.model}:{deployment.version}"
    taking = (
        one.at
        for one in platform.history.changes(endpoint.name, kinds=BEGINS)
        if one.versions.get(deployment.name) == version and (one.traffic or {}).get(deployment.name)
    )
    return next(taking, 0.0)


def refusals_of(platform: Platform, endpoint: str, *, now: float) -> Refusals:
    """Return the requests of the last hour whose inputs did not fit the signature.

    Records are read only where many requests were refused, and only the newest.

    Raises: StateUnavailableError, StorageError.
    """
    windows = platform.profiles.traffic(endpoint, since=now - HOUR_S, until=now)
    requests = sum(one.requests for one in windows)
    unfitting = sum(one.codes.get(UNFITTING, 0) for one in windows)
    first = min((one.start for one in windows if one.codes.get(UNFITTING)), default=None)
    counted = Refusals(requests=requests, unfitting=unfitting, since=first)
    if not counted.break_the_feed:
        return counted
    query = RecordQuery(endpoint=endpoint, since=now - HOUR_S, until=now, limit=READ_MAX)
    reasons = [
        str(one["reason"]) for one in platform.records.read(query) if one["code"] == UNFITTING
    ]
    return explained(counted, reasons)
