"""Models that were trained elsewhere: what is taken, and what is refused."""

import bz2
import gzip
import json
import lzma
import os
import pickle
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import onnx
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from lightgbm import LGBMClassifier
from onnx import TensorProto, helper
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import GradientBoostingClassifier, HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OrdinalEncoder
from xgboost import XGBClassifier

from servewell.adapters.embedded.job.exchange import Result, RunFiles
from servewell.adapters.embedded.job.importing import import_model
from servewell.adapters.embedded.job.unpickling import load_pickle
from servewell.adapters.embedded.trainer import ProcessTrainer
from servewell.core.catalog.signature import Datatype
from servewell.core.catalog.workload import InputRule
from servewell.errors import ServewellError
from servewell.ports.trainer import (
    ConversionFailedError,
    Job,
    JobResult,
    PickleRefusedError,
    TrainingFailedError,
)

pytestmark = pytest.mark.filterwarnings("ignore")  # of the libraries, about each other

ROWS = 120


@pytest.fixture(scope="module")
def table() -> pa.Table:
    """Rows of two numbers and a text, and a label."""
    draw = np.random.default_rng(3)
    return pa.table(
        {
            "size": draw.normal(size=ROWS).astype("float32"),
            "age": draw.integers(0, 9, ROWS),
            "town": ["ABC"[index % 3] for index in range(ROWS)],
            "bought": draw.integers(0, 2, ROWS),
        }
    )


@pytest.fixture
def data(table: pa.Table, tmp_path: Path) -> Path:
    """The rows as a file."""
    path = tmp_path / "rows.parquet"
    pq.write_table(table, path)
    return path


def job_of(artifact: Path, kind: str, **changes: object) -> Job:
    """Return a job that imports a model."""
    return Job(
        **{"run": "r", "folder": artifact.parent, "artifact": artifact, "format": kind} | changes  # type: ignore[arg-type]  # the tests name right fields
    )


def take(job: Job, folder: Path) -> Result:
    """Import a model in this process."""
    return import_model(job, RunFiles(folder), lambda _: None)


def numbers(table: pa.Table) -> Any:  # noqa: ANN401  # a frame for untyped libraries
    """Return the numeric columns as a frame."""
    return table.select(["size", "age"]).to_pandas()


def labels(table: pa.Table) -> Any:  # noqa: ANN401  # an array for untyped libraries
    """Return the labels."""
    return table["bought"].to_numpy()


def pipeline(table: pa.Table) -> Any:  # noqa: ANN401  # untyped library
    """Return a fitted pipeline that takes a text and a number."""
    frame = table.select(["town", "size"]).to_pandas()
    encode = ColumnTransformer([("t", OrdinalEncoder(), ["town"]), ("s", "passthrough", ["size"])])
    return make_pipeline(encode, LogisticRegression()).fit(frame, labels(table))


@pytest.mark.parametrize("suffix", ["json", "ubj"])
def test_xgboost_of_its_own_format(
    table: pa.Table, data: Path, tmp_path: Path, suffix: str
) -> None:
    """A booster in either of XGBoost's formats is proved on the held-out rows."""
    path = tmp_path / f"model.{suffix}"
    XGBClassifier(n_estimators=4).fit(numbers(table), labels(table)).save_model(path)
    result = take(job_of(path, "xgboost", data=data, label="bought"), tmp_path)
    assert result.equivalence.rows == ROWS // 10
    assert [one.name for one in result.signature.inputs] == ["size", "age"]
    assert result.signature.outputs[1].classes == ("0", "1")


def test_xgboost_without_data(table: pa.Table, tmp_path: Path) -> None:
    """Without data the names come from the model, and nothing is called proved."""
    path = tmp_path / "model.json"
    XGBClassifier(n_estimators=4).fit(numbers(table), labels(table)).save_model(path)
    result = take(job_of(path, "xgboost"), tmp_path)
    assert result.equivalence.rows == 0
    assert [(one.name, one.datatype) for one in result.signature.inputs] == [
        ("size", Datatype.FP32),
        ("age", Datatype.FP32),
    ]


def test_lightgbm_of_its_own_format(table: pa.Table, data: Path, tmp_path: Path) -> None:
    """A booster in LightGBM's text is proved on the held-out rows."""
    path = tmp_path / "model.txt"
    model = LGBMClassifier(n_estimators=4, verbose=-1).fit(numbers(table), labels(table))
    model.booster_.save_model(path)
    result = take(job_of(path, "lightgbm", data=data, label="bought"), tmp_path)
    assert result.equivalence.rows == ROWS // 10
    assert [one.name for one in result.signature.inputs] == ["size", "age"]


