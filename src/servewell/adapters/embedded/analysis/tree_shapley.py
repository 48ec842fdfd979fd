"""Exact Shapley values of an ensemble of trees, against background rows.

The game of a row x and a background row z gives each set of players the ensemble's answer to the
row that has x's columns of those players and z's of the others. In a tree a leaf is reached by that
row exactly if every split on its way is passed. Say of each player on the way to a leaf whether x
passes all of its splits there, and whether z does. Where neither does, no such row gets there.
Where both do, the player makes no difference. Otherwise let n of the players be needed from x and m
from z: the leaf with value v gives each of the n

    v (n - 1)! m! / (n + m)!

and takes v n! (m - 1)! / (n + m)! from each of the m. The Shapley values of the row are the sums
over all leaves, averaged over the background rows.

Source: Lundberg et al., "From local explanations to global understanding with explainable AI for
trees", Nature Machine Intelligence 2 (2020), interventional TreeSHAP; here players own any number
of columns each, as an input that was one-hot encoded does.
"""

from dataclasses import dataclass
from math import factorial
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from servewell.adapters.embedded.job.study.trees import LEAF, Ensemble

Numbers = NDArray[np.float64]
Flags = NDArray[np.bool_]
Places = NDArray[np.int64]

AT_ONCE: Final = 1 << 23  # pairs of background rows and cells

