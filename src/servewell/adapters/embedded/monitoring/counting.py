"""Counting rows in frozen bins, many groups of them at once."""

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np

from servewell.adapters.embedded.monitoring.binning import NAMED_MIN, projected, score_of
from servewell.adapters.embedded.monitoring.cells import Cells, Mask, Numbers, Whole
from servewell.adapters.embedded.monitoring.number_counting import (
    MISSING,
    NOT_FINITE,
    grid_of,
    number_counts,
)
from servewell.core.catalog.profile import Bins, ColumnKind, Counts, Side
from servewell.core.operations.monitoring.profiles import category_digest, named_unseen

NOWHERE: Final = -1  # of a row that does not have the column
UNSEEN_LENGTH_MAX: Final = 60  # characters of a category that is told


def columns_of(
    bins: Sequence[Bins], inputs: Mapping[str, Cells], outputs: Mapping[str, Cells]
) -> dict[str, Cells]:
    """Return the values of each column of a profile.

    A column of which these rows know nothing is left out.
    """
    found: dict[str, Cells] = {}
    for one in bins:
        name = one.source or one.column
        sides = {Side.INPUT: (inputs,), Side.PROJECTION: (inputs, outputs)}
        cells = next((side[name] for side in sides.get(one.side, (outputs,)) if name in side), None)
        if cells is None:
            continue
        if one.side is Side.SCORE:
            cells = score_of(cells)
        elif one.side is Side.PROJECTION:
            cells = projected(cells, one.direction)
        found[one.column] = cells
    return found


def counted(bins: Bins, cells: Cells, groups: Whole, number: int) -> list[Counts]:
    """Return the counts of each of so many groups; a row of group -1 counts nowhere."""
    if _is_number(bins, cells):
        return number_counts(bins, cells, groups, number)
    places = places_of(bins, cells)
    keep = (places >= 0) & (groups >= 0)
    group, place = groups[keep], places[keep]
    flat = np.bincount(group * bins.places + place, minlength=number * bins.places)
    table = flat.reshape(number, bins.places).tolist()
    if bins.kind is ColumnKind.CATEGORY:
        unseen = _unseen(cells, keep.nonzero()[0], group, place == bins.places - 1)
        return [
            Counts(places=tuple(row), unseen=named_unseen(unseen.get(at, {})))
            for at, row in enumerate(table)
        ]
    return [Counts(places=tuple(row)) for row in table]


def places_of(bins: Bins, cells: Cells) -> Whole:
    """Return the place of each row among the counts; -1 where it does not have the column."""
    if _is_number(bins, cells) and cells.numbers is not None:
        places = _number_places(bins, cells.numbers)
    elif bins.kind is ColumnKind.CATEGORY and cells.texts is not None:
        places = _word_places(bins, cells.words)[cells.texts]
    elif bins.kind is ColumnKind.PRESENCE:
        places = np.ones(len(cells.there), np.int64)
    elif cells.personal:  # by a rule that is younger than the bins
        return np.full(len(cells.there), NOWHERE, np.int64)
    else:  # its values are of another kind now, and none is one that the bins know
        other = NOT_FINITE if bins.kind is ColumnKind.NUMBER else bins.places - 1
        places = np.full(len(cells.there), other, np.int64)
    places[cells.missing] = MISSING
    places[~cells.there] = NOWHERE
    return places


def _is_number(bins: Bins, cells: Cells) -> bool:
    return bins.kind is ColumnKind.NUMBER and cells.numbers is not None and cells.width == 1


def _number_places(bins: Bins, numbers: Numbers) -> Whole:
    finite = np.isfinite(numbers)
    places = np.full(len(numbers), NOT_FINITE, np.int64)
    places[finite] = grid_of(bins.edges).places(numbers[finite])
    return places


def _word_places(bins: Bins, words: Sequence[str]) -> Whole:
    """Return the place of each category, and behind them that of a missing one."""
    named = {name: at for at, name in enumerate(bins.categories, start=1)}
    unnamed = frozenset(bins.unnamed)
    other = len(bins.categories) + 1
    places = [
        named[word] if word in named else other + (category_digest(word) not in unnamed)
        for word in words
    ]
    return np.array([*places, MISSING], np.int64)


def _unseen(cells: Cells, rows: Whole, group: Whole, is_unseen: Mask) -> dict[int, dict[str, int]]:
    """Return by group the texts never seen that enough of all these rows have."""
    found: dict[int, dict[str, int]] = {}
    if cells.texts is None:
        return found
    of_rows = cells.texts[rows[is_unseen]]
    enough = np.bincount(of_rows)[of_rows] >= NAMED_MIN
    if not enough.any():
        return found
    pairs = np.stack([group[is_unseen][enough], of_rows[enough]])
    distinct, numbers = np.unique(pairs, axis=1, return_counts=True)
    for (at, text), number in zip(distinct.T, numbers, strict=True):
        of_group = found.setdefault(int(at), {})
        word = cells.words[text][:UNSEEN_LENGTH_MAX]
        of_group[word] = of_group.get(word, 0) + int(number)
    return found
