"""The contract of `Series`."""

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from servewell.adapters.embedded.database import Database, open_database
from servewell.adapters.embedded.monitoring.series import SqlSeries
from servewell.core.catalog.series import DAY_S, HOUR_S, LEVELS, Level, SeriesPoint
from servewell.core.catalog.series_names import (
    FAILED_BY,
    LOOK,
    MISSING,
    REQUESTS,
    SERIES_LEFT_OUT,
    UNUSUAL,
    of_endpoint,
)
from servewell.ports.series import Series

NOW: Final = 1_700_000_400.0 // HOUR_S * HOUR_S
START: Final = int(NOW) - DAY_S
FEW: Final = (
    Level(step_s=10, keep_s=HOUR_S),
    Level(step_s=300, keep_s=6 * HOUR_S),
    Level(step_s=HOUR_S, keep_s=24 * HOUR_S),
)
Maker = Callable[..., Series]


@pytest.fixture(params=[pytest.param(SqlSeries, id="sql")])
def made(request: pytest.FixtureRequest, database: Database) -> Maker:
    """Each adapter in turn."""
    return lambda **parts: request.param(database, **parts)


@pytest.fixture
def series(made: Maker) -> Series:
    """Return an empty store of series."""
    return made()


def points(
    count: int, *, start: int = START, every: int = 10, name: str = "a", value: float = 1.0
) -> list[SeriesPoint]:
    """Return points, one after the other."""
    return [
        SeriesPoint(name=name, start=start + every * at, seconds=every, value=value)
        for at in range(count)
    ]


def test_a_series_is_read_in_any_step(series: Series) -> None:
    """An hour of points: as they were measured, in steps between, and as one sample."""
    given_points = [
        SeriesPoint(name="a", start=START + 10 * at, seconds=10, value=float(at))
        for at in range(360)
    ]
    assert series.add(given_points, now=NOW) == 0
    fine = series.read("a", since=START, until=START + HOUR_S, step=10)
    assert [one.mean for one in fine] == [float(at) for at in range(360)]
    for step, count in ((60, 60), (300, 12), (1_800, 2), (HOUR_S, 1)):
        found = series.read("a", since=START, until=START + HOUR_S, step=step)
        assert [one.seconds for one in found] == [step] * count
        assert sum(one.total for one in found) == sum(range(360))
        assert (found[0].least, found[-1].greatest) == (0.0, 359.0)
    assert series.read("b", since=0, until=NOW, step=10) == ()


def test_what_comes_late_corrects_its_own_time(series: Series) -> None:
    """The point of a minute long ago takes the place of the one that was there, in every step."""
    series.add(points(120, every=60), now=NOW)
    late = SeriesPoint(name="a", start=START + 300, seconds=60, value=41.0)
    for _ in range(2):
        series.add([late], now=NOW)
    for step in (60, 300, HOUR_S):
        found = series.read("a", since=START, until=START + 2 * HOUR_S, step=step)
        assert sum(one.total for one in found) == 119 + 41
        assert max(one.greatest for one in found) == 41.0


def test_a_share_counts_by_the_rows_that_it_was_of(series: Series) -> None:
    """One of 10 rows missing, then none of 90, is one in a hundred."""
    series.add(
        [
            SeriesPoint(name="a", start=START, seconds=60, value=0.1, weight=10),
            SeriesPoint(name="a", start=START + 60, seconds=60, value=0.0, weight=90),
        ],
        now=NOW,
    )
    (hour,) = series.read("a", since=START, until=NOW, step=HOUR_S)
    assert hour.mean == pytest.approx(0.01)


def test_the_older_the_coarser(made: Maker) -> None:
    """Past their retention the fine samples go, and a look back takes each point once."""
    series = made(levels=FEW)
    series.add(points(600, start=START, every=60), now=START)
    total = sum(one.total for one in series.read("a", since=0, until=NOW, step=10))
    assert series.sweep(START + 10 * HOUR_S) > 0
    found = series.read("a", since=0, until=NOW, step=10)
    assert {one.seconds for one in found} == {10, 300, HOUR_S}
    assert sum(one.total for one in found) == total == 600
    assert sum(one.total for one in series.read("a", since=0, until=NOW, step=HOUR_S)) == total


