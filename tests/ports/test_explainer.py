"""The contract of `Explainer`: exact where it says so, measured against every coalition."""

import math
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from itertools import combinations
from pathlib import Path

import numpy as np
import onnx
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from ports import judged_models, tried_models
from servewell.adapters.embedded.analysis.background import Background, background_of, row_feed
from servewell.adapters.embedded.analysis.explainer import ProcessExplainer
from servewell.adapters.embedded.analysis.explaining import explain
from servewell.adapters.embedded.analysis.tree_ensemble import read_tree_ensemble
from servewell.adapters.embedded.job.proof import open_session
from servewell.adapters.embedded.job.study.graphs import UnsuitedError
from servewell.core.catalog.signature import Signature
from servewell.ports.explainer import (
    ExplainJob,
    Explanation,
    Method,
    NotExplainableError,
)

Numbers = NDArray[np.float64]

SCALES: dict[str, Callable[[Numbers, int], Numbers]] = {
    "": lambda shares, k: shares[:, k],
    "log-odds": lambda shares, k: np.log(shares[:, k]) - np.log1p(-shares[:, k]),
    "log-probability": lambda shares, k: np.log(shares[:, k]) - np.log(shares).mean(axis=1),
}


@cache
def job(name: str, number: int = 7) -> ExplainJob:
    """Return the job of explaining one row to a small model, with its own data beside it."""
    model: Path
    signature: Signature
    if name in ("good", "number"):
        model, signature = judged_models.made(name)
        data = judged_models.folder_of_data() / "rows.parquet"
    else:
        model, signature, _ = tried_models.made(name)
        data = tried_models.folder_of_data() / "rows.parquet"
    names = [one.name for one in signature.inputs]
    [row] = pq.read_table(data, columns=names).slice(number, 1).to_pylist()
    return ExplainJob(model=model, signature=signature, row=row, data=data, held_out=None)


def few(asked: ExplainJob, rows: int = 20) -> Background:
    """Return the first rows of a background, so that every coalition can be tried."""
    whole = background_of(asked)
    return replace(whole, feed={name: array[:rows] for name, array in whole.feed.items()})


def by_every_coalition(asked: ExplainJob, background: Background, told: Explanation) -> Numbers:
    """Return the Shapley values by their definition, in the order of the inputs."""
    session = open_session(asked.model.read_bytes())
    names = [one.name for one in asked.signature.inputs]
    row = row_feed(asked, background)
    rows = len(background.feed[names[0]])
    place = next((n for o in asked.signature.outputs if o.name == told.output
                  for n, one in enumerate(o.classes or ()) if one == told.of), 0)  # fmt: skip

    @cache
    def value(coalition: frozenset[str]) -> float:
        feed = {
            name: np.repeat(row[name], rows, axis=0) if name in coalition else array
            for name, array in background.feed.items()
        }
        shares = np.asarray(session.run([told.output], feed)[0], "float64").reshape(rows, -1)
        return float(SCALES[told.unit](shares, place).mean())

    found = np.zeros(len(names))
    for number, name in enumerate(names):
        others = [one for one in names if one != name]
        for size in range(len(names)):
            share = 1 / (len(names) * math.comb(len(others), size))
            for coalition in map(frozenset, combinations(others, size)):
                found[number] += share * (value(coalition | {name}) - value(coalition))
    return found


def amounts(asked: ExplainJob, told: Explanation) -> Numbers:
    """Return the contributions in the order of the inputs; not-a-number where there is none."""
    by_name = {one.input: one.amount for one in told.contributions}
    found = [by_name[one.name] for one in asked.signature.inputs]
    return np.array([math.nan if one is None else one for one in found])


@pytest.mark.parametrize(
    ("name", "method"),
    [
        ("logistic", Method.LINEAR),
        ("logistic-three", Method.LINEAR),
        ("good", Method.LINEAR),  # with a text, one-hot encoded
        ("number", Method.LINEAR),
        ("boosting", Method.TREES),
        ("histogram", Method.TREES),
        ("xgboost", Method.TREES),  # three classes
        ("forest", Method.TREES),
        ("forest-number", Method.TREES),
        ("boosting-number", Method.TREES),
    ],
)
def test_exact_is_what_every_coalition_gives(name: str, method: Method) -> None:
    """The contributions are the Shapley values by their definition, and sum to the difference."""
    asked = job(name)
    background = few(asked)
    told = explain(asked, background)
    assert told.method is method, told.because
    spread = np.abs(amounts(asked, told)).max()
    expected = by_every_coalition(asked, background, told)
    assert amounts(asked, told) == pytest.approx(expected, abs=2e-3 * spread)
    total = told.expected + amounts(asked, told).sum()
    assert total == pytest.approx(told.reached, abs=2e-3 * spread)


