"""How right a classifier is to be expected, from its scores alone.

A calibrated score is the probability that the row is a hit, so the expected numbers of right and
wrong answers are sums of it. The sums are taken over the cells of the held-out rows, weighted by
how many rows a window counted in each place of the score: no row is read again.

This holds as long as a score means what it meant: it sees that rows became harder, never that the
same rows came to mean something else. Only labels tell that.

Source: NannyML, "Confidence-based performance estimation" (docs, performance_estimation.rst); the
intervals are ours: each figure is linear in what becomes of the rows, to the first order.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from servewell.core.catalog.profile import Counts
from servewell.core.catalog.quality import Figure
from servewell.core.catalog.quality_reference import Cell, Task

Z: Final = 1.96
ACCURACY: Final = "accuracy"
PRECISION: Final = "precision"
RECALL: Final = "recall"
F1: Final = "F1"
ROC_AUC: Final = "ROC AUC"
BRIER: Final = "Brier score"
FIRST_NUMBER: Final = 2  # place of a column of numbers; before it are missing and not finite
TILT_MAX: Final = 40.0  # more than that leaves one cell of each place
HALVINGS: Final = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Weighted:
    """Rows of a window that are taken to be like those of a held-out cell."""

    rows: float
    cell: Cell

    @property
    def hits(self) -> float:
        """Return the expected number of hits."""
        return self.rows * self.cell.chance

    @property
    def misses(self) -> float:
        """Return the expected number of rows that are none."""
        return self.rows - self.hits


# A figure, and what one more hit in each of the cells adds to it; None where it is not defined.
Linear = tuple[float, tuple[float, ...]] | None
Cells = Sequence[Weighted]


def expected(cells: Sequence[Cell], counts: Counts, task: Task) -> dict[str, Figure]:
    """Return the expected figures of a window, each with the interval of what labels would tell.

    `counts` are those of the score's column. The interval of 95 % is that of the figure which the
    labels of these rows would give, so it holds the chance in those rows and that in the held-out
    ones.

    Units: all figures are in 0..1.
    """
    weighted = spread_over(cells, counts)
    if not weighted:
        return {}
    found = {name: of(weighted) for name, of in FIGURES[task].items()}
    return {name: _figure(weighted, one) for name, one in found.items() if one is not None}


def spread_over(cells: Sequence[Cell], counts: Counts) -> tuple[Weighted, ...]:
    """Return how many rows of a window belong to each cell, by the place and mean of the score.

    Within a place the rows are shared out as the held-out ones were, tilted towards higher or
    lower scores until their mean is that of the window. Rows in a place without held-out rows go
    to the nearest one that has some; rows without a score are left out.
    """
    known = sorted({cell.place for cell in cells})
    if not known or not sum(counts.places[FIRST_NUMBER:]):
        return ()
    rows = dict.fromkeys(known, 0)
    for place, count in enumerate(counts.places[FIRST_NUMBER:], FIRST_NUMBER):
        rows[min(known, key=lambda one: abs(one - place))] += count
    ordered = sorted(
        (one for one in cells if rows[one.place]), key=lambda one: (one.place, one.score)
    )
    tilt = _tilt(ordered, rows, mean=counts.total / sum(rows.values()))
    return tuple(_tilted(ordered, rows, tilt))


def _tilt(cells: Sequence[Cell], rows: dict[int, int], *, mean: float) -> float:
    """Return the tilt at which the mean score is that of the window, by halving the range."""
    low, high = -TILT_MAX, TILT_MAX
    total = sum(rows.values())
    for _ in range(HALVINGS):
        tilt = (low + high) / 2
        found = math.fsum(one.rows * one.cell.score for one in _tilted(cells, rows, tilt)) / total
        low, high = (tilt, high) if found < mean else (low, tilt)
    return (low + high) / 2


def _tilted(cells: Sequence[Cell], rows: dict[int, int], tilt: float) -> Iterator[Weighted]:
    weights = [one.rows * math.exp(tilt * one.score) for one in cells]
    sums = dict.fromkeys(rows, 0.0)
    for one, weight in zip(cells, weights, strict=True):
        sums[one.place] += weight
    for one, weight in zip(cells, weights, strict=True):
        yield Weighted(rows=rows[one.place] * weight / sums[one.place], cell=one)


def _figure(cells: Cells, linear: tuple[float, tuple[float, ...]]) -> Figure:
    value, slopes = linear
    variance = 0.0
    for one, slope in zip(cells, slopes, strict=True):
        chance = (one.cell.chance * one.cell.rows + 0.5) / (one.cell.rows + 1)
        alone = chance * (1 - chance)
        variance += slope * slope * alone * (one.rows + one.rows * one.rows / one.cell.rows)
    reach = Z * math.sqrt(variance)
    return Figure(value=value, low=max(0.0, value - reach), high=min(1.0, value + reach))


def _accuracy(cells: Cells) -> Linear:
    rows = sum(one.rows for one in cells)
    right = math.fsum(one.hits if one.cell.positive else one.misses for one in cells)
    return right / rows, tuple((1 if one.cell.positive else -1) / rows for one in cells)


def _precision(cells: Cells) -> Linear:
    named = math.fsum(one.rows for one in cells if one.cell.positive)
    if not named:
        return None
    found = math.fsum(one.hits for one in cells if one.cell.positive)
    return found / named, tuple(one.cell.positive / named for one in cells)


def _recall(cells: Cells) -> Linear:
    hits = math.fsum(one.hits for one in cells)
    if not hits:
        return None
    share = math.fsum(one.hits for one in cells if one.cell.positive) / hits
    return share, tuple((one.cell.positive - share) / hits for one in cells)


def _f1(cells: Cells) -> Linear:
    both = math.fsum(one.hits + one.rows * one.cell.positive for one in cells)
    if not both:
        return None
    value = 2 * math.fsum(one.hits for one in cells if one.cell.positive) / both
    return value, tuple((2 * one.cell.positive - value) / both for one in cells)


def _brier(cells: Cells) -> Linear:
    rows = sum(one.rows for one in cells)
    total = math.fsum(
        one.rows * (one.cell.squares + one.cell.chance * (1 - 2 * one.cell.score)) for one in cells
    )
    return total / rows, tuple((1 - 2 * one.cell.score) / rows for one in cells)


def _roc_auc(cells: Cells) -> Linear:
    """Return the expected share of pairs of a hit and a miss in which the hit scores higher."""
    hits = math.fsum(one.hits for one in cells)
    misses = math.fsum(one.misses for one in cells)
    if not hits or not misses:
        return None
    misses_below, hits_above = 0.0, hits
    ordered = 0.0
    gains: list[float] = []
    for one in cells:
        hits_above -= one.hits
        lower = misses_below + one.cell.ordered * one.misses
        higher = hits_above + one.cell.ordered * one.hits
        ordered += one.hits * lower
        gains.append(lower - higher)
        misses_below += one.misses
    value = ordered / (hits * misses)
    slopes = ((gain - value * (misses - hits)) / (hits * misses) for gain in gains)
    return value, tuple(slopes)


FIGURES: Final[dict[Task, dict[str, Callable[[Cells], Linear]]]] = {
    Task.TWO_CLASSES: {
        BRIER: _brier,
        ROC_AUC: _roc_auc,
        ACCURACY: _accuracy,
        PRECISION: _precision,
        RECALL: _recall,
        F1: _f1,
    },
    Task.CLASSES: {ACCURACY: _accuracy},
    Task.NUMBER: {},
}
