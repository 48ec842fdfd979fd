"""Look every five minutes at what has a goal but no requests: age, drift and quality."""

from collections.abc import Iterator, Mapping
from typing import Final

from servewell.core.catalog.drift import DriftVerdict
from servewell.core.catalog.endpoint import Deployment, Endpoint
from servewell.core.catalog.objective import LOOK_S, ObjectiveKind
from servewell.core.catalog.series import SeriesPoint
from servewell.core.catalog.series_names import LOOK, LOOKED, of_endpoint
from servewell.core.catalog.workload_objectives import ObjectiveRules
from servewell.core.reliability.freshness_objective import AGES, Age, age_of
from servewell.core.reliability.objective import max_days, objectives_of
from servewell.errors import ServewellError
from servewell.flows.monitoring.drift import drift_at
from servewell.flows.monitoring.figures import keep_known, keep_points
from servewell.flows.monitoring.objective_events import rules_of
from servewell.flows.monitoring.quality import quality_of
from servewell.flows.platform import Platform

LOOKS_EVERY_S: Final = LOOK_S


def keep_looks(platform: Platform) -> None:
    """Keep whether what has an objective was good at this look; nothing where none is declared.

    Raises: what the first raised that could not be looked at, after all others were.
    """
    now = platform.clock.now()
    faults: list[ServewellError] = []
    for endpoint in platform.endpoints.list():
        try:
            _look(platform, endpoint, now=now)
        except ServewellError as fault:
            faults.append(fault)
    for first in faults:
        raise first


def _look(platform: Platform, endpoint: Endpoint, *, now: float) -> None:
    rules = rules_of(platform, endpoint)
    declared = _declared(endpoint, rules)
    points = list(_looks(platform, endpoint, rules, declared, now=now))
    keep_points(platform, points, now=now)
    if declared:
        keep_known(platform, of_endpoint(endpoint.name, LOOKED), until=now, now=now)


def _declared(endpoint: Endpoint, rules: ObjectiveRules) -> dict[str, ObjectiveKind]:
    """Return the objectives that are looked at, by name."""
    return {
        one.name: one.kind
        for one in objectives_of(endpoint.name, rules, latency_ms=1.0)
        if one.every_s > 0
    }


def ages_of(
    platform: Platform, endpoint: Endpoint, rules: ObjectiveRules, *, now: float
) -> tuple[Age, ...]:
    """Return how old the model, its data and its newest label are.

    Raises: StateUnavailableError, ModelMissingError.
    """
    serving = max(endpoint.deployments, key=lambda one: one.share_bp, default=None)
    made = _made_at(platform, endpoint, serving) if serving else {}
    return tuple(
        age_of(of, made_at=made.get(of), now=now, days_max=max_days(rules, of)) for of in AGES
    )


def _made_at(
    platform: Platform, endpoint: Endpoint, serving: Deployment
) -> dict[str, float | None]:
    version = platform.registry.get(serving.model, serving.version)
    name, _, number = (version.manifest.lineage.dataset or "").partition(":")
    data = platform.datasets.get(name, int(number)).created_at if number else None
    labels = [one.last_added_at for one in platform.labels.status(endpoint.name)]
    return {
        "model": version.created_at,
        "data": data,
        "label": max(labels, default=None),
    }


def _looks(
    platform: Platform,
    endpoint: Endpoint,
    rules: ObjectiveRules,
    declared: Mapping[str, ObjectiveKind],
    *,
    now: float,
) -> Iterator[SeriesPoint]:
    bad: dict[str, bool | None] = {}
    if ObjectiveKind.FRESHNESS in declared.values():
        ages = ages_of(platform, endpoint, rules, now=now)
        bad |= {AGES[one.of]: one.stale for one in ages}
    if ObjectiveKind.DRIFT in declared.values():
        bad["drift"] = _drifted(platform, endpoint, now=now)
    if ObjectiveKind.QUALITY in declared.values():
        bad["quality"] = _worse(platform, endpoint, now=now)
    seconds = int(LOOKS_EVERY_S)
    start = int(now) // seconds * seconds
    for name in declared:
        value = bad.get(name)
        if value is not None:
            series = of_endpoint(endpoint.name, LOOK, name)
            yield SeriesPoint(name=series, start=start, seconds=seconds, value=float(value))


def _drifted(platform: Platform, endpoint: Endpoint, *, now: float) -> bool | None:
    """Return whether what takes requests drifts; None where it cannot be told of the time now."""
    verdicts = {
        one.verdict
        for one in drift_at(platform, endpoint, now=now)
        if one.deployment in endpoint.traffic and now - one.until <= one.until - one.start
    }
    if DriftVerdict.DRIFT in verdicts:
        return True
    return None if verdicts <= {DriftVerdict.CANNOT_TELL} else False


def _worse(platform: Platform, endpoint: Endpoint, *, now: float) -> bool | None:
    """Return whether labels prove what is answered now to be worse; None where there are none."""
    told = quality_of(platform, endpoint.name, now=now, in_sums=True)
    reports = [one for one in told if one.deployment in endpoint.traffic]
    known = any(metric.labels for one in reports for metric in one.metrics)
    return any(one.worse for one in reports) if known else None
