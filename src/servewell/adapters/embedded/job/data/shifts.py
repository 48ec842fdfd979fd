"""How columns differ between the rows before and those now.

The measures are those of two-sample chi-square homogeneity and of the population stability
index on bins frozen by the rows before. Cells are smoothed by half a row. The expectation of the
index under no drift, (bins - 1) (1/N + 1/M), is taken off (Yurdakul 2018).
"""

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from servewell.adapters.embedded.job.data.units import find_conversion
from servewell.adapters.embedded.job.data.values import (
    NUMERIC,
    Bins,
    Codes,
    kind_of,
    number_bins,
    numbers_of,
    text_bins,
    texts_of,
)
from servewell.core.catalog.data_facts import Against, Shift, Shifts, ValueKind

PARTS_MIN, PARTS_MAX = 4, 12
PART_ROWS_MIN: Final = 200
EXPECTED_MIN: Final = 5.0  # rows in a cell of the chi-square table
SMOOTHING: Final = 0.5
TEXTS_SHOWN: Final = 5
MOSTLY: Final = 0.5  # share of the rows before, from which that all have the same value is no news

Counts = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Two sets of rows; those before in the order of time where one is known."""

    before: pa.Table
    now: pa.Table
    against: Against
    name: str


def measure_shifts(pair: Pair, names: tuple[str, ...], *, hidden: frozenset[str]) -> Shifts:
    """Return how the named columns differ; no value of a `hidden` column is told."""
    return Shifts(
        against=pair.against,
        name=pair.name,
        rows_before=pair.before.num_rows,
        rows_now=pair.now.num_rows,
        columns=tuple(_shift(pair, name, hidden=name in hidden) for name in names),
    )


def _shift(pair: Pair, name: str, *, hidden: bool) -> Shift:
    before, now = _column(pair.before, name), _column(pair.now, name)
    if before is not None and now is not None and pa.types.is_null(now.type):
        now = now.cast(before.type)  # of rows that all lack it
    plain = Shift(
        column=name,
        kind_before=None if before is None else kind_of(before.type),
        kind_now=None if now is None else kind_of(now.type),
        rows_before=pair.before.num_rows,
        rows_now=pair.now.num_rows,
    )
    if before is None or now is None or not pair.before.num_rows or not pair.now.num_rows:
        return plain
    parts = _parts(pair.before.num_rows, pair.now.num_rows)
    if plain.kind_before in NUMERIC and plain.kind_now in NUMERIC:
        return _number_shift(plain, numbers_of(before), numbers_of(now), parts)
    if plain.kind_before is ValueKind.TEXT and plain.kind_now is ValueKind.TEXT:
        return _text_shift(plain, before, now, parts, hidden=hidden)
    return plain


def _number_shift(
    plain: Shift, before: NDArray[np.float64], now: NDArray[np.float64], parts: Codes
) -> Shift:
    bins = number_bins(before)
    codes_before, codes_now = bins.of_numbers(before), bins.of_numbers(now)
    shift = _measured(plain, bins, codes_before, codes_now, parts)

    counts_before = _counts(codes_before, bins)

    def index(values: NDArray[np.float64]) -> float:
        return psi(counts_before, _counts(bins.of_numbers(values), bins))

    return replace(
        shift,
        constant_now=_stopped(before, now),
        conversion=find_conversion(before, now, usual=shift.usual, index=index),
    )


def _text_shift(
    plain: Shift,
    before: pa.ChunkedArray,
    now: pa.ChunkedArray,
    parts: Codes,
    *,
    hidden: bool,
) -> Shift:
    (codes_before, texts_before), (codes_now, texts_now) = texts_of(before), texts_of(now)
    bins = text_bins(codes_before, texts_before)
    shift = _measured(
        plain,
        bins,
        bins.of_texts(codes_before, texts_before),
        bins.of_texts(codes_now, texts_now),
        parts,
    )
    known = {text: code for code, text in enumerate(texts_before)}
    counts = np.bincount(codes_now[codes_now >= 0], minlength=len(texts_now))
    unseen = [
        (int(n), text) for n, text in zip(counts, texts_now, strict=True) if text not in known
    ]
    shown = sorted(unseen, key=lambda one: (-one[0], one[1]))[:TEXTS_SHOWN]
    return replace(
        shift,
        unseen=sum(n for n, _ in unseen) / plain.rows_now,
        unseen_usual=_unseen_usual(codes_before, parts),
        unseen_texts=() if hidden else tuple(text for _, text in shown),
        constant_now=len(texts_now) == 1
        and bool((codes_before == known.get(texts_now[0], -1)).mean() < MOSTLY),
    )


def _measured(plain: Shift, bins: Bins, before: Codes, now: Codes, parts: Codes) -> Shift:
    counts_before, counts_now = _counts(before, bins), _counts(now, bins)
    statistic, degrees = chi_square(counts_before, counts_now)
    by_part = np.bincount(parts * bins.count + before, minlength=(parts[-1] + 1) * bins.count)
    table = by_part.reshape(-1, bins.count).astype(np.float64)
    shares = table[:, -1] / table.sum(axis=1)
    return replace(
        plain,
        missing_before=float(counts_before[-1] / counts_before.sum()),
        missing_now=float(counts_now[-1] / counts_now.sum()),
        missing_usual=float(shares.max()),
        psi=psi(counts_before, counts_now),
        usual=_usual(table),
        statistic=statistic,
        degrees=degrees,
    )


def psi(before: Counts, now: Counts) -> float:
    """Return the population stability index, less its expectation under no drift.

    Bins that hold nothing on both sides do not count.
    """
    held = (before > 0) | (now > 0)
    if not held.any():
        return 0.0
    before, now = before[held] + SMOOTHING, now[held] + SMOOTHING
    p, q = before / before.sum(), now / now.sum()
    raw = float(((p - q) * np.log(p / q)).sum())
    noise = (len(p) - 1) * (1 / before.sum() + 1 / now.sum())
    return max(0.0, raw - float(noise))


def chi_square(before: Counts, now: Counts) -> tuple[float, int]:
    """Return the statistic of homogeneity of two samples, and its degrees of freedom.

    Adjacent bins are joined until at least five rows are expected in each cell.
    """
    table = _joined(np.stack([before, now]))
    total = table.sum()
    expected = table.sum(axis=1, keepdims=True) * table.sum(axis=0, keepdims=True) / total
    return float(((table - expected) ** 2 / expected).sum()), table.shape[1] - 1


def _joined(table: Counts) -> Counts:
    share = table.sum(axis=1).min() / table.sum()  # of the smaller sample
    columns: list[Counts] = []
    waiting = np.zeros(2)
    for column in table.T:
        waiting = waiting + column
        if waiting.sum() * share >= EXPECTED_MIN:
            columns.append(waiting)
            waiting = np.zeros(2)
    if not columns:
        whole: Counts = table.sum(axis=1, keepdims=True)
        return whole
    columns[-1] = columns[-1] + waiting
    return np.stack(columns, axis=1)


def _usual(table: Counts) -> float:
    """Return the largest index of a part against all the parts before it."""
    until = table.cumsum(axis=0)
    return max((psi(until[at - 1], table[at]) for at in range(1, len(table))), default=0.0)


def _unseen_usual(codes: Codes, parts: Codes) -> float:
    """Return the largest share of a part's rows whose text stood in no part before it."""
    first = np.full(int(codes.max()) + 2, parts[-1] + 1)
    np.minimum.at(first, codes, parts)  # code -1, a missing text, takes the last place
    new = (first[codes] == parts) & (codes >= 0) & (parts > 0)
    shares = np.bincount(parts, weights=new) / np.maximum(np.bincount(parts), 1)
    return float(shares.max())


def _parts(rows_before: int, rows_now: int) -> Codes:
    """Return the part that each row before belongs to: some of about the size of the rows now."""
    wanted = min(max(rows_before // rows_now, PARTS_MIN), PARTS_MAX)
    count = max(1, min(wanted, rows_before // PART_ROWS_MIN))
    return np.arange(rows_before) * count // rows_before


def _counts(codes: Codes, bins: Bins) -> Counts:
    return np.bincount(codes, minlength=bins.count).astype(np.float64)


def _stopped(before: NDArray[np.float64], now: NDArray[np.float64]) -> bool:
    """Whether there is one value now, that most rows before did not have."""
    held = now[~np.isnan(now)]
    one = bool(len(held)) and bool(held.min() == held.max())
    return one and bool((before == held[0]).mean() < MOSTLY)


def _column(table: pa.Table, name: str) -> pa.ChunkedArray | None:
    return table.column(name) if name in table.column_names else None