COMPARES: Final[dict[bytes, Any]] = {
    b"BRANCH_LEQ": np.less_equal,
    b"BRANCH_LT": np.less,
    b"BRANCH_GTE": np.greater_equal,
    b"BRANCH_GT": np.greater,
    b"BRANCH_EQ": np.equal,
    b"BRANCH_NEQ": np.not_equal,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Explained:
    """What came of an ensemble, one column for each of its outputs."""

    amounts: Numbers  # of each player
    expected: Numbers  # mean over the background


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ways:
    """The ways to all leaves: one entry a split, one cell for each player on a way."""

    node: Places  # of each entry
    taken: Flags  # of each entry: whether the way goes on where the split is true
    cell_start: Places  # first entry of each cell
    player: Places  # of each cell
    leaf_start: Places  # first cell of each leaf
    leaf: Places  # of each cell: the number of its leaf
    value: Numbers  # of each leaf and output
    constant: Numbers  # what trees of one leaf say


def explain_trees(
    ensemble: Ensemble, row: NDArray[Any], background: NDArray[Any], owners: Places, hidden: Flags
) -> Explained:
    """Return the contribution of each player to the ensemble's sums.

    `row` is (columns), `background` (rows, columns), `owners` names the player of each column, and
    `hidden` says of each player whether the row's own columns are unknown: they are z's.
    """
    ways = _ways(ensemble, owners)
    passes_x = _passes(ensemble, row[None, :])
    weights = _weights(int(np.bincount(ways.leaf).max(initial=0)))
    amounts = np.zeros((len(hidden), ways.value.shape[1]))
    expected = np.zeros(ways.value.shape[1])
    at_once = max(1, AT_ONCE // max(len(ways.node), 1))
    for first in range(0, len(background), at_once):
        passes_z = _passes(ensemble, background[first : first + at_once])
        shares, reached = _shares(ways, passes_x, passes_z, weights, hidden)
        np.add.at(amounts, ways.player, shares[:, None] * ways.value[ways.leaf])
        expected += reached @ ways.value
    rows = len(background)
    return Explained(amounts=amounts / rows, expected=expected / rows + ways.constant)


def sums(ensemble: Ensemble, rows: NDArray[Any]) -> Numbers:
    """Return what the leaves that each row reaches sum to, (rows, outputs)."""
    ways = _ways(ensemble, np.zeros(rows.shape[1], dtype=np.int64))
    found = np.empty((len(rows), ways.value.shape[1]))
    at_once = max(1, AT_ONCE // max(len(ways.node), 1))
    for first in range(0, len(rows), at_once):
        own = _own(ways, _passes(ensemble, rows[first : first + at_once]))
        reached: Flags = np.logical_and.reduceat(own, ways.leaf_start, axis=1)
        found[first : first + at_once] = reached @ ways.value + ways.constant
    return found


def _shares(
    ways: _Ways, passes_x: Flags, passes_z: Flags, weights: tuple[Numbers, Numbers], hidden: Flags
) -> tuple[Numbers, Numbers]:
    """Return the share of its leaf that each cell gets, and how many rows reach each leaf."""
    of_z = _own(ways, passes_z)
    of_x: Flags = np.where(hidden[ways.player], of_z, _own(ways, passes_x))
    needs_x: Flags = np.logical_and(of_x, ~of_z)
    needs_z: Flags = np.logical_and(of_z, ~of_x)
    dead = np.logical_or.reduceat(~of_x & ~of_z, ways.leaf_start, axis=1)
    n: Places = np.add.reduceat(needs_x, ways.leaf_start, axis=1, dtype=np.int64)
    m: Places = np.add.reduceat(needs_z, ways.leaf_start, axis=1, dtype=np.int64)
    gain = np.where(dead, 0.0, weights[0][n, m])[:, ways.leaf]
    loss = np.where(dead, 0.0, weights[1][n, m])[:, ways.leaf]
    shares: Numbers = np.where(needs_x, gain, 0.0).sum(axis=0)
    shares -= np.where(needs_z, loss, 0.0).sum(axis=0)
    reached: Flags = np.logical_and.reduceat(of_z, ways.leaf_start, axis=1)
    return shares, reached.sum(axis=0).astype(np.float64)


def _own(ways: _Ways, passes: Flags) -> Flags:
    """Return, of each row and cell, whether the row's columns pass all splits of the cell."""
    right = passes[:, ways.node] == ways.taken
    found: Flags = np.logical_and.reduceat(right, ways.cell_start, axis=1)
    return found


def _weights(most: int) -> tuple[Numbers, Numbers]:
    """Return the share of one that is needed from x, and of one needed from z, by n and m."""
    sizes = range(most + 1)
    gain = [
        [factorial(n - 1) * factorial(m) / factorial(n + m) if n else 0.0 for m in sizes]
        for n in sizes
    ]
    return np.array(gain), np.array(gain).T


def _passes(ensemble: Ensemble, rows: NDArray[Any]) -> Flags:
    """Return of each row and node whether its split is true."""
    nodes = ensemble.nodes
    modes = nodes["modes"]
    values = nodes["values"].astype(rows.dtype)
    columns = rows[:, nodes["featureids"]]
    passes = np.zeros(columns.shape, dtype=bool)
    for mode in np.unique(modes):
        if mode != LEAF:
            those = modes == mode
            passes[:, those] = COMPARES[mode](columns[:, those], values[those])
    missing_true = nodes.get("missing_value_tracks_true")
    if missing_true is not None and len(missing_true):
        passes |= np.isnan(columns) & (missing_true == 1)
    return passes


def _ways(ensemble: Ensemble, owners: Places) -> _Ways:
    nodes = ensemble.nodes
    place = {
        key: index for index, key in enumerate(zip(nodes["treeids"], nodes["nodeids"], strict=True))
    }
    branches = nodes["modes"] != LEAF
    parent: dict[int, tuple[int, bool]] = {}
    for index in np.flatnonzero(branches).tolist():
        tree = nodes["treeids"][index]
        parent[place[tree, nodes["truenodeids"][index]]] = (index, True)
        parent[place[tree, nodes["falsenodeids"][index]]] = (index, False)
    value = np.zeros((len(branches), int(ensemble.output.max()) + 1))
    np.add.at(value, (ensemble.leaf, ensemble.output), ensemble.weight)
    entries: list[tuple[int, int, int, bool]] = []  # leaf, player, node, taken
    leaves: list[int] = []
    constant = np.zeros(value.shape[1])
    for index in np.flatnonzero(~branches).tolist():
        way = _way(index, parent)
        if not way:
            constant += value[index]
            continue
        own = [(int(owners[nodes["featureids"][node]]), node, taken) for node, taken in way]
        entries += [(len(leaves), *one) for one in sorted(own)]
        leaves.append(index)
    return _laid_out(np.array(entries, dtype=np.int64).reshape(-1, 4), value[leaves], constant)


def _way(index: int, parent: dict[int, tuple[int, bool]]) -> list[tuple[int, bool]]:
    way = []
    while index in parent:
        index, taken = parent[index]
        way.append((index, taken))
    return way


def _laid_out(entries: Places, value: Numbers, constant: Numbers) -> _Ways:
    leaf, player = entries[:, 0], entries[:, 1]
    begins = np.ones(len(entries), dtype=bool)
    begins[1:] = (np.diff(leaf) != 0) | (np.diff(player) != 0)
    cells = np.flatnonzero(begins)
    first_of_leaf = np.ones(len(cells), dtype=bool)
    first_of_leaf[1:] = np.diff(leaf[cells]) != 0
    return _Ways(
        node=entries[:, 2],
        taken=entries[:, 3].astype(bool),
        cell_start=cells,
        player=player[cells],
        leaf_start=np.flatnonzero(first_of_leaf),
        leaf=leaf[cells],
        value=value,
        constant=constant,
    )
