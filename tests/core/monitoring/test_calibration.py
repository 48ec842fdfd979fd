"""A score is put right where that helps, and what is wrong with it is measured."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.isotonic import IsotonicRegression

from servewell.core.operations.monitoring.calibration import (
    calibration,
    calibration_error,
    grouped,
    isotonic,
)


def drawn(seed: int, rows: int, *, power: float = 1.0) -> list[tuple[float, bool]]:
    """Return scores whose true chance is the score to some power."""
    source = np.random.default_rng(seed)
    scores = source.random(rows).tolist()
    return [(score, bool(source.random() < score**power)) for score in scores]


@settings(max_examples=40, deadline=None)
@given(
    rows=st.lists(
        st.tuples(st.integers(0, 40).map(lambda x: x / 40), st.booleans()), min_size=1, max_size=80
    )
)
def test_isotonic_regression_is_that_of_scikit_learn(rows: list[tuple[float, bool]]) -> None:
    """Pooling neighbours gives the same steps as an independent implementation."""
    curve = isotonic(grouped(sorted(rows)))
    scores = np.array([score for score, _ in rows])
    theirs = IsotonicRegression(out_of_bounds="clip").fit(scores, [float(hit) for _, hit in rows])
    asked = np.linspace(-0.1, 1.1, 50)
    assert np.allclose([curve.chance(one) for one in asked], theirs.predict(asked), atol=1e-9)


def test_a_score_that_is_right_is_left_alone_or_hardly_changed() -> None:
    """The error of an honest score is small, and no chance finding moves it far."""
    found = calibration(drawn(1, 4_000))
    assert found.error_raw is not None
    assert found.error_raw < 0.05
    if found.curve is not None:
        assert all(abs(found.curve.chance(one / 10) - one / 10) < 0.1 for one in range(1, 10))


def test_a_score_that_boasts_is_put_right() -> None:
    """A score that is its own square root comes out as the chance that it stands for."""
    found = calibration(drawn(2, 4_000, power=2.0))
    assert found.curve is not None
    assert found.error_raw is not None
    assert found.error_calibrated is not None
    assert found.error_calibrated < found.error_raw / 2
    assert abs(found.curve.chance(0.5) - 0.25) < 0.06


def test_too_few_rows_say_nothing() -> None:
    """Forty rows are not enough to put a score right by."""
    assert calibration(drawn(3, 40)).curve is None
    assert calibration(drawn(3, 40)).error_raw is None


def test_the_error_of_an_honest_score_is_within_chance() -> None:
    """In most samples the low end of the interval is nought where the score is right."""
    honest = [calibration_error(drawn(seed, 500)).low for seed in range(40)]
    assert sum(low > 0 for low in honest) <= 2
    assert calibration_error(drawn(9, 500, power=3.0)).low > 0.1
