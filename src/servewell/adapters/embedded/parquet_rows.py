"""Rows of Parquet files, as the plain values that JSON has."""

import datetime as dt
import math
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from servewell.adapters.embedded.text_rows import Source, fault
from servewell.core.catalog.dataset import Column
from servewell.ports.tables import Row, TableFacts, TableFaultsError

ROWS_AT_ONCE: Final = 4_096
BUFFER_BYTES: Final = 1 << 20  # read of a column at once, however large its row groups are


def open_parquet(source: Source) -> pq.ParquetFile:
    """Return a Parquet file, its footer read.

    Raises: TableFaultsError.
    """
    try:
        file = pq.ParquetFile(source.stream, buffer_size=BUFFER_BYTES, pre_buffer=False)
    except pa.ArrowException as error:
        raise _damaged(source, error) from error
    names = file.schema_arrow.names
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise fault(
            source,
            why=f"it has more than one column `{twice}`",
            fix="give every column a name of its own",
        )
    return file


def describe_parquet(source: Source, *, size_bytes: int) -> TableFacts:
    """Return rows and columns of a Parquet file; its columns are read where it does not count.

    Raises: TableFaultsError.
    """
    file = open_parquet(source)
    columns = tuple(
        Column(name=one.name, type=str(one.type), missing=_missing(source, file, one))
        for one in file.schema_arrow
    )
    return TableFacts(rows=file.metadata.num_rows, size_bytes=size_bytes, columns=columns)


def parquet_rows(source: Source) -> Iterator[Row]:
    """Yield the rows of a Parquet file.

    Times become ISO 8601 text (UTC where the file knows the zone), durations seconds, decimals
    floats, not-a-number None.

    Raises: TableFaultsError.
    """
    file = open_parquet(source)
    names = file.schema_arrow.names
    for batch in _batches(source, file, columns=None):
        columns = [
            _plain(source, name, column) for name, column in zip(names, batch.columns, strict=True)
        ]
        for values in zip(*columns, strict=True):
            yield dict(zip(names, values, strict=True))


def _missing(source: Source, file: pq.ParquetFile, field: pa.Field) -> int:
    """Return how many rows have no value: null, or not a number."""
    counted = None if pa.types.is_floating(field.type) else _nulls_by_footer(file, field.name)
    if counted is not None:
        return counted
    batches = _batches(source, file, columns=[field.name])
    return sum(pc.is_null(one.column(0), nan_is_null=True).true_count for one in batches)


def _nulls_by_footer(file: pq.ParquetFile, name: str) -> int | None:
    total = 0
    for index in range(file.metadata.num_row_groups):
        group = file.metadata.row_group(index)
        chunks = [group.column(i) for i in range(group.num_columns)]
        statistics = next((one.statistics for one in chunks if one.path_in_schema == name), None)
        if statistics is None or not statistics.has_null_count:
            return None
        total += statistics.null_count
    return total


def _batches(
    source: Source, file: pq.ParquetFile, *, columns: list[str] | None
) -> Iterator[pa.RecordBatch]:
    try:
        yield from file.iter_batches(batch_size=ROWS_AT_ONCE, columns=columns)
    except (pa.ArrowException, OSError) as error:
        raise _damaged(source, error) from error


def _plain(source: Source, name: str, column: pa.Array) -> list[object]:
    try:
        column = _simpler(column)
        if pa.types.is_integer(column.type) or pa.types.is_boolean(column.type):
            values: list[object] = column.to_pylist()
            return values
        return [_plain_value(value) for value in column.to_pylist()]
    except (pa.ArrowException, ValueError, OverflowError) as error:
        raise fault(
            source,
            why=f"column `{name}` of the type {column.type} holds a value that JSON has no word "
            f"for: {str(error)[:200]}",
            fix="leave the column out of the file, or write it as text or numbers",
        ) from error


def _simpler(column: pa.Array) -> pa.Array:
    """Return a column without Arrow's own ideas: dictionaries, nanoseconds, zones."""
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if pa.types.is_timestamp(column.type):
        zone = "UTC" if column.type.tz else None
        return column.cast(pa.timestamp("us", tz=zone), safe=False)
    return column


def _plain_value(value: object) -> object:
    convert = PLAIN.get(type(value))
    return value if convert is None else convert(value)


def _damaged(source: Source, error: Exception) -> TableFaultsError:
    return fault(
        source,
        why=f"it is not a whole Parquet file: {str(error)[:200]}",
        fix="check that the file is complete, and that it is Parquet",
    )


def _number(value: float) -> float | None:
    return None if math.isnan(value) else value


# Type of a value as Arrow gives it -> what makes it plain; other types are plain already.
PLAIN: Final[dict[type, Callable[[Any], object]]] = {
    float: _number,
    Decimal: float,
    bytes: bytes.decode,
    dt.datetime: dt.datetime.isoformat,
    dt.date: dt.date.isoformat,
    dt.time: dt.time.isoformat,
    dt.timedelta: dt.timedelta.total_seconds,
    list: lambda values: [_plain_value(one) for one in values],
    dict: lambda values: {name: _plain_value(one) for name, one in values.items()},
}
