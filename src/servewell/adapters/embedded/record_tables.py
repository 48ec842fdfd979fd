"""Prediction records as Arrow tables, and back as plain dictionaries.

Compaction and every reading go through these two, so a record reads the same from a segment as
from Parquet. A request of n rows has n table rows; one that was refused or failed has one, whose
`row` and values are null. Not-a-number in an input is how a missing number reached the model, and
is null here; in an output it stays what it is.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

import msgspec
import numpy as np
import pyarrow as pa

from servewell.adapters.embedded.record_columns import (
    LIST,
    REQUEST_FIELDS,
    TEXTS,
    Columns,
    arrow_schema,
    columns_in,
    tensors_of,
)
from servewell.core.catalog.prediction_record import STAGES, PredictionRecord, RecordSchema

FLOATS: Final = frozenset({"FP16", "FP32", "FP64"})
ELEMENTS: Final = {
    "BOOL": "?",
    "INT8": "<i1",
    "INT16": "<i2",
    "INT32": "<i4",
    "INT64": "<i8",
    "UINT8": "<u1",
    "UINT16": "<u2",
    "UINT32": "<u4",
    "UINT64": "<u8",
    "FP16": "<f2",
    "FP32": "<f4",
    "FP64": "<f8",
}
REQUESTS_AT_ONCE: Final = 256  # turned into dictionaries at a time

MISFITS: Final = (pa.ArrowException, KeyError, OverflowError, TypeError, ValueError)

Row = dict[str, Any]


class FileNote(msgspec.Struct, frozen=True, kw_only=True):
    """What a table says of itself in its metadata."""

    segment: str
    records: int
    schemas: tuple[RecordSchema, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where the values of one tensor of a package go."""

    name: str
    column: str
    datatype: str
    scalar: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """How the records of some packages lie in a table."""

    arrow: pa.Schema
    places: Mapping[str, tuple[tuple[Place, ...], tuple[Place, ...]]]  # by package: in, out


def layout_of(columns: Columns, note: FileNote) -> Layout:
    """Return the layout of a table with these columns, which hold all tensors of the note."""
    return Layout(
        arrow=arrow_schema(columns, msgspec.json.encode(note)),
        places={schema.package: _places(schema, columns) for schema in note.schemas},
    )


def note_in(schema: pa.Schema) -> FileNote:
    """Return what a table says of itself. Raises: KeyError, msgspec.MsgspecError."""
    return msgspec.json.decode(schema.metadata[b"servewell"], type=FileNote)


def table_of(
    records: list[PredictionRecord], layout: Layout
) -> tuple[pa.Table, list[PredictionRecord]]:
    """Return the records as a table, and those whose values do not fit their schema.

    These stand in the table too, with nulls for values.
    """
    try:
        return _table(records, layout), []
    except MISFITS:
        if len(records) == 1:
            bare = msgspec.structs.replace(records[0], inputs=[], outputs=[])
            return _table([bare], layout), records
    middle = len(records) // 2
    first, misfits = table_of(records[:middle], layout)
    second, more = table_of(records[middle:], layout)
    return pa.concat_tables((first, second)), misfits + more


def requests_in(table: pa.Table, endpoints: Iterable[str]) -> Iterator[Row]:
    """Yield one plain dictionary for each request; their endpoints do not stand in the table."""
    columns = columns_in(table.schema)
    schemas = note_in(table.schema).schemas
    places = {schema.package: _places(schema, columns) for schema in schemas}
    rows = table.set_column(
        table.schema.get_field_index("time"), "time", table["time"].cast(pa.int64())
    ).to_pylist()
    starts = [number for number, row in enumerate(rows) if not row["row"]]
    for endpoint, (start, end) in zip(endpoints, pairwise([*starts, len(rows)]), strict=False):
        package = rows[start]["package"]
        yield _request(rows[start:end], endpoint, places.get(package, ((), ())))


def slices_of(table: pa.Table, *, newest_first: bool) -> Iterator[pa.Table]:
    """Yield the table in slices of whole requests."""
    starts = np.flatnonzero(table["row"].fill_null(0).to_numpy() == 0)[::REQUESTS_AT_ONCE]
    bounds = list(pairwise([*starts.tolist(), table.num_rows]))
    for start, end in reversed(bounds) if newest_first else bounds:
        yield table.slice(start, end - start)


