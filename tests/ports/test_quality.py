"""How good answers are, and how sure that is, against other implementations."""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import (
    accuracy_score,
    brier_score_loss,
    log_loss,
    mean_absolute_error,
    mean_squared_error,
    roc_auc_score,
)

from servewell.adapters.embedded.job.study.quality import (
    Answered,
    change,
    is_comparable,
    judge_of,
    largest_difference,
)
from servewell.adapters.embedded.job.study.timing import Times, speedup
from servewell.core.performance.optimisation import Metric
from servewell.ports.optimiser import StudyDataError

ROWS = 400
DRAW = np.random.default_rng(5)
LATENT = DRAW.normal(size=ROWS)
LABELS = pd.Series((LATENT + DRAW.normal(size=ROWS) > 0).astype("int64"))


def answered(noise: float, *, seed: int = 1) -> Answered:
    """Return probabilities of two classes: worse with more noise, rounded so that some are tied."""
    scores = LATENT + noise * np.random.default_rng(seed).normal(size=ROWS)
    high = np.clip(np.round(1 / (1 + np.exp(-scores)), 2), 0.005, 0.995)
    return Answered(numbers=np.stack([1 - high, high], axis=1), labels=None)


def numbers(noise: float) -> Answered:
    """Return predictions of a number."""
    said = LATENT + noise * np.random.default_rng(int(noise * 10)).normal(size=ROWS)
    return Answered(numbers=said.reshape(-1, 1), labels=None)


@pytest.mark.parametrize(
    ("metric", "other"),
    [
        (Metric.AUC, lambda p: roc_auc_score(LABELS, p[:, 1])),
        (Metric.BRIER, lambda p: brier_score_loss(LABELS, p[:, 1])),
        (Metric.LOG_LOSS, lambda p: log_loss(LABELS, np.clip(p, 0.005, 0.995))),
        (Metric.ACCURACY, lambda p: accuracy_score(LABELS, p.argmax(axis=1))),
    ],
)
def test_metrics_of_classes_are_those_of_scikit_learn(metric: Metric, other: object) -> None:
    """The same answers get the same marks, ties among them; the loss is the difference."""
    judge = judge_of(metric, labels=LABELS, classes=("0", "1"), seed=0)
    good, bad = answered(0.2), answered(2.0)
    marks = [other(one.numbers) for one in (good, bad)]  # type: ignore[operator]  # from the table
    assert judge.quality(good) == pytest.approx(marks[0], rel=1e-3)
    lost = judge.loss(good, bad)
    assert lost.value == pytest.approx(abs(marks[0] - marks[1]), rel=1e-2)
    assert 0 < lost.low < lost.value < lost.high


@pytest.mark.parametrize(
    ("metric", "other"),
    [
        (Metric.RMSE, lambda y, p: mean_squared_error(y, p) ** 0.5),
        (Metric.MAE, mean_absolute_error),
    ],
)
def test_metrics_of_numbers_are_those_of_scikit_learn(metric: Metric, other: object) -> None:
    """The loss of a regressor is a share of the original's error."""
    judge = judge_of(metric, labels=pd.Series(LATENT), classes=None, seed=0)
    marks = [other(LATENT, numbers(noise).numbers[:, 0]) for noise in (0.5, 1.0)]  # type: ignore[operator, index]  # from the table
    assert judge.quality(numbers(0.5)) == pytest.approx(marks[0])
    lost = judge.loss(numbers(0.5), numbers(1.0))
    assert lost.value == pytest.approx(marks[1] / marks[0] - 1)
    assert lost.low < lost.value < lost.high


def test_the_interval_of_an_auc_is_that_of_the_bootstrap() -> None:
    """DeLong's interval of a difference is as wide as one drawn from the rows again and again."""
    judge = judge_of(Metric.AUC, labels=LABELS, classes=("0", "1"), seed=0)
    good, bad = answered(0.3), answered(1.0)
    assert good.numbers is not None
    assert bad.numbers is not None
    draw, drawn = np.random.default_rng(0), []
    for _ in range(300):
        rows = draw.integers(0, ROWS, ROWS)
        of = [roc_auc_score(LABELS[rows], one.numbers[rows, 1]) for one in (good, bad)]  # type: ignore[index]  # checked above
        drawn.append(of[0] - of[1])
    found = judge.loss(good, bad)
    low, high = np.quantile(drawn, [0.025, 0.975])
    assert found.high - found.low == pytest.approx(high - low, rel=0.2)
    assert found.value == pytest.approx(float(np.mean(drawn)), abs=0.005)


