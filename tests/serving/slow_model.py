"""A model that takes as long as its rows ask for."""

from typing import Any, Final

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from servewell.core.catalog.signature import Datatype, Input, Output, Signature
from serving.home import onnx_bytes

SIDE: Final = 96
SLOW: Final = Signature(
    inputs=(
        Input(name="x", datatype=Datatype.FP32),
        Input(name="turns", datatype=Datatype.INT64),
    ),
    outputs=(
        Output(name="y", datatype=Datatype.FP32, row_shape=(1,)),
        Output(name="rows", datatype=Datatype.INT64, row_shape=(1,)),
    ),
)


def slow_model() -> bytes:
    """Return a model that answers `y = x * 2`, and `rows`, those of the call that answered.

    It multiplies two matrices as often as the `turns` of all rows of a call say, summed.
    """
    matrix = numpy_helper.from_array(np.eye(SIDE, dtype=np.float32), "matrix")
    body = helper.make_graph(
        [
            helper.make_node("MatMul", ["before", "matrix"], ["after"]),
            helper.make_node("Identity", ["goes_on"], ["goes_on_then"]),
        ],
        "body",
        [
            helper.make_tensor_value_info("turn", TensorProto.INT64, []),
            helper.make_tensor_value_info("goes_on", TensorProto.BOOL, []),
            helper.make_tensor_value_info("before", TensorProto.FLOAT, [SIDE, SIDE]),
        ],
        [
            helper.make_tensor_value_info("goes_on_then", TensorProto.BOOL, []),
            helper.make_tensor_value_info("after", TensorProto.FLOAT, [SIDE, SIDE]),
        ],
    )
    nodes: list[onnx.NodeProto] = [
        helper.make_node("ReduceSum", ["turns"], ["trips"], keepdims=0),
        helper.make_node("Loop", ["trips", "true", "matrix"], ["worked"], body=body),
        helper.make_node("ReduceMax", ["worked"], ["one"], keepdims=0),
        helper.make_node("Mul", ["x", "two"], ["doubled"]),
        helper.make_node("Mul", ["doubled", "one"], ["y"]),
        helper.make_node("Shape", ["x"], ["shape"]),
        helper.make_node("Gather", ["shape", "first"], ["count"]),
        helper.make_node("Expand", ["count", "shape"], ["rows"]),
    ]
    constants = [
        matrix,
        helper.make_tensor("true", TensorProto.BOOL, [], [True]),
        helper.make_tensor("two", TensorProto.FLOAT, [1], [2.0]),
        helper.make_tensor("first", TensorProto.INT64, [], [0]),
    ]
    return onnx_bytes(SLOW, nodes, constants)


def slow_request(x: list[float], turns: int | list[int]) -> dict[str, Any]:
    """Return a request of the slow model."""
    rows = len(x)
    each = [turns] * rows if isinstance(turns, int) else turns
    return {
        "inputs": [
            {"name": "x", "shape": [rows, 1], "datatype": "FP32", "data": x},
            {"name": "turns", "shape": [rows, 1], "datatype": "INT64", "data": each},
        ]
    }