def test_a_model_without_names_takes_one_table(table: pa.Table, tmp_path: Path) -> None:
    """A model that knows only how many columns it takes gets one input as wide."""
    path = tmp_path / "model.pkl"
    model = LogisticRegression().fit(numbers(table).to_numpy(), labels(table))
    path.write_bytes(pickle.dumps(model))
    result = take(job_of(path, "sklearn", allow_pickle=True), tmp_path)
    assert [(one.name, one.row_shape) for one in result.signature.inputs] == [("input", (2,))]


@pytest.mark.parametrize("protocol", range(6))
def test_pickles_of_every_protocol(
    table: pa.Table, data: Path, tmp_path: Path, protocol: int
) -> None:
    """A pipeline with texts comes through a pickle of any protocol, and is proved."""
    path = tmp_path / "model.pkl"
    path.write_bytes(pickle.dumps(pipeline(table), protocol))
    result = take(job_of(path, "sklearn", data=data, label="bought", allow_pickle=True), tmp_path)
    assert result.equivalence.rows == ROWS // 10
    assert [one.datatype for one in result.signature.inputs] == [Datatype.BYTES, Datatype.FP32]


@pytest.mark.parametrize("compress", [0, "zlib", "gzip", "bz2", "xz", "lzma"])
@pytest.mark.parametrize(
    "make",
    [
        pipeline,
        lambda table: GradientBoostingClassifier(n_estimators=3).fit(numbers(table), labels(table)),
        lambda table: HistGradientBoostingClassifier(max_iter=3).fit(numbers(table), labels(table)),
        lambda table: KNeighborsClassifier().fit(numbers(table), labels(table)),
        lambda table: XGBClassifier(n_estimators=3).fit(numbers(table), labels(table)),
        lambda table: LGBMClassifier(n_estimators=3, verbose=-1).fit(numbers(table), labels(table)),
    ],
    ids=["pipeline", "boosting", "histogram", "neighbours", "xgboost", "lightgbm"],
)
def test_files_of_joblib(
    table: pa.Table, tmp_path: Path, make: Callable[[pa.Table], Any], compress: int | str
) -> None:
    """A file of joblib, compressed or not, gives the model that was written."""
    model = make(table)
    path = tmp_path / "model.joblib"
    joblib.dump(model, path, compress=(compress, 3) if compress else 0)
    loaded: Any = load_pickle(path, allowed=True)
    rows = table.to_pandas()[list(model.feature_names_in_)]
    np.testing.assert_array_equal(loaded.predict_proba(rows), model.predict_proba(rows))


class Hostile:
    """An object whose pickle runs a command."""

    def __init__(self, command: str) -> None:
        self._command = command

    def __reduce__(self) -> tuple[Callable[[str], int], tuple[str]]:
        return os.system, (self._command,)


WRAPS: list[Callable[[bytes], bytes]] = [
    lambda data: data,
    zlib.compress,
    gzip.compress,
    bz2.compress,
    lzma.compress,
]


@pytest.mark.parametrize("wrap", WRAPS, ids=["plain", "zlib", "gzip", "bz2", "xz"])
def test_a_hostile_pickle_runs_nothing(tmp_path: Path, wrap: Callable[[bytes], bytes]) -> None:
    """A pickle that names a command is refused before anything of it runs, also compressed."""
    proof = tmp_path / "ran"
    path = tmp_path / "model.pkl"
    path.write_bytes(wrap(pickle.dumps(Hostile(f"touch {proof}"))))
    with pytest.raises(PickleRefusedError, match="not loaded") as caught:
        load_pickle(path, allowed=True)
    assert "system" in caught.value.why
    assert not proof.exists()


@pytest.mark.parametrize("compress", [0, 3])
@pytest.mark.parametrize("inside", [True, False], ids=["in-array", "after-array"])
def test_a_hostile_file_of_joblib_runs_nothing(
    tmp_path: Path, compress: int, *, inside: bool
) -> None:
    """What hides behind or within an array of joblib meets the same list."""
    proof = tmp_path / "ran"
    hostile = Hostile(f"touch {proof}")
    content: object = [np.arange(3), hostile]
    if inside:
        array = np.empty(1, dtype=object)
        array[0] = hostile
        content = array
    path = tmp_path / "model.joblib"
    joblib.dump(content, path, compress=compress)
    with pytest.raises(PickleRefusedError):
        load_pickle(path, allowed=True)
    assert not proof.exists()


