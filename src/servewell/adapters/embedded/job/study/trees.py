"""Pruned ensembles: fewer trees, or trees with fewer leaves.

Both change the attributes of `TreeEnsembleClassifier` and `TreeEnsembleRegressor`, and both use
rows of the training part. What a tree says to a row, and which leaf a row reaches, is asked of
ONNX Runtime itself, with an ensemble whose every tree or leaf has an output of its own.
"""

import heapq
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper

from servewell.adapters.embedded.job.proof import open_session
from servewell.adapters.embedded.job.study.graphs import (
    Array,
    Feed,
    UnsuitedError,
    copy_of,
    values_within,
)

DOMAIN: Final = "ai.onnx.ml"
WEIGHTS_OF: Final = {"TreeEnsembleClassifier": "class", "TreeEnsembleRegressor": "target"}
NODE_COLUMNS: Final = (
    "treeids", "nodeids", "featureids", "values", "hitrates", "modes", "truenodeids",
    "falsenodeids", "missing_value_tracks_true",
)  # fmt: skip
LEAF: Final = b"LEAF"
VALUES_AT_ONCE: Final = 1 << 23  # outputs of one call that counts leaves
RIDGE: Final = 1e-6  # of the mean square of what a tree says: keeps a fit apart from rounding

Matrix = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ensemble:
    """One ensemble: its nodes column by column, and what its leaves say."""

    nodes: dict[str, Array]  # columns of `NODE_COLUMNS` that are there, by name
    leaf: Array  # of each weight: index of its node
    output: Array  # of each weight: the class or target that it is for
    weight: Matrix
    averages: bool

    @property
    def trees(self) -> Array:
        """The ids of the trees, in their order."""
        ids: Array = self.nodes["treeids"]
        return ids[np.sort(np.unique(ids, return_index=True)[1])]

    @property
    def tree_of_weight(self) -> Array:
        """The tree that each weight belongs to."""
        tree: Array = self.nodes["treeids"][self.leaf]
        return tree


def fewer_trees(
    model: onnx.ModelProto, feeds: Sequence[Feed], share_kept: float
) -> onnx.ModelProto:
    """Return the model with the first share of the trees of each ensemble.

    Trees that vote (no leaf below zero, or several outputs a tree) are weighed up alike, so that
    shares still sum to one. Trees that correct each other, as boosted ones do, get weights anew:
    the ridge regression of what all trees together say on what each that stays says.

    Raises: UnsuitedError.
    """

    def pruned(node: onnx.NodeProto, rows: Array) -> Ensemble:
        whole = read_ensemble(node)
        return _first_trees(whole, share_kept, rows)

    return _with_ensembles(model, feeds, pruned)


def fewer_leaves(
    model: onnx.ModelProto, feeds: Sequence[Feed], share_kept: float
) -> onnx.ModelProto:
    """Return the model with a share of the nodes of each ensemble.

    Again and again the two sibling leaves whose union changes the answers least become one, with
    the mean of their values over the rows that reach them.

    Source: the increase of squared error by a union is J. H. Ward, "Hierarchical grouping to
    optimize an objective function", JASA 58 (1963); cutting the weakest link first is Breiman et
    al., "Classification and Regression Trees", 1984, chapter 3.

    Raises: UnsuitedError.
    """

    def pruned(node: onnx.NodeProto, rows: Array) -> Ensemble:
        whole = read_ensemble(node)
        return _merged(whole, _reached(whole, rows), share_kept)

    return _with_ensembles(model, feeds, pruned)


def _with_ensembles(model: onnx.ModelProto, feeds: Sequence[Feed], pruned: Any) -> onnx.ModelProto:  # noqa: ANN401 - a function of this module
    changed = copy_of(model)
    nodes = [one for one in changed.graph.node if one.op_type in WEIGHTS_OF]
    if not nodes:
        raise UnsuitedError("it has no ensemble of trees")
    for node in nodes:
        write_ensemble(node, pruned(node, values_within(model, node.input[0], feeds)))
    return changed


def read_ensemble(node: onnx.NodeProto) -> Ensemble:
    """Return the ensemble of an operator.

    Raises: UnsuitedError where it is of a kind that is not pruned here.
    """
    held = {one.name: helper.get_attribute_value(one) for one in node.attribute}
    kind = WEIGHTS_OF[node.op_type]
    if f"{kind}_weights" not in held or "nodes_values" not in held:
        raise UnsuitedError("its trees hold 64-bit numbers")
    aggregate = held.get("aggregate_function", b"SUM")
    if aggregate not in (b"SUM", b"AVERAGE"):
        raise UnsuitedError(f"its trees are aggregated by {aggregate.decode()}")
    nodes = {
        name: np.array(held[f"nodes_{name}"]) for name in NODE_COLUMNS if f"nodes_{name}" in held
    }
    place = {
        key: index for index, key in enumerate(zip(nodes["treeids"], nodes["nodeids"], strict=True))
    }
    keys = zip(held[f"{kind}_treeids"], held[f"{kind}_nodeids"], strict=True)
    return Ensemble(
        nodes=nodes,
        leaf=np.array([place[key] for key in keys]),
        output=np.array(held[f"{kind}_ids"]),
        weight=np.array(held[f"{kind}_weights"], dtype="float64"),
        averages=aggregate == b"AVERAGE",
    )


