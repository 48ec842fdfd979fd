"""Profiles of many groups of rows at once, each with its declared slices."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from servewell.adapters.embedded.monitoring.binning import bins_of
from servewell.adapters.embedded.monitoring.cells import Cells, Whole
from servewell.adapters.embedded.monitoring.counting import columns_of, counted
from servewell.core.catalog.profile import EVERYTHING, Bins, Counts, ReferenceProfile
from servewell.core.catalog.signature import Signature
from servewell.core.operations.monitoring.two_samples import usual_of

SLICE_VALUES_MAX: Final = 20  # of each input that is sliced by
PARTS_MAX: Final = 12  # of the reference, in the order of its rows
PART_ROWS_MIN: Final = 250


@dataclass(slots=True)
class Group:
    """What was counted of one group of rows."""

    rows: dict[str, int] = field(default_factory=dict)  # by slice
    counts: dict[str, dict[str, Counts]] = field(default_factory=dict)  # slice -> column


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Inputs and outputs of some rows, by name."""

    inputs: Mapping[str, Cells]
    outputs: Mapping[str, Cells]


def reference_of(
    signature: Signature, table: Table, *, rows: int, slices: Sequence[str], source: str
) -> ReferenceProfile:
    """Return the reference profile of these rows; its package and version are not known yet."""
    bins = bins_of(signature, table.inputs, table.outputs)
    sliced = _slices(bins, table, slices)
    [whole] = grouped(bins, sliced, table, np.zeros(rows, np.int64), 1)
    return ReferenceProfile(
        package="",
        version="",
        source=source,
        bins=bins,
        slices=tuple(dict.fromkeys(name.partition("=")[0] for name in sliced)),
        rows=whole.rows,
        counts=whole.counts,
        usual=_usual(bins, table, rows, whole),
    )


def _usual(bins: Sequence[Bins], table: Table, rows: int, whole: Group) -> dict[str, float]:
    """Return how far the columns of consecutive parts of the rows are from those of all."""
    number = min(PARTS_MAX, rows // PART_ROWS_MIN)
    parts = grouped(bins, (), table, np.arange(rows) * number // max(rows, 1), max(number, 1))
    held = whole.counts.get(EVERYTHING, {})
    return usual_of(bins, held, [one.counts.get(EVERYTHING, {}) for one in parts])


def slices_in(reference: ReferenceProfile) -> tuple[str, ...]:
    """Return the slices that are counted by themselves: `origin=EWR`."""
    return tuple(name for name in reference.rows if name != EVERYTHING)


def grouped(
    bins: Sequence[Bins], slices: Sequence[str], table: Table, groups: Whole, number: int
) -> list[Group]:
    """Return what was counted of each of so many groups; a row of group -1 counts nowhere."""
    found = [Group() for _ in range(number)]
    columns = columns_of(bins, table.inputs, table.outputs)
    for names, slots in _slots(slices, table, len(groups)):
        within = np.where((groups >= 0) & (slots >= 0), groups * len(names) + slots, -1)
        size = number * len(names)
        rows = np.bincount(within[within >= 0], minlength=size)
        for one in bins:
            if one.column in columns:
                for at, counts in enumerate(counted(one, columns[one.column], within, size)):
                    if rows[at] and counts.rows:
                        name = names[at % len(names)]
                        of_slice = found[at // len(names)].counts.setdefault(name, {})
                        of_slice[one.column] = counts
        for at in rows.nonzero()[0].tolist():
            found[at // len(names)].rows[names[at % len(names)]] = int(rows[at])
    return found


def _slots(slices: Sequence[str], table: Table, rows: int) -> Iterator[tuple[list[str], Whole]]:
    """Yield names of slices that share no row, and of each row the number of its own, or -1."""
    yield [EVERYTHING], np.zeros(rows, np.int64)
    by_input: dict[str, list[str]] = {}
    for name in slices:
        by_input.setdefault(name.partition("=")[0], []).append(name)
    for source, names in by_input.items():
        cells = table.inputs.get(source)
        if cells is not None and cells.texts is not None:
            at = {name.partition("=")[2]: slot for slot, name in enumerate(names)}
            slots = np.array([*(at.get(word, -1) for word in cells.words), -1], np.int64)
            yield names, np.where(cells.there, slots[cells.texts], -1)


def _slices(bins: Sequence[Bins], table: Table, wanted: Sequence[str]) -> list[str]:
    """Return a slice for each of the most frequent categories of the inputs that are wanted."""
    by_column = {one.column: one for one in bins}
    return [
        f"{name}={category}"
        for name in wanted
        if name in table.inputs and name in by_column
        for category in by_column[name].categories[:SLICE_VALUES_MAX]
    ]
