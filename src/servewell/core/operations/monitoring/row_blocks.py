"""How far a figure differs from one block of rows to the next, beyond chance.

Rows that follow each other are alike: of one storm, one campaign, one day. An interval that takes
them as independent is too narrow for another time. So the held-out rows are cut into blocks, in
their order, and what a figure does between blocks beyond chance widens what is said of it later.
Where the order means nothing there is no such deviation, and nothing is widened.

Source: the method of moments for the variance between groups, and Cochran's Q to tell it from
chance: DerSimonian and Laird, "Meta-analysis in clinical trials", 1986.
"""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Final

from servewell.core.catalog.quality import Figure
from servewell.core.operations.chi_square import chi_square_sf

BLOCKS: Final = 8
BLOCK_ROWS_MIN: Final = 50  # fewer have no figure worth comparing
CHANCE: Final = 0.05  # that rows in no order are taken to differ
Z: Final = 1.96
T: Final = 2.36  # in its place, where a deviation is that of eight blocks: Student's of 95 %

Block = tuple[int, int]  # its first row, and the one behind its last
Difference = tuple[float, float]  # of a block, and its standard error


def blocks_of(rows: int) -> tuple[Block, ...]:
    """Return where each block of so many rows begins and ends."""
    ends = [rows * block // BLOCKS for block in range(BLOCKS + 1)]
    return tuple(pairwise(ends))


def deviation_of(differences: Sequence[Difference], *, freedom: int) -> float:
    """Return the deviation of blocks beyond chance; 0 where chance alone may have made it.

    `freedom` is how many of the differences are free: of those from their own mean one less.
    """
    known = [one for one in differences if 0 < one[1] < math.inf]
    if len(known) < len(differences) or freedom < BLOCKS // 2:
        return 0.0
    if chi_square_sf(math.fsum((apart / error) ** 2 for apart, error in known), freedom) > CHANCE:
        return 0.0
    found = math.fsum(apart * apart for apart, _ in known) / freedom
    return math.sqrt(max(0.0, found - math.fsum(error * error for _, error in known) / len(known)))


def deviation_of_figures(figures: Sequence[Figure]) -> float:
    """Return the deviation beyond chance of what was realised in each block."""
    if not figures:
        return 0.0
    mean = math.fsum(one.value for one in figures) / len(figures)
    differences = [(one.value - mean, error_of(one)) for one in figures]
    return deviation_of(differences, freedom=len(figures) - 1)


def error_of(figure: Figure) -> float:
    """Return the standard error of a figure by its interval, the longer side of it."""
    return max(figure.high - figure.value, figure.value - figure.low) / Z


def error_with(error: float, deviation: float) -> float:
    """Return a standard error that holds a deviation between blocks too."""
    return math.hypot(error, deviation) * T / Z if deviation else error


def widened(figure: Figure, deviation: float, *, highest: float = math.inf) -> Figure:
    """Return a figure with an interval that holds a deviation between blocks too."""
    if not deviation:
        return figure
    reach = Z * error_with(error_of(figure), deviation)
    return Figure(
        value=figure.value,
        low=max(0.0, figure.value - reach),
        high=min(highest, figure.value + reach),
    )
