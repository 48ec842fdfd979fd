"""The figures that the control process tells for a scrape."""

import sqlite3
from contextlib import closing
from pathlib import Path

from servewell.core.catalog.endpoint import Endpoint
from servewell.core.catalog.reading import (
    BUDGET_LEFT,
    FAULTS,
    HEALTH,
    OBJECTIVE,
    PARTS_WAITING,
    READINGS,
    WATCHED_AT,
)
from servewell.flows.monitoring.readings import SOURCES, tell_readings
from servewell.flows.platform import Platform


def told(platform: Platform) -> dict[tuple[str, ...], float]:
    """Tell the figures, and return them by name and labels."""
    tell_readings(platform)
    return {(one.name, *one.labels.values()): one.value for one in platform.readings.told()}


def test_every_source_tells_of_a_home(platform: Platform, endpoint: Endpoint) -> None:
    """Objectives, health and what waits are told, with the labels of their kinds."""
    now = platform.clock.now()
    found = told(platform)
    assert found[(WATCHED_AT,)] >= now
    assert {one: found[FAULTS, one] for one in SOURCES} == dict.fromkeys(SOURCES, 0)
    assert found[OBJECTIVE, endpoint.name, "availability"] == 0.995
    assert found[BUDGET_LEFT, endpoint.name, "latency"] == 1
    assert sum(value for key, value in found.items() if key[0] == HEALTH) == 1
    assert found[(PARTS_WAITING,)] == 0
    labels = {one.name: one.labels for one in READINGS}
    for one in platform.readings.told():
        assert tuple(one.labels) == labels[one.name]


def test_a_source_that_fails_hides_no_other(
    platform: Platform, endpoint: Endpoint, tmp_path: Path
) -> None:
    """A table that is lost is a fault of what reads it, and the budgets are still told."""
    told(platform)
    with closing(sqlite3.connect(tmp_path / "home" / "servewell.db")) as database:
        database.execute("DROP TABLE profile_mark")
    found = told(platform)
    assert {one for one in SOURCES if found[FAULTS, one]} == {"profiles"}
    assert (BUDGET_LEFT, endpoint.name, "availability") in found
