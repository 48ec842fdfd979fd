"""How wrong a prediction was, now that the truth is known.

A probability of two classes has its Brier score. Log loss would weigh one confident mistake
without bound, so the mean of a few hundred labels, which is what a rollout has, would hang on a
single row and on where it is clipped; the squared difference is as proper a score and bounded.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from servewell.core.catalog.label import Label, Loss, Measure, Truth

BOTH: Final = 2  # classes
YES: Final = ("true", "yes")
NO: Final = ("false", "no")
LARGEST: Final = 1e75  # beyond it nothing is an error: sums of squares of it would not be finite


@dataclass(frozen=True, slots=True, kw_only=True)
class Alike:
    """Labels whose losses may be compared, all of one measure."""

    measure: str  # empty while there is none
    labels: tuple[Label, ...]
    unlike: int  # labels that another measure tells of


def alike(labels: Iterable[Label], measure: str) -> Alike:
    """Return the labels of a measure; of none, those of the measure of the first.

    A squared difference and a share of wrong classes are both between 0 and 1, and say nothing of
    each other.

    Raises: nothing.
    """
    told = [one for one in labels if one.loss is not None]
    counted = measure or next((one.measure for one in told), "")
    same = tuple(one for one in told if one.measure == counted)
    return Alike(measure=counted, labels=same, unlike=len(told) - len(same))


def loss_of(outputs: Mapping[str, Any], truth: Truth) -> Loss | None:
    """Return how wrong the outputs of one row were, or None where they do not speak of it.

    Where a row has a probability of two classes (two numbers, or one whose name says so) and the
    truth is 0 or 1, yes or no, that counts. Else, of a truth that is a number, the first number: a
    whole one is a class. Else the first text, which is a class too. An error that is no number, or
    larger than anything that is measured, is that of a label which says nothing.

    Raises: nothing.
    """
    number = truth_number(truth)
    chance = probability_of(outputs)
    if chance is not None and number in (0.0, 1.0):
        return Loss(value=(chance - number) ** 2, measure=Measure.BRIER)
    numbers = [one for one in outputs.values() if isinstance(one, int | float)]
    if number is not None and numbers:
        return _of_number(numbers[0], number)
    texts = [one for one in outputs.values() if isinstance(one, str)]
    if not texts:
        return None
    same = texts[0] == str(truth) or (number is not None and truth_number(texts[0]) == number)
    return Loss(value=float(not same), measure=Measure.WRONG)


def _of_number(predicted: float, truth: float) -> Loss | None:
    if isinstance(predicted, int):
        return Loss(value=float(predicted != truth), measure=Measure.WRONG)
    error = abs(predicted - truth)
    return Loss(value=error, measure=Measure.ABSOLUTE) if error <= LARGEST else None


def probability_of(outputs: Mapping[str, Any]) -> float | None:
    """Return the probability of the second class, or None where there is none."""
    for name, value in outputs.items():
        pair = isinstance(value, list) and len(value) == BOTH
        last = value[-1] if pair else value
        named = "prob" in name.lower() or name.lower() == "score"
        if (pair or named) and isinstance(last, float) and 0 <= last <= 1:
            return last
    return None


def truth_number(value: Truth) -> float | None:
    """Return a truth as a number; files of text have numbers as texts."""
    text = value.strip().lower() if isinstance(value, str) else value
    if text in YES or text in NO:
        return float(text in YES)
    try:
        number = float(text)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None
