"""Jobs that package Python code: what is proved, and what is refused."""

import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from servewell.adapters.embedded.trainer import ProcessTrainer
from servewell.core.catalog.model import Predictor
from servewell.core.catalog.signature import Datatype
from servewell.errors import ServewellError
from servewell.ports.trainer import (
    Job,
    JobResult,
    NotEquivalentError,
    PickleRefusedError,
    PredictorInvalidError,
    PredictorJob,
)

SCRIPT = """
import numpy as np


class Predictor:
    def load(self, folder):
        self.weight = np.load(folder / "weights.npy")[0]

    def predict(self, columns):
        scores = columns["x"] * self.weight
        return {"score": scores, "word": np.char.upper(columns["word"].astype(str))}
"""
ROWS = 400


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A workload's folder: a predictor, what it reads, and rows."""
    made = tmp_path / "workload"
    made.mkdir()
    (made / "predictor.py").write_text(SCRIPT)
    np.save(made / "weights.npy", np.array([2.5], dtype="float32"))
    columns = {
        "x": pa.array([place / 7 for place in range(ROWS)], pa.float32()),
        "word": [("red", "blue")[place % 2] for place in range(ROWS)],
        "label": [place % 2 for place in range(ROWS)],
    }
    pq.write_table(pa.table(columns), made / "rows.parquet")
    return made


def run(folder: Path, *, files: tuple[str, ...] = ("weights.npy",), **job: Any) -> JobResult:  # noqa: ANN401 - of `Job`
    """Run the job of the predictor in a folder."""
    code = PredictorJob(
        script=folder / "predictor.py",
        files=tuple(folder / one for one in files),
        lock=b"",
        python=None,
        bounds=Predictor(script="predictor.py", timeout_s=5.0),
    )
    given = {"predictor": code, "data": folder / "rows.parquet", "label": "label"}
    made = Job(run="one", folder=folder, timeout_s=60, **{**given, **job})
    return ProcessTrainer(folder.parent / "runs").run(made, lambda _: None)


def test_a_predictor_is_described_and_proved(folder: Path) -> None:
    """Inputs come from the data, outputs from what it answers; all held-out rows are compared."""
    result = run(folder)
    assert [one.name for one in result.signature.inputs] == ["x", "word"]
    assert [(one.name, one.datatype, one.row_shape) for one in result.signature.outputs] == [
        ("score", Datatype.FP32, ()),
        ("word", Datatype.BYTES, ()),
    ]
    assert (result.equivalence.rows, result.equivalence.largest_difference) == (ROWS // 10, 0.0)
    assert result.predictor == Predictor(script="predictor.py", timeout_s=5.0)
    assert result.reference is not None
    assert b"held-out rows of rows.parquet" in result.reference.read_bytes()
    with zipfile.ZipFile(result.artifact) as packed:
        assert packed.namelist() == ["predictor.py", "weights.npy"]


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        ("class Predictor:", "class Other:", "has no attribute 'Predictor'"),
        ("import numpy as np", "import no_such_thing", "no_such_thing"),
        ('"weights.npy"', '"other.npy"', "other.npy"),
        ("return {", "return 42, {", "NoDictionary"),
        ('"score": scores', '"score": scores.tolist()', "NoArray"),
        ('"score": scores', '"score": scores[:1]', "the shape (1,) for 40 rows"),
        ('"score": scores', '"score": scores.astype(complex)', "TypeUnknown"),
        ("return {", "import os; os._exit(5)\n        return {", "it ended"),
        ("return {", "1 / 0\n        return {", "ZeroDivisionError"),
    ],
)
def test_a_fault_is_told_before_anything_is_served(
    folder: Path, before: str, after: str, words: str
) -> None:
    """The reason is in the message, without a traceback."""
    (folder / "predictor.py").write_text(SCRIPT.replace(before, after))
    with pytest.raises(PredictorInvalidError) as caught:
        run(folder)
    assert words in caught.value.why
    assert "Traceback" not in str(caught.value)


