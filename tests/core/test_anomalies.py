"""What is unusual in a figure over time."""

import math
from typing import Final

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from servewell.core.catalog.profile import TrafficWindow
from servewell.core.catalog.series import Sample
from servewell.core.operations.monitoring.anomalies import (
    DAY,
    WEEK,
    Floor,
    Spread,
    is_anomaly,
    judged,
    season_of,
    slow_change,
)
from servewell.core.operations.monitoring.traffic_points import changed

LEVEL: Final = 1_000.0
SPIKE: Final = 0.15 * LEVEL


def half_hours(weeks: int, seed: int, *, weekend: float = 0.8) -> list[float]:
    """Return half-hourly figures with a day, a week, a wandering level and noise."""
    rng = np.random.default_rng(seed)
    found, wander = [], 0.0
    for at in range(weeks * WEEK):
        hour = 2 * math.pi * (at % DAY) / DAY
        shape = 1 + 0.35 * math.sin(hour - 1.8) + 0.1 * math.sin(2 * hour)
        shape *= weekend if at // DAY % 7 >= 5 else 1.0
        wander = 0.9 * wander + rng.normal(0, 0.02 * math.sqrt(1 - 0.9**2))
        found.append(float(LEVEL * (shape * (1 + wander) + rng.normal(0, 0.01))))
    return found


def test_a_window_is_compared_with_the_figure_of_its_own_length() -> None:
    """An hour is, beside its first minutes; a settled minute is left; others are new."""

    def window(start: int, seconds: int, requests: int) -> TrafficWindow:
        return TrafficWindow(
            endpoint="f", deployment="v", start=start, seconds=seconds, requests=requests
        )

    def sample(start: int, seconds: int, total: float) -> Sample:
        return Sample(
            start=start, seconds=seconds, weight=1, total=total, least=total, greatest=total
        )

    minutes, hours = [sample(0, 300, 5), sample(7_200, 60, 1)], [sample(0, 3_600, 60)]

    def news(*windows: TrafficWindow) -> list[TrafficWindow]:
        found = changed(windows, minutes=minutes, hours=hours)
        return [one for at_once in found for one in at_once]

    assert news(window(0, 3_600, 40), window(0, 3_600, 20), window(7_200, 60, 1)) == []
    assert news(window(0, 60, 3), window(240, 60, 2)) == []  # settled: nothing finer is kept
    late, fresh = window(7_200, 60, 2), window(10_800, 60, 1)
    assert news(fresh, late, window(0, 3_600, 61)) == [window(0, 3_600, 61), late, fresh]


def test_spikes_are_found_without_false_points() -> None:
    """Of spikes of 15 % at least nine in ten, at no more than one false point a day."""
    found = spikes = false = days = 0
    for seed in range(3):
        clean = half_hours(8, seed)
        false += sum(one.unusual for one in judged(clean)[4 * WEEK :])
        days += 4 * 7
        rng = np.random.default_rng(seed)
        planted = [4 * WEEK + 70 * at + int(rng.integers(50)) for at in range(18)]
        values = list(clean)
        for at in planted:
            values[at] += float(rng.choice((-SPIKE, SPIKE)))
        points = judged(values)
        found += sum(points[at].unusual for at in planted)
        spikes += len(planted)
    assert found / spikes >= 0.9
    assert false / days <= 1.0


def test_three_of_five_points_make_an_anomaly() -> None:
    """A plateau of three hours is one while it lasts; a single spike is none."""
    values: list[float | None] = [*half_hours(5, 1)]
    start = 4 * WEEK + 20
    for at in range(start, start + 6):
        values[at] = (values[at] or 0.0) + SPIKE
    points = judged(values)
    assert any(is_anomaly(points[: at + 1]) for at in range(start + 2, start + 6))
    assert not is_anomaly(points[:start])
    assert not is_anomaly(points[: start + 2 * DAY])


