"""The chi-square distribution, as far as tests need it."""

import math
from typing import Final

TERMS_MAX: Final = 10_000
PRECISION: Final = 1e-15
TINY: Final = 1e-300


def survival(statistic: float, degrees: int) -> float:
    """Return the chance that a chi-square variable is larger than `statistic`.

    It is the regularised upper incomplete gamma function Q(degrees / 2, statistic / 2): by the
    series of P = 1 - Q below the mean, and by the continued fraction of Q above it.

    Units:  `statistic` 0 or more, `degrees` 1 or more; the result is in 0..1.
    Raises: nothing; with no degrees of freedom nothing can differ, and the chance is 1.
    Source: Abramowitz and Stegun, 6.5.29 (series), 6.5.31 (fraction, evaluated by Lentz) and
            26.4.19.
    """
    if degrees < 1 or statistic <= 0:
        return 1.0
    shape, point = degrees / 2, statistic / 2
    log_front = shape * math.log(point) - point - math.lgamma(shape)
    front = math.exp(log_front) if log_front > math.log(TINY) else 0.0
    if point < shape + 1:
        return min(1.0, max(0.0, 1 - front * _series(shape, point)))
    return min(1.0, front * _fraction(shape, point))


def _series(shape: float, point: float) -> float:
    term = total = 1 / shape
    for step in range(1, TERMS_MAX):
        term *= point / (shape + step)
        total += term
        if term < total * PRECISION:
            break
    return total


def _fraction(shape: float, point: float) -> float:
    below = point + 1 - shape
    above = 1 / TINY
    turned = 1 / below
    total = turned
    for step in range(1, TERMS_MAX):
        factor = -step * (step - shape)
        below += 2
        turned = factor * turned + below or TINY
        above = below + factor / above or TINY
        turned = 1 / turned
        total *= turned * above
        if abs(turned * above - 1) < PRECISION:
            break
    return total
