"""How well one input alone tells the label.

An input is cut into bins and each bin is given the mean of the label among every second row; how
well that orders the other rows is measured. So an input that is an id of the row tells nothing.
"""

from collections.abc import Callable, Iterator
from typing import Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from servewell.adapters.embedded.job.data.values import (
    NUMERIC,
    Codes,
    kind_of,
    missing_of,
    number_bins,
    numbers_of,
    spread,
    texts_of,
)
from servewell.core.catalog.data_facts import Leak, Power, ValueKind

Numbers = NDArray[np.float64]
Measure = Callable[[Numbers, Numbers], float]

LOOKED_AT: Final = 50_000  # rows
CLASSES_MAX: Final = 20  # distinct labels; more are numbers
CLASSES_LOOKED_AT: Final = 5  # the most frequent
HELD_MIN: Final = 0.5  # share of the rows with a value, from which their order is looked at too
ROWS_MIN: Final = 4


def measure_leaks(table: pa.Table, names: tuple[str, ...], label: str) -> tuple[Leak, ...]:
    """Return what each of the named inputs says of the label, of rows that have one."""
    rows = np.flatnonzero(~missing_of(table.column(label)))
    rows = rows[spread(len(rows), LOOKED_AT)]
    known = table.select([label, *(one for one in names if one != label)]).take(pa.array(rows))
    targets = _targets(known.column(label)) if len(rows) >= ROWS_MIN else []
    by = Power.AUC if targets and set(np.unique(targets[0])) <= {0.0, 1.0} else Power.CORRELATION
    looked_at = [one for one in names if one in known.column_names and one != label and targets]
    return tuple(_leak(known.column(one), one, targets, by) for one in looked_at)


def _leak(column: pa.ChunkedArray, name: str, targets: list[Numbers], by: Power) -> Leak:
    measure = area if by is Power.AUC else correlation
    missing = missing_of(column).astype(np.float64)
    scores, codes = list(_scores(column)), list(_codes(column))
    values = [
        max(
            [measure(score, target) for score in scores]
            + [_encoded(one, target, measure) for one in codes],
            default=0.0,
        )
        for target in targets
    ]
    return Leak(
        name=name,
        by=by,
        value=min(values),  # one class of many may well be told by one input
        missing=min(measure(missing, target) for target in targets),
        rows=len(missing),
    )


def _targets(column: pa.ChunkedArray) -> list[Numbers]:
    """Return the label as numbers, or whether a row is of a class, for each frequent class."""
    kind = kind_of(column.type)
    if kind is ValueKind.TEXT:
        codes, _ = texts_of(column)
    elif kind in NUMERIC:
        values = numbers_of(column)
        distinct, codes = np.unique(values, return_inverse=True)
        if len(distinct) > CLASSES_MAX:
            return [values]
    else:
        return []
    order = np.argsort(-np.bincount(codes), kind="stable")[:CLASSES_LOOKED_AT]
    wanted = order[:1] if len(np.unique(codes)) <= 2 else order  # noqa: PLR2004 - of two, one says it all
    return [(codes == one).astype(np.float64) for one in wanted]


def _scores(column: pa.ChunkedArray) -> Iterator[Numbers]:
    """Yield the numbers themselves, those that are missing in the middle."""
    if kind_of(column.type) in NUMERIC:
        values = numbers_of(column)
        held = ~np.isnan(values)
        if held.mean() >= HELD_MIN:
            yield np.where(held, values, np.median(values[held]))


def _codes(column: pa.ChunkedArray) -> Iterator[Codes]:
    kind = kind_of(column.type)
    if kind in NUMERIC:
        values = numbers_of(column)
        yield number_bins(values).of_numbers(values)
    elif kind is ValueKind.TEXT:
        yield texts_of(column)[0] + 1


def _encoded(codes: Codes, target: Numbers, measure: Measure) -> float:
    """Return how well the means of every second row order the rows between them."""
    learn, look = slice(0, None, 2), slice(1, None, 2)
    size = int(codes.max()) + 1
    counts = np.bincount(codes[learn], minlength=size)
    sums = np.bincount(codes[learn], weights=target[learn], minlength=size)
    means = np.where(counts > 0, sums / np.maximum(counts, 1), target[learn].mean())
    return measure(means[codes[look]], target[look])


def area(score: Numbers, target: Numbers) -> float:
    """Return the area under the ROC curve, or 1 less it where the order is the other way round.

    Source: Hanley and McNeil 1982: it is the Mann-Whitney statistic over the pairs.
    """
    positive = float(target.sum())
    pairs = positive * (len(target) - positive)
    if not pairs:
        return 0.5
    ranks = ranked(score)[target > 0].sum() - positive * (positive + 1) / 2
    found = float(ranks / pairs)
    return max(found, 1 - found)


def correlation(score: Numbers, target: Numbers) -> float:
    """Return the size of Spearman's rank correlation, 0..1."""
    one, other = ranked(score), ranked(target)
    if np.ptp(one) == 0 or np.ptp(other) == 0:
        return 0.0
    return abs(float(np.corrcoef(one, other)[0, 1]))


def ranked(values: Numbers) -> Numbers:
    """Return the ranks of values from 1; those that are equal share their mean."""
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    middle: Numbers = (last - (counts - 1) / 2)[place]
    return middle
