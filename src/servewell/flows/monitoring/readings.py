"""Tell what the control process knows of what is watched, for `GET /metrics`."""

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Final

from servewell.core.catalog.alert import OPEN
from servewell.core.catalog.drift import DriftVerdict
from servewell.core.catalog.health import HealthState
from servewell.core.catalog.reading import (
    ALERTS,
    BUDGET_LEFT,
    BUDGET_SPENT,
    DRIFT_PSI,
    DRIFT_VERDICT,
    FAULTS,
    HEALTH,
    OBJECTIVE,
    PARTS_WAITING,
    QUALITY,
    QUALITY_WORSE,
    WATCHED_AT,
    Reading,
)
from servewell.core.operations.monitoring.readings import (
    alert_counts,
    judged_columns,
    newest_figures,
)
from servewell.flows.monitoring.drift import drift_at
from servewell.flows.monitoring.health import health
from servewell.flows.monitoring.monitors import Answers
from servewell.flows.monitoring.objectives import objectives_standing
from servewell.flows.monitoring.quality import quality_of
from servewell.flows.platform import Platform

Source = Callable[[Platform, float], Iterator[Reading]]
PARTS_MAX: Final = 50


def tell_readings(platform: Platform, *, answers: Answers | None = None) -> None:
    """Tell every figure that can be told; a duty of the control process.

    A source that fails is told as such, and keeps no other from being told. Health is told by the
    `answers` of the monitors, where they were asked.

    Raises: StorageError.
    """
    now = platform.clock.now()
    told = [Reading(name=WATCHED_AT, labels={}, value=now)]
    for name, source in _sources(answers).items():
        found, failed = _read(platform, source, now)
        told += [*found, Reading(name=FAULTS, labels={"source": name}, value=failed)]
    platform.readings.tell(tuple(told))


def _sources(answers: Answers | None) -> dict[str, Source]:
    return SOURCES | {"health": partial(_health, answers=answers)}


def _read(platform: Platform, source: Source, now: float) -> tuple[list[Reading], int]:
    try:
        return list(source(platform, now)), 0
    except Exception:  # noqa: BLE001 - one silences no other; who watches says more
        return [], 1


def _drift(platform: Platform, now: float) -> Iterator[Reading]:
    for endpoint in platform.endpoints.list():
        found = drift_at(platform, endpoint, now=now)
        for one in (one for one in found if one.deployment in endpoint.traffic):
            of = {"endpoint": one.endpoint, "deployment": one.deployment}
            yield from _state(DRIFT_VERDICT, of, "verdict", one.verdict, DriftVerdict)
            for column in judged_columns(one):
                labels = {**of, "side": column.side.value, "column": column.column}
                yield Reading(name=DRIFT_PSI, labels=labels, value=column.psi)


def _quality(platform: Platform, now: float) -> Iterator[Reading]:
    for endpoint in platform.endpoints.list():
        found = quality_of(platform, endpoint.name, now=now, in_sums=True)
        for one in (one for one in found if one.deployment in endpoint.traffic):
            of = {"endpoint": one.endpoint, "deployment": one.deployment}
            yield Reading(name=QUALITY_WORSE, labels=of, value=int(one.worse))
            for (metric, kind), value in newest_figures(one).items():
                labels = {**of, "metric": metric, "kind": kind}
                yield Reading(name=QUALITY, labels=labels, value=value)


def _objectives(platform: Platform, now: float) -> Iterator[Reading]:
    for endpoint in platform.endpoints.list():
        for one in objectives_standing(platform, endpoint.name, now=now).budgets:
            labels = {"endpoint": endpoint.name, "objective": one.objective.name}
            yield Reading(name=OBJECTIVE, labels=labels, value=one.objective.goal)
            yield Reading(name=BUDGET_LEFT, labels=labels, value=one.left)
            yield Reading(name=BUDGET_SPENT, labels=labels, value=int(one.spent))


def _health(platform: Platform, now: float, answers: Answers | None = None) -> Iterator[Reading]:
    for one in health(platform, now=now, answers=answers):
        yield from _state(HEALTH, {"endpoint": one.endpoint}, "state", one.state, HealthState)


def _alerts(platform: Platform, now: float) -> Iterator[Reading]:
    found = (one for one in platform.alerts.open(ended_after=now) if one.state in OPEN)
    for (endpoint, severity, state), number in alert_counts(found).items():
        labels = {"endpoint": endpoint, "severity": severity, "state": state}
        yield Reading(name=ALERTS, labels=labels, value=number)


def _profiles(platform: Platform, now: float) -> Iterator[Reading]:
    parts = platform.profile_parts
    filed = platform.record_counting.filed(parts.cursor(), most=PARTS_MAX, now=now)
    waiting = len(parts.uncounted(filed.parts))
    yield Reading(name=PARTS_WAITING, labels={}, value=waiting)


def _state(
    name: str,
    of: Mapping[str, str],
    label: str,
    held: str,
    states: type[DriftVerdict] | type[HealthState],
) -> Iterator[Reading]:
    for state in states:
        yield Reading(name=name, labels={**of, label: state.value}, value=int(state == held))


SOURCES: Final[dict[str, Source]] = {
    "drift": _drift,
    "quality": _quality,
    "objectives": _objectives,
    "health": _health,
    "alerts": _alerts,
    "profiles": _profiles,
}