def text(value: str) -> bytes:
    """Return the operator that pushes a short text."""
    return b"\x8c" + bytes([len(value)]) + value.encode()


@pytest.mark.parametrize(
    "data",
    [
        b"\x80\x04" + text("sklearn.utils.fixes") + text("Path") + b"\x93.",
        b"\x80\x04" + text("sklearn.pipeline") + text("Parallel") + b"\x93.",
        b"\x80\x04" + text("sklearn.no_such") + text("Thing") + b"\x93.",
        b"\x80\x04" + text("collections") + text("OrderedDict") + b"\x93}" + text("x") + b"Nsb.",
        b"\x80\x04]" + b"b.",
        b"\x80\x04R.",
        b"\x80\x04" + text("sklearn.utils._bunch") + text("Bunch") + b"\x93)R)R.",
    ],
    ids=[
        *("foreign-path", "foreign-class", "no-module", "class-change", "no-state", "no-call"),
        "calls-an-object",
    ],
)
def test_what_the_scan_cannot_see_the_guard_does(tmp_path: Path, data: bytes) -> None:
    """A class that a module only imports, a change of a class and nonsense are refused."""
    path = tmp_path / "model.pkl"
    path.write_bytes(data)
    with pytest.raises(PickleRefusedError):
        load_pickle(path, allowed=True)


def test_an_array_of_joblib_that_ends_early_is_refused(tmp_path: Path) -> None:
    """A file that is cut within an array says so."""
    path = tmp_path / "model.joblib"
    joblib.dump(np.arange(100), path)
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(PickleRefusedError, match="ends within an array"):
        load_pickle(path, allowed=True)


@pytest.mark.parametrize("kind", ["sklearn", "xgboost", "lightgbm"])
def test_a_pickle_is_not_loaded_unless_allowed(table: pa.Table, tmp_path: Path, kind: str) -> None:
    """Whatever the format is called, a pickle needs the workload's word."""
    path = tmp_path / "model.pkl"
    path.write_bytes(pickle.dumps(LogisticRegression().fit(numbers(table), labels(table))))
    with pytest.raises(PickleRefusedError, match="does not allow it") as caught:
        take(job_of(path, kind), tmp_path)
    assert "artifact.allow_pickle: true" in caught.value.fix


def write_mlflow(folder: Path, flavors: dict[str, Any], **more: object) -> Path:
    """Write the file of an MLflow folder, as release 3 does."""
    folder.mkdir(exist_ok=True)
    about = {"artifact_path": "model", "flavors": flavors, "mlflow_version": "3.4.0", **more}
    (folder / "MLmodel").write_text(yaml.safe_dump(about), encoding="utf-8")
    return folder


SIGNATURE = {
    "inputs": json.dumps(
        [
            {"type": "string", "name": "town", "required": True},
            {"type": "float", "name": "size", "required": False},
        ]
    ),
    "outputs": json.dumps([{"type": "long", "required": True}]),
    "params": None,
}


def test_an_mlflow_folder_of_scikit_learn(table: pa.Table, tmp_path: Path) -> None:
    """Without data, names, types and an example come from the folder; the example is proved."""
    folder = write_mlflow(
        tmp_path / "model",
        {
            "python_function": {"loader_module": "mlflow.sklearn", "model_path": "model.pkl"},
            "sklearn": {
                "code": None,
                "pickled_model": "model.pkl",
                "serialization_format": "cloudpickle",
                "sklearn_version": "1.7.0",
            },
        },
        signature=SIGNATURE,
        saved_input_example_info={
            "artifact_path": "input_example.json",
            "pandas_orient": "split",
            "type": "dataframe",
        },
    )
    (folder / "model.pkl").write_bytes(pickle.dumps(pipeline(table)))
    (folder / "input_example.json").write_text(
        json.dumps({"columns": ["town", "size"], "data": [["B", 0.25]]}), encoding="utf-8"
    )
    job = job_of(folder, "mlflow")
    with pytest.raises(PickleRefusedError, match="does not allow it"):
        take(job, tmp_path)
    result = take(job_of(folder, "mlflow", allow_pickle=True), tmp_path)
    assert [(one.name, one.datatype, one.nullable) for one in result.signature.inputs] == [
        ("town", Datatype.BYTES, False),
        ("size", Datatype.FP32, True),
    ]
    assert result.example == {"town": "B", "size": 0.25}
    assert result.equivalence.rows == 1


