"""Prediction records as Arrow tables, and back as plain dictionaries.

Compaction and every reading go through these two, so a record reads the same from a segment as
from Parquet. A request of n rows has n table rows; one that was refused or failed has one, whose
`row` and values are null. Not-a-number in an input is how a missing number reached the model, and
is null here; in an output it stays what it is.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain, pairwise, zip_longest
from operator import attrgetter
from typing import Any, Final, Self

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
    name
    for name, _ in REQUEST_FIELDS
    if name not in ("row", "time", "sequence") and not name.endswith(SPENT)
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
Sides = tuple[dict[str, list[str]], dict[str, list[str]]]  # inputs, outputs: columns by name
Bound = tuple[int, PredictionRecord]  # a record, and the number of its schema


@dataclass(frozen=True, slots=True, kw_only=True)
class _Owners:
    """The records that tensors belong to."""

    rows: Numbers  # of the table, that are theirs
    counts: Numbers  # how many of them each has

    @classmethod
    def of(cls, owning: list[int], owners: Numbers, counts: Numbers) -> Self:
        """Return those at these places; `owners` and `counts` are of all records."""
        if len(owning) == len(counts):
            return cls(rows=np.arange(len(owners)), counts=counts)
        return cls(rows=np.flatnonzero(np.isin(owners, owning)), counts=counts[owning])


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """How the records of some schemas lie in a table."""

    arrow: pa.Schema
    places: Mapping[int, Places]  # by number of the schema


def layout_of(columns: Columns, note: FileNote, schemas: Mapping[int, RecordSchema]) -> Layout:
    """Return the layout of a table with these columns, which hold all tensors of the schemas."""
    return Layout(
        arrow=arrow_schema(columns, msgspec.json.encode(note)),
        places={number: _places(schema, columns) for number, schema in schemas.items()},
    )


def note_in(schema: pa.Schema) -> FileNote:
    """Return what a table says of itself. Raises: KeyError, msgspec.MsgspecError."""
    return msgspec.json.decode(schema.metadata[b"servewell"], type=FileNote)


def table_of(bound: list[Bound], layout: Layout) -> tuple[pa.Table, list[PredictionRecord]]:
    """Return the records as a table, and those whose values do not fit their schema.

    These stand in the table too, with nulls for values.
    """
    try:
        return _table(bound, layout), []
    except MISFITS:
        if len(bound) == 1:
            [(schema, record)] = bound
            bare = msgspec.structs.replace(record, inputs=[], outputs=[])
            return _table([(schema, bare)], layout), [record]
    middle = len(bound) // 2
    first, misfits = table_of(bound[:middle], layout)
    second, more = table_of(bound[middle:], layout)
    return pa.concat_tables((first, second)), misfits + more


def requests_in(table: pa.Table, endpoints: Iterable[str]) -> Iterator[Row]:
    """Yield one plain dictionary for each request; their endpoints do not stand in the table."""
    table = completed(table)
    sides = _sides(note_in(table.schema).schemas, columns_in(table.schema))
    times = table.schema.get_field_index("time")
    table = table.set_column(times, "time", table["time"].cast(pa.int64()))
    cells = {name: table[name].to_pylist() for name in table.schema.names}
    starts = [number for number, row in enumerate(cells["row"]) if not row]
    for endpoint, (start, end) in zip(endpoints, pairwise([*starts, table.num_rows]), strict=False):
        row = _request(cells, start, end, sides.get(cells["package"][start], ({}, {})))
        row["endpoint"] = endpoint
        yield row


def completed(table: pa.Table) -> pa.Table:
    """Return a table with the columns that those of earlier releases lack."""
    if "role" not in table.schema.names:
        roles = pa.array([""] * table.num_rows, type=pa.string())
        table = table.append_column("role", roles)
    if "sequence" not in table.schema.names:
        begins = table["row"].fill_null(0).to_numpy() == 0
        table = table.append_column("sequence", pa.array(np.cumsum(begins) - 1, type=pa.int64()))
    return table


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


def _sides(schemas: Iterable[RecordSchema], columns: Columns) -> dict[str, Sides]:
    """Return, by package, the columns in which a tensor may stand: one for each of its types."""
    found: dict[str, Sides] = {}
    for schema in schemas:
        sides = found.setdefault(schema.package, ({}, {}))
        for side, places in zip(sides, _places(schema, columns), strict=True):
            for place in places:
                side.setdefault(place.name, []).append(place.column)
    return found


def _table(bound: list[Bound], layout: Layout) -> pa.Table:
    """Build the table column by column, which is many times faster than row by row."""
    records = [record for _, record in bound]
    valued = [one.rows > 0 and bool(one.inputs or one.outputs) for one in records]
    counts = np.array(
        [one.rows if has else 1 for one, has in zip(records, valued, strict=True)], np.int64
    )
    owners = np.repeat(np.arange(len(records)), counts)  # of each table row: its record
    arrays = dict(_request_arrays(records))
    if len(owners) > len(records):
        arrays = {name: array.take(pa.array(owners)) for name, array in arrays.items()}
    arrays["row"] = _row_numbers(valued, counts)
    pieces = _tensor_pieces(bound, owners, counts, layout)
    for field in layout.arrow:
        if field.name not in arrays:
            arrays[field.name] = _joined(pieces.get(field.name, []), len(owners), field.type)
    return pa.Table.from_arrays([arrays[name] for name in layout.arrow.names], schema=layout.arrow)


def _request_arrays(records: list[PredictionRecord]) -> Iterator[tuple[str, pa.Array]]:
    spent = list(zip_longest(*(record.stages_us for record in records)))  # by stage
    for name, kind in REQUEST_FIELDS:
        if name == "time":
            yield name, pa.array([record.time_ns // 1_000 for record in records], type=kind)
        elif name.endswith(SPENT):
            stage = STAGES.index(name.removesuffix(SPENT))
            yield (
                name,
                pa.array(spent[stage], type=kind)
                if stage < len(spent)
                else pa.nulls(len(records), kind),
            )
        elif name != "row":
            yield name, pa.array(list(map(attrgetter(name), records)), type=kind)


def _row_numbers(valued: list[bool], counts: Numbers) -> pa.Array:
    """Return the number of each row within its request, or null where it has no values."""
    numbers = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    bare = ~np.array(valued, np.bool_)
    return pa.array(numbers, type=pa.int64(), mask=np.repeat(bare, counts))


def _tensor_pieces(
    bound: list[Bound], owners: Numbers, counts: Numbers, layout: Layout
) -> dict[str, list[Piece]]:
    """Return the values of each column in pieces: one for each schema that has it."""
    pieces: dict[str, list[Piece]] = {}
    for side, tensors_of_record in enumerate((attrgetter("inputs"), attrgetter("outputs"))):
        for schema, owning in _by_schema(bound, tensors_of_record).items():
            everyone = _Owners.of(owning, owners, counts)
            tensors = zip(*[tensors_of_record(bound[one][1]) for one in owning], strict=True)
            for place, values in zip(layout.places[schema][side], tensors, strict=True):
                given, own = _given(values, owning)
                those = everyone if own is owning else _Owners.of(own, owners, counts)
                kind = layout.arrow.field(place.column).type
                array = _array(place, given, those.counts, kind)
                pieces.setdefault(place.column, []).append((those.rows, array))
    return pieces


def _given(tensors: tuple[Values, ...], owning: list[int]) -> tuple[tuple[Values, ...], list[int]]:
    """Return the tensors that are not empty, and whose they are.

    An output that its caller did not ask for is empty.
    """
    if all(tensors):
        return tensors, owning
    pairs = [pair for pair in zip(tensors, owning, strict=True) if pair[0]]
    return tuple(tensor for tensor, _ in pairs), [owner for _, owner in pairs]


def _by_schema(
    bound: list[Bound], tensors_of_record: Callable[[PredictionRecord], list[Any]]
) -> dict[int, list[int]]:
    schemas: dict[int, list[int]] = {}
    for number, (schema, record) in enumerate(bound):
        if record.rows > 0 and tensors_of_record(record):
            schemas.setdefault(schema, []).append(number)
    return schemas


def _array(
    place: Place, tensors: tuple[Values, ...], counts: Numbers, kind: pa.DataType
) -> pa.Array:
    """Return one value for each row, or one list.

    Raises: one of MISFITS where the tensors are not of this place.
    """
    lists = _lists(place, tensors) if bytes in set(map(type, tensors)) else tensors
    widths, rests = np.divmod(np.fromiter(map(len, lists), np.int64, len(lists)), counts)
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
    is_input = place.column.startswith("input_")
    if is_input or None not in values:
        with suppress(pa.ArrowInvalid):  # a whole number that is not exact as a float
            return pa.array(values, type=kind, from_pandas=is_input)
    with np.errstate(over="ignore"):  # what is too large for the type reached the model so too
        numbers = np.array(values, FLOATS[place.datatype])  # a missing one becomes not-a-number
    return pa.array(numbers, mask=np.isnan(numbers) if is_input else None)


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


def _request(cells: Mapping[str, list[Any]], start: int, end: int, sides: Sides) -> Row:
    valued = cells["row"][start] is not None
    inputs, outputs = (
        {name: _cells_of(cells, names, start, end) for name, names in side.items() if valued}
        for side in sides
    )
    answered = any(value is not None for values in outputs.values() for value in values)
    row = {name: cells[name][start] for name in KEPT_AS_THEY_ARE}
    row["time"] = cells["time"][start] / 1e6
    row["stages_us"] = {stage: cells[stage + SPENT][start] for stage in STAGES}
    row["inputs"] = inputs
    row["outputs"] = outputs if answered else {}
    return row


def _cells_of(cells: Mapping[str, list[Any]], names: list[str], start: int, end: int) -> list[Any]:
    """Return the values of one tensor of a request: they stand in one of these columns."""
    for name in names[:-1]:
        values = cells[name][start:end]
        if any(value is not None for value in values):
            return values
    return cells[names[-1]][start:end]
