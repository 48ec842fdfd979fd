"""Counting numbers in frozen bins, many groups of them at once."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from servewell.adapters.embedded.monitoring.cells import Cells, Numbers, Whole
from servewell.core.catalog.profile import Bins, Counts

MISSING: Final = 0
NOT_FINITE: Final = 1
BELOW: Final = 2
SQUARES: Final = 4_096  # of the grid that is laid over the bins
BLOCK: Final = 32_768  # values that are counted at once: what is made of them stays in the cache
EDGES_KEPT: Final = 4_096  # columns whose grids are kept
IN_DOUBT: Final = -1


class Grid:
    """The bins of a column under a grid of even squares, by which most numbers find their bin.

    Where a number falls in the grid never decreases as the number grows, whatever is rounded. So a
    square that holds no edge lies within one bin, and only in the others is there anything to
    compare, by bisection.
    """

    def __init__(self, edges: tuple[float, ...]) -> None:
        self._edges = np.array(edges)
        self._low = self._edges[0]
        with np.errstate(all="ignore"):
            self._scale = SQUARES / (self._edges[-1] - self._low)
        self._even = bool(0 < self._scale < np.inf)
        if self._even:
            held = self._squares(self._edges)
            self._place = np.searchsorted(held, np.arange(SQUARES + 2)) + BELOW
            self._place[held] = IN_DOUBT

    def places(self, numbers: Numbers) -> Whole:
        """Return the place of each finite number among the counts."""
        if not self._even:
            return self._compared(numbers)
        places: Whole = self._place.take(self._squares(numbers))
        doubtful = np.flatnonzero(places == IN_DOUBT)
        if len(doubtful):
            places[doubtful] = self._compared(numbers[doubtful])
        return places

    def _squares(self, numbers: Numbers) -> NDArray[np.intp]:
        with np.errstate(over="ignore"):
            squares = numbers - self._low
            squares *= self._scale
        np.clip(squares, -1, SQUARES, out=squares)
        squares += 1
        found: NDArray[np.intp] = squares.astype(np.intp)
        return found

    def _compared(self, numbers: Numbers) -> Whole:
        places = np.searchsorted(self._edges, numbers, side="right") + BELOW
        places[numbers == self._edges[-1]] -= 1  # the last bin holds its upper edge too
        return places


grid_of = lru_cache(EDGES_KEPT)(Grid)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """What was counted so far of each group."""

    places: Whole  # (groups, places)
    total: Numbers
    squares: Numbers
    least: Numbers
    greatest: Numbers

    @classmethod
    def of(cls, groups: int, places: int) -> Self:
        """Return one of nothing."""
        return cls(
            places=np.zeros((groups, places), np.int64),
            total=np.zeros(groups),
            squares=np.zeros(groups),
            least=np.full(groups, np.inf),
            greatest=np.full(groups, -np.inf),
        )

    def add(self, place: int, groups: Whole) -> None:
        """Count rows that all have one place."""
        self.places[:, place] += np.bincount(groups, minlength=len(self.places))

    def add_numbers(self, places: Whole, numbers: Numbers, groups: Whole) -> None:
        """Count finite numbers, at least one, in the order of their groups."""
        if groups[0] == groups[-1]:
            starts, owners = np.zeros(1, np.intp), groups[:1]
            self.places[owners[0]] += np.bincount(places, minlength=self.places.shape[1])
        else:
            starts = np.flatnonzero(np.diff(groups, prepend=-1))
            owners = groups[starts]
            flat = groups * self.places.shape[1] + places
            counts = np.bincount(flat, minlength=self.places.size)
            np.add(self.places, counts.reshape(self.places.shape), out=self.places)
        with np.errstate(over="ignore"):
            self.total[owners] += np.add.reduceat(numbers, starts)
            self.squares[owners] += np.add.reduceat(numbers * numbers, starts)
        least, greatest = self.least[owners], self.greatest[owners]
        self.least[owners] = np.minimum(least, np.minimum.reduceat(numbers, starts))
        self.greatest[owners] = np.maximum(greatest, np.maximum.reduceat(numbers, starts))

    def counts(self) -> list[Counts]:
        """Return what was counted of each group."""
        ends = zip(self.least.tolist(), self.greatest.tolist(), strict=True)
        sums = zip(self.total.tolist(), self.squares.tolist(), strict=True)
        return [
            Counts(
                places=tuple(places),
                total=total,
                squares=squares,
                least=least if least <= greatest else None,
                greatest=greatest if least <= greatest else None,
            )
            for places, (total, squares), (least, greatest) in zip(
                self.places.tolist(), sums, ends, strict=True
            )
        ]


def number_counts(bins: Bins, cells: Cells, groups: Whole, number: int) -> list[Counts]:
    """Return the counts of each of so many groups; a row of group -1 counts nowhere."""
    tally = Tally.of(number, bins.places)
    for start in range(0, len(groups), BLOCK):
        _count(tally, bins, cells, groups, slice(start, start + BLOCK))
    return tally.counts()


def _count(tally: Tally, bins: Bins, cells: Cells, groups: Whole, rows: slice) -> None:
    """Count a block of rows; what it does not need to sort out it does not copy."""
    assert cells.numbers is not None  # noqa: S101 - a column of numbers
    there, missing = cells.there[rows], cells.missing[rows]
    numbers, group = cells.numbers[rows], groups[rows]
    if not there.all() or group.min() < 0:
        keep = there & (group >= 0)
        missing, numbers, group = missing[keep], numbers[keep], group[keep]
    if missing.any():
        tally.add(MISSING, group[missing])
        numbers, group = numbers[~missing], group[~missing]
    finite = np.isfinite(numbers)
    if not finite.all():
        tally.add(NOT_FINITE, group[~finite])
        numbers, group = numbers[finite], group[finite]
    if (group[1:] < group[:-1]).any():
        order = np.argsort(group, kind="stable")
        numbers, group = numbers[order], group[order]
    if len(numbers):
        tally.add_numbers(grid_of(bins.edges).places(numbers), numbers, group)
