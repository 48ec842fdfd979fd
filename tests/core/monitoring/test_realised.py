"""Figures by labels are those of independent implementations, with intervals that hold."""

import math

import numpy as np
import pytest
from sklearn import metrics

from servewell.core.catalog.label import LossSum, Truth
from servewell.core.catalog.quality_reference import Task
from servewell.core.operations.monitoring.cbpe import (
    ACCURACY,
    BRIER,
    F1,
    PRECISION,
    RECALL,
    ROC_AUC,
)
from servewell.core.operations.monitoring.realised import (
    ABSOLUTE,
    Judged,
    area,
    calibration_of,
    judged,
    mean_of,
    realised,
    realised_sum,
    task_of,
)


def two_classes(rows: int, seed: int = 1) -> list[Judged]:
    """Return predictions of two classes beside their truth."""
    drawn = np.random.default_rng(seed)
    found = []
    for score in drawn.beta(1.5, 2.5, rows).round(2).tolist():
        outputs = {"label": int(score >= 0.4), "probabilities": [1 - score, score]}
        one = judged(outputs, bool(drawn.random() < score))
        assert one is not None
        found.append(one)
    return found


def test_figures_are_those_of_scikit_learn() -> None:
    """All six figures of two classes agree, also where scores are tied."""
    rows = two_classes(500)
    found = realised(rows, Task.TWO_CLASSES)
    truth, named = [one.hit for one in rows], [one.positive for one in rows]
    scores = [one.score for one in rows]
    told = {
        ACCURACY: metrics.accuracy_score(truth, named),
        PRECISION: metrics.precision_score(truth, named),
        RECALL: metrics.recall_score(truth, named),
        F1: metrics.f1_score(truth, named),
        ROC_AUC: metrics.roc_auc_score(truth, scores),
        BRIER: metrics.brier_score_loss(truth, scores),
    }
    for name, value in told.items():
        assert math.isclose(found[name].value, value, abs_tol=1e-12), name
        assert found[name].low < value < found[name].high


def test_the_interval_of_the_area_holds_the_truth() -> None:
    """In about 19 of 20 samples the true area lies within DeLong's interval."""
    whole = area([(one.score or 0.0, one.hit) for one in two_classes(10_000, seed=5)])
    assert whole is not None
    within = 0
    for seed in range(60):
        found = area([(one.score or 0.0, one.hit) for one in two_classes(150, seed=seed)])
        assert found is not None
        within += found.low <= whole.value <= found.high
    assert within >= 51
    assert area([(0.5, True), (0.2, False), (0.3, False)]) is None


@pytest.mark.parametrize(
    ("outputs", "truth", "task", "hit", "positive"),
    [
        ({"label": 1, "probabilities": [0.6, 0.4]}, "yes", Task.TWO_CLASSES, True, True),
        ({"probability": 0.4}, 1, Task.TWO_CLASSES, True, False),
        ({"label": "no", "score": 0.7}, False, Task.TWO_CLASSES, False, False),
        ({"label": "cat", "probabilities": [0.1, 0.2, 0.7]}, "cat", Task.CLASSES, True, True),
        ({"label": "cat"}, "dog", Task.CLASSES, False, True),
        ({"price": 3.5}, 4.0, Task.NUMBER, False, True),
    ],
)
def test_a_prediction_is_judged_by_what_it_says(
    outputs: dict[str, object],
    truth: Truth,
    task: Task,
    hit: bool,  # noqa: FBT001 - a parameter of the test
    positive: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    """Two classes by a probability, several by the class, a number by its distance."""
    one = judged(outputs, truth)
    assert one is not None
    assert (one.task, one.hit, one.positive) == (task, hit, positive)


def test_an_error_that_nothing_measures_is_no_proof() -> None:
    """A slip of a label, 1e200, counts nowhere, and a sum that it spoilt proves nothing."""
    assert judged({"price": 3.5}, 1e200) is None
    rows = [Judged(task=Task.NUMBER, loss=one) for one in (1.0, 3.0, 1e200)]
    assert realised(rows, Task.NUMBER) == realised(rows[:2], Task.NUMBER)
    spoilt = LossSum(measure="absolute error", rows=2, total=1e200, squares=math.inf)
    assert realised_sum(spoilt)[ABSOLUTE].low == 0
    assert realised_sum(spoilt)[ABSOLUTE].high == math.inf


def test_sums_of_large_losses_that_hardly_differ_keep_an_interval() -> None:
    """What rounding leaves of a sum of squares is not taken for certainty."""
    losses = [1e9 + one / 1_000 for one in range(3)]
    squares = sum(one * one for one in losses)
    sums = LossSum(measure="absolute error", rows=3, total=sum(losses), squares=squares)
    found = realised_sum(sums)[ABSOLUTE]
    assert found.low < found.value - 100 < found.high


def test_what_cannot_be_compared_is_judged_not_at_all() -> None:
    """A text beside a number alone says nothing, and no labels have no task."""
    assert judged({"price": 3.5}, "expensive") is None
    assert task_of([]) is None
    assert realised([], Task.NUMBER) == {}


def test_errors_of_numbers_have_a_mean_and_its_interval() -> None:
    """The mean absolute error lies between the ends, and one label alone has no interval."""
    told = [judged({"price": float(price)}, 10.0) for price in (8, 11, 14)]
    found = realised([one for one in told if one], Task.NUMBER)[ABSOLUTE]
    assert math.isclose(found.value, 7 / 3)
    assert 0 <= found.low < found.value < found.high
    assert mean_of([2.0]).high == math.inf


def test_the_calibration_error_is_of_scores_alone() -> None:
    """Predictions without a score have none."""
    rows = two_classes(400)
    found = calibration_of(rows)
    assert found is not None
    assert found.low <= 0.02
    assert calibration_of([Judged(task=Task.NUMBER, loss=1.0)]) is None
