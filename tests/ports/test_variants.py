"""Variants of real models: each that is built runs in ONNX Runtime, and is what it says."""

from collections.abc import Mapping

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from ports.tried_models import MODELS, graph, subject
from servewell.adapters.embedded.job.proof import open_session
from servewell.adapters.embedded.job.study.graphs import Array, UnsuitedError, with_weights
from servewell.adapters.embedded.job.study.rows import StudyRows, parts, study_rows
from servewell.adapters.embedded.job.study.trees import (
    Ensemble,
    fewer_leaves,
    fewer_trees,
    read_ensemble,
)
from servewell.adapters.embedded.job.study.units import without_units
from servewell.adapters.embedded.job.study.variants import RECIPES, build

pytestmark = pytest.mark.filterwarnings("ignore")  # of the libraries, about each other

OF_TREES = ("boosting", "histogram", "xgboost", "forest", "forest-number", "boosting-number")
OF_PRODUCTS = ("network", "network-number")
SUITS = {
    **dict.fromkeys(OF_TREES, ("trees", "leaves")),
    **dict.fromkeys(OF_PRODUCTS, ("int8", "float16", "units")),
}


def rows_of(name: str) -> StudyRows:
    """Return the rows that a model is tried on."""
    return study_rows(subject(name), seed=0)


def answers(model: onnx.ModelProto, rows: StudyRows) -> Array:
    """Return what a model answers to the held-out rows, as numbers."""
    session = open_session(model.SerializeToString())
    return session.run(None, dict(rows.held_out))[-1].reshape(len(rows.held_out["a"]), -1)


def ensemble(model: onnx.ModelProto) -> Ensemble:
    """Return the trees of a model."""
    return next(read_ensemble(one) for one in model.graph.node if "TreeEnsemble" in one.op_type)


@pytest.mark.parametrize("name", MODELS)
def test_each_variant_that_makes_sense_runs(name: str) -> None:
    """What fits the graph is built and answers finite numbers; what does not is told why."""
    model, rows = graph(name), rows_of(name)
    for recipe in RECIPES:
        if not recipe.name.startswith(("fused", *SUITS.get(name, ()))):
            with pytest.raises(UnsuitedError, match="it has no"):
                build(recipe, model, parts(rows.training, 256))
            continue
        changed = build(recipe, model, parts(rows.training, 256))
        said = answers(changed, rows)
        assert said.shape == answers(model, rows).shape
        assert said.dtype.kind in "Of" or np.isfinite(said).all()


@pytest.mark.parametrize("name", OF_TREES)
def test_trees_that_lose_nothing_answer_the_same(name: str) -> None:
    """Reading an ensemble and writing it again changes no answer."""
    rows = rows_of(name)
    same = fewer_leaves(graph(name), parts(rows.training, 256), 1.0)
    np.testing.assert_allclose(answers(same, rows), answers(graph(name), rows), atol=1e-6)


@pytest.mark.parametrize("name", OF_TREES)
@pytest.mark.parametrize("share", [0.5, 0.25])
def test_pruned_trees_are_fewer_and_stay_near(name: str, share: float) -> None:
    """Half of the trees or nodes are gone, and the answers stay near those of the whole."""
    model, rows = graph(name), rows_of(name)
    whole, original = ensemble(model), answers(model, rows)
    spread = float(np.std(original))
    trees = fewer_trees(model, parts(rows.training, 256), share)
    assert len(ensemble(trees).trees) == round(len(whole.trees) * share)
    leaves = fewer_leaves(model, parts(rows.training, 256), share)
    assert len(ensemble(leaves).nodes["modes"]) <= max(
        len(whole.nodes["modes"]) * share + 1, len(whole.trees)
    )
    for changed in (trees, leaves):
        assert float(np.sqrt(np.mean((answers(changed, rows) - original) ** 2))) < 0.5 * spread


