"""From rows of a file to the columns of a request.

Only what loses nothing is converted: text, as CSV holds it, to the type of the input, and a
whole number that a table keeps as a float. Everything else must have the type already.
"""

import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from servewell.core.catalog.signature import Datatype, Input, Value
from servewell.errors import ServewellError

FAULTS_SHOWN: Final = 20
FOUND_SHOWN: Final = 40  # characters of a value that a fault shows
TRUTHS: Final = {"true": True, "false": False}
WHOLE: Final = re.compile(r"([+-]?[0-9]{1,20})(?:\.0*)?")
NUMBER: Final = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,4})?")
NOT_A_NUMBER: Final = "nan"
KINDS: Final = {
    str: "the text",
    bool: "the boolean",
    int: "the number",
    float: "the number",
    list: "the list",
}

Cell = Value | list[Value]
Convert = Callable[[object], Value]


@dataclass(frozen=True, slots=True, kw_only=True)
class RowFault:
    """One value that cannot be sent."""

    row: int | None  # in the file, from 1; None where it is about the whole column
    column: str
    found: str
    allowed: str

    def __str__(self) -> str:
        row = "" if self.row is None else f"row {self.row}, "
        return f"{row}`{self.column}`: found {self.found}; allowed: {self.allowed}"


class RowsInvalidError(ServewellError):
    """Rows hold values that the model's inputs cannot take; all of them are in `faults`."""

    code = "SW-121"

    def __init__(self, faults: tuple[RowFault, ...]) -> None:
        more = len(faults) - FAULTS_SHOWN
        told = [str(one) for one in faults[:FAULTS_SHOWN]]
        told += [f"and {more} more"] if more > 0 else []
        count = "One value" if len(faults) == 1 else f"{len(faults)} values"
        super().__init__(
            f"{count} cannot be sent.",
            why="\n           ".join(told),
            fix="correct them in the file, or leave them empty where the input may be missing",
        )
        self.faults = faults


class MetadataInvalidError(ServewellError):
    """What an endpoint says of its model is not what the Open Inference Protocol says it is."""

    code = "SW-333"


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """The columns of a request, and how the rows and the model's inputs differ."""

    values: dict[str, list[Cell]]  # by input, in the model's order; one entry per row
    ignored: tuple[str, ...]  # columns of the rows that are no input
    absent: tuple[str, ...]  # inputs that no row has; sent as null


def inputs_of(metadata: Mapping[str, Any]) -> tuple[Input, ...]:
    """Return the inputs in the metadata of a model, as the Open Inference Protocol V2 lists them.

    Raises: MetadataInvalidError.
    """
    try:
        tensors = msgspec.convert(metadata.get("inputs"), tuple[_Tensor, ...])
    except msgspec.ValidationError as error:
        raise MetadataInvalidError(
            "The endpoint's metadata cannot be understood.",
            why=f"its `inputs` are not those of the Open Inference Protocol V2: {error}",
            fix="check the address: what answers there is not Servewell",
        ) from error
    return tuple(
        Input(name=one.name, datatype=one.datatype, row_shape=one.shape[1:]) for one in tensors
    )


def to_columns(
    inputs: Sequence[Input], rows: Sequence[Mapping[str, object]], *, first_row: int = 1
) -> Columns:
    """Return the columns that send `rows`, the first of which is row `first_row` of the file.

    A missing value is None: whether an input may be missing is the endpoint's to say.

    Raises: RowsInvalidError, with every value that does not convert.
    """
    faults: list[RowFault] = []
    values = {one.name: _column(one, rows, first_row, faults) for one in inputs}
    if faults:
        raise RowsInvalidError(tuple(sorted(faults, key=lambda fault: fault.row or 0)))
    found = dict.fromkeys(name for row in rows for name in row)
    return Columns(
        values=values,
        ignored=tuple(name for name in found if name not in values),
        absent=tuple(name for name in values if name not in found),
    )


@dataclass(frozen=True, slots=True)
class _Tensor:
    name: str
    datatype: Datatype
    shape: tuple[int, ...]