@pytest.mark.parametrize(
    ("after", "words"),
    [
        ("scores + len(scores)", "differs by"),
        ("scores - scores.mean()", "differs by"),
        ("scores + np.float32(np.random.default_rng().random())", "differs by"),
        ("scores if len(scores) > 1 else scores.astype('float64')", "float64"),
    ],
)
def test_an_answer_that_hangs_on_more_than_its_row_is_not_proved(
    folder: Path, after: str, words: str
) -> None:
    """Rows of several callers share a call, so what depends on the others is refused."""
    changed = SCRIPT.replace('"score": scores', f'"score": {after}')
    (folder / "predictor.py").write_text(changed)
    with pytest.raises(NotEquivalentError) as caught:
        run(folder)
    assert words in caught.value.why


def test_a_file_that_the_package_lacks_is_missed(folder: Path) -> None:
    """At its own place the script finds it, out of its package it does not."""
    with pytest.raises(PredictorInvalidError) as caught:
        run(folder, files=())
    assert "out of its package it does not load" in caught.value.why
    assert "predictor.files" in caught.value.fix


PYTHON_MODEL = """
import mlflow
import numpy as np
import pandas as pd
from mlflow.models import infer_signature


class Doubling(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        return pd.DataFrame({"twice": model_input["x"] * 2, "word": model_input["word"]})


mlflow.models.set_model(Doubling())
"""


@pytest.fixture(scope="module")
def pyfunc(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of MLflow whose model is code, as MLflow lays it out."""
    made = tmp_path_factory.mktemp("pyfunc") / "model"
    made.mkdir()
    (made / "doubling.py").write_text(PYTHON_MODEL)
    inputs = [
        {"name": "x", "type": "double", "required": True},
        {"name": "word", "type": "string", "required": True},
    ]
    outputs = [{"name": "twice", "type": "double"}, {"name": "word", "type": "string"}]
    (made / "MLmodel").write_text(
        json.dumps(
            {
                "flavors": {
                    "python_function": {
                        "loader_module": "mlflow.pyfunc.model",
                        "model_code_path": "doubling.py",
                        "python_model": "doubling.py",
                    }
                },
                "mlflow_version": "3.17.2",
                "model_uuid": "0" * 32,
                "signature": {"inputs": json.dumps(inputs), "outputs": json.dumps(outputs)},
            }
        )
    )
    return made


def run_pyfunc(pyfunc: Path, folder: Path, *, allowed: bool, data: Path | None) -> JobResult:
    """Run the job of a folder of MLflow."""
    code = PredictorJob(
        script=None,
        files=(),
        lock=b"",
        python=None,
        bounds=Predictor(script="servewell_pyfunc.py"),
    )
    return run(
        folder,
        predictor=code,
        artifact=pyfunc,
        format="pyfunc",
        allow_pickle=allowed,
        data=data,
    )


@pytest.mark.parametrize("with_data", [True, False])
def test_a_model_of_mlflow_is_packaged_as_code(
    pyfunc: Path, folder: Path, *, with_data: bool
) -> None:
    """Its signature names the inputs; with data its answers are proved on the held-out rows."""
    data = folder / "rows.parquet" if with_data else None
    result = run_pyfunc(pyfunc, folder, allowed=True, data=data)
    assert [one.name for one in result.signature.inputs] == ["x", "word"]
    assert {one.name: one.datatype for one in result.signature.outputs} == {
        "twice": Datatype.FP64,
        "word": Datatype.BYTES,
    }
    assert result.equivalence.rows == (ROWS // 10 if with_data else 1)


def test_a_model_of_mlflow_is_not_loaded_unasked(pyfunc: Path, folder: Path) -> None:
    """Loading one runs code, so the workload has to say that it may be."""
    with pytest.raises(PickleRefusedError) as caught:
        run_pyfunc(pyfunc, folder, allowed=False, data=None)
    assert "allow_pickle" in caught.value.fix
    assert isinstance(caught.value, ServewellError)