def write_ensemble(node: onnx.NodeProto, ensemble: Ensemble) -> None:
    """Put an ensemble in the place of an operator's own."""
    kind = WEIGHTS_OF[node.op_type]
    columns = {f"nodes_{name}": values for name, values in ensemble.nodes.items()}
    columns |= {
        f"{kind}_treeids": ensemble.tree_of_weight,
        f"{kind}_nodeids": ensemble.nodes["nodeids"][ensemble.leaf],
        f"{kind}_ids": ensemble.output,
        f"{kind}_weights": ensemble.weight.astype("float32"),
    }
    kept = [one for one in node.attribute if one.name not in columns]
    made = [helper.make_attribute(name, values.tolist()) for name, values in columns.items()]
    del node.attribute[:]
    node.attribute.extend([*kept, *made])


def _first_trees(whole: Ensemble, share_kept: float, rows: Array) -> Ensemble:
    count = round(len(whole.trees) * share_kept)
    if not 0 < count < len(whole.trees):
        raise UnsuitedError(f"its ensemble has {len(whole.trees)} trees")
    kept = set(whole.trees[:count].tolist())
    if _votes(whole):
        factor = 1.0 if whole.averages else len(whole.trees) / count
        return replace(_only_trees(whole, kept), weight=_only_trees(whole, kept).weight * factor)
    return _only_trees(_weighed_anew(whole, kept, rows), kept)


def _votes(whole: Ensemble) -> bool:
    pairs = set(zip(whole.tree_of_weight.tolist(), whole.output.tolist(), strict=True))
    return bool((whole.weight >= 0).all()) or len(pairs) > len(whole.trees)


def _only_trees(whole: Ensemble, kept: set[int]) -> Ensemble:
    nodes = np.isin(whole.nodes["treeids"], list(kept))
    return _only_nodes(whole, nodes)


def _only_nodes(whole: Ensemble, kept: NDArray[np.bool_]) -> Ensemble:
    place = np.cumsum(kept) - 1
    weights = kept[whole.leaf]
    return Ensemble(
        nodes={name: values[kept] for name, values in whole.nodes.items()},
        leaf=place[whole.leaf[weights]],
        output=whole.output[weights],
        weight=whole.weight[weights],
        averages=whole.averages,
    )


def _weighed_anew(whole: Ensemble, kept: set[int], rows: Array) -> Ensemble:
    """Return the ensemble in which the kept trees say, as nearly as they can, what all said."""
    order = {tree: place for place, tree in enumerate(whole.trees.tolist())}
    tree = np.array([order[one] for one in whole.tree_of_weight.tolist()])
    said = _answers(whole, tree, rows)
    weight = whole.weight.copy()
    for output in np.unique(whole.output):
        own = np.unique(tree[whole.output == output])
        stays = np.array([one for one in own if whole.trees[one] in kept], dtype=int)
        if not len(stays):
            raise UnsuitedError(f"no tree would be left for output {output}")
        factors, offset = _fit(said[:, stays], said[:, own].sum(axis=1))
        for place, factor in zip(stays, factors, strict=True):
            weight[tree == place] *= factor
        weight[(tree == stays[0])] += offset
    share = len(kept) / len(whole.trees) if whole.averages else 1.0
    return replace(whole, weight=weight * share)


def _fit(said: Matrix, wanted: Matrix) -> tuple[Matrix, float]:
    """Return factors and offset that bring `said @ factors + offset` nearest to `wanted`.

    Source: A. E. Hoerl and R. W. Kennard, "Ridge regression", Technometrics 12 (1970).
    """
    means, mean = said.mean(axis=0), float(wanted.mean())
    centred = said - means
    square = centred.T @ centred
    penalty = RIDGE * max(float(np.trace(square)) / len(square), np.finfo(float).tiny)
    factors = np.linalg.solve(square + penalty * np.eye(len(square)), centred.T @ (wanted - mean))
    return factors, mean - float(means @ factors)


def _answers(whole: Ensemble, tree: Array, rows: Array) -> Matrix:
    """Return what each tree says to each row, (rows, trees)."""
    return _asked(whole, whole.leaf, tree, whole.weight, rows)