@pytest.mark.parametrize("file", ["model.ubj", "model.json"])
def test_an_mlflow_folder_of_xgboost(table: pa.Table, tmp_path: Path, file: str) -> None:
    """A native file in the folder needs no pickle."""
    flavor = {"data": file, "model_class": "xgboost.sklearn.XGBClassifier", "model_format": "ubj"}
    folder = write_mlflow(tmp_path / "model", {"xgboost": flavor})
    model = XGBClassifier(n_estimators=3).fit(numbers(table), labels(table))
    model.save_model(folder / file)
    result = take(job_of(folder, "mlflow"), tmp_path)
    assert [one.name for one in result.signature.inputs] == ["size", "age"]


def test_an_mlflow_folder_of_lightgbm(table: pa.Table, data: Path, tmp_path: Path) -> None:
    """A native file in the folder is proved where there is data."""
    flavor = {"data": "model.lgb", "model_class": "lightgbm.basic.Booster", "lgb_version": "4.6"}
    folder = write_mlflow(tmp_path / "model", {"lightgbm": flavor})
    model = LGBMClassifier(n_estimators=3, verbose=-1).fit(numbers(table), labels(table))
    model.booster_.save_model(folder / "model.lgb")
    result = take(job_of(folder, "mlflow", data=data, label="bought"), tmp_path)
    assert result.equivalence.rows == ROWS // 10


@pytest.mark.parametrize(
    ("flavors", "words"),
    [
        ({"keras": {"data": "x"}}, "its flavors are keras"),
        ({}, "none"),
        ({"onnx": {"data": "../secret.onnx"}}, "outside the folder"),
        ({"onnx": {"data": "/etc/passwd"}}, "outside the folder"),
        ({"onnx": {"data": "model.onnx"}}, "not there"),
    ],
)
def test_mlflow_folders_that_cannot_be_used(
    tmp_path: Path, flavors: dict[str, Any], words: str
) -> None:
    """A foreign flavor, a path out of the folder and a missing file each say so."""
    folder = write_mlflow(tmp_path / "model", flavors)
    with pytest.raises(ConversionFailedError) as caught:
        take(job_of(folder, "mlflow"), tmp_path)
    assert words in caught.value.why


def test_a_folder_that_is_no_mlflow_folder(tmp_path: Path) -> None:
    """A folder without the file MLmodel, or with a broken one, says so."""
    folder = tmp_path / "model"
    folder.mkdir()
    with pytest.raises(ConversionFailedError, match="MLflow folder"):
        take(job_of(folder, "mlflow"), tmp_path)
    (folder / "MLmodel").write_text("a: [", encoding="utf-8")
    with pytest.raises(ConversionFailedError, match="MLflow folder"):
        take(job_of(folder, "mlflow"), tmp_path)


@pytest.mark.parametrize(
    ("kind", "content", "error"),
    [
        ("onnx", b"rubbish", ConversionFailedError),
        ("xgboost", b"{rubbish", ConversionFailedError),
        ("lightgbm", b"tree rubbish", ConversionFailedError),
        ("sklearn", b"rubbish", PickleRefusedError),
        ("sklearn", b"PK\x03\x04", ConversionFailedError),
    ],
)
def test_rubbish_is_refused(
    tmp_path: Path, kind: str, content: bytes, error: type[ServewellError]
) -> None:
    """A file that is not what it is said to be is refused in words."""
    path = tmp_path / "model"
    path.write_bytes(content)
    with pytest.raises(error):
        take(job_of(path, kind, allow_pickle=True), tmp_path)


def test_a_model_that_is_not_there(tmp_path: Path) -> None:
    """A wrong path says so."""
    with pytest.raises(TrainingFailedError, match=r"no model `model\.onnx`"):
        take(job_of(tmp_path / "model.onnx", "onnx"), tmp_path)


def write_onnx(path: Path, model: onnx.ModelProto) -> Path:
    """Write an ONNX file."""
    path.write_bytes(model.SerializeToString())
    return path


