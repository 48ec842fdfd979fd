"""Tensors as bytes: what stands behind the JSON of a request or an answer.

Numbers are little-endian and row-major; a BOOL is one byte, 0 or 1; each BYTES element is four
bytes with its length, little-endian, and then so many bytes.

Source: Triton, docs/protocol/extension_binary_data.md.
"""

from typing import Final

import numpy as np

from servewell.core.catalog.signature import Datatype, Input
from servewell.serving.protocols.bounds import bounds_of
from servewell.serving.protocols.columns import Column
from servewell.serving.protocols.dialect import Headers
from servewell.serving.refusals import BinaryTensorsError
from servewell.serving.runtimes.model import DTYPES, Array

BINARY_HEADER: Final = b"inference-header-content-length"
LENGTH_BYTES: Final = 4  # before each text


def json_bytes(body: bytes, headers: Headers) -> int:
    """Return how many bytes of a body are JSON, as its header says; 0 for a raw tensor.

    Raises: BinaryTensorsError.
    """
    told = headers[BINARY_HEADER].strip()
    if not told.isdigit() or len(told) > len(str(len(body))) or int(told) > len(body):
        raise mismatch(
            f"`Inference-Header-Content-Length` has to be a number of bytes from 0 to {len(body)}, "
            "which is the whole body"
        )
    return int(told)


def item_bytes(datatype: Datatype) -> int:
    """Return the bytes of one element; 0 for BYTES, whose elements differ."""
    return 0 if datatype is Datatype.BYTES else np.dtype(DTYPES[datatype]).itemsize


def numbers_of(raw: bytes | memoryview, datatype: Datatype) -> Array:
    """Return the elements of a tensor of numbers, or of a BOOL tensor as UINT8.

    Nothing is copied where the bytes lie as the processor wants them. Elsewhere they are: native
    code may count on it.
    """
    dtype = np.dtype(np.uint8 if datatype is Datatype.BOOL else DTYPES[datatype])
    found = np.frombuffer(raw, dtype.newbyteorder("<"))
    if not found.flags.aligned:
        found = found.copy()
    return found.astype(dtype, copy=False)


def elements_of(raw: bytes | memoryview) -> list[bytes]:
    """Return the elements of a BYTES tensor.

    Raises: BinaryTensorsError where the last one is cut off.
    """
    data, place, found = bytes(raw), 0, []
    while place < len(data):
        start = place + LENGTH_BYTES
        place = start + int.from_bytes(data[place:start], "little")
        found.append(data[start:place])
    if place != len(data):
        raise mismatch(
            "the last text of a BYTES tensor is cut off: before each text stand four bytes with "
            "its length, little-endian"
        )
    return found


def not_taken(array: Array, declared: Input) -> Array:
    """Return which elements an input does not take; those of BOOL are given as UINT8."""
    if declared.datatype is Datatype.BOOL:
        wrong: Array = array > 1
        return wrong
    least, most = bounds_of(declared)
    wrong = ~((array >= array.dtype.type(least)) & (array <= array.dtype.type(most)))
    if declared.nullable and declared.datatype.is_float:
        wrong &= ~np.isnan(array)
    return wrong


def tensor_bytes(values: Column, datatype: Datatype) -> bytes:
    """Return the bytes of a tensor."""
    if datatype is Datatype.BYTES:
        return texts_bytes([str(one).encode() for one in values])
    dtype = np.dtype(DTYPES[datatype])
    return np.asarray(values, dtype).astype(dtype.newbyteorder("<"), copy=False).tobytes()


def texts_bytes(texts: list[bytes]) -> bytes:
    """Return the bytes of a BYTES tensor with these elements."""
    return b"".join([b"%b%b" % (len(one).to_bytes(LENGTH_BYTES, "little"), one) for one in texts])


def mismatch(why: str) -> BinaryTensorsError:
    """Return the error of binary tensors that are not where and what they have to be."""
    return BinaryTensorsError(
        "The binary tensors do not match what the headers and the JSON say.",
        why=why,
        fix="let a client library write the request, such as tritonclient, or send the data as "
        "JSON without `Inference-Header-Content-Length`",
    )
