"""What the gates compute of answers, against other implementations and against chance."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.calibration import calibration_curve
from sklearn.metrics import roc_auc_score

from ports.judged_models import HELD_OUT, judging
from ports.judged_models import ROWS as ALL_ROWS
from ports.judged_models import rows as all_rows
from servewell.adapters.embedded.job.gates.calibration import bins_of, errors_of, places_of
from servewell.adapters.embedded.job.gates.groups import groups_of
from servewell.adapters.embedded.job.gates.rows import judged_rows
from servewell.adapters.embedded.job.gates.scoring import (
    MeanScores,
    RankScores,
    Scoring,
    interval_of,
)
from servewell.adapters.embedded.job.gates.slices import _apart, _Shares
from servewell.core.performance.optimisation import Metric

ROWS = 500
DRAW = np.random.default_rng(7)
POSITIVE = DRAW.random(ROWS) < 0.3
NUMBERS = np.round(POSITIVE + DRAW.normal(size=ROWS), 1)  # rounded, so that some are tied
EVERY = np.arange(ROWS)


def ranked(noise: float, seed: int) -> RankScores:
    """Return scores that rank the rows worse with more noise."""
    draw = np.random.default_rng(seed)
    return RankScores(numbers=POSITIVE + noise * draw.normal(size=ROWS), positive=POSITIVE)


def test_a_weighted_area_is_that_of_scikit_learn() -> None:
    """For any weights, none among them, and with ties."""
    weights = np.random.default_rng(1).poisson(1.0, (5, ROWS)).astype("float64")
    found = RankScores(numbers=NUMBERS, positive=POSITIVE).metric(EVERY, weights)
    wanted = [roc_auc_score(POSITIVE, NUMBERS, sample_weight=one) for one in weights]
    assert found == pytest.approx(wanted)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3), st.booleans()), min_size=1, max_size=12))
def test_an_area_is_the_share_of_pairs_in_order(rows: list[tuple[int, bool]]) -> None:
    """By its definition, pair by pair; without a pair there is none."""
    numbers = np.array([one for one, _ in rows], dtype="float64")
    positive = np.array([other for _, other in rows])
    scores = RankScores(numbers=numbers, positive=positive)
    found = scores.metric(np.arange(len(rows)), np.ones((1, len(rows))))[0]
    pairs = [(a > b) + (a == b) / 2 for a in numbers[positive] for b in numbers[~positive]]
    assert np.isnan(found) if not pairs else found == pytest.approx(np.mean(pairs))


def test_a_version_loses_nothing_against_itself() -> None:
    """The same draws judge both, so that not even chance is between them."""
    scores = ranked(1.0, seed=3)
    found = Scoring(metric=Metric.AUC, seed=0).contrast(scores, scores, EVERY)
    assert found is not None
    assert found.loss is not None
    assert (found.loss.low, found.loss.value, found.loss.high) == (0.0, 0.0, 0.0)
    assert found.candidate.low < found.candidate.value < found.candidate.high


@pytest.mark.parametrize(
    ("metric", "root", "value", "loss"),
    [(Metric.BRIER, False, 2.0, 1.0), (Metric.RMSE, True, 2.0**0.5, 2.0**0.5 - 1)],
)
def test_a_loss_is_in_the_unit_of_the_metric(
    metric: Metric,
    root: bool,  # noqa: FBT001 - from the table
    value: float,
    loss: float,
) -> None:
    """For errors of numbers it is a share of the champion's."""
    own = MeanScores(of_rows=np.full(ROWS, 2.0), root=root)
    other = MeanScores(of_rows=np.ones(ROWS), root=root)
    found = Scoring(metric=metric, seed=0).contrast(own, other, EVERY)
    assert found is not None
    assert found.loss is not None
    assert (found.candidate.value, found.loss.value) == pytest.approx((value, loss))


def test_intervals_hold_about_as_often_as_they_say() -> None:
    """Of a mean that is known; those that hold for several groups at once are wider."""
    hits = 0
    for seed in range(200):
        values = np.random.default_rng(seed).exponential(1.0, 200)
        scores = MeanScores(of_rows=values)
        found = Scoring(metric=Metric.BRIER, seed=seed).contrast(scores, None, np.arange(200))
        assert found is not None
        hits += found.candidate.low <= 1.0 <= found.candidate.high
    assert 0.89 <= hits / 200 <= 0.99
    one, many = (
        Scoring(metric=Metric.BRIER, seed=0).contrast(scores, None, np.arange(200), tests=tests)
        for tests in (1, 20)
    )
    assert one is not None
    assert many is not None
    assert many.candidate.high - many.candidate.low > one.candidate.high - one.candidate.low


