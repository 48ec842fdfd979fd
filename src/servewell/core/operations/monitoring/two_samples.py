"""Whether the values of a column differ between two sets of rows, and by how much.

Whether they do: Pearson's chi-square test of homogeneity on two rows of counts. Places next to
each other are merged until five rows are expected of each in both sets, where its approximation
holds (Cochran 1954, Biometrics 10, 417-451); of categories, which have no order, the rarest are.

How much: the population stability index of the same cells, less what chance alone gives.

How many rows it takes to find an index: under it the statistic is noncentral chi-square, with the
index over 1/N + 1/M as its noncentrality (to second order the index is the chi-square distance).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from servewell.core.catalog.profile import Bins, ColumnKind, Counts
from servewell.core.operations.chi_square import (
    chi_square_quantile,
    chi_square_sf,
    noncentrality_at,
)
from servewell.core.operations.distribution_shift import corrected_psi

EXPECTED_MIN: Final = 5.0
POWER: Final = 0.8  # chance of finding what matters, from which not finding it says something

Places = Sequence[int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """Two rows of counts against each other."""

    p: float = 1.0  # of "distributed alike", 0..1
    psi: float = 0.0  # less what chance alone gives; at least 0


def difference(bins: Bins, before: Places, now: Places) -> Difference:
    """Return how the counts of a column differ; not at all where there is too little to compare."""
    one, other = cells(bins, before, now)
    if len(one) < 2:  # noqa: PLR2004 - two cells make a distribution
        return Difference()
    return Difference(
        p=chi_square_sf(_statistic(one, other), len(one) - 1), psi=corrected_psi(one, other)
    )


def cells(bins: Bins, before: Places, now: Places) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return both rows of counts with places merged until each is expected to hold five rows."""
    n, m = sum(before), sum(now)
    if not n or not m:
        return (), ()
    pairs = list(zip(before, now, strict=True))
    if bins.unnamed:  # one more of those without a place of their own is nothing new
        *pairs, (a, b), (c, d) = pairs
        pairs.append((a + c, b + d))
    if bins.kind is not ColumnKind.NUMBER:
        pairs.sort(key=sum)
    needed = EXPECTED_MIN * (n + m) / min(n, m)  # rows of both together
    merged: list[tuple[int, int]] = []
    a = b = 0
    for x, y in pairs:
        a, b = a + x, b + y
        if a + b >= needed:
            merged.append((a, b))
            a = b = 0
    if merged and a + b:
        merged[-1] = (merged[-1][0] + a, merged[-1][1] + b)
    return tuple(x for x, _ in merged), tuple(y for _, y in merged)


def _statistic(before: Places, now: Places) -> float:
    """Return Pearson's statistic of homogeneity of two rows of counts without an empty column."""
    n, m = sum(before), sum(now)
    total = 0.0
    for a, b in zip(before, now, strict=True):
        expected = (a + b) * n / (n + m)
        total += (a - expected) ** 2 / expected
        total += (b - (a + b - expected)) ** 2 / (a + b - expected)
    return total


def rows_needed(before: Places, *, index: float, chance: float) -> int | None:
    """Return of how many rows a column's index would be found in four of five cases.

    None where no number would do, because the reference has too few.

    Units:  `index` is a population stability index; `chance` is that of a false finding, 0..1.
    """
    held = sum(1 for count in before if count)
    noncentrality = _noncentrality(max(held - 1, 1), chance)
    left = index - noncentrality / max(sum(before), 1)
    return int(noncentrality / left) + 1 if left > 0 else None


def usual_of(
    bins: Sequence[Bins], whole: Mapping[str, Counts], parts: Sequence[Mapping[str, Counts]]
) -> dict[str, float]:
    """Return the largest index of a column of any part against the whole: what it does by itself.

    A column that does not move is left out.
    """
    found = {
        one.column: max(
            difference(one, whole[one.column].places, part[one.column].places).psi
            for part in parts
            if one.column in part
        )
        for one in bins
        if one.column in whole and any(one.column in part for part in parts)
    }
    return {column: psi for column, psi in found.items() if psi > 0}


@lru_cache(maxsize=1_000)
def _noncentrality(freedom: int, chance: float) -> float:
    """Return the noncentrality that a test at this level finds in four of five cases."""
    return noncentrality_at(chi_square_quantile(1 - chance, freedom), freedom, 1 - POWER)
