"""The line through the times of a model."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from servewell.core.performance.latency_curve import CLIP, GROWTH, LatencyCurve

SIZES = st.lists(st.integers(1, 512), min_size=1, max_size=60)
SECONDS = st.floats(1e-6, 10.0)


def learned(fixed_s: float, row_s: float, sizes: list[int]) -> LatencyCurve:
    """Return the curve of a model that takes exactly that long."""
    curve = LatencyCurve()
    for rows in sizes:
        curve = curve.observed(rows, fixed_s + row_s * rows)
    return curve


@given(st.lists(st.integers(1, 512), min_size=20, max_size=60, unique=True))
def test_an_exact_line_is_found(sizes: list[int]) -> None:
    """Where the times lie on a line and the sizes differ, that line is what is learned."""
    curve = learned(50e-6, 3e-6, sizes)
    assert curve.row_s == pytest.approx(3e-6, rel=1e-3)
    assert curve.fixed_s == pytest.approx(50e-6, rel=1e-2)
    assert curve.predicted_s(1_000) == pytest.approx(3.05e-3, rel=1e-2)


@given(st.lists(st.tuples(st.integers(1, 10_000), SECONDS), min_size=1, max_size=80))
def test_no_times_make_a_line_that_cannot_be(calls: list[tuple[int, float]]) -> None:
    """Whatever is seen, a call takes some time, and no row makes it shorter."""
    curve = LatencyCurve()
    for rows, seconds in calls:
        curve = curve.observed(rows, seconds)
        assert curve.row_s >= 0
        assert curve.fixed_s >= -1e-9 * curve.mean_s
        assert curve.predicted_s(1) > 0
        assert curve.predicted_s(2) >= curve.predicted_s(1)


@given(SIZES, st.floats(1e-5, 1.0), st.integers(1, 1_000))
def test_a_batch_fits_its_time_or_is_small(sizes: list[int], within_s: float, most: int) -> None:
    """A batch is one that is expected to fit, and never more than twice what was tried."""
    curve = learned(100e-6, 5e-6, sizes)
    rows = curve.rows_within(within_s, rows_max=most)
    assert 1 <= rows <= max(1, min(most, GROWTH * curve.largest))
    if rows > 1 and curve.row_s > 0 and curve.fixed_s < within_s:
        assert curve.predicted_s(rows) <= within_s * (1 + 1e-9)


def test_a_batch_grows_while_nothing_is_known_of_its_slope() -> None:
    """Calls of one size tell no slope: the next may be twice as large, and then there is one."""
    curve = learned(1e-3, 1e-3, [1] * 10)
    assert curve.row_s == 0
    assert curve.rows_within(1.0, rows_max=100) == 2
    curve = curve.observed(2, 3e-3)
    assert curve.row_s == pytest.approx(1e-3, rel=0.1)


def test_a_slope_outlives_sizes_that_are_all_alike() -> None:
    """A hundred calls of one size forget the level before, not the slope."""
    curve = learned(1e-3, 1e-4, [1, 2, 4, 8, 16, 32])
    for _ in range(100):
        curve = curve.observed(16, 5e-3)
    assert curve.row_s > 0.5e-4
    assert curve.predicted_s(16) == pytest.approx(5e-3, rel=1e-2)


def test_a_model_that_became_slow_is_known_in_a_few_calls() -> None:
    """One pause teaches little; thirty slow calls in a row teach the new time."""
    curve = learned(30e-6, 0.0, [1] * 50)
    assert curve.observed(1, 0.5).predicted_s(1) < CLIP * 30e-6
    for _ in range(40):
        curve = curve.observed(1, 10e-3)
    assert curve.predicted_s(1) > 5e-3


def test_where_a_call_is_too_slow_anyway_a_batch_costs_no_more_than_it_saves() -> None:
    """A model with a fixed cost above its bound is batched until the rows cost as much."""
    curve = learned(0.1, 0.01, [1, 2, 4, 8, 16, 8, 4])
    assert 8 <= curve.rows_within(0.05, rows_max=100) <= 10
