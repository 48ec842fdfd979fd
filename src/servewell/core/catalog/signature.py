"""What a model takes and gives: names, types, shapes, and what each input may hold."""

import math
from dataclasses import dataclass
from enum import StrEnum


class Datatype(StrEnum):
    """Tensor element types, in the words of the Open Inference Protocol."""

    BOOL = "BOOL"
    INT8 = "INT8"
    INT16 = "INT16"
    INT32 = "INT32"
    INT64 = "INT64"
    UINT8 = "UINT8"
    UINT16 = "UINT16"
    UINT32 = "UINT32"
    UINT64 = "UINT64"
    FP16 = "FP16"
    FP32 = "FP32"
    FP64 = "FP64"
    BYTES = "BYTES"

    @property
    def is_float(self) -> bool:
        """Whether a missing value can travel as not-a-number."""
        return self in (Datatype.FP16, Datatype.FP32, Datatype.FP64)

    @property
    def is_integer(self) -> bool:
        """Whether it holds whole numbers."""
        return self.value.startswith(("INT", "UINT"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Input:
    """One input of a model.

    A row's value has the shape `row_shape`; a request of n rows has the shape `(n, *row_shape)`.
    `categories`, `minimum_seen` and `maximum_seen` are facts of the training data and refuse
    nothing. `minimum`, `maximum` and `allowed` are declared in the workload and are enforced.
    A personal input carries no facts of the data at all.
    """

    name: str
    datatype: Datatype
    row_shape: tuple[int, ...] = (1,)  # -1 where the model leaves a dimension open
    nullable: bool = False  # null reaches the model as NaN, or as an empty text
    personal: bool = False
    description: str = ""
    categories: tuple[str, ...] | None = None  # values seen, of a text with few of them
    minimum_seen: float | None = None
    maximum_seen: float | None = None
    minimum: float | None = None
    maximum: float | None = None
    allowed: tuple[str, ...] | None = None
    example: str | float | int | bool | None = None  # from a real row, never of a personal input


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """One output of a model; n rows give the shape `(n, *row_shape)`."""

    name: str
    datatype: Datatype
    row_shape: tuple[int, ...] = ()
    classes: tuple[str, ...] | None = None  # what each column of a probability output stands for


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """The inputs and outputs of a model, in the order in which the model lists them."""

    inputs: tuple[Input, ...]
    outputs: tuple[Output, ...]


Value = str | float | int | bool | None


def example_row(signature: Signature) -> dict[str, Value | list[Value]]:
    """Return one row that the model takes: real where the data gave one, plain where it may not.

    A personal input gives no example, so its row holds null, or an empty or zero value.
    """
    return {one.name: _example(one) for one in signature.inputs}


def _example(one: Input) -> Value | list[Value]:
    value = one.example if one.example is not None else _plain(one)
    width = 1
    for dimension in one.row_shape:
        width *= max(dimension, 1)
    return value if one.row_shape in ((), (1,)) else [value] * width


def _plain(one: Input) -> Value:
    if one.nullable:
        return None
    if one.datatype is Datatype.BYTES:
        return one.allowed[0] if one.allowed else ""
    if one.datatype is Datatype.BOOL:
        return False
    lowest = 0.0 if one.minimum is None else max(0.0, one.minimum)
    highest = math.inf if one.maximum is None else one.maximum
    if not one.datatype.is_integer:
        return min(lowest, highest)
    whole = math.ceil(lowest)
    return whole if whole <= highest else math.floor(highest)
