"""Show that the outputs of two deployments are distributed differently, and by how much.

Whether they differ at all is an e-process, good at every look and under any change of what is
asked or of the shares, because it compares the two only within a window. Let a window hold N
outputs, m_b of them in bin b, and let n of them be the candidate's, c_b in bin b. Where the outputs
of both are alike, the n are drawn from the N without replacement, so for any ratios theta_b chosen
before the window

    product over b of theta_b^c_b / (sum over b of theta_b m_b / N)^n

has a mean of at most 1 (Hoeffding 1963, Theorem 4: drawing with replacement has mean 1 and lies
above in convex order). theta_b is what the earlier windows suggest, drawn towards 1. A chi-square
test of the summed counts, spent over doubling sizes, finds as much, but takes a change of the hour
together with a change of the shares for a shift; windows are what such a test lacks.

How large the difference is: the population stability index of the summed counts, less what chance
alone gives, (B - 1)(1/N + 1/M) (Yurdakul, "Statistical properties of the population stability
index", 2018). PSI / (1/N + 1/M) is chi-square with B - 1 degrees of freedom, noncentral by the true
PSI over the same, which gives its interval. It is estimated when the outputs have doubled, the
k-th time with a chance of alpha / (k (k + 1)) of being wrong, which sums to alpha.
"""

import math
from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from servewell.core.catalog.evidence import Shift
from servewell.core.operations.chi_square import noncentrality_at

FIRST_MIN: Final = 200  # outputs of the stable one, from which the bins are made
FIRST_MAX: Final = 1_000
VALUES_MAX: Final = 10  # as many different ones have a bin each
BINS: Final = 10
LOOK_MIN: Final = 100  # outputs of either at the first estimate of the size
_SHRINK: Final = 50.0  # outputs that no shift at all counts for, in the next guess
_SMOOTH: Final = 0.5  # added to each count


def with_bins(shift: Shift, stable: Iterable[float]) -> Shift:
    """Return the shift with bins, when there are outputs enough; those are not counted again.

    Where the outputs have few values, each is a bin and anything else another; otherwise the bins
    are tenths of the outputs.
    """
    first = (shift.first + tuple(stable))[:FIRST_MAX]
    if len(first) < FIRST_MIN:
        return replace(shift, first=first)
    values = sorted(set(first))
    exact = len(values) <= VALUES_MAX
    edges = tuple(values) if exact else _quantiles(sorted(first))
    empty = (0,) * (len(edges) + 1)
    return replace(shift, first=(), edges=edges, exact=exact, stable=empty, candidate=empty)


def _quantiles(ordered: list[float]) -> tuple[float, ...]:
    return tuple(sorted({ordered[len(ordered) * k // BINS - 1] for k in range(1, BINS)}))


def counts(shift: Shift, values: Iterable[float]) -> tuple[int, ...]:
    """Return how many of the values fall in each bin; `shift` has bins."""
    found = [0] * (len(shift.edges) + 1)
    for value in values:
        place = bisect_left(shift.edges, value)
        if shift.exact and (place == len(shift.edges) or shift.edges[place] != value):
            place = len(shift.edges)
        found[place] += 1
    return tuple(found)


def shifted(
    shift: Shift, stable: tuple[int, ...], candidate: tuple[int, ...], *, alpha: float
) -> Shift:
    """Return the shift with one window more, and a new estimate where the outputs have doubled."""
    growth = shift.growth + _gain(shift, stable, candidate)
    grown = replace(
        shift,
        stable=_added(shift.stable, stable),
        candidate=_added(shift.candidate, candidate),
        growth=growth,
        peak=max(shift.peak, growth),
    )
    due = LOOK_MIN * 2**shift.look
    return grown if min(sum(grown.stable), sum(grown.candidate)) < due else _sized(grown, alpha)


def _added(a: tuple[int, ...], b: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(x + y for x, y in zip(a, b, strict=True))


def _gain(shift: Shift, stable: tuple[int, ...], candidate: tuple[int, ...]) -> float:
    """Return the logarithm of the factor of one window; the smaller part counts as drawn."""
    drawn, rest = sum(candidate), sum(stable)
    past, other = shift.candidate, shift.stable
    if drawn > rest:
        candidate, stable, drawn, rest = stable, candidate, rest, drawn
        past, other = other, past
    if not drawn or not sum(past) or not sum(other):
        return 0.0
    ratios = _guess(past, other)
    pool = _added(stable, candidate)
    mean = sum(r * m for r, m in zip(ratios, pool, strict=True)) / (drawn + rest)
    gained = sum(c * math.log(r) for r, c in zip(ratios, candidate, strict=True) if c)
    return gained - drawn * math.log(mean)


def _guess(past: tuple[int, ...], other: tuple[int, ...]) -> list[float]:
    """Return by how much likelier each bin seems, drawn towards no difference."""
    n, m = sum(past), sum(other)
    ratios = []
    for a, b in zip(past, other, strict=True):
        pooled = (a + b + _SMOOTH) / (n + m + _SMOOTH * len(past))
        ratios.append(
            ((a + _SHRINK * pooled) / (n + _SHRINK)) / ((b + _SHRINK * pooled) / (m + _SHRINK))
        )
    return ratios


def psi(stable: tuple[int, ...], candidate: tuple[int, ...]) -> float:
    """Return the population stability index of two rows of counts; at least 0."""
    n = sum(stable) + _SMOOTH * len(stable)
    m = sum(candidate) + _SMOOTH * len(candidate)
    total = 0.0
    for a, b in zip(stable, candidate, strict=True):
        p, q = (a + _SMOOTH) / n, (b + _SMOOTH) / m
        total += (p - q) * math.log(p / q)
    return max(total, 0.0)


def corrected_psi(stable: tuple[int, ...], candidate: tuple[int, ...]) -> float:
    """Return the population stability index less what chance alone gives; at least 0."""
    return max(
        0.0, psi(stable, candidate) - _freedom(stable, candidate) * _noise(stable, candidate)
    )


def _freedom(stable: tuple[int, ...], candidate: tuple[int, ...]) -> int:
    return max(sum(1 for count in _added(stable, candidate) if count) - 1, 1)


def _noise(stable: tuple[int, ...], candidate: tuple[int, ...]) -> float:
    return 1 / sum(stable) + 1 / sum(candidate)


def _sized(shift: Shift, alpha: float) -> Shift:
    """Return the shift with the size of the difference as it is now, and its interval."""
    look = shift.look + 1
    spent = alpha / (look * (look + 1))
    noise, freedom = _noise(shift.stable, shift.candidate), _freedom(shift.stable, shift.candidate)
    value = psi(shift.stable, shift.candidate) / noise
    return replace(
        shift,
        look=look,
        size=corrected_psi(shift.stable, shift.candidate),
        low=noncentrality_at(value, freedom, 1 - spent) * noise,
        high=noncentrality_at(value, freedom, spent) * noise,
    )


def p_shifted(shift: Shift) -> float:
    """Return the p-value of "distributed alike", valid at every look; in (0, 1]."""
    return math.exp(-min(shift.peak, 700.0))
