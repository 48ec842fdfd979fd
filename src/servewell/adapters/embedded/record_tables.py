"""Prediction records as Arrow tables, and back as plain dictionaries.

Compaction and every reading go through these two, so a record reads the same from a segment as
from Parquet. A request of n rows has n table rows; one that was refused or failed has one, whose
`row` and values are null. Not-a-number in an input is how a missing number reached the model, and
is null here; in an output it stays what it is.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain, pairwise
from operator import attrgetter
from typing import Any, Final

import msgspec
import numpy as np
import pyarrow as pa

from servewell.adapters.embedded.record_columns import (
    LIST,
    REQUEST_FIELDS,
    Columns,
    arrow_schema,
    columns_in,
    tensors_of,
)
from servewell.core.catalog.prediction_record import STAGES, PredictionRecord, RecordSchema

FLOATS: Final = {"FP16": np.float32, "FP32": np.float32, "FP64": np.float64}  # as kept
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

SPENT: Final = "_us"  # ends the name of a stage's column
KEPT_AS_THEY_ARE: Final = tuple(
    name for name, _ in REQUEST_FIELDS if name not in ("row", "time") and not name.endswith(SPENT)
)

Row = dict[str, Any]
Values = list[Any] | bytes
Numbers = np.ndarray[tuple[int], np.dtype[np.int64]]
Piece = tuple[Numbers, pa.Array]  # table rows, and the values in them


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


Places = tuple[tuple[Place, ...], tuple[Place, ...]]  # of the inputs, of the outputs


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """How the records of some packages lie in a table."""

    arrow: pa.Schema
    places: Mapping[str, Places]  # by package


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
    times = table.schema.get_field_index("time")
    table = table.set_column(times, "time", table["time"].cast(pa.int64()))
    cells = {name: table[name].to_pylist() for name in table.schema.names}
    starts = [number for number, row in enumerate(cells["row"]) if not row]
    for endpoint, (start, end) in zip(endpoints, pairwise([*starts, table.num_rows]), strict=False):
        row = _request(cells, start, end, places.get(cells["package"][start], ((), ())))
        row["endpoint"] = endpoint
        yield row


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
    """Build the table column by column, which is many times faster than row by row."""
    counts = np.array([record.rows if _valued(record) else 1 for record in records], np.int64)
    owners = np.repeat(np.arange(len(records)), counts)  # of each table row: its record
    arrays = dict(_request_arrays(records))
    if len(owners) > len(records):
        arrays = {name: array.take(pa.array(owners)) for name, array in arrays.items()}
    arrays["row"] = _row_numbers(records, counts)
    pieces = _tensor_pieces(records, owners, counts, layout)
    for field in layout.arrow:
        if field.name not in arrays:
            arrays[field.name] = _joined(pieces.get(field.name, []), len(owners), field.type)
    return pa.Table.from_arrays([arrays[name] for name in layout.arrow.names], schema=layout.arrow)


def _valued(record: PredictionRecord) -> bool:
    return record.rows > 0 and bool(record.inputs or record.outputs)


def _request_arrays(records: list[PredictionRecord]) -> Iterator[tuple[str, pa.Array]]:
    times = [record.time_ns // 1_000 for record in records]
    for name, kind in REQUEST_FIELDS:
        if name == "time":
            yield name, pa.array(times, type=kind)
        elif name.endswith(SPENT):
            stage = STAGES.index(name.removesuffix(SPENT))
            spent = [dict(enumerate(record.stages_us)).get(stage) for record in records]
            yield name, pa.array(spent, type=kind)
        elif name != "row":
            yield name, pa.array([getattr(record, name) for record in records], type=kind)


def _row_numbers(records: list[PredictionRecord], counts: Numbers) -> pa.Array:
    """Return the number of each row within its request, or null where it has no values."""
    numbers = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    bare = [not _valued(record) for record in records]
    return pa.array(numbers, type=pa.int64(), mask=np.repeat(np.array(bare, np.bool_), counts))


def _tensor_pieces(
    records: list[PredictionRecord], owners: Numbers, counts: Numbers, layout: Layout
) -> dict[str, list[Piece]]:
    """Return the values of each column in pieces: one for each package that has it."""
    pieces: dict[str, list[Piece]] = {}
    for side, tensors_of_record in enumerate((attrgetter("inputs"), attrgetter("outputs"))):
        for package, owning in _by_package(records, tensors_of_record).items():
            tensors = zip(*(tensors_of_record(records[one]) for one in owning), strict=True)
            for place, values in zip(layout.places[package][side], tensors, strict=True):
                given, own = _given(values, owning)
                rows = np.flatnonzero(np.isin(owners, own))
                kind = layout.arrow.field(place.column).type
                array = _array(place, given, counts[own], kind)
                pieces.setdefault(place.column, []).append((rows, array))
    return pieces


def _given(tensors: tuple[Values, ...], owning: list[int]) -> tuple[tuple[Values, ...], list[int]]:
    """Return the tensors that are not empty, and whose they are.

    An output that its caller did not ask for is empty.
    """
    if all(tensors):
        return tensors, owning
    pairs = [pair for pair in zip(tensors, owning, strict=True) if pair[0]]
    return tuple(tensor for tensor, _ in pairs), [owner for _, owner in pairs]


def _by_package(
    records: list[PredictionRecord], tensors_of_record: Callable[[PredictionRecord], list[Any]]
) -> dict[str, list[int]]:
    packages: dict[str, list[int]] = {}
    for number, record in enumerate(records):
        if record.rows > 0 and tensors_of_record(record):
            packages.setdefault(record.package, []).append(number)
    return packages


def _array(
    place: Place, tensors: tuple[Values, ...], counts: Numbers, kind: pa.DataType
) -> pa.Array:
    """Return one value for each row, or one list.

    Raises: one of MISFITS where the tensors are not of this place.
    """
    lists = _lists(place, tensors) if bytes in set(map(type, tensors)) else tensors
    widths, rests = np.divmod(np.array(list(map(len, lists)), np.int64), counts)
    if rests.any() or (place.scalar and (widths != 1).any()):
        raise ValueError(place.name)
    flat = _flat(list(chain.from_iterable(lists)), kind if place.scalar else kind.value_type, place)
    if place.scalar:
        return flat
    offsets = np.concatenate(([0], np.cumsum(np.repeat(widths, counts))))
    return pa.ListArray.from_arrays(pa.array(offsets, type=pa.int32()), flat, type=kind)


def _lists(place: Place, tensors: tuple[Values, ...]) -> tuple[Values, ...]:
    return tuple(
        np.frombuffer(tensor, ELEMENTS[place.datatype]).tolist()
        if isinstance(tensor, bytes)
        else tensor
        for tensor in tensors
    )


def _flat(values: list[Any], kind: pa.DataType, place: Place) -> pa.Array:
    if place.datatype not in FLOATS:
        return pa.array(values, type=kind)
    with np.errstate(over="ignore"):  # what is too large for the type reached the model so too
        numbers = np.array(values, FLOATS[place.datatype])  # a missing one becomes not-a-number
    return pa.array(numbers, mask=np.isnan(numbers) if place.column.startswith("input_") else None)


def _joined(pieces: list[Piece], length: int, kind: pa.DataType) -> pa.Array:
    """Return a column of this length: the pieces in their rows, and nulls in all others."""
    if len(pieces) == 1 and len(pieces[0][0]) == length:
        return pieces[0][1]
    places = np.full(length, -1)
    taken = 0
    for rows, array in pieces:
        places[rows] = np.arange(taken, taken + len(array))
        taken += len(array)
    values = pa.concat_arrays([array for _, array in pieces] or [pa.nulls(0, kind)])
    return values.take(pa.array(places, mask=places < 0))


def _request(cells: Mapping[str, list[Any]], start: int, end: int, places: Places) -> Row:
    valued = cells["row"][start] is not None
    inputs, outputs = (
        {place.name: cells[place.column][start:end] for place in (side if valued else ())}
        for side in places
    )
    answered = any(value is not None for values in outputs.values() for value in values)
    row = {name: cells[name][start] for name in KEPT_AS_THEY_ARE}
    row["time"] = cells["time"][start] / 1e6
    row["stages_us"] = {stage: cells[stage + SPENT][start] for stage in STAGES}
    row["inputs"] = inputs
    row["outputs"] = outputs if answered else {}
    return row