@pytest.mark.parametrize("name", ["forest", "xgboost", "boosting"])
def test_pruned_classifiers_still_answer_probabilities(name: str) -> None:
    """Probabilities of fewer trees, or smaller ones, lie in 0..1 and sum to one."""
    model, rows = graph(name), rows_of(name)
    for prune in (fewer_trees, fewer_leaves):
        said = answers(prune(model, parts(rows.training, 256), 0.5), rows)
        assert said.min() >= -1e-6
        np.testing.assert_allclose(said.sum(axis=1), 1, atol=1e-5)


def test_boosted_trees_are_weighed_anew() -> None:
    """Fewer boosted trees with new weights come nearer to the whole than the first ones as is."""
    model, rows = graph("boosting-number"), rows_of("boosting-number")
    original = answers(model, rows)
    anew = fewer_trees(model, parts(rows.training, 256), 0.25)
    plain = onnx.ModelProto()
    plain.CopyFrom(anew)
    whole = ensemble(model)
    kept = np.isin(whole.tree_of_weight, whole.trees[: len(whole.trees) // 4])
    for node in plain.graph.node:
        for one in node.attribute:
            if one.name == "target_weights":
                one.CopyFrom(helper.make_attribute(one.name, whole.weight[kept].tolist()))
    apart = [float(np.abs(answers(one, rows) - original).mean()) for one in (anew, plain)]
    assert apart[0] < apart[1]


@pytest.mark.parametrize("name", OF_PRODUCTS)
def test_units_without_weights_are_the_first_to_go(name: str) -> None:
    """Where half of the hidden units do nothing, taking them out changes no answer."""
    rows = rows_of(name)
    dead = with_weights(graph(name), _without_even_units(graph(name)))
    half = without_units(dead, 0.5)
    np.testing.assert_allclose(answers(half, rows), answers(dead, rows), atol=1e-5)
    assert half.ByteSize() < dead.ByteSize()


def test_units_of_a_turned_matrix_go_as_well() -> None:
    """A `Gemm` that holds its weights turned, as PyTorch exports it, is pruned alike."""
    draw = np.random.default_rng(0)
    first, second = draw.normal(size=(16, 4)), draw.normal(size=(2, 16))
    first[::2] = 0
    weights = {"w1": first, "b1": np.zeros(16), "w2": second, "b2": np.zeros(2)}
    nodes = [
        helper.make_node("Gemm", ["x", "w1", "b1"], ["h"], transB=1),
        helper.make_node("Relu", ["h"], ["r"]),
        helper.make_node("Gemm", ["r", "w2", "b2"], ["y"], transB=1),
    ]
    model = helper.make_model(
        helper.make_graph(
            nodes,
            "gemm",
            [helper.make_tensor_value_info("x", 1, [None, 4])],
            [helper.make_tensor_value_info("y", 1, [None, 2])],
            [numpy_helper.from_array(one.astype("float32"), key) for key, one in weights.items()],
        ),
        opset_imports=[helper.make_opsetid("", 18)],
        ir_version=8,
    )
    feed = {"x": draw.normal(size=(8, 4)).astype("float32")}
    half = without_units(model, 0.5)
    shapes = {one.name: tuple(one.dims) for one in half.graph.initializer}
    assert shapes == {"w1": (8, 4), "b1": (8,), "w2": (2, 8), "b2": (2,)}
    said = [open_session(one.SerializeToString()).run(None, feed)[0] for one in (model, half)]
    np.testing.assert_allclose(said[1], said[0], atol=1e-5)


def _without_even_units(model: onnx.ModelProto) -> Mapping[str, Array]:
    """Return the matrices behind a hidden layer with every other row at zero."""
    matrices = [one for one in model.graph.initializer if len(one.dims) == 2]
    hidden = [one for one in matrices if one.dims[0] >= 32]
    changed = {}
    for one in hidden:
        array = np.array(numpy_helper.to_array(one))
        array[::2] = 0
        changed[one.name] = array
    return changed
