"""An inference request, decoded and checked."""

from collections.abc import Sequence
from typing import Final

import msgspec

from servewell.core.catalog.limits import Priority
from servewell.core.catalog.signature import Datatype
from servewell.serving.runtimes.model import Array

# One input's values, flat and row-major; None where null is allowed. An array has the type that
# the model takes (texts are `str` in an object array), and NaN where null is allowed.
Column = Sequence[str | float | None] | Array


class Decoded(msgspec.Struct, gc=False):
    """The rows of one request, by input in the order of the signature."""

    request_id: str
    rows: int
    columns: list[Column]
    wanted: tuple[str, ...]  # outputs asked for; empty means all
    # Of one row of each input, where the model leaves a dimension open; else None.
    row_shapes: tuple[tuple[int, ...], ...] | None = None
    as_arrays: bool = False  # whether the protocol writes outputs from arrays, not from lists
    timeout_us: int = 0  # that the caller gives the request in its body; 0 for none
    priority: Priority | None = None  # that the caller gives it in its body
    form: object = None  # what the protocol keeps of the request for its answer


class OutputTensor(msgspec.Struct, gc=False):
    """One output of one answer, flat and row-major.

    Values that are not finite become null where a list is written as JSON.
    """

    name: str
    datatype: str
    shape: tuple[int, ...]
    data: list[float] | list[int] | list[bool] | list[str] | Array


# Smallest and largest number of each type. A number between the largest FP32 and infinity would
# become infinite in the model, so it is out of range.
NUMBER_BOUNDS: Final[dict[Datatype, tuple[float, float]]] = {
    Datatype.INT8: (-(2**7), 2**7 - 1),
    Datatype.INT16: (-(2**15), 2**15 - 1),
    Datatype.INT32: (-(2**31), 2**31 - 1),
    Datatype.INT64: (-(2**63), 2**63 - 1),
    Datatype.UINT8: (0, 2**8 - 1),
    Datatype.UINT16: (0, 2**16 - 1),
    Datatype.UINT32: (0, 2**32 - 1),
    Datatype.UINT64: (0, 2**64 - 1),
    Datatype.FP16: (-65_504.0, 65_504.0),
    Datatype.FP32: (-3.4028234663852886e38, 3.4028234663852886e38),
    Datatype.FP64: (-1.7976931348623157e308, 1.7976931348623157e308),
}
