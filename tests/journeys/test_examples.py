"""The examples are real: they train, convert and keep what their pages promise."""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from servewell.adapters.embedded.trainer import ProcessTrainer
from servewell.adapters.embedded.workload_files import YamlWorkloadFiles
from servewell.core.catalog.signature import Datatype
from servewell.ports.trainer import Job, JobResult

EXAMPLES = Path(__file__).parents[2] / "examples"
FLIGHTS = EXAMPLES / "flight-delays" / "data" / "flights.parquet"
NUMPY = {Datatype.BYTES: "object", Datatype.INT64: "int64", Datatype.FP32: "float32"}


def run_example(name: str, home: Path) -> tuple[JobResult, list[str]]:
    """Run the job of an example's workload, as it stands in the repository."""
    workload, folder = YamlWorkloadFiles().read(EXAMPLES / name)
    train, artifact, data = workload.train, workload.artifact, workload.data
    job = Job(
        run="example",
        folder=folder,
        script=folder / train.script if train else None,
        artifact=folder / artifact.path if artifact else None,
        format=artifact.format if artifact else "sklearn",
        data=folder / data.path if data else None,
        label=data.label if data else None,
        held_out=data.held_out if data else None,
        parameters=dict(train.parameters) if train else {},
        inputs=dict(workload.inputs),
        tolerance=workload.model.tolerance,
        timeout_s=170,
    )
    said: list[str] = []
    return ProcessTrainer(home / "runs").run(job, said.append), said


@pytest.fixture(scope="module")
def flights(tmp_path_factory: pytest.TempPathFactory) -> tuple[JobResult, list[str]]:
    """Train the flight example once."""
    return run_example("flight-delays", tmp_path_factory.mktemp("home"))


@pytest.mark.timeout(180)
def test_the_flight_model_is_proved(flights: tuple[JobResult, list[str]]) -> None:
    """Every flight of March, cancelled ones too, gets the trained model's answer when served."""
    result, said = flights
    assert result.equivalence.rows == 28_834
    assert result.equivalence.largest_difference <= 1e-5
    assert "proving 28,834 held-out rows" in said


@pytest.mark.timeout(180)
def test_the_flight_model_is_as_good_as_its_page_says(
    flights: tuple[JobResult, list[str]],
) -> None:
    """It ranks the flights of March, and its probabilities can be believed."""
    metrics = flights[0].metrics
    assert metrics["rows"] == 27_902
    assert metrics["roc_auc"] > 0.68
    assert metrics["brier"] < 0.9 * metrics["brier_of_constant"]
    assert abs(metrics["mean_predicted"] - metrics["share_late"]) < 0.03


@pytest.mark.timeout(180)
def test_the_served_probabilities_can_be_believed(flights: tuple[JobResult, list[str]]) -> None:
    """In each fifth of the flights of March, by the served odds, about so many were late."""
    result, _ = flights
    session = onnxruntime.InferenceSession(result.artifact)
    march, late = flights_of_march(result)
    (probabilities,) = session.run(["probabilities"], march)
    said = probabilities[:, 1]
    for part in np.array_split(np.argsort(said), 5):
        assert abs(said[part].mean() - late[part].mean()) < 0.06


def flights_of_march(result: JobResult) -> tuple[dict[str, Any], np.ndarray[Any, Any]]:
    """Return the flights of March that arrived, as a request brings them, and which were late."""
    table = pq.read_table(FLIGHTS)
    month = pc.equal(pc.month(table["scheduled"]), 3)
    table = table.filter(pc.and_(month, pc.is_valid(table["late"])))
    rows: dict[str, Any] = {}
    for one in result.signature.inputs:
        column = table[one.name].to_pandas()
        column = column.fillna("") if one.datatype is Datatype.BYTES else column
        rows[one.name] = column.to_numpy(dtype=NUMPY[one.datatype]).reshape(-1, 1)
    return rows, table["late"].to_numpy()


@pytest.mark.timeout(180)
def test_the_flight_signature_says_what_a_caller_needs(
    flights: tuple[JobResult, list[str]],
) -> None:
    """Each input has a description, airports have their names, and gaps are told apart."""
    result, _ = flights
    inputs = {one.name: one for one in result.signature.inputs}
    assert all(one.description for one in inputs.values())
    assert inputs["origin"].categories == inputs["origin"].allowed == ("EWR", "JFK", "LGA")
    assert inputs["distance"].datatype is Datatype.INT64
    nullable = {name for name, one in inputs.items() if one.nullable}
    assert nullable == set(inputs) - {
        *("carrier", "origin", "dest", "weekday", "dep_minute", "distance")
    }
    assert result.example is not None
    assert set(result.example) == set(inputs)
    assert None not in result.example.values()


def test_the_flights_are_those_of_their_page() -> None:
    """The committed file has the digest, the rows and the order that its page names."""
    page = (FLIGHTS.parent / "README.md").read_text(encoding="utf-8")
    assert hashlib.sha256(FLIGHTS.read_bytes()).hexdigest() in page
    table = pq.read_table(FLIGHTS)
    assert table.num_rows == 336_776
    scheduled = table["scheduled"].to_numpy()
    assert (scheduled[1:] >= scheduled[:-1]).all()
    for name in table.column_names:
        assert f"`{name}`" in page
        missing = table[name].null_count
        assert missing == 0 or f"{missing:,}" in page


def test_the_model_from_elsewhere_is_taken_as_it_is(tmp_path: Path) -> None:
    """The ONNX example is checked and tried, and its classes are read from the file."""
    result, said = run_example("iris-onnx", tmp_path)
    assert said == ["reading the model", "checking the ONNX model", "trying the ONNX model"]
    assert result.equivalence.rows == 0
    (measurements,) = result.signature.inputs
    assert measurements.row_shape == (4,)
    assert result.signature.outputs[1].classes == ("setosa", "versicolor", "virginica")
