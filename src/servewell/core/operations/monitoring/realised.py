"""How right predictions were, now that their labels are known.

Source: Wilson's interval for shares (`core.operations.wilson`); DeLong, DeLong and Clarke-Pearson,
"Comparing the areas under two or more correlated receiver operating characteristic curves", 1988,
for the area; the normal interval of a mean for the Brier score and for errors of numbers.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from servewell.core.catalog.label import LossSum, Measure, Truth
from servewell.core.catalog.quality import Figure
from servewell.core.catalog.quality_reference import Task
from servewell.core.operations.label_loss import LARGEST, loss_of, probability_of, truth_number
from servewell.core.operations.monitoring.calibration import calibration_error
from servewell.core.operations.monitoring.cbpe import (
    ACCURACY,
    BRIER,
    F1,
    PRECISION,
    RECALL,
    ROC_AUC,
)
from servewell.core.operations.wilson import interval

Z: Final = 1.96
EVEN: Final = 0.5
ROUNDING: Final = 1e-12  # share of a sum of squares that is lost when it is added up
ABSOLUTE: Final = "absolute error"
LOWER: Final = (BRIER, ABSOLUTE)  # the lower the better
TASKS: Final = {
    Measure.BRIER: Task.TWO_CLASSES,
    Measure.WRONG: Task.CLASSES,
    Measure.ABSOLUTE: Task.NUMBER,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """One prediction beside its truth.

    A hit is a row whose truth is the second class; of several classes, one that was right.
    """

    task: Task
    loss: float
    score: float | None = None  # probability of a hit, as the model gives it
    positive: bool = True  # whether a hit was predicted
    hit: bool = False


def judged(outputs: Mapping[str, Any], truth: Truth) -> Judged | None:
    """Return a prediction beside its truth, None where the outputs do not speak of it."""
    loss = loss_of(outputs, truth)
    if loss is None:
        return None
    task = TASKS[loss.measure]
    if task is Task.TWO_CLASSES:
        score = probability_of(outputs)
        assert score is not None  # noqa: S101 - the measure is that of a probability
        hit = truth_number(truth) == 1
        positive = _second_class(outputs, score)
        return Judged(task=task, loss=loss.value, score=score, positive=positive, hit=hit)
    if task is Task.CLASSES:
        return Judged(task=task, loss=loss.value, score=_likeliest(outputs), hit=not loss.value)
    return Judged(task=task, loss=loss.value)


def _second_class(outputs: Mapping[str, Any], score: float) -> bool:
    """Whether the second class was predicted: as the model says, else by the score."""
    for value in outputs.values():
        number = truth_number(value) if isinstance(value, str | int) else None
        if number in (0.0, 1.0):
            return number == 1
    return score >= EVEN


def _likeliest(outputs: Mapping[str, Any]) -> float | None:
    """Return the greatest of several probabilities, None where there are none."""
    for value in outputs.values():
        if isinstance(value, list) and value and all(isinstance(one, float) for one in value):
            greatest = max(value)
            return float(greatest) if 0 <= greatest <= 1 else None
    return None


def realised(rows: Sequence[Judged], task: Task) -> dict[str, Figure]:
    """Return the figures of the labels of one task, each with its interval of 95 %.

    Units: 0..1, but for an error of a number, which has the unit of the output.
    """
    same = [one for one in rows if one.task is task and one.loss <= LARGEST]
    found = {name: of(same) for name, of in FIGURES[task].items()} if same else {}
    return {name: one for name, one in found.items() if one is not None}


def realised_sum(sums: LossSum) -> dict[str, Figure]:
    """Return the one figure that follows from the sum of the losses, with its interval.

    Units: as in `realised`.
    """
    task = TASKS[Measure(sums.measure)]
    mean = sums.total / sums.rows
    if task is Task.CLASSES:
        found = _share(round(sums.rows - sums.total), sums.rows)
        return {ACCURACY: found} if found else {}
    left = max(sums.squares * ROUNDING, sums.squares - sums.rows * mean * mean)
    error = math.sqrt(left / (sums.rows - 1) / sums.rows) if sums.rows > 1 else math.inf
    figure = Figure(value=mean, low=max(0.0, mean - Z * error), high=mean + Z * error)
    return {BRIER if task is Task.TWO_CLASSES else ABSOLUTE: figure}


def task_of(rows: Iterable[Judged]) -> Task | None:
    """Return the task that most labels tell of, None where there are none."""
    counts: dict[Task, int] = {}
    for one in rows:
        counts[one.task] = counts.get(one.task, 0) + 1
    return max(counts, key=lambda task: counts[task], default=None)


def calibration_of(rows: Iterable[Judged]) -> Figure | None:
    """Return the expected calibration error of the scores by labels, None where there are none."""
    scored = [(one.score, one.hit) for one in rows if one.score is not None]
    return calibration_error(scored) if scored else None


def mean_of(values: Sequence[float]) -> Figure:
    """Return a mean with its normal interval; of one value the interval is unknown, so infinite."""
    count = len(values)
    mean = math.fsum(values) / count
    if count == 1:
        return Figure(value=mean, low=-math.inf, high=math.inf)
    variance = math.fsum((one - mean) ** 2 for one in values) / (count - 1)
    reach = Z * math.sqrt(variance / count)
    return Figure(value=mean, low=mean - reach, high=mean + reach)


def _share(hits: int, total: int) -> Figure | None:
    if not total:
        return None
    low, high = interval(hits, total)
    return Figure(value=hits / total, low=low, high=high)


def _accuracy(rows: Sequence[Judged]) -> Figure | None:
    return _share(sum(one.positive == one.hit for one in rows), len(rows))


def _precision(rows: Sequence[Judged]) -> Figure | None:
    named = [one for one in rows if one.positive]
    return _share(sum(one.hit for one in named), len(named))


def _recall(rows: Sequence[Judged]) -> Figure | None:
    hits = [one for one in rows if one.hit]
    return _share(sum(one.positive for one in hits), len(hits))


def _f1(rows: Sequence[Judged]) -> Figure | None:
    """Return F1 = 2 TP / (2 TP + FP + FN), its interval by that of TP among those rows.

    F1 = 2 s / (1 + s) rises with the share s of TP among all that are named or hits.
    """
    either = [one for one in rows if one.positive or one.hit]
    share = _share(sum(one.positive and one.hit for one in either), len(either))
    if share is None:
        return None
    value, low, high = (2 * one / (1 + one) for one in (share.value, share.low, share.high))
    return Figure(value=value, low=low, high=high)


def _brier(rows: Sequence[Judged]) -> Figure | None:
    found = _loss(rows)
    return Figure(value=found.value, low=max(0.0, found.low), high=min(1.0, found.high))


def _loss(rows: Sequence[Judged]) -> Figure:
    found = mean_of([one.loss for one in rows])
    return Figure(value=found.value, low=max(0.0, found.low), high=found.high)


def _roc_auc(rows: Sequence[Judged]) -> Figure | None:
    return area([(one.score, one.hit) for one in rows if one.score is not None])


def area(scored: Sequence[tuple[float, bool]]) -> Figure | None:
    """Return the area under the ROC curve with DeLong's interval.

    None where there are not at least two hits and two misses.
    """
    ordered = sorted(scored)
    hits = sum(hit for _, hit in ordered)
    misses = len(ordered) - hits
    if min(hits, misses) < 2:  # noqa: PLR2004 - a variance needs two
        return None
    below_hits: list[float] = []  # of each hit, the share of misses that score lower
    above_misses: list[float] = []  # of each miss, the share of hits that score higher
    seen_hits = seen_misses = start = 0
    while start < len(ordered):
        end = start
        while end < len(ordered) and ordered[end][0] == ordered[start][0]:
            end += 1
        tied_hits = sum(hit for _, hit in ordered[start:end])
        tied_misses = end - start - tied_hits
        below_hits += [(seen_misses + tied_misses / 2) / misses] * tied_hits
        above_misses += [1 - (seen_hits + tied_hits / 2) / hits] * tied_misses
        seen_hits, seen_misses, start = seen_hits + tied_hits, seen_misses + tied_misses, end
    value = math.fsum(below_hits) / hits
    reach = Z * math.sqrt(_variance(below_hits) / hits + _variance(above_misses) / misses)
    return Figure(value=value, low=max(0.0, value - reach), high=min(1.0, value + reach))


def _variance(values: Sequence[float]) -> float:
    mean = math.fsum(values) / len(values)
    return math.fsum((one - mean) ** 2 for one in values) / (len(values) - 1)


FIGURES: Final[dict[Task, dict[str, Callable[[Sequence[Judged]], Figure | None]]]] = {
    Task.TWO_CLASSES: {
        BRIER: _brier,
        ROC_AUC: _roc_auc,
        ACCURACY: _accuracy,
        PRECISION: _precision,
        RECALL: _recall,
        F1: _f1,
    },
    Task.CLASSES: {ACCURACY: _accuracy},
    Task.NUMBER: {ABSOLUTE: _loss},
}