def test_what_is_settled_is_not_altered(made: Maker) -> None:
    """A point too old for its own step fills an hour that is empty, whole; else it is left out."""
    series = made(levels=FEW)
    now = START + 12 * HOUR_S
    old = points(60, start=START, every=60)
    for _ in range(2):
        series.add(old, now=now)
    (hour,) = series.read("a", since=0, until=now, step=10)
    assert (hour.seconds, hour.total) == (HOUR_S, 60.0)
    series.add([SeriesPoint(name="a", start=START, seconds=60, value=9.0)], now=now)
    assert series.read("a", since=0, until=now, step=10) == (hour,)
    series.add(points(1, start=START - 40 * HOUR_S), now=now)
    assert series.read("a", since=0, until=now, step=10) == (hour,)


def test_a_series_is_bounded(made: Maker) -> None:
    """However long it is fed, it holds no more samples than its levels have room for."""
    series = made(levels=FEW)
    room = sum((one.keep_s + 2 * HOUR_S) // one.step_s for one in FEW)
    for day in range(4):
        at = START + day * DAY_S
        series.add(points(2 * 24 * 60, start=at, every=30), now=at + DAY_S)
        series.sweep(at + DAY_S)
        held = sum(
            len(series.read("a", since=0, until=at + 2 * DAY_S, step=one.step_s)) for one in FEW
        )
        assert held <= 3 * room  # each look also has the coarser samples behind its own
        newest = series.read("a", since=at + DAY_S - 2 * HOUR_S, until=at + DAY_S, step=10)
        assert newest
    assert series.sweep(START + 400 * DAY_S) > 0
    assert series.newest() == {}


def test_there_are_so_many_series(made: Maker) -> None:
    """The points of one too many are left out and counted; those that are known go on."""
    series = made(series_max=2)
    given_points = [one for name in ("a", "b", "c") for one in points(3, name=name)]
    assert series.add(given_points, now=NOW) == 3
    assert series.newest() == {"a": START + 20, "b": START + 20}
    assert series.add(points(5, name="b"), now=NOW) == 0
    assert series.newest("b") == {"b": START + 40}


def test_what_health_is_told_from_is_kept_beside_any_number_of_columns(made: Maker) -> None:
    """A wide model fills the bound, and an endpoint that comes later has its figures still."""
    series = made(series_max=2)
    wide = [
        one for at in range(3) for one in points(1, name=of_endpoint("wide", MISSING, f"c{at}"))
    ]
    assert series.add(wide, now=NOW) == 1
    vital = [
        of_endpoint("new", REQUESTS),
        of_endpoint("new", FAILED_BY, "v1"),
        of_endpoint("new", LOOK, "drift"),
        of_endpoint("new", UNUSUAL, REQUESTS),
        SERIES_LEFT_OUT,
    ]
    assert series.add([one for name in vital for one in points(1, name=name)], now=NOW) == 0
    assert set(vital) < set(series.newest())
    assert series.add(points(1, name=of_endpoint("new", UNUSUAL, MISSING, "c")), now=NOW) == 1


@settings(max_examples=20, deadline=None)
@given(
    batches=st.lists(
        st.lists(
            st.tuples(st.integers(0, 400), st.floats(-1e6, 1e6), st.integers(1, 5)), max_size=20
        ),
        max_size=5,
    )
)
def test_any_order_of_points_comes_to_the_same(
    batches: list[list[tuple[int, float, int]]],
) -> None:
    """The newest word on each time holds, in every step, as if only that had ever been said."""
    holds = {at: (value, weight) for batch in batches for at, value, weight in batch}
    with TemporaryDirectory() as folder:
        database = open_database(f"sqlite:///{Path(folder) / 'state.db'}")
        database.migrate()
        series = SqlSeries(database, levels=LEVELS)
        for batch in batches:
            series.add(
                [
                    SeriesPoint(
                        name="a", start=START + 10 * at, seconds=10, value=value, weight=weight
                    )
                    for at, value, weight in batch
                ],
                now=NOW,
            )
        expected = sum(value * weight for value, weight in holds.values())
        for step in (10, 60, 300, HOUR_S):
            found = series.read("a", since=START, until=START + 2 * HOUR_S, step=step)
            assert sum(one.total for one in found) == pytest.approx(expected, abs=1e-3)
            assert sum(one.weight for one in found) == sum(one for _, one in holds.values())
        database.close()
