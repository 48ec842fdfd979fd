"""From a message of gRPC to what the protocol says over HTTP, which is read and checked there.

A request for predictions becomes a request with binary tensors: its JSON says names, shapes and
wishes, and the tensors follow as they came. So both are held to the same, and told the same.
"""

from typing import Final, cast

import msgspec
import numpy as np

from servewell.core.catalog.signature import Datatype
from servewell.serving.protocols.dialect import Headers
from servewell.serving.protocols.grpc_messages import (
    InferRequest,
    InputTensor,
    parameter_values,
)
from servewell.serving.protocols.oip_binary import BINARY_HEADER, texts_bytes
from servewell.serving.refusals import BinaryTensorsError, ParameterRefusedError

Entry = dict[str, object]

# Where typed elements stand, and of what type they are there.
CONTENTS: Final = {
    Datatype.BOOL: ("bool_contents", "|u1"),
    Datatype.INT8: ("int_contents", "<i4"),
    Datatype.INT16: ("int_contents", "<i4"),
    Datatype.INT32: ("int_contents", "<i4"),
    Datatype.INT64: ("int64_contents", "<i8"),
    Datatype.UINT8: ("uint_contents", "<u4"),
    Datatype.UINT16: ("uint_contents", "<u4"),
    Datatype.UINT32: ("uint_contents", "<u4"),
    Datatype.UINT64: ("uint64_contents", "<u8"),
    Datatype.FP32: ("fp32_contents", "<f4"),
    Datatype.FP64: ("fp64_contents", "<f8"),
}
# A number may not fit these, so they are written in JSON, where it is told of.
NARROWED: Final = frozenset({Datatype.INT8, Datatype.INT16, Datatype.UINT8, Datatype.UINT16})

UNITS_US: Final = {  # of `grpc-timeout`
    b"H": 3_600_000_000, b"M": 60_000_000, b"S": 1_000_000, b"m": 1_000, b"u": 1, b"n": 0.001,
}  # fmt: skip
TIMEOUT_DIGITS_MAX: Final = 8


def as_binary(request: InferRequest) -> tuple[bytes, Headers]:
    """Return the body that a request would have over HTTP, and the header that says how to read it.

    Raises: BinaryTensorsError.
    """
    tensors: list[bytes] = []
    raw = request.raw_input_contents
    if raw and len(raw) != len(request.inputs):
        raise _mismatch(
            f"there are {len(request.inputs)} inputs and {len(raw)} `raw_input_contents`"
        )
    inputs = [
        _raw(one, raw[place], tensors) if raw else _typed(one, tensors)
        for place, one in enumerate(request.inputs)
    ]
    outputs = [
        {"name": one.name, "parameters": parameter_values(one.parameters)}
        for one in request.outputs
    ]
    described: Entry = {"inputs": inputs}
    if outputs:
        described["outputs"] = outputs
    if request.id:
        described["id"] = request.id
    if request.parameters:
        described["parameters"] = parameter_values(request.parameters)
    text = msgspec.json.encode(described)
    return b"".join([text, *tensors]), {BINARY_HEADER: b"%d" % len(text)}


def timeout_us(headers: Headers) -> int:
    """Return the microseconds that `grpc-timeout` gives, at least one; 0 where there is none.

    Raises: ParameterRefusedError.
    """
    told = headers.get(b"grpc-timeout")
    if told is None:
        return 0
    digits, unit = told[:-1], UNITS_US.get(told[-1:])
    if not digits.isdigit() or len(digits) > TIMEOUT_DIGITS_MAX or unit is None:
        raise ParameterRefusedError(
            "The header `grpc-timeout` cannot be read.",
            why="it is up to eight digits and one of H, M, S, m, u, n",
            fix="let a gRPC library send it",
        )
    return max(1, int(int(digits) * unit))


def _raw(one: InputTensor, data: bytes, tensors: list[bytes]) -> Entry:
    if one.HasField("contents"):
        raise _mismatch("an input has `contents`, and the request has `raw_input_contents`")
    return _binary(one, data, tensors)


def _typed(one: InputTensor, tensors: list[bytes]) -> Entry:
    if one.datatype == Datatype.BYTES:
        return _binary(one, texts_bytes(list(one.contents.bytes_contents)), tensors)
    if one.datatype == Datatype.FP16:
        raise _mismatch("FP16 has no typed `contents`, so it comes in `raw_input_contents`")
    name, dtype = CONTENTS.get(cast("Datatype", one.datatype), ("fp32_contents", "<f4"))
    elements = getattr(one.contents, name)
    if one.datatype in NARROWED:
        return _described(one) | {"data": list(elements)}
    return _binary(one, np.array(elements, dtype).tobytes(), tensors)


def _binary(one: InputTensor, data: bytes, tensors: list[bytes]) -> Entry:
    tensors.append(data)
    return _described(one) | {"parameters": {"binary_data_size": len(data)}}


def _described(one: InputTensor) -> Entry:
    return {"name": one.name, "datatype": one.datatype, "shape": list(one.shape)}


def _mismatch(why: str) -> BinaryTensorsError:
    return BinaryTensorsError(
        "The tensors of the request do not match what it says of them.",
        why=why,
        fix="let a client library write the request, such as tritonclient",
    )
