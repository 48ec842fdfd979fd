"""Tells a change of unit from a drift.

A change of unit maps each value that the column could have to another one. Undone, it must give
values that the rows before held, which nothing that happens to the world brings about. Where the
values stand too close for that, the distribution must fit again: of a column that is steady by
itself, or of one whose values have all left the range that they had.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from servewell.adapters.embedded.job.data.values import SAMPLE, spread
from servewell.core.catalog.data_facts import Conversion
from servewell.core.catalog.units import UNITS, Unit

Numbers = NDArray[np.float64]

LOOKED_AT: Final = 5_000  # rows now
KNOWN_MIN: Final = 0.8  # share of the strange values that must be known once undone, of those
INSIDE_MIN: Final = 0.5  # that come to lie in the range before, which so many must
STRANGE_MIN: Final = 0.2  # share of the rows whose values were never seen before
CHANCE_MAX: Final = 0.3  # share of the range in which any number would count as known
PSI_MIN: Final = 1.0  # from which the distributions do not fit at all
PSI_LEFT: Final = 0.25  # share of it that may be left, and where they fit again
PSI_FITS: Final = 0.1  # the same for a factor that is none that is known
STEADY_MAX: Final = 0.25  # index up to which a column is steady by itself
RESTLESS_SHARE: Final = 1 / 3  # of the index now that one which is not may have by itself
OUTSIDE_MIN: Final = 0.95  # share of its rows that must have left the range, and be back undone
FACTOR_MIN: Final = 1.5  # a smaller one could be a drift
RELATIVE: Final = 1e-5  # of a 32-bit number that was converted
DECIMALS_MAX: Final = 3
VALUES_MIN: Final = 5  # distinct ones before; fewer say nothing
REPEATS_MIN: Final = 10  # rows to each distinct value before, where others are hardly to come
NOT_ZERO_MIN: Final = 0.01  # share of the rows, for these alone to be looked at


def find_conversion(
    before: Numbers, now: Numbers, *, usual: float, index: Callable[[Numbers], float]
) -> Conversion | None:
    """Return the change of unit that explains the values now, or None.

    `index` gives the population stability index of values against those before, and `usual` is
    the largest that the column has by itself.
    """
    held = before[~np.isnan(before)]
    known = np.unique(held[spread(len(held), SAMPLE)])
    look = now[~np.isnan(now)]
    look = look[spread(len(look), LOOKED_AT)]
    if len(known) < VALUES_MIN or not len(look):
        return None
    return _by_values(known, look) or _by_distribution(
        _Column(held=held, look=look, usual=usual, index=index)
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Column:
    held: Numbers
    look: Numbers
    usual: float
    index: Callable[[Numbers], float]


def _by_values(known: Numbers, look: Numbers) -> Conversion | None:
    """Return the change of unit after which strange values are known ones.

    Zero is zero in most units, so it says nothing where it is not all there is.
    """
    told = look[look != 0]
    look = told if len(told) >= NOT_ZERO_MIN * len(look) else look
    strange = look[~_is_known(look, known, np.abs(look) * RELATIVE)]
    share = len(strange) / len(look)
    if share < STRANGE_MIN:
        return None
    found = [(_known_after(one, known, strange), one) for one in UNITS]
    best, unit = max(found, key=lambda one: one[0])
    return _named(unit, share) if best >= KNOWN_MIN else None


def _known_after(unit: Unit, known: Numbers, strange: Numbers) -> float:
    """Return the share of values that are known once the change is undone.

    They may have been rounded since. It is 0 where any number at all would count as known.
    """
    undone = (strange - unit.offset) / unit.factor
    exact = np.abs(undone) * RELATIVE
    rounded = exact + _resolution(strange) / 2 / abs(unit.factor)
    return max(_share_known(undone, known, near) for near in (exact, rounded))


def _share_known(undone: Numbers, known: Numbers, near: Numbers) -> float:
    inside = (undone >= known[0] - near) & (undone <= known[-1] + near)
    too_dense = _chance(near, known) > CHANCE_MAX
    if too_dense or inside.mean() < INSIDE_MIN or np.ptp(undone) == 0:
        return 0.0
    return float(_is_known(undone[inside], known, near[inside]).mean())


def _chance(near: Numbers, known: Numbers) -> float:
    """Return the share of the range in which any number would count as known."""
    return 2 * float(near.mean()) * len(known) / float(known[-1] - known[0])


def _is_known(values: Numbers, known: Numbers, near: Numbers) -> NDArray[np.bool_]:
    at = np.clip(np.searchsorted(known, values), 1, len(known) - 1)
    distance = np.minimum(np.abs(values - known[at - 1]), np.abs(values - known[at]))
    return distance <= near


def _resolution(values: Numbers) -> float:
    """Return to what the values are rounded: 1, 0.1 … or 0 where to nothing."""
    for decimals in range(DECIMALS_MAX):
        scaled = values * 10.0**decimals
        if (
            np.abs(scaled - np.round(scaled)).max()
            <= max(1.0, np.abs(scaled).max()) * RELATIVE / 10
        ):
            return float(10.0**-decimals)
    return 0.0


def _by_distribution(column: _Column) -> Conversion | None:
    """Return the change of unit after which the distribution fits again."""
    moved = column.index(column.look)
    if moved < PSI_MIN:
        return None
    large = [one for one in UNITS if _is_large(one.factor) or one.offset]
    fits = max(PSI_LEFT, column.usual)
    tried = [(column.index((column.look - one.offset) / one.factor), one) for one in large]
    left, unit = min(tried, key=lambda one: one[0])
    fits_again = left <= min(PSI_LEFT * moved, fits) and _is_on_grid(column, unit)
    if fits_again and _is_no_drift(column, unit, moved=moved):
        return _named(unit, 1.0)
    if column.usual > STEADY_MAX:
        return None
    frees = _free(column.held, column.look)
    found = next((one for one in frees if column.index(column.look / one.factor) <= PSI_FITS), None)
    return _named(found, 1.0) if found else None


def _is_on_grid(column: _Column, unit: Unit) -> bool:
    """Whether the values, once undone, are such as the column holds, where it holds few.

    Rain of 0.34 inches undone by a factor of 10 is none that a gauge of hundredths would tell.
    """
    sample = column.held[spread(len(column.held), SAMPLE)]
    known, told = np.unique(sample), column.look[column.look != 0]
    if len(known) * REPEATS_MIN > len(sample) or not len(told):
        return True
    undone = (told - unit.offset) / unit.factor
    near = np.abs(undone) * RELATIVE + _resolution(told) / 2 / abs(unit.factor)
    inside = (undone >= known[0] - near) & (undone <= known[-1] + near)
    if _chance(near, known) > CHANCE_MAX or inside.mean() < INSIDE_MIN:
        return True
    return bool(_is_known(undone[inside], known, near[inside]).mean() >= KNOWN_MIN)


def _is_no_drift(column: _Column, unit: Unit, *, moved: float) -> bool:
    """Whether no drift would have brought the values where they are."""
    if column.usual <= STEADY_MAX:
        return True
    low, high = column.held.min(), column.held.max()
    undone = (column.look - unit.offset) / unit.factor
    left = ((column.look < low) | (column.look > high)).mean()
    back = ((undone >= low) & (undone <= high)).mean()
    return bool(column.usual <= RESTLESS_SHARE * moved and min(left, back) >= OUTSIDE_MIN)


def _free(held: Numbers, look: Numbers) -> Iterator[Unit]:
    """Yield the factor between the medians, where it is one that no drift would be."""
    before, now = float(np.median(held)), float(np.median(look))
    if before and now and _is_large(now / before):
        yield Unit("", now / before)


def _is_large(factor: float) -> bool:
    return factor < 0 or max(factor, 1 / factor) >= FACTOR_MIN


def _named(unit: Unit, share: float) -> Conversion:
    return Conversion(name=unit.name, factor=unit.factor, offset=unit.offset, share=share)
