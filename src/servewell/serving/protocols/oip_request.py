"""Decoding an OIP V2 request with types made from the signature.

One pass in C checks names, datatypes, element types, ranges and allowed texts, and yields the
columns. Whatever it does not take goes to `oip_examination`, which decides and explains. The
law between the two: what this takes, that takes as well, with the same columns.
"""

import math
from functools import reduce
from operator import attrgetter, or_
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta

from servewell.core.catalog.signature import Datatype, Input, Signature
from servewell.serving.protocols.columns import NUMBER_BOUNDS, Column, Decoded
from servewell.serving.protocols.oip_examination import examine

INT64_MAX: Final = 2**63 - 1  # the largest bound that msgspec checks,
INT64_MIN: Final = -(2**63)  # and the least


class _Tensor(msgspec.Struct, gc=False):
    """What the generated type of each input has."""

    shape: list[int]
    data: Column


class _WantedOutput(msgspec.Struct, gc=False):
    name: str


class _Request(msgspec.Struct, gc=False):
    """What the generated type of a request has."""

    inputs: list[_Tensor]
    id: str = ""
    outputs: list[_WantedOutput] | None = None


_shape = attrgetter("shape")
_data = attrgetter("data")


class RequestDecoder:
    """Decodes the requests of one signature."""

    def __init__(self, signature: Signature) -> None:
        types = [_tensor_type(one, place) for place, one in enumerate(signature.inputs)]
        self._signature = signature
        self._decoder = msgspec.json.Decoder(_request_type(types))
        self._types = types
        self._outputs = tuple(one.name for one in signature.outputs)
        self._row_shapes = [list(one.row_shape) for one in signature.inputs]
        self._widths = [math.prod(one.row_shape) for one in signature.inputs]
        self._scalar = all(one.row_shape == (1,) for one in signature.inputs)
        self._typed = not any(-1 in one.row_shape for one in signature.inputs)

    def decode(self, body: bytes, *, rows_max: int) -> Decoded:
        """Return the rows of a request.

        Raises: BodyMalformedError, SignatureError.
        """
        return self._decode_typed(body, rows_max) or examine(
            body, self._signature, rows_max=rows_max
        )

    def _decode_typed(self, body: bytes, rows_max: int) -> Decoded | None:
        if not self._typed:
            return None
        try:
            request: _Request = self._decoder.decode(body)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return None
        tensors = self._in_order(request.inputs)
        wanted = self._wanted(request.outputs)
        if tensors is None or wanted is None:
            return None
        rows = tensors[0].shape[0]
        columns = list(map(_data, tensors))
        if not (0 < rows <= rows_max and self._fits(tensors, columns, rows)):
            return None
        return Decoded(request.id, rows, columns, wanted)

    def _in_order(self, tensors: list[_Tensor]) -> list[_Tensor] | None:
        """Return the tensors in the order of the signature; None where not each is there once."""
        if list(map(type, tensors)) == self._types:
            return tensors
        found = {type(one): one for one in tensors}
        if len(tensors) != len(self._types) or len(found) != len(tensors):
            return None
        return [found[one] for one in self._types]

    def _fits(self, tensors: list[_Tensor], columns: list[Column], rows: int) -> bool:
        """Whether shapes and lengths are right. Written for speed: it runs on each request."""
        shapes, lengths = list(map(_shape, tensors)), list(map(len, columns))
        if self._scalar:
            right = shapes.count([rows, 1]) + shapes.count([rows])
            return right == len(shapes) and lengths.count(rows) == len(lengths)
        return lengths == [rows * width for width in self._widths] and all(
            shape == [rows, *row_shape] or (row_shape == [1] and shape == [rows])
            for shape, row_shape in zip(shapes, self._row_shapes, strict=True)
        )

    def _wanted(self, entries: list[_WantedOutput] | None) -> tuple[str, ...] | None:
        """Return the outputs asked for, in the order of the signature; None for an unknown one."""
        if not entries:
            return ()
        names = {one.name for one in entries}
        wanted = tuple(name for name in self._outputs if name in names)
        return wanted if len(wanted) == len(names) else None


def _request_type(types: list[type[_Tensor]]) -> type[_Request]:
    union: Any = reduce(or_, types)  # a union made at run time has no static type
    return msgspec.defstruct(
        "Request",
        [
            ("inputs", list[union]),
            ("id", str, ""),
            ("outputs", list[_WantedOutput] | None, None),
        ],
        gc=False,
    )  # type: ignore[return-value]  # it has the fields of `_Request`


def _tensor_type(declared: Input, place: int) -> type[_Tensor]:
    return msgspec.defstruct(
        f"Input{place}",
        [
            ("shape", Annotated[list[int], Meta(min_length=1)]),
            ("datatype", Literal[declared.datatype.value]),
            ("data", list[element_type(declared)]),  # type: ignore[misc]  # made at run time
        ],
        tag_field="name",
        tag=declared.name,
        gc=False,
    )  # type: ignore[return-value]  # it has the fields of `_Tensor`


def element_type(declared: Input) -> Any:  # noqa: ANN401  (a type made at run time)
    """Return the type of one element; what it takes, `elements.fault_of` finds no fault with."""
    may_be_null = declared.nullable and declared.datatype in _NULLABLE
    element = _not_null(declared)
    return element | None if may_be_null else element


_NULLABLE: Final = {Datatype.FP16, Datatype.FP32, Datatype.FP64, Datatype.BYTES}


def _not_null(declared: Input) -> Any:  # noqa: ANN401  (a type made at run time)
    if declared.datatype is Datatype.BYTES:
        return str if declared.allowed is None else Literal[declared.allowed]
    if declared.datatype is Datatype.BOOL:
        return bool
    least, most = _bounds(declared)
    if declared.datatype.is_float:
        return Annotated[float, Meta(ge=least, le=most)]
    if least > INT64_MAX or most < INT64_MIN:
        return Annotated[int, Meta(ge=1, le=0)]  # takes nothing: the examination decides
    low, high = max(math.ceil(least), INT64_MIN), min(math.floor(most), INT64_MAX)
    return Annotated[int, Meta(ge=min(low, INT64_MAX), le=max(high, INT64_MIN))]


def _bounds(declared: Input) -> tuple[float, float]:
    least, most = NUMBER_BOUNDS[declared.datatype]
    if declared.minimum is not None:
        least = max(least, declared.minimum)
    if declared.maximum is not None:
        most = min(most, declared.maximum)
    return least, most
