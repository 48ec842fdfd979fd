"""Decoding a request whose inputs all follow its JSON as bytes, many of them at once.

The JSON of such a request holds no value, so a client that sends as many rows again sends the same
JSON again, byte for byte: what it says is kept. Inputs of one type and shape that stand behind one
another are one block: it is read and held to its bounds as a whole, and cut into columns. Whatever
this does not take goes to `oip_examination`, which decides and explains. The law between the two:
what this takes, that takes as well, with the same columns.
"""

import math
from itertools import groupby
from operator import attrgetter
from typing import Annotated, Final, Literal, NamedTuple

import msgspec
import numpy as np
from msgspec import Meta

from servewell.core.catalog.signature import Datatype, Input, Signature
from servewell.serving.protocols.bounds import bounds_of
from servewell.serving.protocols.columns import NUMBER_BOUNDS, Column, Decoded
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
from servewell.serving.runtimes.model import DTYPES, Array

LAYOUTS_MAX: Final = 64
LAYOUT_BYTES_MAX: Final = 16 << 10


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
        self._bounded = set(bounds) != {NUMBER_BOUNDS.get(self._datatype)}
        self._may_be_nan = np.array([[one.nullable and one.datatype.is_float] for one in inputs])

    def columns(self, raw: memoryview, sizes: list[int], rows: int) -> list[Column] | None:
        """Return the columns in these bytes; None where they are not what is taken."""
        if sizes.count(rows * self._row_bytes) != len(sizes):
            return None
        array = numbers_of(raw, self._datatype).reshape(len(sizes), rows * self._width)
        if not self._takes(array):
            return None
        return list(array.view(np.bool_) if self._datatype is Datatype.BOOL else array)

    def _takes(self, array: Array) -> bool:
        if self._bounded:
            good = (array >= self._least) & (array <= self._most)
        elif self._datatype.is_float:
            good = np.isfinite(array)
        else:
            return True
        return bool(good.all() or (good | (self._may_be_nan & np.isnan(array))).all())


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


class _Layout(NamedTuple):
    """What the JSON of a request says: all of the request but its columns."""

    of: Decoded
    sizes: list[int]  # of each tensor, in bytes
    blocks: list[_Numbers | _Texts]  # in the order of the request
    places: list[int] | None  # where each input stands; None for the order of the signature


class BinaryRequestDecoder:
    """Decodes the binary requests of one signature."""

    def __init__(self, signature: Signature) -> None:
        self._types = [_tensor_type(one, place) for place, one in enumerate(signature.inputs)]
        self._decoder = msgspec.json.Decoder(request_type(self._types))
        self._signature = signature
        self._wishes = Wishes(signature)
        self._shapes = RowShapes(signature)
        self._layouts: dict[bytes, _Layout] = {}
        self._blocks: list[_Numbers | _Texts] = []
        self._alone: list[_Numbers | _Texts] = []
        if not self._shapes.open:
            self._blocks = _blocks(signature.inputs)
            self._alone = [block for one in signature.inputs for block in _blocks((one,))]

    def decode(self, body: bytes, *, headers: Headers, rows_max: int) -> Decoded:
        """Return the rows of a request.

        Raises: BinaryTensorsError, BodyMalformedError, SignatureError, ParameterRefusedError.
        """
        size = json_bytes(body, headers)
        tensors = memoryview(body)[size:]
        if size == 0:
            return self._decode_raw(tensors, rows_max)
        text = body[:size]
        return self._decode_typed(text, tensors, rows_max) or examine(
            text, self._signature, rows_max=rows_max, tensors=tensors
        )

    def _decode_typed(self, text: bytes, raw: memoryview, rows_max: int) -> Decoded | None:
        layout = self._layouts.get(text) or self._read(text)
        if layout is None or layout.of.rows > rows_max:
            return None
        columns = _columns(layout, raw)
        if columns is None:
            return None
        of = layout.of
        return Decoded(
            of.request_id, of.rows, columns, of.wanted, None, of.as_arrays, of.timeout_us,
            of.priority, of.form,
        )  # fmt: skip

    def _read(self, text: bytes) -> _Layout | None:
        """Return what the JSON of a request says, and keep it: most clients say it again."""
        if self._shapes.open:
            return None
        try:
            request: Request[_Tensor] = self._decoder.decode(text)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return None
        tensors, types = request.inputs, list(map(type, request.inputs))
        wanted = self._wishes.wanted(request.outputs)
        if wanted is None or len(types) != len(self._types) or set(types) != set(self._types):
            return None
        blocks, places, shapes = self._blocks, None, list(map(_shape, tensors))
        if types != self._types:
            blocks = [self._alone[self._types.index(one)] for one in types]
            places = [types.index(one) for one in self._types]
            shapes = [shapes[place] for place in places]
        rows = shapes[0][0]
        if rows <= 0 or not self._shapes.fit(shapes, rows):
            return None
        of = Decoded(request.id, rows, [], wanted)
        if request.parameters or request.outputs:
            self._wishes.take(of, request)
        sizes = [one.parameters.binary_data_size for one in tensors]
        layout = _Layout(of, sizes, blocks, places)
        if not request.id and len(text) <= LAYOUT_BYTES_MAX:
            self._keep(text, layout)
        return layout

    def _keep(self, text: bytes, layout: _Layout) -> None:
        if len(self._layouts) >= LAYOUTS_MAX:
            self._layouts.clear()
        self._layouts[text] = layout

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


def _columns(layout: _Layout, raw: memoryview) -> list[Column] | None:
    """Return the columns of a request; None where one has another length or is not taken."""
    if sum(layout.sizes) != len(raw):
        return None
    columns: list[Column] = []
    start = 0
    for block in layout.blocks:
        sizes = layout.sizes[len(columns) : len(columns) + len(block.inputs)]
        end = start + sum(sizes)
        found = block.columns(raw[start:end], sizes, layout.of.rows)
        if found is None:
            return None
        columns += found
        start = end
    return columns if layout.places is None else [columns[place] for place in layout.places]


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


def _blocks(declared: tuple[Input, ...]) -> list[_Numbers | _Texts]:
    blocks: list[_Numbers | _Texts] = []
    alike = groupby(declared, key=lambda one: (one.datatype, one.row_shape))
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
