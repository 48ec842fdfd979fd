"""Decoding an OIP V2 request with types made from the signature.

One pass in C checks names, datatypes, element types, ranges and allowed texts, and yields the
columns. Whatever it does not take goes to `oip_examination`, which decides and explains. The
law between the two: what this takes, that takes as well, with the same columns.
"""

import math
from functools import reduce
from operator import attrgetter, or_
from typing import Annotated, Any, Final, Generic, Literal, TypeVar

import msgspec
from msgspec import Meta

from servewell.core.catalog.signature import Datatype, Input, Signature
from servewell.serving.protocols.bounds import bounds_of
from servewell.serving.protocols.columns import Column, Decoded
from servewell.serving.protocols.oip_examination import examine
from servewell.serving.protocols.oip_wishes import Parameter, take_wishes

INT64_MAX: Final = 2**63 - 1  # the largest bound that msgspec checks,
INT64_MIN: Final = -(2**63)  # and the least


Tensor = TypeVar("Tensor")


class _Tensor(msgspec.Struct, gc=False):
    """What the generated type of each input has."""

    shape: list[int]
    data: Column


class WantedOutput(msgspec.Struct, gc=False):
    """An output that is asked for."""

    name: str
    parameters: dict[str, Parameter] | None = None


class Request(msgspec.Struct, Generic[Tensor], gc=False):
    """What the generated type of a request has."""

    inputs: list[Tensor]
    id: str = ""
    outputs: list[WantedOutput] | None = None
    parameters: dict[str, Parameter] | None = None


_shape = attrgetter("shape")
_data = attrgetter("data")


class Wishes:
    """What requests of one signature may ask for beside their rows."""

    def __init__(self, signature: Signature) -> None:
        self._signature = signature
        self._outputs = tuple(one.name for one in signature.outputs)

    def wanted(self, entries: list[WantedOutput] | None) -> tuple[str, ...] | None:
        """Return the outputs asked for, in the order of the signature; None for an unknown one."""
        if not entries:
            return ()
        names = {one.name for one in entries}
        wanted = tuple(name for name in self._outputs if name in names)
        return wanted if len(wanted) == len(names) else None

    def take(self, decoded: Decoded, request: Request[Any]) -> None:
        """Note in `decoded` what the parameters of its request ask for."""
        outputs = [(one.name, one.parameters) for one in request.outputs or ()]
        take_wishes(decoded, request.parameters, outputs, signature=self._signature)


class RowShapes:
    """The shapes that tensors of one signature have."""

    def __init__(self, signature: Signature) -> None:
        self._row_shapes = [list(one.row_shape) for one in signature.inputs]
        self.widths = [math.prod(one.row_shape) for one in signature.inputs]
        self.scalar = all(one.row_shape == (1,) for one in signature.inputs)
        self.open = any(-1 in one.row_shape for one in signature.inputs)

    def fit(self, shapes: list[list[int]], rows: int) -> bool:
        """Whether the shapes are those of so many rows."""
        return all(
            shape == [rows, *row_shape] or (row_shape == [1] and shape == [rows])
            for shape, row_shape in zip(shapes, self._row_shapes, strict=True)
        )


class RequestDecoder:
    """Decodes the requests of one signature."""

    def __init__(self, signature: Signature) -> None:
        self._types = [_tensor_type(one, place) for place, one in enumerate(signature.inputs)]
        self._decoder = msgspec.json.Decoder(request_type(self._types))
        self._signature = signature
        self._wishes = Wishes(signature)
        shapes = RowShapes(signature)
        self._open, self._scalar = shapes.open, shapes.scalar
        self._widths, self._fit = shapes.widths, shapes.fit
        self._one_row = [[1, *one.row_shape] for one in signature.inputs]

    def decode(self, body: bytes, *, rows_max: int) -> Decoded:
        """Return the rows of a request.

        Raises: BodyMalformedError, SignatureError, ParameterRefusedError.
        """
        return self._decode_typed(body, rows_max) or examine(
            body, self._signature, rows_max=rows_max
        )

    def _decode_typed(self, body: bytes, rows_max: int) -> Decoded | None:
        if self._open:
            return None
        try:
            request: Request[_Tensor] = self._decoder.decode(body)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return None
        tensors = self._in_order(request.inputs)
        wanted = self._wishes.wanted(request.outputs) if request.outputs else ()
        if tensors is None or wanted is None:
            return None
        shapes, columns = list(map(_shape, tensors)), list(map(_data, tensors))
        rows = shapes[0][0]
        usual = shapes == self._one_row and list(map(len, columns)) == self._widths
        if not usual and not (0 < rows <= rows_max and self._fits(shapes, columns, rows)):
            return None
        decoded = Decoded(request.id, rows, columns, wanted)
        if request.parameters or request.outputs:
            self._wishes.take(decoded, request)
        return decoded

    def _in_order(self, tensors: list[_Tensor]) -> list[_Tensor] | None:
        """Return the tensors in the order of the signature; None where not each is there once."""
        if list(map(type, tensors)) == self._types:
            return tensors
        found = {type(one): one for one in tensors}
        if len(tensors) != len(self._types) or len(found) != len(tensors):
            return None
        return [found[one] for one in self._types]

    def _fits(self, shapes: list[list[int]], columns: list[Column], rows: int) -> bool:
        """Whether shapes and lengths are right. Written for speed: it runs on each request."""
        lengths = list(map(len, columns))
        if self._scalar:
            right = shapes.count([rows, 1]) + shapes.count([rows])
            return right == len(shapes) and lengths.count(rows) == len(lengths)
        return lengths == [rows * width for width in self._widths] and self._fit(shapes, rows)


def request_type(tensors: list[Any]) -> Any:  # noqa: ANN401  (a type made at run time)
    """Return a type of request, like `Request`, with tensors of these types."""
    union: Any = reduce(or_, tensors)
    return msgspec.defstruct(
        "Request",
        [
            ("inputs", list[union]),
            ("id", str, ""),
            ("outputs", list[WantedOutput] | None, None),
            ("parameters", dict[str, Parameter] | None, None),
        ],
        gc=False,
    )


def _tensor_type(declared: Input, place: int) -> type[_Tensor]:
    return msgspec.defstruct(
        f"Input{place}",
        [
            ("shape", Annotated[list[int], Meta(min_length=1)]),
            ("datatype", Literal[declared.datatype.value]),
            ("data", list[element_type(declared)]),  # type: ignore[misc]  # made at run time
            ("parameters", dict[str, Parameter] | None, None),
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
    least, most = bounds_of(declared)
    if declared.datatype.is_float:
        return Annotated[float, Meta(ge=least, le=most)]
    if least > INT64_MAX or most < INT64_MIN:
        return Annotated[int, Meta(ge=1, le=0)]  # takes nothing: the examination decides
    return Annotated[int, Meta(ge=max(int(least), INT64_MIN), le=min(int(most), INT64_MAX))]