def _places(schema: RecordSchema, columns: Columns) -> tuple[tuple[Place, ...], tuple[Place, ...]]:
    names = {column.tensor: column.name for column in columns}
    datatypes = [
        *("BYTES" if personal else datatype for _, datatype, _, personal in schema.inputs),
        *(datatype for _, datatype, _ in schema.outputs),
    ]
    places = tuple(
        Place(
            name=tensor.name,
            column=names[tensor],
            datatype=datatype,
            scalar=not tensor.type.endswith(LIST),
        )
        for tensor, datatype in zip(tensors_of(schema), datatypes, strict=True)
    )
    return places[: len(schema.inputs)], places[len(schema.inputs) :]


def _table(records: list[PredictionRecord], layout: Layout) -> pa.Table:
    cells: dict[str, list[Any]] = {name: [] for name in layout.arrow.names}
    for record in records:
        valued = record.rows > 0 and bool(record.inputs or record.outputs)
        rows = record.rows if valued else 1
        values = _request_cells(record, rows)
        values["row"] = list(range(rows)) if valued else [None]
        if valued:
            values |= _tensor_cells(record, layout)
        for name, column in cells.items():
            column.extend(values.get(name) or [None] * rows)
    arrays = [
        pa.array(cells[field.name], type=field.type, from_pandas=field.name.startswith("input_"))
        for field in layout.arrow
    ]
    return pa.Table.from_arrays(arrays, schema=layout.arrow)


def _request_cells(record: PredictionRecord, rows: int) -> dict[str, list[Any]]:
    cells: dict[str, list[Any]] = {name: [getattr(record, name)] * rows for name in TEXTS}
    cells["prediction_id"] = [record.prediction_id] * rows
    cells["rows"] = [record.rows] * rows
    cells["time"] = [record.time_ns // 1_000] * rows
    cells["status"] = [record.status] * rows
    cells["snapshot"] = [record.snapshot] * rows
    for stage, spent_us in zip(STAGES, record.stages_us, strict=False):
        cells[f"{stage}_us"] = [spent_us] * rows
    return cells


def _tensor_cells(record: PredictionRecord, layout: Layout) -> dict[str, list[Any]]:
    inputs, outputs = layout.places[record.package]
    return {
        place.column: _rows_of(place, values, record.rows)
        for places, tensors in ((inputs, record.inputs), (outputs, record.outputs))
        for place, values in zip(places if tensors else (), tensors, strict=True)
    }


def _rows_of(place: Place, values: list[Any] | bytes, rows: int) -> list[Any]:
    """Return what each row has of a tensor: one value, or the list of its values.

    Raises: ValueError, KeyError, TypeError where the values are not of the tensor.
    """
    flat = _flat(place.datatype, values)
    width, rest = divmod(len(flat), rows)
    if rest or (place.scalar and width != 1):
        raise ValueError(place.name)
    if place.scalar:
        return flat
    return [flat[row * width : (row + 1) * width] for row in range(rows)]


def _flat(datatype: str, values: list[Any] | bytes) -> list[Any]:
    if isinstance(values, bytes):
        numbers: list[Any] = np.frombuffer(values, ELEMENTS[datatype]).tolist()
        return numbers
    if datatype in FLOATS:  # Arrow refuses a whole number that a float cannot hold exactly
        return [None if value is None else float(value) for value in values]
    return values


def _request(
    rows: list[Row], endpoint: str, places: tuple[tuple[Place, ...], tuple[Place, ...]]
) -> Row:
    first = rows[0]
    valued = first["row"] is not None
    inputs, outputs = (_values(rows, side if valued else ()) for side in places)
    answered = any(value is not None for values in outputs.values() for value in values)
    plain = {name: first[name] for name, _ in REQUEST_FIELDS if not name.endswith("_us")}
    del plain["row"]
    return plain | {
        "time": first["time"] / 1e6,
        "endpoint": endpoint,
        "stages_us": {stage: first[f"{stage}_us"] for stage in STAGES},
        "inputs": inputs,
        "outputs": outputs if answered else {},
    }


def _values(rows: list[Row], places: tuple[Place, ...]) -> dict[str, list[Any]]:
    return {place.name: [row[place.column] for row in rows] for place in places}
