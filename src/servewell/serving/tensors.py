"""Rows of several requests as arrays of one batch, and back."""

from itertools import chain
from typing import Final

import numpy as np

from servewell.core.catalog.signature import Datatype, Signature
from servewell.serving.protocols.columns import Decoded
from servewell.serving.runtimes.onnx import DTYPES, Array, ModelRunError

Shape = tuple[int, ...]
Values = list[float] | list[int] | list[bool] | list[str]

ONE: Final = 1


def gather(signature: Signature, requests: list[Decoded]) -> dict[str, Array]:
    """Return the arrays of one batch: the rows of the requests, one after the other.

    Requests of a model that leaves a dimension open come alone.
    """
    alone = requests[0] if len(requests) == ONE else None
    rows = alone.rows if alone else sum(one.rows for one in requests)
    feed = {}
    for place, declared in enumerate(signature.inputs):
        values = (
            alone.columns[place]
            if alone
            else list(chain.from_iterable([one.columns[place] for one in requests]))
        )
        if declared.datatype is Datatype.BYTES and declared.nullable:
            values = ["" if one is None else one for one in values]
        shape = alone.row_shapes[place] if alone and alone.row_shapes else declared.row_shape
        array = np.array(values, dtype=DTYPES[declared.datatype])
        feed[declared.name] = array.reshape(rows, *shape)
    return feed


def scatter(arrays: list[Array], requests: list[Decoded]) -> list[list[tuple[Values, Shape]]]:
    """Return, for each request, its part of each output: flat values and the shape.

    Raises: ModelRunError where the model gave another number of rows than it got.
    """
    rows = sum(one.rows for one in requests)
    if any(array.shape[:1] != (rows,) for array in arrays):
        raise ModelRunError("OutputRowsDiffer")
    flat = [(array.reshape(-1).tolist(), array.shape[1:], array.size // rows) for array in arrays]
    parts, start = [], 0
    for one in requests:
        end = start + one.rows
        parts.append(
            [
                (values[start * width : end * width], (one.rows, *shape))
                for values, shape, width in flat
            ]
        )
        start = end
    return parts
