"""Reads the operator `TreeEnsemble` of ai.onnx.ml 5, which took the place of two older ones.

Its splits and its leaves are lists of their own, and a branch says in which of them its end is. A
tree that is one leaf is a split both of whose branches end in it.

Source: ONNX, Operators ai.onnx.ml, TreeEnsemble-5.
"""

from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import onnx
from onnx import helper, numpy_helper

from servewell.adapters.embedded.job.study.graphs import UnsuitedError
from servewell.adapters.embedded.job.study.trees import LEAF, Ensemble

OPERATOR: Final = "TreeEnsemble"
AVERAGE: Final = 0
SUM: Final = 1
MODES: Final = (
    b"BRANCH_LEQ", b"BRANCH_LT", b"BRANCH_GTE", b"BRANCH_GT", b"BRANCH_EQ", b"BRANCH_NEQ",
)  # fmt: skip
COLUMNS: Final = (
    "treeids", "nodeids", "featureids", "values", "modes", "truenodeids", "falsenodeids",
    "missing_value_tracks_true",
)  # fmt: skip

Held = dict[str, Any]


@dataclass(slots=True)
class _Grown:
    """The nodes of all trees, splits and leaves, as `Ensemble` has them."""

    nodes: dict[str, list[Any]] = field(default_factory=lambda: {name: [] for name in COLUMNS})
    leaf: list[int] = field(default_factory=list)
    said: list[int] = field(default_factory=list)  # of each leaf: its place among those of ONNX

    def add(self, **columns: Any) -> None:  # noqa: ANN401 - numbers and bytes
        """Add a node."""
        for name in COLUMNS:
            self.nodes[name].append(columns.get(name, 0))


def read_tree_ensemble(node: onnx.NodeProto) -> Ensemble:
    """Return the ensemble of an operator. Raises: UnsuitedError where it is of another kind."""
    held: Held = {one.name: helper.get_attribute_value(one) for one in node.attribute}
    aggregate = held.get("aggregate_function", SUM)
    if aggregate not in (AVERAGE, SUM):
        raise UnsuitedError("its trees are aggregated by a least or greatest value")
    modes = numpy_helper.to_array(held["nodes_modes"])
    if (modes >= len(MODES)).any():
        raise UnsuitedError("its trees ask whether a value is in a set")
    splits = numpy_helper.to_array(held["nodes_splits"])
    tracks = held.get("nodes_missing_value_tracks_true") or [0] * len(splits)
    held |= {"modes": modes, "splits": splits, "tracks": tracks}
    grown = _Grown()
    for tree, root in enumerate(held["tree_roots"]):
        _grow(grown, held, tree, root)
    weights = numpy_helper.to_array(held["leaf_weights"]).astype("float64")
    return Ensemble(
        nodes={name: np.array(values) for name, values in grown.nodes.items()},
        leaf=np.array(grown.leaf),
        output=np.array(held["leaf_targetids"])[grown.said],
        weight=weights[grown.said],
        averages=aggregate == AVERAGE,
    )


def _grow(grown: _Grown, held: Held, tree: int, root: int) -> None:
    """Add a tree, from its root on; a node's id is its place among all."""
    waiting: list[tuple[int, bool, int | None, str]] = [(root, False, None, "")]
    while waiting:
        there, is_leaf, parent, side = waiting.pop()
        place = len(grown.nodes["modes"])
        if is_leaf or _is_one_leaf(held, there):
            grown.add(treeids=tree, nodeids=place, modes=LEAF, values=held["splits"].dtype.type(0))
            grown.leaf.append(place)
            grown.said.append(there if is_leaf else held["nodes_truenodeids"][there])
        else:
            grown.add(
                treeids=tree,
                nodeids=place,
                featureids=held["nodes_featureids"][there],
                values=held["splits"][there],
                modes=MODES[held["modes"][there]],
                missing_value_tracks_true=held["tracks"][there],
            )
            for way in ("true", "false"):
                end, leafs = held[f"nodes_{way}nodeids"][there], held[f"nodes_{way}leafs"][there]
                waiting.append((end, bool(leafs), place, f"{way}nodeids"))
        if parent is not None:
            grown.nodes[side][parent] = place


def _is_one_leaf(held: Held, there: int) -> bool:
    """Whether both branches of a split end in the same leaf."""
    leafs = held["nodes_trueleafs"][there] and held["nodes_falseleafs"][there]
    return bool(leafs) and held["nodes_truenodeids"][there] == held["nodes_falsenodeids"][there]
