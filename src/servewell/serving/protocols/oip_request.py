"""Decoding an OIP V2 request with types made from the signature.

One pass in C checks names, datatypes, element types, ranges and allowed texts, and yields the
columns. Whatever it does not take goes to `oip_examination`, which decides and explains. The
law between the two: what this takes, that takes as well, with the same columns.
"""

import math
from functools import reduce
from operator import or_
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta

from servewell.core.catalog.signature import Datatype, Input, Signature
from servewell.serving.protocols.columns import NUMBER_BOUNDS, Column, Decoded
from servewell.serving.protocols.oip_examination import examine

INT64_MAX: Final = 2**63 - 1  # the largest bound that msgspec checks


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


class RequestDecoder:
    """Decodes the requests of one signature."""

    def __init__(self, signature: Signature) -> None:
        types = [_tensor_type(one, place) for place, one in enumerate(signature.inputs)]
        self._signature = signature
        self._decoder = msgspec.json.Decoder(_request_type(types))
        self._empty: list[Any] = [None] * len(types)
        self._outputs = tuple(one.name for one in signature.outputs)
        self._places = {
            kind: (place, one.row_shape == (1,), list(one.row_shape), math.prod(one.row_shape))
            for place, (kind, one) in enumerate(zip(types, signature.inputs, strict=True))
        }
        self._typed = not any(-1 in one.row_shape for one in signature.inputs)

    def decode(self, body: bytes, *, rows_max: int) -> Decoded:
        """Return the rows of a request.

        Raises: BodyMalformedError, SignatureError.
        """
        return self._decode_typed(body, rows_max) or examine(
            body, self._signature, rows_max=rows_max
        )

    def _decode_typed(  # noqa: C901, PLR0911  (hot: one straight pass, see benchmarks/serving)
        self, body: bytes, rows_max: int
    ) -> Decoded | None:
        if not self._typed:
            return None
        try:
            request: _Request = self._decoder.decode(body)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return None
        tensors = request.inputs
        columns = self._empty.copy()
        if len(tensors) != len(columns):
            return None
        rows = tensors[0].shape[0]
        if not 0 < rows <= rows_max:
            return None
        flat, column_shape = [rows], [rows, 1]
        for tensor in tensors:
            place, scalar, row_shape, width = self._places[type(tensor)]
            shape, data = tensor.shape, tensor.data
            if scalar:
                if shape not in (column_shape, flat) or len(data) != rows:
                    return None
            elif shape != [rows, *row_shape] or len(data) != rows * width:
                return None
            columns[place] = data
        wanted = self._wanted(request.outputs)
        if None in columns or wanted is None:
            return None
        return Decoded(request.id, rows, columns, wanted)

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
            ("data", list[_element_type(declared)]),  # type: ignore[misc]  # made at run time
        ],
        tag_field="name",
        tag=declared.name,
        gc=False,
    )  # type: ignore[return-value]  # it has the fields of `_Tensor`


def _element_type(declared: Input) -> Any:  # noqa: ANN401  (a type made at run time)
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
    low, high = max(math.ceil(least), -INT64_MAX - 1), min(math.floor(most), INT64_MAX)
    return Annotated[int, Meta(ge=low, le=high)]


def _bounds(declared: Input) -> tuple[float, float]:
    least, most = NUMBER_BOUNDS[declared.datatype]
    if declared.minimum is not None:
        least = max(least, declared.minimum)
    if declared.maximum is not None:
        most = min(most, declared.maximum)
    return least, most
