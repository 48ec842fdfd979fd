"""Columns as NumPy sees them: numbers, codes of texts, and bins."""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from servewell.core.catalog.data_facts import ValueKind

Numbers = NDArray[np.float64]  # not-a-number where there is no value
Codes = NDArray[np.int64]

QUANTILES: Final = 20
SAMPLE: Final = 50_000  # rows that quantiles are read from
TEXTS_MAX: Final = 50  # most frequent texts that have a bin of their own

_KINDS: Final = (
    (pa.types.is_string, ValueKind.TEXT),
    (pa.types.is_large_string, ValueKind.TEXT),
    (pa.types.is_boolean, ValueKind.BOOL),
    (pa.types.is_integer, ValueKind.INTEGER),
    (pa.types.is_floating, ValueKind.NUMBER),
    (pa.types.is_decimal, ValueKind.NUMBER),
    (pa.types.is_temporal, ValueKind.TIME),
)
NUMERIC: Final = (ValueKind.BOOL, ValueKind.INTEGER, ValueKind.NUMBER)


def kind_of(kind: pa.DataType) -> ValueKind:
    """Return what the values of an Arrow type are."""
    if pa.types.is_dictionary(kind):
        return kind_of(kind.value_type)
    return next((found for holds, found in _KINDS if holds(kind)), ValueKind.OTHER)


def numbers_of(column: pa.ChunkedArray) -> Numbers:
    """Return a column of numbers or booleans; what is not finite counts as missing."""
    plain = column.cast(pa.float64(), safe=False)
    values: Numbers = plain.to_numpy(zero_copy_only=False).astype(np.float64, copy=False)
    return np.where(np.isfinite(values), values, np.nan)


def texts_of(column: pa.ChunkedArray) -> tuple[Codes, list[str]]:
    """Return the code of each row's text, -1 where it is missing, and the texts by code."""
    encoded = _decoded(column).dictionary_encode().combine_chunks()
    if isinstance(encoded, pa.ChunkedArray):  # of no rows
        encoded = encoded.chunk(0) if encoded.num_chunks else pa.array([], pa.string())
        encoded = encoded.dictionary_encode() if pa.types.is_string(encoded.type) else encoded
    codes = pc.fill_null(encoded.indices, -1).to_numpy(zero_copy_only=False)
    return codes.astype(np.int64), encoded.dictionary.to_pylist()


def missing_of(column: pa.ChunkedArray) -> NDArray[np.bool_]:
    """Return which rows have no value; not-a-number is none."""
    mask: NDArray[np.bool_] = pc.is_null(column, nan_is_null=True).to_numpy(zero_copy_only=False)
    return mask.astype(bool, copy=False)


def spread(rows: int, most: int) -> slice:
    """Return a slice that takes at most `most` of so many rows, evenly."""
    return slice(None, None, max(1, -(-rows // most)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Bins:
    """Bins of the values of a column, frozen by the rows before.

    Of numbers: below, the quantiles, above. Of texts: the most frequent, all others, unseen.
    The last bin is for missing values.
    """

    count: int
    edges: Numbers | None = None  # of numbers
    codes: dict[str, int] | None = None  # of texts

    def of_numbers(self, values: Numbers) -> Codes:
        """Return the bin of each number."""
        assert self.edges is not None  # noqa: S101 - only numbers are asked for here
        found = np.searchsorted(self.edges, values, side="right")
        return np.where(np.isnan(values), self.count - 1, found)

    def of_texts(self, codes: Codes, texts: list[str]) -> Codes:
        """Return the bin of each text, by its code."""
        assert self.codes is not None  # noqa: S101 - only texts are asked for here
        unseen = self.count - 2
        table = np.array([*(self.codes.get(one, unseen) for one in texts), self.count - 1])
        return table[codes].astype(np.int64)


def number_bins(values: Numbers) -> Bins:
    """Return the bins of 20 quantiles, and one below the smallest and above the largest."""
    held = values[~np.isnan(values)]
    if not len(held):
        return Bins(count=2, edges=np.array([np.inf]))
    quantiles = np.quantile(held[spread(len(held), SAMPLE)], np.linspace(0, 1, QUANTILES + 1))
    highest = np.nextafter(held.max(), np.inf)
    inner = quantiles[(quantiles > held.min()) & (quantiles < highest)]
    edges = np.unique(np.concatenate([[held.min()], inner, [highest]]))
    return Bins(count=len(edges) + 2, edges=edges)


def text_bins(codes: Codes, texts: list[str]) -> Bins:
    """Return the bins of the most frequent texts; the others that are known share one."""
    counts = np.bincount(codes[codes >= 0], minlength=len(texts))
    order = np.argsort(-counts, kind="stable")
    rank = {texts[code]: min(place, TEXTS_MAX) for place, code in enumerate(order.tolist())}
    return Bins(count=min(len(texts), TEXTS_MAX + 1) + 2, codes=rank)


def _decoded(column: pa.ChunkedArray) -> Any:  # noqa: ANN401  # pyarrow is untyped
    if pa.types.is_dictionary(column.type):
        return column.cast(column.type.value_type)
    return column