@pytest.mark.parametrize("metric", [Metric.AUC, Metric.BRIER, Metric.DIFFERENCE, Metric.ACCURACY])
def test_the_same_answers_lose_nothing(metric: Metric) -> None:
    """Of equal answers the loss is 0, and so is its interval."""
    lost = judge_of(metric, labels=LABELS, classes=("0", "1"), seed=0).loss(
        answered(0.5), answered(0.5)
    )
    assert (lost.value, lost.low, lost.high) == (0, 0, 0)


def test_the_same_seed_gives_the_same_interval() -> None:
    """What is drawn depends on the seed alone, which is recorded."""
    losses = [
        judge_of(Metric.LOG_LOSS, labels=LABELS, classes=("0", "1"), seed=seed).loss(
            answered(0.1), answered(0.4)
        )
        for seed in (1, 1, 2)
    ]
    assert losses[0] == losses[1] != losses[2]


def test_labels_alone_are_compared_as_texts() -> None:
    """A model without numbers is judged by how many of its labels are right."""
    truth = pd.Series(["a", "b", "a", "b"])
    right = Answered(numbers=None, labels=np.array(["a", "b", "a", "b"]))
    wrong = Answered(numbers=None, labels=np.array(["a", "b", "a", "a"]))
    judge = judge_of(Metric.ACCURACY, labels=truth, classes=None, seed=0)
    assert (judge.quality(right), judge.quality(wrong)) == (1.0, 0.75)
    assert judge.loss(right, wrong).value == 0.25
    assert (largest_difference(right, right), largest_difference(right, wrong)) == (0.0, 1.0)
    assert (change(right, right), change(right, wrong)) == (0.0, 0.25)


def test_what_is_no_number_has_to_be_none_in_both() -> None:
    """A row without a number may stay one; a number may not become none, nor the reverse."""
    plain, holed, endless = (
        Answered(numbers=np.array([[one], [2.0]]), labels=None) for one in (1.0, np.nan, np.inf)
    )
    assert is_comparable(holed, holed)
    assert change(holed, holed) == 0.0
    assert not is_comparable(plain, holed)
    assert not is_comparable(holed, endless)


@pytest.mark.parametrize(
    ("metric", "labels", "classes", "words"),
    [
        (Metric.AUC, ["x", "y"], ("0", "1"), "`x` is none of the model's classes"),
        (Metric.AUC, [1, 1], ("0", "1"), "the same label"),
        (Metric.RMSE, ["x", "y"], None, "no number"),
    ],
)
def test_labels_that_are_not_what_was_learned_are_refused(
    metric: Metric, labels: list[object], classes: tuple[str, ...] | None, words: str
) -> None:
    """A label that the model cannot answer is told, not counted as a mistake."""
    with pytest.raises(StudyDataError, match=words):
        judge_of(metric, labels=pd.Series(labels), classes=classes, seed=0)  # type: ignore[arg-type]  # as a table may hold them


def test_a_machine_that_gets_slower_does_not_change_a_ratio() -> None:
    """Rounds are compared one by one, so that what slows all models cancels."""
    drift = [1.0, 1.1, 1.5, 2.0, 3.0, 5.0, 8.0]
    original, variant = Times(), Times()
    for slow in drift:
        original.typical[1].append(200 * slow)
        variant.typical[1].append(100 * slow)
    found = speedup(original, variant, 1)
    assert (found.low, found.value, found.high) == (2.0, 2.0, 2.0)


@pytest.mark.parametrize(("rounds", "outside"), [(6, 0), (9, 1), (15, 3), (30, 9)])
def test_the_interval_of_a_median_leaves_out_as_many_as_the_tables_say(
    rounds: int, outside: int
) -> None:
    """Of 6 rounds all are within, of 15 the fourth to the twelfth, as the sign test says."""
    original, variant = Times(), Times()
    original.typical[1].extend(range(1, rounds + 1))
    variant.typical[1].extend([1.0] * rounds)
    found = speedup(original, variant, 1)
    assert (found.low, found.high) == (1 + outside, rounds - outside)
