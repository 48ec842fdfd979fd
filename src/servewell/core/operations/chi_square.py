"""The chi-square distribution, central and not, from the regularised incomplete gamma function."""

import math
from collections.abc import Callable
from typing import Final

_EPSILON: Final = 1e-15
_TERMS_MAX: Final = 10_000
_TINY: Final = 1e-300
_TOLERANCE: Final = 1e-7


def chi_square_sf(value: float, freedom: float) -> float:
    """Return the chance that a chi-square variable exceeds `value`; in 0..1.

    Source: Abramowitz and Stegun 26.4.19; the series 6.5.29 and the continued fraction 6.5.31 of
    the incomplete gamma function, evaluated as by Lentz.
    """
    a, x = freedom / 2, value / 2
    if x <= 0:
        return 1.0
    scale = math.exp(a * math.log(x) - x - math.lgamma(a))
    return 1 - scale * _series(a, x) if x < a + 1 else scale * _fraction(a, x)


def _series(a: float, x: float) -> float:
    term = total = 1 / a
    for k in range(1, _TERMS_MAX):
        term *= x / (a + k)
        total += term
        if term < total * _EPSILON:
            break
    return total


def _fraction(a: float, x: float) -> float:
    b = x + 1 - a
    c, d = 1 / _TINY, 1 / b
    total = d
    for k in range(1, _TERMS_MAX):
        step = -k * (k - a)
        b += 2
        d = 1 / _floored(step * d + b)
        c = _floored(b + step / c)
        total *= c * d
        if abs(c * d - 1) < _EPSILON:
            break
    return total


def _floored(value: float) -> float:
    return value if abs(value) > _TINY else _TINY


def chi_square_quantile(chance: float, freedom: float) -> float:
    """Return the value that a chi-square variable stays below with that chance, in 0..1."""
    return _solved(lambda value: 1 - chi_square_sf(value, freedom) < chance)


def noncentral_cdf(value: float, freedom: float, noncentrality: float) -> float:
    """Return the chance that a noncentral chi-square variable is at most `value`.

    The mixture of central ones with freedom + 2 j and Poisson weights of mean noncentrality / 2
    (Abramowitz and Stegun 26.4.25), over the j that have a weight to speak of. Each central one
    is the one before less a density (26.4.8).
    """
    mean, half = noncentrality / 2, value / 2
    if mean <= 0 or half <= 0:
        return 1 - chi_square_sf(value, freedom)
    reach = 9 * math.sqrt(mean) + 20
    first, last = max(0, int(mean - reach)), int(mean + reach)
    central = 1 - chi_square_sf(value, freedom + 2 * first)
    ln_mean, ln_half, total = math.log(mean), math.log(half), 0.0
    for j in range(first, last + 1):
        total += math.exp(j * ln_mean - mean - math.lgamma(j + 1)) * central
        a = freedom / 2 + j
        central -= math.exp(a * ln_half - half - math.lgamma(a + 1))
    return min(max(total, 0.0), 1.0)


def noncentrality_at(value: float, freedom: float, chance: float) -> float:
    """Return the noncentrality at which `value` is not exceeded with that chance; 0 where none is.

    Units:  `chance` in 0..1, exclusive. With a small one this is an upper bound of the
    noncentrality behind an observed value, with a large one a lower bound.
    """
    if 1 - chi_square_sf(value, freedom) <= chance:
        return 0.0
    return _solved(lambda middle: noncentral_cdf(value, freedom, middle) > chance)


def _solved(below: Callable[[float], bool]) -> float:
    """Return where `below`, true from 0 on, ends."""
    high = 1.0
    while below(high):
        high *= 2
    low = 0.0
    while high - low > _TOLERANCE * max(1.0, high):
        middle = (low + high) / 2
        low, high = (middle, high) if below(middle) else (low, middle)
    return low