def _reached(whole: Ensemble, rows: Array) -> Matrix:
    """Return how many of the rows reach each node that is a leaf."""
    leaves = np.flatnonzero(whole.nodes["modes"] == LEAF)
    reached = np.zeros(len(whole.nodes["modes"]))
    at_once = max(1, VALUES_AT_ONCE // len(leaves))
    for first in range(0, len(rows), at_once):
        part = rows[first : first + at_once]
        ones = np.ones(len(leaves))
        reached[leaves] += _asked(whole, leaves, np.arange(len(leaves)), ones, part).sum(axis=0)
    return reached


def _asked(whole: Ensemble, leaf: Array, output: Array, weight: Matrix, rows: Array) -> Matrix:
    """Run the trees with other outputs on their leaves, and without what is added to a sum."""
    node = helper.make_node(
        "TreeEnsembleRegressor", ["rows"], ["said"], domain=DOMAIN, n_targets=int(output.max()) + 1
    )
    kind = TensorProto.DOUBLE if rows.dtype == np.float64 else TensorProto.FLOAT
    asked = replace(whole, leaf=leaf, output=output, weight=weight)
    write_ensemble(node, asked)
    graph = helper.make_graph(
        [node],
        "asked",
        [helper.make_tensor_value_info("rows", kind, [None, rows.shape[1]])],
        [helper.make_tensor_value_info("said", TensorProto.FLOAT, [None, None])],
    )
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid(DOMAIN, 3)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=8)
    said: Array = open_session(model.SerializeToString()).run(None, {"rows": rows})[0]
    return said.astype("float64")


def _merged(whole: Ensemble, reached: Matrix, share_kept: float) -> Ensemble:
    grown = _Grown(whole, reached)
    grown.merge(round(len(reached) * share_kept))
    return grown.ensemble()


class _Grown:
    """Trees whose leaves are being merged."""

    def __init__(self, whole: Ensemble, reached: Matrix) -> None:
        self._whole = whole
        self._rows = reached.copy()
        nodes = whole.nodes
        ids = list(zip(nodes["treeids"].tolist(), nodes["nodeids"].tolist(), strict=True))
        place = {key: index for index, key in enumerate(ids)}
        self._branch = nodes["modes"] != LEAF
        sides = (nodes["truenodeids"].tolist(), nodes["falsenodeids"].tolist())
        self._children = {
            index: tuple(place[ids[index][0], side[index]] for side in sides)
            for index in np.flatnonzero(self._branch).tolist()
        }
        self._parent = {
            child: index for index, children in self._children.items() for child in children
        }
        self._outputs, column = np.unique(whole.output, return_inverse=True)
        self._says = np.zeros((len(ids), len(self._outputs)))
        np.add.at(self._says, (whole.leaf, column), whole.weight)
        self._kept = np.ones(len(ids), dtype=bool)

    def merge(self, count: int) -> None:
        """Merge leaves until so many nodes are left, or each tree is one leaf."""
        waiting = [self._pair(index) for index in self._children if self._has_leaves(index)]
        heapq.heapify(waiting)
        left = len(self._kept)
        while waiting and left > count:
            _, index = heapq.heappop(waiting)
            self._unite(index)
            left -= 2
            above = self._parent.get(index)
            if above is not None and self._has_leaves(above):
                heapq.heappush(waiting, self._pair(above))

    def ensemble(self) -> Ensemble:
        """Return what has become of the trees."""
        whole = self._whole
        nodes = {name: values.copy() for name, values in whole.nodes.items()}
        for name in ("featureids", "values", "truenodeids", "falsenodeids"):
            nodes[name][~self._branch] = 0
        nodes["modes"][~self._branch] = LEAF
        leaf, output, weight = self._weights()
        changed = Ensemble(
            nodes=nodes, leaf=leaf, output=output, weight=weight, averages=whole.averages
        )
        return _only_nodes(changed, self._kept)

    def _weights(self) -> tuple[Array, Array, Matrix]:
        """Return the weights of every leaf, one for each output that its tree speaks to."""
        trees = self._whole.nodes["treeids"]
        spoken = {
            (tree, output)
            for tree, output in zip(
                self._whole.tree_of_weight.tolist(), self._whole.output.tolist(), strict=True
            )
        }
        pairs = [
            (leaf, column)
            for leaf in np.flatnonzero(~self._branch & self._kept).tolist()
            for column, output in enumerate(self._outputs.tolist())
            if (int(trees[leaf]), output) in spoken
        ]
        leaves = np.array([leaf for leaf, _ in pairs])
        columns = np.array([column for _, column in pairs])
        return leaves, self._outputs[columns], self._says[leaves, columns]

    def _has_leaves(self, index: int) -> bool:
        return not any(self._branch[child] for child in self._children[index])

    def _pair(self, index: int) -> tuple[float, int]:
        left, right = self._children[index]
        rows = self._rows[left] + self._rows[right]
        share = self._rows[left] * self._rows[right] / rows if rows else 0.0
        return float(share * ((self._says[left] - self._says[right]) ** 2).sum()), index

    def _unite(self, index: int) -> None:
        both = list(self._children[index])
        rows = self._rows[both]
        shares = rows / rows.sum() if rows.sum() else np.full(2, 0.5)
        self._says[index] = shares @ self._says[both]
        self._rows[index] = rows.sum()
        self._branch[index] = False
        self._kept[both] = False
