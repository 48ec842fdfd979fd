"""How good a model's answers are, and how much worse a variant's: with an interval.

Both models answer the same rows, so what is estimated is the difference row by row.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from statistics import NormalDist
from typing import Final, Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from servewell.core.performance.optimisation import SCALES, Estimate, Metric
from servewell.ports.optimiser import StudyDataError

CONFIDENCE: Final = 0.95
DRAWS: Final = 1_000  # of the bootstrap
LEAST_PROBABILITY: Final = float(np.finfo("float32").eps)  # answers have 32 bits

Numbers = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """What a model answered to the held-out rows."""

    numbers: Numbers | None  # (rows, k): probabilities of k classes, or k predictions
    labels: NDArray[np.str_] | None  # (rows,), where the model gives labels alone


class Judge(Protocol):
    """Knows the truth, and judges by one metric."""

    def quality(self, answered: Answered) -> float:
        """Return the metric."""
        ...

    def loss(self, original: Answered, variant: Answered) -> Estimate:
        """Return how much worse the variant is: above 0 for worse."""
        ...


def judge_of(
    metric: Metric,
    *,
    labels: "pd.Series[float] | None",
    classes: tuple[str, ...] | None,
    seed: int,
) -> Judge:
    """Return the judge for a metric.

    Raises: StudyDataError where a label is none of the classes, or no number.
    """
    if metric is Metric.DIFFERENCE or labels is None:
        return DifferenceJudge()
    if metric is Metric.AUC:
        return AucJudge(_second_class(labels, classes))
    return RowsJudge(metric, _truth(metric, labels, classes), seed=seed)


def largest_difference(original: Answered, variant: Answered) -> float:
    """Return the largest difference of any number; of labels alone 1 where any differs.

    What is no number, and the same in both, differs by nothing.
    """
    if original.numbers is None or variant.numbers is None:
        return float(np.any(original.labels != variant.labels))
    both = np.isfinite(original.numbers) & np.isfinite(variant.numbers)
    apart = np.abs(original.numbers[both] - variant.numbers[both])
    return float(apart.max(initial=0.0))


def change(original: Answered, variant: Answered) -> float:
    """Return the largest difference of any number; of labels the share that is another."""
    if original.labels is None:
        return largest_difference(original, variant)
    return float(np.mean(original.labels != variant.labels))


def is_comparable(original: Answered, variant: Answered) -> bool:
    """Whether a variant answers as many values, and numbers wherever the original does."""
    if original.numbers is None or variant.numbers is None:
        return original.labels is not None and variant.labels is not None
    strange, other = (
        np.where(np.isfinite(one), 0.0, one) for one in (original.numbers, variant.numbers)
    )
    return bool(np.array_equal(strange, other, equal_nan=True))


class DifferenceJudge:
    """Judges by the largest difference of an output: no truth is needed, and nothing is drawn."""

    def quality(self, answered: Answered) -> float:
        """See `Judge.quality`: of the original it is 0 by definition."""
        del answered
        return 0.0

    def loss(self, original: Answered, variant: Answered) -> Estimate:
        """See `Judge.loss`."""
        largest = largest_difference(original, variant)
        return Estimate(value=largest, low=largest, high=largest)


class AucJudge:
    """Judges by the area under the ROC curve.

    Source: E. R. DeLong, D. M. DeLong, D. L. Clarke-Pearson, "Comparing the areas under two or
    more correlated receiver operating characteristic curves", Biometrics 44 (1988), computed by
    midranks as in X. Sun and W. Xu, IEEE Signal Processing Letters 21 (2014).
    """

    def __init__(self, positive: NDArray[np.bool_]) -> None:
        self.positive = positive

    def quality(self, answered: Answered) -> float:
        """See `Judge.quality`."""
        return self._components(answered)[0]

    def loss(self, original: Answered, variant: Answered) -> Estimate:
        """See `Judge.loss`."""
        area, of_positives, of_negatives = self._components(original)
        other, other_positives, other_negatives = self._components(variant)
        variance = sum(
            float(np.var(own - others, ddof=1)) / len(own)
            for own, others in (
                (of_positives, other_positives),
                (of_negatives, other_negatives),
            )
            if len(own) > 1
        )
        margin = NormalDist().inv_cdf((1 + CONFIDENCE) / 2) * variance**0.5
        lost = area - other
        return Estimate(value=lost, low=lost - margin, high=lost + margin)

    def _components(self, answered: Answered) -> tuple[float, Numbers, Numbers]:
        """Return the area, and what each positive and each negative row contributes to it."""
        scores = _numbers(answered)[:, -1]
        above, below = scores[self.positive], scores[~self.positive]
        everywhere = _midranks(np.concatenate([above, below]))
        own, others = everywhere[: len(above)], everywhere[len(above) :]
        of_positives = (own - _midranks(above)) / len(below)
        of_negatives = 1 - (others - _midranks(below)) / len(above)
        return float(of_positives.mean()), of_positives, of_negatives


def _midranks(values: Numbers) -> Numbers:
    """Return ranks from 1; equal values share the mean of theirs."""
    _, place, many = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(many)
    ranks: Numbers = (ends - (many - 1) / 2)[place]
    return ranks


class RowsJudge:
    """Judges by a mean over rows, with the paired percentile bootstrap.

    Source: B. Efron and R. J. Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 13.
    """

    def __init__(self, metric: Metric, truth: NDArray[np.generic], *, seed: int) -> None:
        self._metric = metric
        self._truth = truth
        self._seed = seed

    def quality(self, answered: Answered) -> float:
        """See `Judge.quality`."""
        mean = float(self.rows(answered).mean())
        return mean**0.5 if self._metric is Metric.RMSE else mean

    def loss(self, original: Answered, variant: Answered) -> Estimate:
        """See `Judge.loss`."""
        both = np.stack([self.rows(original), self.rows(variant)], axis=1)
        lost = float(self._lost(both.mean(axis=0)))
        if np.array_equal(both[:, 0], both[:, 1]):
            return Estimate(value=0.0, low=0.0, high=0.0)
        draw = np.random.default_rng(self._seed)
        drawn = np.array(
            [
                self._lost(both[draw.integers(0, len(both), len(both))].mean(axis=0))
                for _ in range(DRAWS)
            ]
        )
        low, high = np.quantile(drawn, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
        return Estimate(value=lost, low=float(low), high=float(high))

    def _lost(self, means: Numbers) -> np.float64:
        original, variant = np.sqrt(means) if self._metric is Metric.RMSE else means
        lost = np.float64(variant - original)
        if SCALES[self._metric].higher_is_better:
            lost = -lost
        if SCALES[self._metric].relative:
            lost = lost / max(original, np.finfo(float).tiny)
        return lost

    def rows(self, answered: Answered) -> Numbers:
        """Return what each row adds to the mean."""
        if answered.labels is not None:
            return np.asarray(answered.labels == self._truth, dtype="float64")
        numbers = _numbers(answered)
        match self._metric:
            case Metric.RMSE:
                rows = self._error(numbers) ** 2
            case Metric.MAE:
                rows = np.abs(self._error(numbers))
            case Metric.LOG_LOSS:
                told = numbers[np.arange(len(numbers)), self._truth.astype(int)]
                rows = -np.log(np.clip(told, LEAST_PROBABILITY, 1.0))
            case Metric.ACCURACY:
                rows = numbers.argmax(axis=1) == self._truth
            case _:
                rows = self._squares(numbers)
        return np.asarray(rows, dtype="float64")

    def _error(self, numbers: Numbers) -> Numbers:
        error: Numbers = numbers[:, 0] - self._truth.astype("float64")
        return error

    def _squares(self, numbers: Numbers) -> Numbers:
        """Return the squared error of the probabilities, of two classes that of the second."""
        happened = np.eye(numbers.shape[1])[self._truth.astype(int)]
        apart: Numbers = (numbers - happened) ** 2
        two = numbers.shape[1] == 2  # noqa: PLR2004 - the other class says nothing more
        return np.asarray(apart[:, 1] if two else apart.sum(axis=1))


def _numbers(answered: Answered) -> Numbers:
    assert answered.numbers is not None  # noqa: S101 - the metric was found to fit
    return answered.numbers


def texts(labels: object) -> NDArray[np.str_]:
    """Return labels as texts, as classes are written: true and 1.0 are `1`."""
    array = np.asarray(labels)
    if array.dtype.kind in "bf":
        array = array.astype("int64")
    return array.astype("str")


def _truth(
    metric: Metric, labels: "pd.Series[float]", classes: tuple[str, ...] | None
) -> NDArray[np.generic]:
    if metric in (Metric.RMSE, Metric.MAE):
        try:
            return labels.to_numpy(dtype="float64")
        except (ValueError, TypeError) as error:
            raise StudyDataError(
                "The label is no number.",
                why=f"the model predicts numbers: {error}",
                fix="name the column that the model learned as `data.label` in the workload file",
            ) from error
    if classes is None:
        return texts(labels)
    return _places(labels, classes)


def _places(labels: "pd.Series[float]", classes: tuple[str, ...]) -> NDArray[np.int64]:
    place: Mapping[str, int] = {name: index for index, name in enumerate(classes)}
    found = texts(labels)
    strange = sorted(set(found.tolist()) - set(classes))
    if strange:
        raise StudyDataError(
            f"The label `{strange[0]}` is none of the model's classes.",
            why=f"the classes are {', '.join(f'`{one}`' for one in classes[:10])}",
            fix="name the column that the model learned as `data.label` in the workload file",
        )
    return np.array([place[one] for one in found.tolist()])


def _second_class(labels: "pd.Series[float]", classes: tuple[str, ...] | None) -> NDArray[np.bool_]:
    """Return which rows belong to the class that the last number stands for."""
    names = classes or tuple(sorted(set(texts(labels).tolist())))
    positive = np.asarray(_places(labels, names) == len(names) - 1)
    if positive.all() or not positive.any():
        raise StudyDataError(
            "All held-out rows have the same label.",
            why="an AUC compares rows of two classes",
            fix="hold out more rows, or judge by another metric",
        )
    return positive
