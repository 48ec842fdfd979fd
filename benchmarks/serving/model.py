"""The models that are measured, as ONNX files: made here, the same each time.

`quick` is a gradient boosting classifier of 30 numbers: the server counts most, the model least.
`heavy` is a dense network of the same shape: some milliseconds a row alone, much less in a batch.
"""

from itertools import pairwise
from pathlib import Path
from typing import Final

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from skl2onnx import to_onnx
from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import GradientBoostingClassifier

FEATURES: Final = 30
TREES: Final = 400
WIDTH: Final = 4_096
TRAINED_ON: Final = 400  # of 569 rows; the rest is sent


def rows(count: int) -> np.ndarray:
    """Return real rows that the model has not seen, again from the first when they end."""
    features, _ = load_breast_cancer(return_X_y=True)
    held_out = features[TRAINED_ON:].astype(np.float32)
    return held_out[np.arange(count) % len(held_out)]


def quick() -> bytes:
    """Return the classifier: input `features`, outputs `label` and `probabilities`."""
    features, labels = load_breast_cancer(return_X_y=True)
    trained = GradientBoostingClassifier(n_estimators=TREES, random_state=0)
    trained.fit(features[:TRAINED_ON].astype(np.float32), labels[:TRAINED_ON])
    model = to_onnx(trained, rows(1), options={"zipmap": False}, target_opset=17)
    graph = model.graph
    for node in graph.node:
        node.input[:] = ["features" if name == "X" else name for name in node.input]
    graph.input[0].name = "features"
    return bytes(model.SerializeToString())


def heavy() -> bytes:
    """Return the network: input `features`, output `probabilities`."""
    draw = np.random.default_rng(0)
    sizes = (FEATURES, WIDTH, WIDTH, 2)
    weights = [
        numpy_helper.from_array(
            (draw.standard_normal((before, after)) / np.sqrt(before)).astype(np.float32),
            f"w{place}",
        )
        for place, (before, after) in enumerate(pairwise(sizes))
    ]
    nodes = [
        helper.make_node("MatMul", ["features", "w0"], ["a0"]),
        helper.make_node("Tanh", ["a0"], ["h0"]),
        helper.make_node("MatMul", ["h0", "w1"], ["a1"]),
        helper.make_node("Tanh", ["a1"], ["h1"]),
        helper.make_node("MatMul", ["h1", "w2"], ["a2"]),
        helper.make_node("Softmax", ["a2"], ["probabilities"], axis=1),
    ]
    graph = helper.make_graph(
        nodes,
        "heavy",
        [helper.make_tensor_value_info("features", TensorProto.FLOAT, [None, FEATURES])],
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, [None, 2])],
        weights,
    )
    opset = [helper.make_opsetid("", 17)]
    model = helper.make_model(graph, opset_imports=opset, ir_version=8)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


def write(folder: Path) -> dict[str, Path]:
    """Write both models, each with its workload file; return their folders by name."""
    folders = {}
    for name, made in (("quick", quick()), ("heavy", heavy())):
        own = folder / name
        own.mkdir(parents=True, exist_ok=True)
        (own / "model.onnx").write_bytes(made)
        (own / "servewell.yaml").write_text(f"workload: {name}\nartifact:\n  path: model.onnx\n")
        folders[name] = own
    return folders
