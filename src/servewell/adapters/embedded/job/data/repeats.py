"""Which rows are copies of others, by a 64-bit digest of each."""

import hashlib
from collections.abc import Iterable
from typing import Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from servewell.adapters.embedded.job.data.values import NUMERIC, kind_of, numbers_of, texts_of
from servewell.core.catalog.data_facts import ValueKind

Digests = NDArray[np.uint64]

# Odd constants of splitmix64 (Steele, Lea and Flood 2014), whose steps mix each column in.
FIRST: Final = np.uint64(0xBF58476D1CE4E5B9)
SECOND: Final = np.uint64(0x94D049BB133111EB)
STEP: Final = np.uint64(0x9E3779B97F4A7C15)
MISSING: Final = np.uint64(0x5345525645)


def row_digests(table: pa.Table, names: Iterable[str]) -> Digests:
    """Return a digest of each row over the named columns; equal rows have equal ones.

    Two rows that differ share one with a chance of about 2^-64.
    """
    found = np.zeros(table.num_rows, dtype=np.uint64)
    for name in names:
        found = _mixed(found * STEP + _digests(table.column(name)))
    return found


def copies(digests: Digests) -> int:
    """Return how many rows are copies of another one."""
    ordered = np.sort(digests)
    return int((ordered[1:] == ordered[:-1]).sum())


def are_among(digests: Digests, others: Digests) -> NDArray[np.bool_]:
    """Return which rows are copies of any of the others."""
    if not len(others):
        return np.zeros(len(digests), dtype=bool)
    ordered = np.sort(others)
    at = np.minimum(np.searchsorted(ordered, digests), len(ordered) - 1)
    return np.asarray(ordered[at] == digests)


def _mixed(values: Digests) -> Digests:
    values = (values ^ (values >> np.uint64(30))) * FIRST
    values = (values ^ (values >> np.uint64(27))) * SECOND
    return values ^ (values >> np.uint64(31))


def _digests(column: pa.ChunkedArray) -> Digests:
    kind = kind_of(column.type)
    if kind in NUMERIC:
        values = numbers_of(column) + 0.0  # the two zeros are one
        return np.where(np.isnan(values), MISSING, values.view(np.uint64))
    if kind is ValueKind.TIME:
        whole = column.cast(pa.int64(), safe=False) if _is_long(column.type) else column
        numbers = whole.cast(pa.int64(), safe=False).fill_null(-(2**62))
        times: Digests = numbers.to_numpy(zero_copy_only=False).view(np.uint64)
        return times
    if kind is ValueKind.TEXT:
        codes, texts = texts_of(column)
    else:
        codes, texts = texts_of(pa.chunked_array([[str(one) for one in column.to_pylist()]]))
    known = [int.from_bytes(hashlib.blake2b(one.encode(), digest_size=8).digest()) for one in texts]
    return np.array([*known, MISSING], dtype=np.uint64)[codes]


def _is_long(kind: pa.DataType) -> bool:
    return bool(
        pa.types.is_timestamp(kind) or pa.types.is_duration(kind) or pa.types.is_date64(kind)
    )
