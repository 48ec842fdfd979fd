"""What is told of the differences of runs, and the conditions that find them."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from servewell.core.catalog.dataset import Column, DatasetVersion
from servewell.core.catalog.run import Run, RunState
from servewell.core.catalog.run_query import Condition
from servewell.core.operations.run_comparison import (
    compare,
    diff_data,
    diff_files,
    diff_locks,
)
from servewell.core.operations.run_filter import RunFilterError, condition_of

RUN = Run(
    id="1",
    workload="w",
    state=RunState.SUCCEEDED,
    inputs_digest="x",
    parameters={"depth": 3, "seed": 1},
    metrics={"auc": 0.7},
    started_at=0.0,
)
DATA = DatasetVersion(
    name="w",
    number=1,
    digest="a",
    rows=10,
    size_bytes=10,
    columns=(Column(name="x", type="double", missing=0), Column(name="y", type="int64", missing=0)),
    source="rows.parquet",
    created_at=0.0,
)


def test_runs_stand_side_by_side() -> None:
    """A value that a run lacks is none, and what differs is marked."""
    other = replace(RUN, id="2", parameters={"depth": 4}, metrics={"auc": 0.7, "brier": 0.2})
    rows = {(one.kind, one.name): one for one in compare((RUN, other))}
    assert rows["parameter", "depth"].values == (3, 4)
    assert rows["parameter", "seed"].values == (1, None)
    assert rows["metric", "brier"].values == (None, 0.2)
    assert rows["metric", "brier"].differs
    assert not rows["metric", "auc"].differs
    assert not rows["fact", "workload"].differs


def test_a_whole_number_is_not_a_float() -> None:
    """1 and 1.0 are other parameters, as they are to the code that gets them."""
    rows = compare((RUN, replace(RUN, parameters={"depth": 3.0, "seed": 1})))
    assert [one.name for one in rows if one.differs] == ["depth"]


def test_code_is_told_as_a_unified_diff() -> None:
    """Changed, new and gone files; nothing where all are the same."""
    old, new = {"a.py": "x = 1\n", "gone.py": "z"}, {"a.py": "x = 2\n", "new.py": "y"}
    lines = diff_files(old, new)
    assert "-x = 1" in lines
    assert "+x = 2" in lines
    assert "+++ b/new.py" in lines
    assert "--- a/gone.py" in lines
    assert diff_files(old, old) == ()


def test_locks_are_told_by_package() -> None:
    """What was stands beside what is."""
    lines = diff_locks("b==1\na==1\n", "b==2\na==1\nc==1\n")
    assert lines == ("- b==1", "+ b==2", "+ c==1")


def test_data_is_told_by_rows_and_columns() -> None:
    """A new version says how many rows and which columns it has that the old had not."""
    columns = (Column(name="x", type="string", missing=0), Column(name="z", type="bool", missing=0))
    new = replace(DATA, number=2, digest="b", rows=12, columns=columns)
    assert diff_data(DATA, new) == (
        "w:1 became w:2",
        "10 rows became 12",
        "the column `x` was double and is string",
        "the column `y` (int64) is gone",
        "the column `z` (bool) is new",
    )
    assert diff_data(DATA, DATA) == diff_data(None, None) == ()
    assert diff_data(None, DATA) == ("no data became w:1",)
    assert diff_data(DATA, None) == ("w:1 became no data",)


@given(value=st.floats(allow_nan=False, allow_infinity=False))
@pytest.mark.parametrize("how", ["<", "<=", "=", "!=", ">=", ">"])
def test_a_condition_reads_as_it_is_written(how: str, value: float) -> None:
    """Any metric, comparison and number, with space or without."""
    told = Condition(metric="check.auc", comparison=how, value=value)  # type: ignore[arg-type]  # one of them
    assert condition_of(f"check.auc{how}{value!r}") == told
    assert condition_of(f" check.auc {how} {value!r} ") == told


@pytest.mark.parametrize("text", ["", "auc", "auc>", ">1", "auc>x", "auc=>1", "auc>inf", "auc>nan"])
def test_another_text_is_no_condition(text: str) -> None:
    """It is told what was written and how it should look."""
    with pytest.raises(RunFilterError, match="is no condition"):
        condition_of(text)