def adder(
    *,
    shape: tuple[int | None, ...] = (None, 2),
    node: onnx.NodeProto | None = None,
    weights: onnx.TensorProto | None = None,
    domain: str = "",
) -> onnx.ModelProto:
    """Return a model that adds weights to a table, with one part changed."""
    weights = weights or helper.make_tensor("w", TensorProto.FLOAT, [2], [1.0, 2.0])
    node = node or helper.make_node("Add", ["x", "w"], ["y"])
    graph = helper.make_graph(
        [node],
        "adder",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [None, 2])],
        [weights],
    )
    opsets = [helper.make_opsetid("", 18), *([helper.make_opsetid(domain, 1)] if domain else [])]
    return helper.make_model(graph, opset_imports=opsets, ir_version=9)


def run_onnx(path: Path, folder: Path, **changes: object) -> JobResult:
    """Import an ONNX file in a job."""
    return ProcessTrainer(folder / "runs").run(job_of(path, "onnx", **changes), lambda _: None)


def test_an_onnx_file_is_served_as_it_is(tmp_path: Path) -> None:
    """Names, types and shapes come from the graph; rules are added; nothing is called proved."""
    path = write_onnx(tmp_path / "model.onnx", adder())
    rule = InputRule(minimum=-5, maximum=5, description="Two numbers.")
    result = run_onnx(path, tmp_path, inputs={"x": rule})
    (taken,) = result.signature.inputs
    assert (taken.name, taken.datatype, taken.row_shape) == ("x", Datatype.FP32, (2,))
    assert (taken.minimum, taken.maximum, taken.description) == (-5, 5, "Two numbers.")
    (given,) = result.signature.outputs
    assert (given.name, given.datatype, given.row_shape) == ("y", Datatype.FP32, (2,))
    assert result.equivalence.rows == 0
    assert onnx.load(result.artifact) == onnx.load(path)


def external() -> onnx.TensorProto:
    """Return weights that are kept in another file."""
    weights = helper.make_tensor("w", TensorProto.FLOAT, [2], [1.0, 2.0])
    weights.ClearField("float_data")
    weights.data_location = TensorProto.EXTERNAL
    weights.external_data.add(key="location", value="../../etc/passwd")
    return weights


def endless_memory() -> onnx.NodeProto:
    """Return an operator that asks for a hundred gigabytes."""
    size = helper.make_tensor("size", TensorProto.INT64, [2], [1, 25_000_000_000])
    value = helper.make_tensor("v", TensorProto.FLOAT, [1], [1.0])
    branch = helper.make_graph(
        [
            helper.make_node("Constant", [], ["s"], value=size),
            helper.make_node("ConstantOfShape", ["s"], ["big"], value=value),
            helper.make_node("ReduceSum", ["big"], ["one"], keepdims=0),
            helper.make_node("Add", ["x", "one"], ["out"]),
        ],
        "branch",
        [],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, [None, 2])],
    )
    return helper.make_node("If", ["c"], ["y"], then_branch=branch, else_branch=branch)


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (adder(weights=external()), "weights in other files"),
        (adder(shape=(1, 2)), "fixed shape [1, 2]"),
        (
            adder(node=helper.make_node("Steal", ["x"], ["y"], domain="my.ops"), domain="my.ops"),
            "`my.ops.Steal` needs a library",
        ),
        (
            adder(
                node=helper.make_node("EPContext", ["x"], ["y"], domain="com.microsoft"),
                domain="com.microsoft",
            ),
            "loads a file",
        ),
        (adder(node=helper.make_node("Add", ["x", "nothing"], ["y"])), "nothing"),
        (adder(node=helper.make_node("ReduceSum", ["x"], ["y"], keepdims=0)), "the shape ()"),
    ],
    ids=["external", "fixed", "foreign", "context", "broken", "one-answer"],
)
def test_onnx_files_that_cannot_be_served(
    tmp_path: Path, model: onnx.ModelProto, words: str
) -> None:
    """What an ONNX file must not hold is refused with its name, before it is served."""
    path = write_onnx(tmp_path / "model.onnx", model)
    with pytest.raises(ConversionFailedError) as caught:
        run_onnx(path, tmp_path)
    assert words in caught.value.why


def test_an_onnx_file_that_eats_memory_is_refused(tmp_path: Path) -> None:
    """A model that asks for more than the limit fails its trial, not the machine."""
    model = adder(node=endless_memory())
    model.graph.initializer.append(helper.make_tensor("c", TensorProto.BOOL, [], [True]))
    path = write_onnx(tmp_path / "model.onnx", model)
    with pytest.raises(ServewellError):
        run_onnx(path, tmp_path)
