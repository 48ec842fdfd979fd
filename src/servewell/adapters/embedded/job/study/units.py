"""Pruned weights: hidden units of small weights are taken out of matrix products.

Zeros in a dense product save neither time nor bytes, so whole units go: a column of one matrix,
its bias, and the row of the next. Source: Li, Kadav, Durdanovic, Samet, Graf, "Pruning filters for
efficient ConvNets", ICLR 2017: whole units, ranked by the magnitude of their weights.
"""

from collections import Counter
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import onnx

from servewell.adapters.embedded.job.study.graphs import (
    Array,
    UnsuitedError,
    constants,
    readers,
    value_of,
    with_weights,
)

# Activations that treat every unit alone, so that a unit may go without a change to the others.
ALONE: Final = frozenset(
    {
        "Relu", "LeakyRelu", "Elu", "Selu", "Sigmoid", "HardSigmoid", "Tanh", "Softplus",
        "Softsign", "Gelu", "Identity",
    }
)  # fmt: skip
UNITS_MIN: Final = 4  # a smaller layer is left as it is


@dataclass(frozen=True, slots=True, kw_only=True)
class _Matrix:
    """The weights of one product, as inputs x outputs, whatever way the graph holds them."""

    name: str
    turned: bool  # the graph holds outputs x inputs

    def read(self, known: dict[str, Array]) -> Array:
        return known[self.name].T if self.turned else known[self.name]

    def write(self, known: dict[str, Array], value: Array) -> None:
        known[self.name] = value.T if self.turned else value


@dataclass(frozen=True, slots=True, kw_only=True)
class _Layer:
    """A hidden layer between two products."""

    before: _Matrix
    after: _Matrix
    biases: list[str] = field(default_factory=list)


def without_units(model: onnx.ModelProto, share_kept: float) -> onnx.ModelProto:
    """Return the model with the strongest share of the units of each hidden layer.

    Raises: UnsuitedError.
    """
    known = {name: value_of(one) for name, one in constants(model).items()}
    layers = _layers(model, known)
    if not layers:
        raise UnsuitedError(
            "it has no hidden layer to take units from: two matrix products with fixed weights "
            "and nothing but an activation between them"
        )
    for layer in layers:
        before, after = layer.before.read(known), layer.after.read(known)
        kept = _strongest(before, after, share_kept)
        for bias in layer.biases:
            known[bias] = known[bias][..., kept]
        layer.before.write(known, before[:, kept])
        layer.after.write(known, after[kept, :])
    changed = with_weights(model, known)
    del changed.graph.value_info[:]  # it tells of shapes that were
    return changed


def _strongest(before: Array, after: Array, share_kept: float) -> Array:
    """Return the units to keep, in their order: largest product of the norms on both sides."""
    strength = np.linalg.norm(before, axis=0) * np.linalg.norm(after, axis=1)
    count = max(UNITS_MIN, round(len(strength) * share_kept))
    return np.sort(np.argsort(-strength, kind="stable")[:count])


def _layers(model: onnx.ModelProto, known: dict[str, Array]) -> list[_Layer]:
    read = readers(model)
    by_input = {name: node for node in model.graph.node for name in node.input}
    found = []
    for node in model.graph.node:
        before = _matrix(node, known, read)
        layer = _walk(node, before, (known, read, by_input)) if before else None
        if layer is not None and layer.before.read(known).shape[1] > UNITS_MIN:
            found.append(layer)
    return found


def _walk(
    node: onnx.NodeProto,
    before: _Matrix,
    graph: tuple[dict[str, Array], Counter[str], dict[str, onnx.NodeProto]],
) -> _Layer | None:
    """Follow one value from a product through biases and activations to the next product."""
    known, read, by_input = graph
    width = before.read(known).shape[1]
    biases = [name for name in node.input[2:] if name]
    while read[node.output[0]] == 1 and node.output[0] in by_input:
        value, node = node.output[0], by_input[node.output[0]]
        if node.op_type == "Add":
            biases += [name for name in node.input if name != value]
        elif (after := _matrix(node, known, read)) and node.input[0] == value:
            return _whole(_Layer(before=before, after=after, biases=biases), (known, read), width)
        elif node.op_type not in ALONE:
            return None
    return None


def _whole(
    layer: _Layer, graph: tuple[dict[str, Array], Counter[str]], width: int
) -> _Layer | None:
    known, read = graph
    fits = all(
        name in known and read[name] == 1 and known[name].shape[-1:] == (width,)
        for name in layer.biases
    )
    return layer if fits and layer.after.read(known).shape[0] == width else None


def _matrix(node: onnx.NodeProto, known: dict[str, Array], read: Counter[str]) -> _Matrix | None:
    """Return the fixed matrix that an operator multiplies its one input by, used nowhere else."""
    if node.op_type not in ("MatMul", "Gemm") or node.input[1] not in known:
        return None
    name = node.input[1]
    flags = {one.name: one.i for one in node.attribute if one.name in ("transA", "transB")}
    plain = known[name].ndim == 2 and known[name].dtype == np.float32  # noqa: PLR2004 - a matrix
    if not plain or read[name] > 1 or flags.get("transA"):
        return None
    return _Matrix(name=name, turned=bool(flags.get("transB")))
