"""Names and types of the columns that a prediction record has in Parquet.

An input `age` becomes the column `input_age`, an output the column `output_…`. Any tool can read
all files of an endpoint in one scan, because within an endpoint a column has one type for ever:
when a later model version gives the same name another type, its values go to a column of their
own, `input_age_string`. Every file carries all columns that its endpoint had until then, with
nulls where a row has none, so the newest file of an endpoint knows the columns of all others.
"""

from collections.abc import Iterable, Iterator
from typing import Any, Final, Literal

import msgspec
import pyarrow as pa

from servewell.core.catalog.prediction_record import STAGES, RecordSchema

Side = Literal["input", "output"]

# Whole numbers of every width are one type, so that a change of width is no change of column.
WORDS: Final = {
    "BOOL": "bool",
    "INT8": "int64",
    "INT16": "int64",
    "INT32": "int64",
    "INT64": "int64",
    "UINT8": "int64",
    "UINT16": "int64",
    "UINT32": "int64",
    "UINT64": "uint64",
    "FP16": "float",
    "FP32": "float",
    "FP64": "double",
    "BYTES": "string",
}
ARROW: Final[dict[str, Any]] = {
    "bool": pa.bool_(),
    "int64": pa.int64(),
    "uint64": pa.uint64(),
    "float": pa.float32(),
    "double": pa.float64(),
    "string": pa.string(),
}
LIST: Final = "_list"
TEXTS: Final = (
    "deployment",
    "model",
    "package",
    "principal",
    "key_id",
    "request_id",
    "trace_id",
    "code",
    "reason",
)
REQUEST_FIELDS: Final[tuple[tuple[str, Any], ...]] = (
    ("prediction_id", pa.string()),
    ("row", pa.int64()),  # from 0 within its request; null where a request was refused or failed
    ("rows", pa.int64()),
    ("time", pa.timestamp("us", tz="UTC")),
    *((name, pa.string()) for name in TEXTS),
    ("status", pa.int64()),
    ("snapshot", pa.int64()),
    *((f"{stage}_us", pa.int64()) for stage in STAGES),
    ("role", pa.string()),
    ("sequence", pa.int64()),  # within its segment: where a follower stands
)
# Another one in each request, so that a dictionary of them would be larger than they are.
OF_ONE_REQUEST: Final = frozenset({"prediction_id", "time", "request_id", "trace_id", "sequence"})


class Tensor(msgspec.Struct, frozen=True, kw_only=True):
    """One input or output as a column sees it."""

    side: Side
    name: str
    type: str  # a key of ARROW, with LIST behind it where a row has several values


class Column(msgspec.Struct, frozen=True, kw_only=True):
    """A column that holds a tensor."""

    name: str
    tensor: Tensor


Columns = tuple[Column, ...]


def tensors_of(schema: RecordSchema) -> Iterator[Tensor]:
    """Yield the inputs, then the outputs, as columns see them. A personal input is a token."""
    for name, datatype, shape, personal in schema.inputs:
        word = "string" if personal else WORDS.get(datatype, "string")
        yield Tensor(side="input", name=name, type=_typed(word, shape))
    for name, datatype, shape in schema.outputs:
        yield Tensor(side="output", name=name, type=_typed(WORDS.get(datatype, "string"), shape))


def extended(columns: Columns, schemas: Iterable[RecordSchema]) -> Columns:
    """Return the columns and behind them those that these schemas need besides.

    Which name a tensor gets depends on the columns before it alone, so the same tensors in the
    same order have the same columns.
    """
    result = dict.fromkeys(columns)
    for schema in schemas:
        for tensor in tensors_of(schema):
            if all(column.tensor != tensor for column in result):
                result[Column(name=_free_name(tensor, result), tensor=tensor)] = None
    return tuple(result)


def arrow_schema(columns: Columns, metadata: bytes) -> pa.Schema:
    """Return the Arrow schema of a file with these columns; `metadata` travels with it."""
    fields = [pa.field(name, kind) for name, kind in REQUEST_FIELDS]
    fields += [
        pa.field(
            column.name,
            arrow_type(column.tensor),
            metadata={"servewell": msgspec.json.encode(column.tensor)},
        )
        for column in columns
    ]
    return pa.schema(fields, metadata={"servewell": metadata})


def repetitive(schema: pa.Schema) -> list[str]:
    """Return the columns whose values come again and again: texts, and what requests share."""
    shared = {name for name, _ in REQUEST_FIELDS} - OF_ONE_REQUEST
    return [
        field.name
        for field in schema
        if field.name in shared
        or (pa.types.is_string(field.type) and field.name not in OF_ONE_REQUEST)
    ]


def columns_in(schema: pa.Schema) -> Columns:
    """Return the columns of tensors in a file that has this schema."""
    return tuple(
        Column(
            name=field.name,
            tensor=msgspec.json.decode(field.metadata[b"servewell"], type=Tensor),
        )
        for field in schema
        if b"servewell" in (field.metadata or {})
    )


def arrow_type(tensor: Tensor) -> pa.DataType:
    """Return the Arrow type of a tensor's column."""
    scalar = ARROW[tensor.type.removesuffix(LIST)]
    return pa.list_(scalar) if tensor.type.endswith(LIST) else scalar


def _typed(word: str, shape: tuple[int, ...]) -> str:
    return word if shape in ((), (1,)) else word + LIST


def _free_name(tensor: Tensor, columns: Iterable[Column]) -> str:
    taken = {column.name.lower() for column in columns}  # some tools know no upper case
    plain = f"{tensor.side}_{tensor.name}"
    names = (plain, f"{plain}_{tensor.type}", *(f"{plain}_{n}" for n in range(2, len(taken) + 3)))
    return next(name for name in names if name.lower() not in taken)
