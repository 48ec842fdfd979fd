"""How wrong a prediction was, now that the truth is known.

A probability of two classes has its Brier score. Log loss would weigh one confident mistake
without bound, so the mean of a few hundred labels, which is what a rollout has, would hang on a
single row and on where it is clipped; the squared difference is as proper a score and bounded.
"""

import math
from collections.abc import Mapping
from typing import Any, Final

from servewell.core.catalog.label import Loss, Measure, Truth

BOTH: Final = 2  # classes
YES: Final = ("true", "yes")
NO: Final = ("false", "no")


def loss_of(outputs: Mapping[str, Any], truth: Truth) -> Loss | None:
    """Return how wrong the outputs of one row were, or None where they do not speak of it.

    Where a row has a probability of two classes (two numbers, or one whose name says so) and the
    truth is 0 or 1, yes or no, that counts. Else a class, where it is a text, a whole number or a
    truth value; else the first number.

    Raises: nothing.
    """
    number = _number(truth)
    chance = _probability(outputs)
    if chance is not None and number in (0.0, 1.0):
        return Loss(value=(chance - number) ** 2, measure=Measure.BRIER)
    classes = [one for one in outputs.values() if isinstance(one, str | bool | int)]
    if classes:
        return Loss(value=float(not _same(classes[0], truth)), measure=Measure.WRONG)
    numbers = [one for one in outputs.values() if isinstance(one, float)]
    if number is None or not numbers or not math.isfinite(numbers[0]):
        return None
    return Loss(value=abs(numbers[0] - number), measure=Measure.ABSOLUTE)


def _probability(outputs: Mapping[str, Any]) -> float | None:
    """Return the probability of the second class, or None where there is none."""
    for name, value in outputs.items():
        pair = isinstance(value, list) and len(value) == BOTH
        last = value[-1] if pair else value
        named = "prob" in name.lower() or name.lower() == "score"
        if (pair or named) and isinstance(last, float) and 0 <= last <= 1:
            return last
    return None


def _same(predicted: str | bool | int, truth: Truth) -> bool:  # noqa: FBT001 - a class
    if str(predicted) == str(truth):
        return True
    number = _number(truth)
    return number is not None and _number(predicted) == number


def _number(value: Truth) -> float | None:
    """Return a truth as a number; files of text have numbers as texts."""
    if not isinstance(value, str):
        return float(value) if math.isfinite(value) else None
    text = value.strip().lower()
    if text in YES or text in NO:
        return float(text in YES)
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None
