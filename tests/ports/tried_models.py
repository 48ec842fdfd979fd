"""Small models to try variants of: real ones, trained and turned into ONNX as a job does."""

import atexit
import shutil
from collections.abc import Callable
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import numpy as np
import onnx
import pyarrow as pa
import pyarrow.parquet as pq
from sklearn.ensemble import (
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.svm import LinearSVC
from xgboost import XGBClassifier

from servewell.adapters.embedded.job.exchange import RunFiles
from servewell.adapters.embedded.job.packaging import Loaded, package
from servewell.core.catalog.signature import Signature
from servewell.ports.optimiser import Subject
from servewell.ports.trainer import Job

ROWS = 600
COLUMNS = ("a", "b", "c", "d")

MODELS: dict[str, tuple[str, Callable[[], Any]]] = {
    "logistic": ("two", LogisticRegression),
    "labels": ("two", LinearSVC),
    "boosting": ("two", lambda: GradientBoostingClassifier(n_estimators=24, random_state=0)),
    "histogram": ("two", lambda: HistGradientBoostingClassifier(max_iter=16, random_state=0)),
    "xgboost": ("three", lambda: XGBClassifier(n_estimators=12, max_depth=3, random_state=0)),
    "forest": ("three", lambda: RandomForestClassifier(16, max_depth=5, random_state=0)),
    "forest-number": ("number", lambda: RandomForestRegressor(16, max_depth=5, random_state=0)),
    "boosting-number": (
        "number",
        lambda: GradientBoostingRegressor(n_estimators=24, random_state=0),
    ),
    "network": ("two", lambda: MLPClassifier((64, 32), max_iter=60, tol=1e-2, random_state=0)),
    "network-number": (
        "number",
        lambda: MLPRegressor(hidden_layer_sizes=(48,), max_iter=60, tol=1e-2, random_state=0),
    ),
}

EXPLAINED: dict[str, tuple[str, Callable[[], Any]]] = {
    "logistic-three": ("three", LogisticRegression),
}


@cache
def folder_of_data() -> Path:
    """Return a folder with `rows.parquet`: four columns, and a label of each kind."""
    folder = Path(mkdtemp(prefix="servewell-tried-"))
    atexit.register(shutil.rmtree, folder)
    draw = np.random.default_rng(3)
    values = draw.normal(size=(ROWS, len(COLUMNS))).astype("float32")
    said = values[:, 0] + values[:, 1] * values[:, 2] + 0.4 * draw.normal(size=ROWS)
    table = {name: values[:, place] for place, name in enumerate(COLUMNS)}
    table |= {
        "number": said,
        "two": (said > 0).astype("int64"),
        "three": np.digitize(said, [-0.7, 0.7]),
    }
    pq.write_table(pa.table(table), folder / "rows.parquet")
    return folder


@cache
def made(name: str) -> tuple[Path, Signature, str]:
    """Return the ONNX file of a model, its signature and its label; it is made once."""
    label, make = (MODELS | EXPLAINED)[name]
    data = folder_of_data() / "rows.parquet"
    frame = pq.read_table(data).to_pandas()
    past = frame.iloc[: ROWS - ROWS // 10]
    model = make().fit(past[list(COLUMNS)], past[label])
    files = RunFiles(folder_of_data() / name)
    files.folder.mkdir()
    job = Job(run=name, folder=files.folder, data=data, label=label)
    result = package(Loaded(model=model), job, files, say=lambda _: None)
    return files.artifact, result.signature, label


def subject(name: str, **changes: object) -> Subject:
    """Return a model with the data that it was made from."""
    path, signature, label = made(name)
    whole = {
        "run": f"study-{name}",
        "model": path,
        "signature": signature,
        "data": folder_of_data() / "rows.parquet",
        "label": label,
    }
    return Subject(**whole | changes)  # type: ignore[arg-type]  # the tests name right fields


def graph(name: str) -> onnx.ModelProto:
    """Return the graph of a model."""
    return onnx.load(made(name)[0])