def _column(
    declared: Input, rows: Sequence[Mapping[str, object]], first_row: int, faults: list[RowFault]
) -> list[Cell]:
    convert = _lists(declared) if _is_list(declared) else CONVERTERS[declared.datatype]
    column: list[Cell] = []
    for number, row in enumerate(rows, first_row):
        value = row.get(declared.name)
        try:
            column.append(convert(value))
        except (ValueError, OverflowError, RecursionError):
            found, allowed = _shown(value), allowed_of(declared)
            faults.append(RowFault(row=number, column=declared.name, found=found, allowed=allowed))
    return column


def _is_list(declared: Input) -> bool:
    return any(size != 1 for size in declared.row_shape)


def _lists(declared: Input) -> Callable[[object], Cell]:
    """Return what makes the flat, row-major list of one row; text holds it as JSON."""
    element = CONVERTERS[declared.datatype]
    size = None if -1 in declared.row_shape else math.prod(declared.row_shape)

    def convert(value: object) -> Cell:
        if (value is None or value == "") and size is not None:
            return [None] * size
        listed = msgspec.json.decode(value) if isinstance(value, str) else value
        flat = [element(one) for one in _flat(listed)]
        if size not in (None, len(flat)):
            raise ValueError
        return flat

    return convert


def _flat(value: object) -> Iterator[object]:
    if not isinstance(value, list):
        raise ValueError  # noqa: TRY004 - it becomes a fault like every other wrong value
    for one in value:
        if isinstance(one, list):
            yield from _flat(one)
        else:
            yield one


def _text(value: object) -> Value:
    if value is None or isinstance(value, str):
        return value
    raise ValueError


def _truth(value: object) -> Value:
    match value:
        case None | "":
            return None
        case bool():
            return value
        case str() if value.strip().lower() in TRUTHS:
            return TRUTHS[value.strip().lower()]
        case _:
            raise ValueError


def _float(value: object) -> Value:
    match value:
        case None | "":
            return None
        case bool():
            raise ValueError
        case int() | float():
            return _finite(value)
        case str() if NUMBER.fullmatch(value.strip()):
            return _finite(float(value))
        case str() if value.strip().lower() == NOT_A_NUMBER:
            return None
        case _:
            raise ValueError


def _finite(value: float) -> float | None:
    if math.isnan(value):
        return None
    if math.isinf(value):
        raise ValueError
    return value


def _whole(datatype: Datatype) -> Convert:
    """Return what makes a whole number of this type."""
    low, high = whole_bounds(datatype)

    def convert(value: object) -> Value:
        number = _integer(value)
        if number is not None and not low <= number <= high:
            raise ValueError
        return number

    return convert


def _integer(value: object) -> int | None:
    match value:
        case None | "":
            return None
        case bool():
            raise ValueError
        case int():
            return value
        case float() if value.is_integer() or math.isnan(value):
            return None if math.isnan(value) else int(value)
        case str() if found := WHOLE.fullmatch(value.strip()):
            return int(found[1])
        case _:
            raise ValueError


def whole_bounds(datatype: Datatype) -> tuple[int, int]:
    """Return the smallest and the largest number of an integer type."""
    bits = int(datatype.value.rpartition("INT")[2])
    if datatype.value.startswith("U"):
        return 0, 2**bits - 1
    return -(2 ** (bits - 1)), 2 ** (bits - 1) - 1


def allowed_of(declared: Input) -> str:
    """Return in words what one row of an input may hold."""
    datatype = declared.datatype
    if datatype.is_integer:
        low, high = whole_bounds(datatype)
        one = f"a whole number from {low} to {high}"
    else:
        one = {Datatype.BYTES: "a text", Datatype.BOOL: "true or false"}.get(datatype, "a number")
    if not _is_list(declared):
        return f"{one} ({datatype})"
    shape = " x ".join("any" if size == -1 else str(size) for size in declared.row_shape)
    return f"a list ({shape}), each {one} ({datatype})"


def _shown(value: object) -> str:
    text = str(value)
    cut = text if len(text) <= FOUND_SHOWN else f"{text[:FOUND_SHOWN]}…"
    return f"{KINDS.get(type(value), 'the value')} `{cut}`"


CONVERTERS: Final[dict[Datatype, Convert]] = {
    Datatype.BYTES: _text,
    Datatype.BOOL: _truth,
    **{one: _float for one in Datatype if one.is_float},
    **{one: _whole(one) for one in Datatype if one.is_integer},
}