def test_an_outage_is_not_expected_again() -> None:
    """Six hours of nothing are unusual; the day after expects what there always was."""
    values = half_hours(5, 2)
    usual = list(values)
    start = 4 * WEEK + 10
    values[start : start + 12] = [0.0] * 12
    points = judged(values)
    assert all(one.unusual for one in points[start : start + 12])
    again = points[start + DAY : start + DAY + 12]
    for at, one in enumerate(again):
        assert one.expected == pytest.approx(usual[start + DAY + at], rel=0.15)
    assert not any(one.unusual for one in again)


def test_a_new_level_is_normal_after_a_while() -> None:
    """What stays twice as high is unusual at first, and no more within two days."""
    values = half_hours(6, 3)
    values[4 * WEEK :] = [2 * one for one in values[4 * WEEK :]]
    points = judged(values)
    assert is_anomaly(points[: 4 * WEEK + 3])
    assert not any(is_anomaly(points[:at]) for at in range(4 * WEEK + 2 * DAY, 4 * WEEK + 3 * DAY))


@pytest.mark.parametrize(("usual", "burst", "found"), [(0.0, 12.0, True), (0.0, 2.0, False)])
def test_what_was_always_nothing_can_be_unusual(usual: float, burst: float, *, found: bool) -> None:
    """A dozen failures in half an hour where there were none are; two may be chance."""
    values = [usual] * (4 * DAY) + [burst] * 3
    assert is_anomaly(judged(values, counts=True)) is found
    shares = [0.0] * (4 * DAY) + [0.3] * 3
    assert is_anomaly(judged(shares, least=0.005))
    assert not is_anomaly(judged(shares))


def test_nothing_is_said_without_history() -> None:
    """No point is judged before three days and 30 values; the season is a day, then a week."""
    points = judged([*half_hours(1, 4)])
    assert all(one.expected is None for one in points[: 3 * DAY])
    assert any(one.expected is not None for one in points[3 * DAY :])
    sparse = [one if at % 6 == 0 else None for at, one in enumerate(half_hours(1, 4))]
    assert all(one.expected is None for one in judged(sparse)[: 29 * 6])
    assert [season_of(at) for at in (0, 3 * DAY, 3 * WEEK - 1, 3 * WEEK)] == [0, DAY, DAY, WEEK]


@settings(max_examples=30, deadline=None)
@given(values=st.lists(st.one_of(st.none(), st.floats(-1e9, 1e9), st.just(0.0)), max_size=5 * DAY))
def test_any_figures_can_be_judged(values: list[float | None]) -> None:
    """Gaps, zeros and wild numbers: each point is judged by those before it alone."""
    points = judged(values)
    assert [one.value for one in points] == values
    assert judged(values[: len(values) // 2]) == points[: len(values) // 2]
    slow_change(values)


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=40))
def test_the_spread_is_the_median_of_the_last(distances: list[float]) -> None:
    """After any number of distances it is the upper median of the last seven."""
    spread = Spread(7, Floor(counts=False, least=0.0))
    for one in distances:
        spread.add(one)
    last = sorted(distances[-7:])
    assert spread.median == last[len(last) // 2]


def days(seed: int, change: float) -> list[float]:
    """Return five weeks whose days go up or down by `change` in all, from the third week on."""
    rng = np.random.default_rng(seed)
    usual = [
        LEVEL * (0.8 if day % 7 > 4 else 1.0) * (1 + float(rng.normal(0, 0.03)))
        for day in range(35)
    ]
    return [one * (1 + change * max(0, day - 17) / 17) for day, one in enumerate(usual)]


@pytest.mark.parametrize(("change", "least", "most"), [(0.0, 0, 3), (-0.25, 94, 100)])
def test_slow_change_is_found(change: float, least: int, most: int) -> None:
    """A quarter less over two weeks is found nearly always, and what stays is not."""
    months = (days(seed, change) for seed in range(100))
    found = [slow_change([one for one in month for _ in range(DAY)]) for month in months]
    assert least <= sum(one is not None for one in found) <= most
    assert all(one.now < one.before for one in found if one and change)
