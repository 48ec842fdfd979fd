"""Which input each column of a value within a graph comes from.

Scalers, encoders and the like work on each column alone, so what a linear model or an ensemble of
trees reads can be traced back: every column of it then depends on one player, a column of an input.
What mixes columns (a projection, a sum of two) leaves none, and such a model is sampled instead.
"""

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from servewell.adapters.embedded.job.study.graphs import Array, Feed, values_within

Owners = list[frozenset[int]]  # of each column: the players that it depends on
Places = NDArray[np.int64]

NOBODY: Final[frozenset[int]] = frozenset()
COLUMN_BY_COLUMN: Final = frozenset(
    {
        "Abs", "Add", "Binarizer", "Cast", "CastLike", "Ceil", "Clip", "Div", "Equal", "Exp",
        "Floor", "Greater", "GreaterOrEqual", "Identity", "Imputer", "IsInf", "IsNaN",
        "LabelEncoder", "Less", "LessOrEqual", "Log", "Max", "Min", "Mul", "Neg", "Not", "And",
        "Or", "Pow", "Relu",
        "Reciprocal", "Round", "Scaler", "Sigmoid", "Sign", "Sqrt", "Sub", "Tanh", "Where",
    }
)  # fmt: skip


class MixedError(Exception):
    """A column depends on several inputs; the message says where."""


def players_of(model: onnx.ModelProto, row: Feed) -> tuple[tuple[str, int], ...]:
    """Return the players: each input, or each column of an input that has several."""
    names = [one.name for one in model.graph.input if one.name in row]
    return tuple((name, place) for name in names for place in range(_width(row[name])))


def owners_of(
    model: onnx.ModelProto, name: str, row: Feed, players: Sequence[tuple[str, int]]
) -> Places:
    """Return the player of each column of a value; as many as there are for a constant column.

    Raises: MixedError.
    """
    tracing = _Tracing(model, row, players)
    found = tracing.owners(name)
    if any(len(one) > 1 for one in found):
        raise MixedError("what its trees or weights read mixes several inputs in one column")
    return np.array([next(iter(one), len(players)) for one in found], dtype=np.int64)


def _width(array: Array) -> int:
    return int(np.prod(array.shape[1:], dtype=int)) if array.ndim > 1 else 1


class _Tracing:
    """Follows columns back through a graph."""

    def __init__(
        self, model: onnx.ModelProto, row: Feed, players: Sequence[tuple[str, int]]
    ) -> None:
        self._model = model
        self._row = row
        self._known: dict[str, Owners] = {}
        for number, (name, _) in enumerate(players):
            self._known.setdefault(name, []).append(frozenset({number}))
        self._constants = {one.name: numpy_helper.to_array(one) for one in model.graph.initializer}
        self._maker = {name: node for node in model.graph.node for name in node.output}

    def owners(self, name: str) -> Owners:
        """Return the players that each column of a value depends on."""
        if name in self._constants or self._maker.get(name, _NONE).op_type == "Constant":
            return [NOBODY]
        if name not in self._known:
            self._known[name] = self._traced(name, self._maker[name])
        return self._known[name]

    def _traced(self, name: str, node: onnx.NodeProto) -> Owners:
        inputs = [self.owners(one) for one in node.input if one]
        everyone = frozenset().union(*(one for owners in inputs for one in owners))
        width = _width(values_within(self._model, name, [self._row]))
        if len(everyone) <= 1:
            return [everyone] * width
        if node.op_type == "Concat":
            joined = [one for owners in inputs for one in owners]
            return joined if len(joined) == width else [everyone] * width
        if node.op_type in ("ArrayFeatureExtractor", "Gather"):
            return self._chosen(node, inputs[0], width) or [everyone] * width
        if node.op_type in COLUMN_BY_COLUMN and all(len(o) in (1, width) for o in inputs):
            wide = [o if len(o) == width else o * width for o in inputs]
            return [frozenset().union(*column) for column in zip(*wide, strict=True)]
        if node.op_type in ("Reshape", "Flatten", "Squeeze", "Unsqueeze", "Dropout"):
            return inputs[0] if len(inputs[0]) == width else [everyone] * width
        return [everyone] * width

    def _chosen(self, node: onnx.NodeProto, owners: Owners, width: int) -> Owners:
        """Return the owners of the columns that an operator chooses; none where that is unknown."""
        places = self._constants.get(node.input[1])
        axis = {one.name: helper.get_attribute_value(one) for one in node.attribute}.get("axis", 0)
        if places is None or (node.op_type == "Gather" and axis not in (1, -1)):
            return []
        chosen = [owners[int(place)] for place in np.ravel(places)]
        return chosen if len(chosen) == width else []


_NONE: Final = onnx.NodeProto()


def values_at(model: onnx.ModelProto, name: str, feed: Mapping[str, Array]) -> Array:
    """Return a value within a graph as a table: (rows, columns)."""
    found = values_within(model, name, [feed])
    return found.reshape(len(found), -1)
