"""Exact Shapley values of a linear model: weight times distance from the background's mean.

Source: Lundberg and Lee, "A unified approach to interpreting model predictions", 2017, linear SHAP
with independent inputs: the interventional game of `tree_shapley`, solved in closed form.
"""

from typing import Any, Final

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper

from servewell.adapters.embedded.analysis.tree_shapley import Explained, Flags, Numbers, Places

LINEAR: Final = frozenset({"LinearClassifier", "LinearRegressor"})


def explain_linear(
    node: onnx.NodeProto, row: NDArray[Any], background: NDArray[Any], owners: Places, hidden: Flags
) -> Explained:
    """Return the contribution of each player to the weighted sums."""
    weights = _weights(node, len(row))
    distance = row.astype("float64") - background.astype("float64").mean(axis=0)
    distance[hidden[owners]] = 0.0
    amounts = np.zeros((len(hidden), len(weights)))
    np.add.at(amounts, owners, (weights * distance).T)
    return Explained(amounts=amounts, expected=linear_sums(node, background).mean(axis=0))


def linear_sums(node: onnx.NodeProto, rows: NDArray[Any]) -> Numbers:
    """Return the weighted sums of each row, (rows, outputs), without what is added to them."""
    found: Numbers = rows.astype("float64") @ _weights(node, rows.shape[1]).T
    return found


def _weights(node: onnx.NodeProto, columns: int) -> Numbers:
    """Return the weights of each output and column."""
    held = {one.name: helper.get_attribute_value(one) for one in node.attribute}
    return np.array(held["coefficients"], dtype="float64").reshape(-1, columns)
