"""The chi-square distribution, against SciPy's."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chi2

from servewell.core.operations.chi_square import chi_square_sf

numbers = st.floats(0, 5_000, allow_nan=False)


@given(statistic=numbers, degrees=st.integers(1, 400))
def test_the_chance_is_scipys(statistic: float, degrees: int) -> None:
    """For any statistic and degrees of freedom the chance is what SciPy computes."""
    expected = float(chi2.sf(statistic, degrees))
    assert chi_square_sf(statistic, degrees) == pytest.approx(expected, rel=1e-9, abs=1e-14)


def test_nothing_differs_without_a_statistic() -> None:
    """A statistic of zero never speaks of a difference."""
    assert chi_square_sf(0.0, 5) == 1.0
