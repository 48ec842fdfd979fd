"""Decoding a request whose inputs all follow its JSON as bytes, many of them at once.

Inputs of one type and shape that stand behind one another are one block: it is read and held to
its bounds as a whole, and cut into columns. Whatever this does not take goes to
`oip_examination`, which decides and explains. The law between the two: what this takes, that
takes as well, with the same columns.
"""

import math
from itertools import groupby
from operator import attrgetter
from typing import Annotated, Literal

import msgspec
import numpy as np
from msgspec import Meta

from servewell.core.catalog.signature import Datatype, Input, Signature
from servewell.serving.protocols.bounds import bounds_of
from servewell.serving.protocols.columns import Column, Decoded
from servewell.serving.protocols.dialect import Headers
from servewell.serving.protocols.oip_binary import (
    elements_of,
    item_bytes,
    json_bytes,
    mismatch,
    numbers_of,
    texts_bytes,
)
from servewell.serving.protocols.oip_examination import examine
from servewell.serving.protocols.oip_request import Request, RowShapes, Wishes, request_type
from servewell.serving.refusals import BinaryTensorsError
from servewell.serving.runtimes.model import DTYPES


class _Size(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    binary_data_size: Annotated[int, Meta(ge=0)]


class _Tensor(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    """What the generated type of each input has."""

    shape: list[int]
    parameters: _Size


_shape = attrgetter("shape")


class _Numbers:
    """Inputs of one type and shape that stand behind one another in the signature."""

    def __init__(self, inputs: tuple[Input, ...], width: int) -> None:
        self.inputs = inputs
        self._datatype = inputs[0].datatype
        self._width = width  # elements of one row of one of them
        self._row_bytes = width * item_bytes(self._datatype)
        bounds = [(0, 1) if one.datatype is Datatype.BOOL else bounds_of(one) for one in inputs]
        dtype = np.uint8 if self._datatype is Datatype.BOOL else DTYPES[self._datatype]
        self._least = np.array([[low] for low, _ in bounds], dtype)
        self._most = np.array([[high] for _, high in bounds], dtype)
        self._may_be_nan = np.array([[one.nullable and one.datatype.is_float] for one in inputs])

    def columns(self, raw: memoryview, sizes: list[int], rows: int) -> list[Column] | None:
        """Return the columns in these bytes; None where they are not what is taken."""
        if sizes.count(rows * self._row_bytes) != len(sizes):
            return None
        array = numbers_of(raw, self._datatype).reshape(len(sizes), rows * self._width)
        good = (array >= self._least) & (array <= self._most)
        if not good.all() and not (good | (self._may_be_nan & (array != array))).all():  # noqa: PLR0124  (not-a-number alone differs from itself)
            return None
        return list(array.view(np.bool_) if self._datatype is Datatype.BOOL else array)


class _Texts:
    """One input of texts."""

    def __init__(self, declared: Input) -> None:
        self.inputs = (declared,)
        self._width = math.prod(declared.row_shape)
        self._allowed = None if declared.allowed is None else frozenset(declared.allowed)

    def columns(self, raw: memoryview, sizes: list[int], rows: int) -> list[Column] | None:
        """Return the column in these bytes; None where it is not what is taken."""
        del sizes
        try:
            texts = [one.decode() for one in elements_of(raw)]
        except (BinaryTensorsError, UnicodeDecodeError):
            return None
        if len(texts) != rows * self._width:
            return None
        return [texts] if self._allowed is None or self._allowed.issuperset(texts) else None


class BinaryRequestDecoder:
    """Decodes the binary requests of one signature."""

    def __init__(self, signature: Signature) -> None:
        self._types = [_tensor_type(one, place) for place, one in enumerate(signature.inputs)]
        self._decoder = msgspec.json.Decoder(request_type(self._types))
        self._signature = signature
        self._wishes = Wishes(signature)
        self._shapes = RowShapes(signature)
        self._blocks = [] if self._shapes.open else _blocks(signature)

    def decode(self, body: bytes, *, headers: Headers, rows_max: int) -> Decoded:
        """Return the rows of a request.

        Raises: BinaryTensorsError, BodyMalformedError, SignatureError, ParameterRefusedError.
        """
        size = json_bytes(body, headers)
        whole = memoryview(body)
        if size == 0:
            return self._decode_raw(whole, rows_max)
        text, tensors = whole[:size], whole[size:]
        return self._decode_typed(text, tensors, rows_max) or examine(
            text, self._signature, rows_max=rows_max, tensors=tensors
        )

    def _decode_typed(self, text: memoryview, raw: memoryview, rows_max: int) -> Decoded | None:
        if self._shapes.open:
            return None
        try:
            request: Request[_Tensor] = self._decoder.decode(text)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return None
        tensors = request.inputs
        wanted = self._wishes.wanted(request.outputs)
        if wanted is None or list(map(type, tensors)) != self._types:
            return None
        rows = tensors[0].shape[0]
        if not (0 < rows <= rows_max and self._shapes.fit(list(map(_shape, tensors)), rows)):
            return None
        sizes = [one.parameters.binary_data_size for one in tensors]
        columns = self._columns(sizes, raw, rows)
        if columns is None:
            return None
        decoded = Decoded(request.id, rows, columns, wanted)
        if request.parameters or request.outputs:
            self._wishes.take(decoded, request)
        return decoded

    def _columns(self, sizes: list[int], raw: memoryview, rows: int) -> list[Column] | None:
        """Return the columns; None where they are not as long as they have to be, or not taken."""
        if sum(sizes) != len(raw):
            return None
        columns: list[Column] = []
        place = 0
        for block in self._blocks:
            own = sizes[len(columns) : len(columns) + len(block.inputs)]
            end = place + sum(own)
            found = block.columns(raw[place:end], own, rows)
            if found is None:
                return None
            columns += found
            place = end
        return columns

    def _decode_raw(self, raw: memoryview, rows_max: int) -> Decoded:
        """Take a body without JSON as one row of the one input of the model."""
        inputs = self._signature.inputs
        if len(inputs) != 1:
            raise mismatch(
                "a body without JSON is the one input of a model, and this model has "
                f"{len(inputs)} inputs"
            )
        if inputs[0].datatype is Datatype.BYTES:
            raw = memoryview(texts_bytes([raw.tobytes()]))
        described = {
            "inputs": [
                {
                    "name": inputs[0].name,
                    "datatype": inputs[0].datatype.value,
                    "shape": _raw_shape(inputs[0], len(raw)),
                    "parameters": {"binary_data_size": len(raw)},
                }
            ],
            "parameters": {"binary_data_output": True},
        }
        text = msgspec.json.encode(described)
        return examine(text, self._signature, rows_max=rows_max, tensors=raw)


def _raw_shape(declared: Input, size: int) -> list[int]:
    """Return the shape of one row that has so many bytes."""
    if declared.row_shape.count(-1) > 1:
        raise mismatch(
            "a body without JSON says no shape, and the model leaves several dimensions of its "
            "input open"
        )
    known = abs(math.prod(declared.row_shape)) * (item_bytes(declared.datatype) or size)
    open_size = size // known if known else 0
    return [1, *(open_size if one == -1 else one for one in declared.row_shape)]


def _blocks(signature: Signature) -> list["_Numbers | _Texts"]:
    blocks: list[_Numbers | _Texts] = []
    alike = groupby(signature.inputs, key=lambda one: (one.datatype, one.row_shape))
    for (datatype, row_shape), group in alike:
        inputs = tuple(group)
        if datatype is Datatype.BYTES:
            blocks += [_Texts(one) for one in inputs]
        else:
            blocks.append(_Numbers(inputs, math.prod(row_shape)))
    return blocks


def _tensor_type(declared: Input, place: int) -> type[_Tensor]:
    return msgspec.defstruct(
        f"Input{place}",
        [
            ("shape", Annotated[list[int], Meta(min_length=1)]),
            ("datatype", Literal[declared.datatype.value]),
            ("parameters", _Size),
        ],
        tag_field="name",
        tag=declared.name,
        gc=False,
        forbid_unknown_fields=True,
    )  # type: ignore[return-value]  # it has the fields of `_Tensor`
