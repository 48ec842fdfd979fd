"""What surgery on an ONNX graph needs: constants, who reads what, and values on the way."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

from servewell.adapters.embedded.job.proof import open_session

Array = NDArray[Any]
Feed = Mapping[str, Array]

PRODUCTS: Final = frozenset({"MatMul", "Gemm", "Conv"})


class UnsuitedError(Exception):
    """A variant makes no sense for this graph; the message says why."""


def constants(model: onnx.ModelProto) -> dict[str, onnx.TensorProto]:
    """Return the graph's weights, by name."""
    return {one.name: one for one in model.graph.initializer}


def products(model: onnx.ModelProto) -> list[onnx.NodeProto]:
    """Return the operators that multiply by a matrix of 32-bit weights."""
    known = constants(model)
    return [
        node
        for node in model.graph.node
        if node.op_type in PRODUCTS
        and any(
            name in known and known[name].data_type == onnx.TensorProto.FLOAT for name in node.input
        )
    ]


def check_products(model: onnx.ModelProto) -> None:
    """Check that there are weights that numbers of fewer bits could hold.

    Raises: UnsuitedError.
    """
    if not products(model):
        raise UnsuitedError("it has no matrix product (MatMul, Gemm or Conv) with 32-bit weights")


def readers(model: onnx.ModelProto) -> Counter[str]:
    """Return how often each value is read, by operators or as an output."""
    read = Counter(name for node in model.graph.node for name in node.input)
    read.update(one.name for one in model.graph.output)
    return read


def value_of(tensor: onnx.TensorProto) -> Array:
    """Return a weight as an array that may be changed."""
    return np.array(numpy_helper.to_array(tensor))


def with_weights(model: onnx.ModelProto, changed: Mapping[str, Array]) -> onnx.ModelProto:
    """Return the model with other values of some weights."""
    result = copy_of(model)
    for tensor in result.graph.initializer:
        if tensor.name in changed:
            array = np.ascontiguousarray(changed[tensor.name])
            tensor.CopyFrom(numpy_helper.from_array(array, tensor.name))
    return result


def copy_of(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return a copy that shares nothing with the model."""
    result = onnx.ModelProto()
    result.CopyFrom(model)
    return result


def values_within(model: onnx.ModelProto, name: str, feeds: Sequence[Feed]) -> Array:
    """Return what an inner value of the graph is on these rows."""
    opened = copy_of(model)
    del opened.graph.output[:]
    opened.graph.output.append(onnx.ValueInfoProto(name=name))
    session = open_session(opened.SerializeToString())
    return np.concatenate([session.run([name], dict(feed))[0] for feed in feeds])