def test_bins_are_those_of_scikit_learn() -> None:
    """Equally many rows in each; the error is their distance from the diagonal."""
    said = np.random.default_rng(2).random(1_000)
    happened = (np.random.default_rng(3).random(1_000) < said**2).astype("float64")
    shares, means = calibration_curve(happened, said, n_bins=10, strategy="quantile")
    bins = bins_of(said, happened)
    assert [one.predicted for one in bins] == pytest.approx(means.tolist(), abs=0.01)
    assert [one.happened for one in bins] == pytest.approx(shares.tolist(), abs=0.02)
    error = errors_of(said, happened, places_of(said), np.ones((1, 1_000)))[0]
    by_bins = sum(one.rows * abs(one.predicted - one.happened) for one in bins) / 1_000
    assert error == pytest.approx(by_bins)


def test_rows_fall_into_groups_that_can_be_read() -> None:
    """Texts by themselves, numbers with many values by quarters, gaps by their own name."""
    frame = pd.DataFrame(
        {
            "text": ["a", "", "a", "b"] * 25,
            "few": [1.0, 2.5, np.nan, 1.0] * 25,
            "many": np.arange(100.0),
        }
    )
    sizes = {
        column: {name: len(rows) for name, rows in groups_of(frame, column)} for column in frame
    }
    assert sizes["text"] == {"a": 50, "missing": 25, "b": 25}
    assert sizes["few"] == {"1": 50, "2.5": 25, "missing": 25}
    assert len(sizes["many"]) == 4
    assert set(sizes["many"].values()) == {25}


def test_what_was_not_drawn_has_no_width() -> None:
    """An interval of one value is that value."""
    found = interval_of(np.array([0.5]))
    assert (found.low, found.value, found.high) == (0.5, 0.5, 0.5)


def test_a_rare_class_bounds_what_an_area_knows() -> None:
    """Of a thousand rows with five positive ones, ten tell."""
    positive = np.arange(1_000) < 5
    scores = RankScores(numbers=np.arange(1_000.0), positive=positive)
    found = Scoring(metric=Metric.AUC, seed=0).contrast(scores, None, np.arange(1_000))
    assert found is None or found.counted == 10
    assert scores.rarer(np.arange(1_000)) == 5


@pytest.mark.parametrize("tests", [1, 20])
def test_a_share_that_is_whole_is_not_certain(tests: int) -> None:
    """All of a hundred rows are right, and some of those to come may be wrong."""
    scores = MeanScores(of_rows=np.ones(100))
    found = Scoring(metric=Metric.ACCURACY, seed=0).contrast(
        scores, None, np.arange(100), tests=tests
    )
    assert found is not None
    assert (found.candidate.value, found.candidate.high) == (1.0, 1.0)
    assert found.candidate.low == pytest.approx(0.963 if tests == 1 else 0.917, abs=2e-3)
    assert found.counted == 100


def test_a_group_in_which_none_counts_is_not_taken_for_certain() -> None:
    """Two groups of a hundred without a single hit may well be apart by a few in a hundred."""
    shares = _Shares(counted=np.zeros(200), of=np.ones(200))
    found = interval_of(_apart(shares, np.arange(100), np.arange(100, 200), 0))
    assert found.value == 0.0
    assert 0.01 < found.high < 0.06


@pytest.mark.filterwarnings("ignore")  # of the libraries, about each other
def test_rows_are_made_up_where_none_that_is_held_out_has_a_label(tmp_path: Path) -> None:
    """The reason is told, and quality cannot be."""
    frame = all_rows()
    frame["late"] = frame["late"].astype("float64")
    frame.loc[frame.index >= ALL_ROWS - HELD_OUT, "late"] = float("nan")
    frame.to_parquet(tmp_path / "rows.parquet")
    found = judged_rows(judging("good", data=tmp_path / "rows.parquet"))
    assert found.made_up == "no held-out row has a label in the column `late`"
    assert found.labels is None