def newer(model: Path, *, mode: int = 0) -> bytes:
    """Return a model of trees with the operator of ai.onnx.ml 5, and a tree more that is a leaf."""
    whole = onnx.load(model)
    [node] = [one for one in whole.graph.node if one.op_type == "TreeEnsembleRegressor"]
    held = {one.name: helper.get_attribute_value(one) for one in node.attribute}
    trees = list(zip(held["nodes_treeids"], held["nodes_nodeids"], strict=True))
    branches = [
        one for one, mode in zip(trees, held["nodes_modes"], strict=True) if mode != b"LEAF"
    ]
    split = {key: place for place, key in enumerate(branches)}
    leaf = {
        key: place
        for place, key in enumerate(
            zip(held["target_treeids"], held["target_nodeids"], strict=True)
        )
    }
    told: dict[str, list[int]] = {
        "trueleafs": [],
        "truenodeids": [],
        "falseleafs": [],
        "falsenodeids": [],
    }
    for place in [trees.index(key) for key in branches]:
        for way in ("true", "false"):
            key = (held["nodes_treeids"][place], held[f"nodes_{way}nodeids"][place])
            told[f"{way}leafs"].append(int(key in leaf))
            told[f"{way}nodeids"].append(leaf[key] if key in leaf else split[key])
    alone = {"trueleafs": 1, "falseleafs": 1, "truenodeids": len(leaf), "falsenodeids": len(leaf)}
    kept = [trees.index(key) for key in branches]
    numbers = [held["nodes_values"][place] for place in kept]
    made = helper.make_node(
        "TreeEnsemble",
        list(node.input),
        list(node.output),
        domain="ai.onnx.ml",
        n_targets=1,
        aggregate_function=1,
        tree_roots=[split[one] for one in split if one[1] == 0] + [len(branches)],
        nodes_featureids=[held["nodes_featureids"][place] for place in kept] + [0],
        nodes_splits=numpy_helper.from_array(np.array([*numbers, 0], dtype="float32")),
        nodes_modes=numpy_helper.from_array(np.array([mode] * len(kept) + [0], dtype="uint8")),
        leaf_targetids=[0] * (len(leaf) + 1),
        leaf_weights=numpy_helper.from_array(
            np.array([*held["target_weights"], 0.5], dtype="float32")
        ),
        **{f"nodes_{name}": [*values, alone[name]] for name, values in told.items()},
    )
    node.CopyFrom(made)
    for one in whole.opset_import:
        one.version = 5 if one.domain == "ai.onnx.ml" else one.version
    return whole.SerializeToString()


def test_the_newer_operator_of_trees_is_read_alike(tmp_path: Path) -> None:
    """Its trees are explained exactly, with the same contributions; sets are not read."""
    asked = job("forest-number")
    path = tmp_path / "newer.onnx"
    path.write_bytes(newer(asked.model))
    background = few(asked)
    told, before = explain(replace(asked, model=path), background), explain(asked, background)
    assert told.method is Method.TREES, told.because
    assert amounts(asked, told) == pytest.approx(amounts(asked, before), abs=1e-5)
    assert told.expected == pytest.approx(before.expected + 0.5, abs=1e-5)
    [node] = [
        one
        for one in onnx.load_model_from_string(newer(asked.model, mode=6)).graph.node
        if one.op_type == "TreeEnsemble"
    ]
    with pytest.raises(UnsuitedError, match="in a set"):
        read_tree_ensemble(node)


@pytest.mark.parametrize("name", ["network", "network-number"])
def test_what_cannot_be_read_is_sampled_with_its_error(name: str) -> None:
    """Another model's contributions lie within their errors, and sum without one."""
    asked = job(name)
    background = few(asked)
    told = explain(asked, background)
    assert told.method is Method.SAMPLED
    errors = {one.input: one.error for one in told.contributions}
    wide = np.array([errors[one.name] for one in asked.signature.inputs])
    distance = np.abs(amounts(asked, told) - by_every_coalition(asked, background, told))
    assert (distance <= 5 * wide + 1e-9).all()
    assert told.gap == pytest.approx(0, abs=1e-9)


def test_a_personal_input_is_left_out() -> None:
    """What nobody knows gets no contribution; the others sum to the mean over its values."""
    asked = job("boosting")
    hidden = replace(asked.signature.inputs[0], personal=True)
    signature = replace(asked.signature, inputs=(hidden, *asked.signature.inputs[1:]))
    tokened = replace(asked, signature=signature, row={**asked.row, hidden.name: "token"})
    told = explain(tokened, few(tokened))
    assert told.method is Method.TREES
    [personal] = [one for one in told.contributions if one.amount is None]
    assert (personal.input, personal.value) == (hidden.name, "")
    total = told.expected + np.nansum(amounts(tokened, told))
    assert total == pytest.approx(told.reached, abs=1e-3)


def test_recorded_rows_stand_in_for_data_that_is_gone() -> None:
    """Without its data a model is explained against what was recorded, never nothing."""
    asked = replace(job("logistic"), data=None)
    with pytest.raises(NotExplainableError, match="no rows"):
        background_of(asked)
    recorded = tuple(job("logistic", number).row for number in range(30))
    told = explain(
        replace(asked, recorded=recorded), background_of(replace(asked, recorded=recorded))
    )
    assert told.method is Method.LINEAR
    assert (told.background, told.source) == (30, "other requests that were recorded")


def test_a_model_of_labels_alone_is_not_explained() -> None:
    """Where no output is a number there is nothing that an input could add to."""
    asked = job("labels")
    if any(one.datatype.is_float for one in asked.signature.outputs):
        assert explain(asked, few(asked)).method in tuple(Method)
    else:
        with pytest.raises(NotExplainableError):
            explain(asked, few(asked))


def test_it_runs_in_a_process_of_its_own(tmp_path: Path) -> None:
    """The process answers as the library does, ends in time, and leaves nothing behind."""
    explainer = ProcessExplainer(tmp_path / "scratch")
    told = explainer.explain(job("forest"))
    assert told.method is Method.TREES
    assert told.background == 60
    with pytest.raises(NotExplainableError):
        explainer.explain(replace(job("forest"), timeout_s=0.05))
    assert list((tmp_path / "scratch").iterdir()) == []
