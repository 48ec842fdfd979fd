"""Show that outputs are distributed differently, and by how much."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from servewell.core.catalog.evidence import Shift
from servewell.core.operations.chi_square import (
    chi_square_quantile,
    chi_square_sf,
    noncentral_cdf,
    noncentrality_at,
)
from servewell.core.operations.distribution_shift import (
    corrected_psi,
    counts,
    p_shifted,
    psi,
    shifted,
    with_bins,
)


@given(st.floats(0, 500), st.integers(1, 200))
def test_the_tail_of_chi_square_is_that_of_scipy(value: float, freedom: int) -> None:
    """The survival function agrees with an independent one to ten digits."""
    mine = chi_square_sf(value, freedom)
    assert mine == pytest.approx(float(stats.chi2.sf(value, freedom)), rel=1e-9, abs=1e-13)


@given(st.floats(0.001, 0.999), st.integers(1, 60))
def test_the_quantile_is_that_of_scipy(chance: float, freedom: int) -> None:
    """The quantile agrees with an independent one."""
    mine = chi_square_quantile(chance, freedom)
    assert mine == pytest.approx(float(stats.chi2.ppf(chance, freedom)), rel=1e-5, abs=1e-6)


@pytest.mark.parametrize("noncentrality", [0.0, 0.5, 12.0, 300.0, 9_000.0])
def test_the_noncentral_distribution_is_that_of_scipy(noncentrality: float) -> None:
    """Its distribution function agrees, and its bound solves it."""
    for value in (0.9, 1.0, 1.1):
        at = value * (9 + noncentrality)
        assert noncentral_cdf(at, 9, noncentrality) == pytest.approx(
            float(stats.ncx2.cdf(at, 9, noncentrality)), abs=1e-8
        )
    bound = noncentrality_at(9 + noncentrality, 9, 0.01)
    assert noncentral_cdf(9 + noncentrality, 9, bound) == pytest.approx(0.01, abs=1e-5)


@given(st.lists(st.integers(0, 500), min_size=3, max_size=3).filter(any))
def test_the_psi_of_the_same_shares_is_none(row: list[int]) -> None:
    """It is symmetric, never negative, and nothing for the same counts."""
    same, other = tuple(row), (5, 0, 90)
    assert psi(same, same) == 0.0
    assert psi(same, other) == pytest.approx(psi(other, same))
    assert corrected_psi(same, other) >= 0


def test_few_values_have_a_bin_each_and_others_share_one() -> None:
    """Codes of labels are told apart, and one that was never seen is not mistaken."""
    shift = with_bins(Shift(), [0.0, 1.0, 2.0] * 70)
    assert shift.exact
    assert counts(shift, [0.0, 2.0, 2.0, 0.5, 9.0]) == (1, 0, 2, 2)


def test_bins_wait_for_enough_outputs_and_hold_about_a_tenth_each() -> None:
    """The edges are tenths of the first outputs."""
    waiting = with_bins(Shift(), [float(k) for k in range(150)])
    assert not waiting.edges
    shift = with_bins(waiting, [float(k) for k in range(150, 300)])
    assert counts(shift, [float(k) for k in range(300)]) == (30,) * 10


@given(
    st.lists(
        st.tuples(*[st.lists(st.integers(0, 30), min_size=4, max_size=4).map(tuple)] * 2),
        max_size=20,
    )
)
def test_no_count_gives_a_number_that_is_none(
    windows: list[tuple[tuple[int, ...], tuple[int, ...]]],
) -> None:
    """Empty bins and empty windows give finite sums."""
    shift = with_bins(Shift(), [0.0, 1.0, 2.0] * 70)
    for stable, candidate in windows:
        shift = shifted(shift, stable, candidate, alpha=0.05)
    assert all(map(math.isfinite, (shift.growth, shift.peak, shift.size, shift.low)))
    assert shift.high is None or shift.low <= shift.high < math.inf
    assert 0 < p_shifted(shift) <= 1


def _run(rng: np.random.Generator, *, moved: float, drifting: bool) -> Shift:
    """Return the shift after 100 looks at 100 outputs, the share growing, the level drifting."""
    shift = with_bins(Shift(), rng.standard_normal(400).tolist())
    for look in range(100):
        share = (0.05, 0.1, 0.25, 0.5)[look // 25]
        level = look / 50 if drifting else 0.0
        rows = [
            counts(shift, rng.normal(level + add, 1, size).tolist())
            for size, add in ((round(100 * (1 - share)), 0.0), (round(100 * share), moved))
        ]
        shift = shifted(shift, rows[0], rows[1], alpha=0.05)
    return shift


def test_a_drift_of_both_while_the_shares_change_is_no_shift() -> None:
    """Of 60 runs that drift by two deviations while the share grows, at most 7 are mistaken."""
    rng = np.random.default_rng(5)
    wrong = sum(p_shifted(_run(rng, moved=0.0, drifting=True)) <= 0.05 for _ in range(60))
    assert wrong <= 7


def test_a_shift_is_found_and_its_size_is_in_its_interval() -> None:
    """Outputs moved by half a deviation: the PSI of the bins is about 0.24."""
    shift = _run(np.random.default_rng(6), moved=0.5, drifting=False)
    assert p_shifted(shift) < 1e-6
    assert shift.high is not None
    assert shift.low < 0.24 < shift.high
