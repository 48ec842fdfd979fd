"""What moved in a column, in its own units: quartiles, shares, missing values, a change of unit."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from servewell.core.catalog.data_facts import Conversion
from servewell.core.catalog.profile import Bins, ColumnKind, Counts
from servewell.core.catalog.signal import Distributions
from servewell.core.catalog.units import UNITS, Unit
from servewell.core.operations.data_shifts import conversion_words

QUARTERS: Final = (0.25, 0.5, 0.75)
TOLD_MIN: Final = 0.005  # change of a share from which it is told
TOLD_MAX: Final = 3  # categories
NEVER: Final = 1e-6  # a chance that counts as none
FACTOR_MIN: Final = 1.5  # of a change of unit; a smaller one could be a drift
OFFSET_MIN: Final = 3.0  # in standard deviations
CENTRE_OFF_MAX: Final = 0.25  # of the mean once converted, in standard deviations
SPREAD_OFF_MAX: Final = 0.25  # of the standard deviation, as a share of it
ROWS_MIN: Final = 30  # for the moments to say something


@dataclass(frozen=True, slots=True, kw_only=True)
class Shares:
    """Of the values of one column, 0..1."""

    missing: float
    not_finite: float = 0.0
    outside: float = 0.0  # below or above all reference values
    unseen: float = 0.0  # categories that the reference never held


def shares(bins: Bins, counts: Counts) -> Shares:
    """Return which shares of a column are out of the ordinary."""
    rows = max(counts.rows, 1)
    places = counts.places
    if bins.kind is ColumnKind.NUMBER:
        return Shares(
            missing=places[0] / rows,
            not_finite=places[1] / rows,
            outside=(places[2] + places[-1]) / rows,
        )
    unseen = places[-1] / rows if bins.kind is ColumnKind.CATEGORY else 0.0
    return Shares(missing=places[0] / rows, unseen=unseen)


def distributions(bins: Bins, before: Counts, now: Counts) -> Distributions:
    """Return both distributions over the places that hold anything."""
    n, m = max(before.rows, 1), max(now.rows, 1)
    found = [
        (name, a / n, b / m)
        for name, a, b in zip(place_names(bins), before.places, now.places, strict=True)
        if a or b
    ]
    return Distributions(
        column=bins.column,
        bins=tuple(name for name, _, _ in found),
        before=tuple(a for _, a, _ in found),
        now=tuple(b for _, _, b in found),
    )


def place_names(bins: Bins) -> tuple[str, ...]:
    """Return what each place of a column stands for, in its units."""
    if bins.kind is ColumnKind.PRESENCE:
        return ("missing", "there")
    if bins.kind is ColumnKind.CATEGORY:
        return ("missing", *bins.categories, "other", "never seen")
    if not bins.edges:
        return ("missing", "not finite", "there")
    edges = [f"{edge:.4g}" for edge in bins.edges]
    inner = [f"{low} to {high}" for low, high in pairwise(edges)]
    if bins.edges[-1] == math.nextafter(bins.edges[-2], math.inf):
        inner = edges[:-1]  # a bin for each of a few numbers
    return ("missing", "not finite", f"below {edges[0]}", *inner, f"above {edges[-1]}")


def quartiles(bins: Bins, counts: Counts) -> tuple[float, ...]:
    """Return the quartiles of the finite values, as exactly as the bins tell; none without them.

    Values are taken as evenly spread within a bin; outside the bins between the outermost edge
    and the least or greatest value.
    """
    held = counts.places[2:]
    total = sum(held)
    if not total or not bins.edges:
        return ()
    least, greatest = bins.edges[0], bins.edges[-1]
    low = min(counts.least if counts.least is not None else least, least)
    high = max(counts.greatest if counts.greatest is not None else greatest, greatest)
    return tuple(_quantile((low, *bins.edges, high), held, share * total) for share in QUARTERS)


def _quantile(edges: Sequence[float], held: Sequence[int], rank: float) -> float:
    passed = 0
    for place, count in enumerate(held):
        if count and passed + count >= rank:
            low, high = edges[place], edges[place + 1]
            return low + (high - low) * (rank - passed) / count
        passed += count
    return edges[-1]


def is_constant(bins: Bins, before: Counts, now: Counts) -> bool:
    """Whether a column has one value now, where so many rows of the reference never would."""
    filled = [place for place, count in enumerate(now.places) if count and place]
    one_place = len(filled) == 1 and bins.kind is not ColumnKind.PRESENCE
    if bins.kind is ColumnKind.NUMBER and now.least != now.greatest:
        return False
    if not one_place or not before.rows:
        return False
    rows = now.places[filled[0]]
    share = (before.places[filled[0]] + 1) / (before.rows + 1)
    several = before.least != before.greatest or bins.kind is ColumnKind.CATEGORY
    return several and share < 1 and rows * math.log(share) < math.log(NEVER)


def conversion(bins: Bins, before: Counts, now: Counts) -> Conversion | None:
    """Return the change of unit that explains the moments of a number, or None.

    Mean and standard deviation of all rows must fit, so a change in only a part of them is not
    found; nor is a factor below 1.5, which a drift could be.
    """
    was, is_now = _moments(before), _moments(now)
    if bins.kind is not ColumnKind.NUMBER or was is None or is_now is None:
        return None
    fitting = [(_misfit(unit, was, is_now), unit) for unit in UNITS if _is_large(unit, was[1])]
    off, best = min(fitting, key=lambda one: one[0], default=(1.0, UNITS[0]))
    if off > 1 or _misfit(Unit("", 1.0), was, is_now) <= 1:
        return None
    return Conversion(name=best.name, factor=best.factor, offset=best.offset, share=1.0)


def _moments(counts: Counts) -> tuple[float, float] | None:
    """Return mean and standard deviation of the finite values; None where there are too few."""
    rows = sum(counts.places[2:])
    if rows < ROWS_MIN:
        return None
    mean = counts.total / rows
    variance = counts.squares / rows - mean * mean
    return (mean, math.sqrt(variance)) if variance > 0 else None


def _is_large(unit: Unit, deviation: float) -> bool:
    factor = unit.factor
    far = abs(unit.offset) >= OFFSET_MIN * deviation * abs(factor)
    return factor < 0 or max(factor, 1 / factor) >= FACTOR_MIN or far


def _misfit(unit: Unit, was: tuple[float, float], is_now: tuple[float, float]) -> float:
    """Return how far the moments now are from the converted ones; up to 1 they fit."""
    mean, deviation = unit.factor * was[0] + unit.offset, abs(unit.factor) * was[1]
    centre = abs(is_now[0] - mean) / deviation / CENTRE_OFF_MAX
    return max(centre, abs(math.log(is_now[1] / deviation)) / math.log1p(SPREAD_OFF_MAX))


def words(bins: Bins, before: Counts, now: Counts) -> str:
    """Return in one line what moved, the worst first; nothing where there is nothing to tell.

    It is sent to whoever gets alerts, so no text that the reference does not name is among it.
    """
    return "; ".join(_told(bins, before, now))


def _told(bins: Bins, before: Counts, now: Counts) -> Iterator[str]:
    was, is_now = shares(bins, before), shares(bins, now)
    if found := conversion(bins, before, now):
        yield f"looks like a change of unit, {conversion_words(found)}"
    if is_constant(bins, before, now):
        yield "has one value only"
    yield from _moved("missing", was.missing, is_now.missing)
    yield from _moved("not finite", was.not_finite, is_now.not_finite)
    if bins.kind is ColumnKind.NUMBER:
        yield from _numbers(bins, before, now)
        yield from _moved("outside all reference values", was.outside, is_now.outside)
    if bins.kind is ColumnKind.CATEGORY:
        if is_now.unseen:
            yield f"{is_now.unseen:.1%} never seen before"
        yield from _categories(bins, before, now)


def _moved(what: str, before: float, now: float) -> Iterator[str]:
    if abs(now - before) >= TOLD_MIN:
        verb = "rose" if now > before else "fell"
        yield f"{what} {verb} from {before:.1%} to {now:.1%}"


def _numbers(bins: Bins, before: Counts, now: Counts) -> Iterator[str]:
    was, is_now = quartiles(bins, before), quartiles(bins, now)
    if was and is_now:
        yield (
            f"median {was[1]:.4g} to {is_now[1]:.4g} (quartiles {was[0]:.4g} and {was[2]:.4g} "
            f"to {is_now[0]:.4g} and {is_now[2]:.4g})"
        )


def _categories(bins: Bins, before: Counts, now: Counts) -> Iterator[str]:
    n, m = max(before.rows, 1), max(now.rows, 1)
    named = zip(bins.categories, before.places[1:], now.places[1:], strict=False)
    moved = sorted(((b / m - a / n, name, a / n, b / m) for name, a, b in named), key=_by_size)
    for change, name, was, is_now in moved[:TOLD_MAX]:
        if abs(change) >= TOLD_MIN:
            yield from _moved(f"`{name}`", was, is_now)


def _by_size(moved: tuple[float, str, float, float]) -> tuple[float, str]:
    return -abs(moved[0]), moved[1]
