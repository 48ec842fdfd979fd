"""What is asked lately is held against the rows that a model learned from, from a real log."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from flows.conftest import version as model_version
from ports.written_log import Log, answered
from servewell.adapters.embedded.job.data.measuring import measure_data
from servewell.core.catalog.gate import GateRow, GateVerdict
from servewell.core.catalog.prediction_record import SHADOW
from servewell.core.catalog.signature import Datatype, Input, Signature
from servewell.core.catalog.workload import Artifact, Data, Workload
from servewell.core.catalog.workload_data import ContractRules
from servewell.core.operations.data_contract import judge_data
from servewell.flows.data_question import data_question
from servewell.flows.make_model import keep_dataset
from servewell.flows.platform import Platform

INPUTS = (
    Input(name="x", datatype=Datatype.FP32),
    Input(name="carrier", datatype=Datatype.BYTES),
    Input(name="email", datatype=Datatype.BYTES, personal=True),
)
MILES = tuple(100.0 + number * 37 % 1_000 for number in range(1_000))
CARRIERS = ["AA", "UA"] * 500


def of_requests(platform: Platform, folder: Path) -> tuple[GateRow, ...]:
    """Return what is said of the requests, of a model that learned from distances in miles."""
    emails = [f"{number}@x" for number in range(1_000)]
    table = pa.table({"x": MILES, "carrier": CARRIERS, "email": emails, "late": [0, 1] * 500})
    pq.write_table(table, folder / "rows.parquet")
    workload = Workload(
        workload="flights",
        data=Data(path="rows.parquet", label="late"),
        artifact=Artifact(path="model.onnx"),
    )
    made = model_version(1)
    manifest = replace(made.manifest, signature=Signature(inputs=INPUTS, outputs=()))
    question = data_question(
        platform,
        workload,
        replace(made, manifest=manifest),
        champion=None,
        dataset=keep_dataset(platform, workload, folder),
    )
    assert question is not None
    assert "email" not in question.requests
    found = judge_data(measure_data(question), ContractRules(skew="fail"))
    told = (row for row in found if row.verdict is not GateVerdict.PASS)
    return tuple(row for row in told if "skew" in row.gate or "requests" in row.because)


@pytest.mark.parametrize(
    ("changed", "gate", "words"),
    [
        (lambda x: x * 1.609344, "change of unit: x", "miles to kilometres"),
        (lambda x: 100 + x % 50, "train-serving skew: x", "drifted from requests"),
    ],
)
def test_requests_unlike_the_rows_are_told(
    platform: Platform,
    tmp_path: Path,
    changed: Callable[[float], float],
    gate: str,
    words: str,
) -> None:
    """Callers send kilometres, or other values: the row names the column, and fails."""
    log = Log(platform.records, tmp_path / "home" / "records")
    asked = [
        answered(at, inputs=[[changed(x)], [at], [CARRIERS[at]], [0.25, 1.5], ["token"]])
        for at, x in enumerate(MILES[:600])
    ]
    shadowed = [answered(at, role=SHADOW, inputs=[]) for at in range(600, 700)]
    log.write("w0", [*asked, *shadowed])
    (row,) = of_requests(platform, tmp_path)
    assert (row.gate, row.verdict, row.required) == (gate, GateVerdict.FAIL, True)
    assert words in row.because
    assert row.rows == 600


def test_without_requests_nobody_can_tell(platform: Platform, tmp_path: Path) -> None:
    """It is said, and fails nothing."""
    (row,) = of_requests(platform, tmp_path)
    assert (row.verdict, row.required) == (GateVerdict.CANNOT_TELL, False)
    assert "0 recent requests" in row.because
