"""What each column of some rows holds."""

from dataclasses import replace
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from servewell.adapters.embedded.job.data.values import (
    NUMERIC,
    kind_of,
    missing_of,
    numbers_of,
    texts_of,
)
from servewell.core.catalog.data_facts import ValueKind
from servewell.core.catalog.dataset import ColumnStatistics

QUANTILES: Final = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)
BINS: Final = 20
TOP: Final = 10
TEXT_SHOWN: Final = 100  # characters of a frequent text


def column_statistics(table: pa.Table, personal: frozenset[str]) -> tuple[ColumnStatistics, ...]:
    """Return the statistics of all columns; no value of a personal one."""
    return tuple(
        _statistics(table.column(name), name, personal=name in personal)
        for name in table.column_names
    )


def _statistics(column: pa.ChunkedArray, name: str, *, personal: bool) -> ColumnStatistics:
    kind = kind_of(column.type)
    plain = ColumnStatistics(
        name=name,
        kind=kind,
        missing=int(missing_of(column).sum()),
        distinct=_distinct(column, kind),
        personal=personal,
    )
    if personal:
        return plain
    if kind in NUMERIC:
        return _of_numbers(plain, column)
    if kind is ValueKind.TEXT:
        return _of_texts(plain, column)
    return _of_times(plain, column) if kind is ValueKind.TIME else plain


def _distinct(column: pa.ChunkedArray, kind: ValueKind) -> int:
    if kind is ValueKind.TEXT:
        return len(texts_of(column)[1])
    if kind in NUMERIC:
        values = numbers_of(column)
        return len(np.unique(values[~np.isnan(values)]))
    if kind is ValueKind.TIME:
        return int(pc.count_distinct(column, mode="only_valid").as_py())
    return len({str(one) for one in column.to_pylist() if one is not None})


def _of_numbers(plain: ColumnStatistics, column: pa.ChunkedArray) -> ColumnStatistics:
    values = numbers_of(column)
    held = values[~np.isnan(values)]
    if not len(held):
        return plain
    scale = float(np.abs(held).max()) or 1.0  # so that no sum overflows
    counts, _ = np.histogram(held / scale, bins=BINS)
    return replace(
        plain,
        mean=float((held / scale).mean()) * scale,
        quantiles=tuple(float(one) for one in np.quantile(held, QUANTILES, method="nearest")),
        histogram=tuple(int(one) for one in counts),
    )


def _of_texts(plain: ColumnStatistics, column: pa.ChunkedArray) -> ColumnStatistics:
    codes, texts = texts_of(column)
    counts = np.bincount(codes[codes >= 0], minlength=len(texts))
    order = sorted(range(len(texts)), key=lambda code: (-int(counts[code]), texts[code]))[:TOP]
    return replace(
        plain, top=tuple((texts[code][:TEXT_SHOWN], int(counts[code])) for code in order)
    )


def _of_times(plain: ColumnStatistics, column: pa.ChunkedArray) -> ColumnStatistics:
    seen = pc.min_max(column)
    return replace(plain, first=_text(seen["min"]), last=_text(seen["max"]))


def _text(scalar: pa.Scalar) -> str:
    text = pc.cast(scalar, pa.string()).as_py()
    return "" if text is None else str(text)
