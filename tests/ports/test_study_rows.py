"""The rows that a model is tried on."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from servewell.adapters.embedded.job.study.rows import count, study_rows
from servewell.core.catalog.signature import Datatype, Input, Output, Signature
from servewell.core.catalog.workload import HeldOut
from servewell.ports.optimiser import StudyDataError, Subject
from servewell.ports.trainer import HeldOutRowsError

INPUTS = (
    Input(name="town", datatype=Datatype.BYTES, nullable=True, categories=("A", "B")),
    Input(name="size", datatype=Datatype.FP32, nullable=True, minimum_seen=2, maximum_seen=3),
    Input(name="age", datatype=Datatype.INT64, minimum=18, maximum=20),
    Input(name="member", datatype=Datatype.BOOL),
)
SIGNATURE = Signature(inputs=INPUTS, outputs=(Output(name="prediction", datatype=Datatype.FP32),))
ROWS = 100


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Rows numbered by their day, some without a value, and every tenth without a label."""
    days = np.arange(ROWS)
    path = tmp_path / "rows.parquet"
    table = {
        "day": days,
        "town": [None if day % 7 == 0 else "A" for day in days],
        "size": days.astype("float32"),
        "age": days,
        "member": days % 2 == 0,
        "bought": [None if day % 10 == 0 else int(day % 2) for day in days],
        "nothing": pa.nulls(ROWS),
    }
    pq.write_table(pa.table(table), path)
    return path


def subject(data: Path | None, **changes: object) -> Subject:
    """Return a subject with that data."""
    whole = {"run": "r", "model": Path("m.onnx"), "signature": SIGNATURE, "data": data}
    return Subject(**whole | changes)  # type: ignore[arg-type]  # the tests name right fields


def test_held_out_rows_judge_and_the_others_help(data: Path) -> None:
    """No row does both, and a row without a label judges nothing."""
    held_out = HeldOut(column="day", start="40", until="60")
    rows = study_rows(subject(data, label="bought", held_out=held_out), seed=0)
    judged, helped = (set(one["age"].ravel().tolist()) for one in (rows.held_out, rows.training))
    assert judged == set(range(40, 60)) - {40, 50}
    assert helped == set(range(ROWS)) - set(range(40, 60))
    assert rows.labels is not None
    assert len(rows.labels) == count(rows.held_out) == 18
    assert rows.made_up == ""


def test_missing_values_are_what_a_worker_makes_of_them(data: Path) -> None:
    """A missing text is an empty one, and every tensor has the type of its input."""
    rows = study_rows(subject(data), seed=0)
    assert rows.labels is None
    assert set(rows.training["town"].ravel()) == {"", "A"}
    assert [rows.training[one.name].dtype for one in INPUTS] == [
        "object",
        "float32",
        "int64",
        "bool",
    ]
    assert all(array.shape == (90, 1) for array in rows.training.values())


def test_rows_are_made_up_from_what_is_known() -> None:
    """Without data, values are drawn from the texts and ranges of the signature, by the seed."""
    rows, again, others = (study_rows(subject(None), seed=seed) for seed in (1, 1, 2))
    assert rows.made_up == "there is no data"
    assert set(rows.held_out["town"].ravel()) == {"A", "B"}
    assert 2 <= rows.held_out["size"].min() < rows.held_out["size"].max() <= 3
    assert set(rows.held_out["age"].ravel().tolist()) == {18, 19, 20}
    assert np.array_equal(rows.held_out["size"], again.held_out["size"])
    assert not np.array_equal(rows.held_out["size"], others.held_out["size"])
    assert not np.array_equal(rows.held_out["size"], rows.training["size"])


def test_data_without_the_inputs_is_not_used(tmp_path: Path) -> None:
    """Data whose columns are not the inputs helps nothing, and the reason names one."""
    path = tmp_path / "other.parquet"
    pq.write_table(pa.table({"town": ["A"], "weight": [1.0]}), path)
    assert "no `size`" in study_rows(subject(path), seed=0).made_up


@pytest.mark.parametrize(
    ("changes", "kind", "words"),
    [
        ({"label": "sold"}, StudyDataError, "no column `sold`"),
        ({"label": "nothing"}, StudyDataError, "No held-out row has a label"),
        ({"held_out": HeldOut(column="hour", start="1")}, HeldOutRowsError, "no column `hour`"),
        ({"held_out": HeldOut(column="day", start="200")}, HeldOutRowsError, "no held-out rows"),
    ],
)
def test_rows_that_cannot_judge_are_refused(
    data: Path, changes: dict[str, object], kind: type[Exception], words: str
) -> None:
    """A label or a bound that the data does not know ends in words."""
    with pytest.raises(kind, match=words):
        study_rows(subject(data, **changes), seed=0)


def test_a_column_of_another_type_is_refused(tmp_path: Path) -> None:
    """Texts where the model takes numbers are told, not passed on."""
    path = tmp_path / "texts.parquet"
    table = {"town": ["A"] * 20, "size": ["big"] * 20, "age": [1] * 20, "member": [True] * 20}
    pq.write_table(pa.table(table), path)
    with pytest.raises(StudyDataError, match="column `size` is not what the model takes"):
        study_rows(subject(path), seed=0)
