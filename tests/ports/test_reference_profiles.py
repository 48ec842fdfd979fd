"""Reference profiles: of a model's held-out rows, in bins that all later rows are counted in."""

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import onnx
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as of_numpy

from ports.tried_models import folder_of_data, made
from servewell.adapters.embedded.job.exchange import Result, RunFiles
from servewell.adapters.embedded.job.held_out import ROWS_MAX, sampled
from servewell.adapters.embedded.job.reference import write_reference, write_reference_of_onnx
from servewell.adapters.embedded.monitoring.binning import (
    CATEGORIES_MAX,
    QUANTILES,
    TEXT_LENGTH_MAX,
    bins_of,
)
from servewell.adapters.embedded.monitoring.cells import Cells
from servewell.adapters.embedded.monitoring.grouping import Table, grouped, reference_of
from servewell.core.catalog.model import Equivalence
from servewell.core.catalog.profile import Bins, ColumnKind, ReferenceProfile, Side
from servewell.core.catalog.signature import Datatype, Input, Output, Signature
from servewell.ports.trainer import Job

pytestmark = pytest.mark.filterwarnings("ignore")  # of the libraries, about each other

NUMBER = Input(name="x", datatype=Datatype.FP32)
TEXT = Input(name="x", datatype=Datatype.BYTES)


def cells(values: Any, *, is_input: bool = True) -> Cells:  # noqa: ANN401 - of any type
    """Return a tensor's values."""
    return Cells.of_tensor(np.asarray(values), is_input=is_input)


def texts(values: list[str]) -> Cells:
    """Return the values of a tensor of texts."""
    return cells(np.array(values, dtype=object))


def bins_for(one: Input, values: Cells) -> tuple[Bins, ...]:
    """Return the bins of one input."""
    return bins_of(Signature(inputs=(one,), outputs=()), {"x": values}, {})


def profile(signature: Signature, table: Table, rows: int, *slices: str) -> ReferenceProfile:
    """Return a reference profile."""
    return reference_of(signature, table, rows=rows, slices=slices, source="rows")


def test_twenty_quantiles_are_the_edges() -> None:
    """Each bin has a twentieth of the rows; ties are merged."""
    values = cells(np.random.default_rng(1).normal(size=10_000))
    [bins] = bins_for(NUMBER, values)
    assert len(bins.edges) == QUANTILES + 1
    [group] = grouped([bins], [], Table(inputs={"x": values}, outputs={}), np.zeros(10_000, int), 1)
    places = group.counts[""]["x"].places
    assert places[:3] == (0, 0, 0)
    assert places[-1] == 0
    assert all(abs(one - 500) <= 1 for one in places[3:-1])
    tied = np.concatenate([np.zeros(600), np.arange(1, 401)])
    [bins] = bins_for(NUMBER, cells(tied))
    assert bins.edges[0] == 0.0
    assert len(set(bins.edges)) == len(bins.edges) == 10


@pytest.mark.parametrize("values", [[3.0], [0.0, 1.0] * 9, list(map(float, range(20)))])
def test_few_different_numbers_have_a_bin_each(values: list[float]) -> None:
    """A constant has one, a yes and no has two; another number is below, above or between."""
    [bins] = bins_for(NUMBER, cells(values))
    known = sorted(set(values))
    assert bins.edges[:-1] == tuple(known)
    more = cells([*values, known[-1] + 1, known[0] - 1])
    table = Table(inputs={"x": more}, outputs={})
    [group] = grouped([bins], [], table, np.zeros(len(values) + 2, int), 1)
    places = group.counts[""]["x"].places
    assert places == (0, 0, 1, *(values.count(one) for one in known), 1)


def test_a_column_without_a_number_has_bins_too() -> None:
    """Rows that come later are below or above zero."""
    [bins] = bins_for(NUMBER, cells([np.nan, np.nan]))
    table = Table(inputs={"x": cells([np.nan, 5.0, -5.0])}, outputs={})
    [group] = grouped([bins], [], table, np.zeros(3, int), 1)
    assert group.counts[""]["x"].places == (1, 0, 1, 0, 1)


def test_categories_are_named_known_or_never_seen() -> None:
    """The hundred most frequent are named, the rest known by digest, and long ones never named."""
    long = "z" * (TEXT_LENGTH_MAX + 1)
    values = [f"c{at}" for at in range(150) for _ in range(151 - at)] + [long] * 999
    [bins] = bins_for(TEXT, texts(values))
    assert bins.kind is ColumnKind.CATEGORY
    assert bins.categories == tuple(f"c{at}" for at in range(CATEGORIES_MAX))
    later = Table(inputs={"x": texts(["c0", "c149", long, "", *["new"] * 3, "once"])}, outputs={})
    [group] = grouped([bins], [], later, np.zeros(8, int), 1)
    counts = group.counts[""]["x"]
    assert (counts.places[0], counts.places[1], counts.places[-2:]) == (1, 1, (2, 4))
    assert counts.unseen == {"new": 3}


def test_what_a_row_or_two_hold_is_never_named() -> None:
    """Of notes on persons only presence is kept; a rare text beside frequent ones is a digest."""
    notes = [f"Person {number}, broken leg" for number in range(30)]
    signature = Signature(inputs=(TEXT,), outputs=())
    found = profile(signature, Table(inputs={"x": texts(notes)}, outputs={}), len(notes))
    assert found.bins[0].kind is ColumnKind.PRESENCE
    assert "Person" not in repr(found)
    few = texts([*["fine"] * 20, *notes[:9], *notes[:2]])
    [bins] = bins_for(TEXT, few)
    assert (bins.kind, bins.categories, len(bins.unnamed)) == (ColumnKind.CATEGORY, ("fine",), 9)


@pytest.mark.parametrize(
    ("one", "values"),
    [
        (TEXT, texts([f"text {at}" for at in range(300)])),
        (TEXT, texts([f"text {at % 2_100}" for at in range(9_000)])),
        (Input(name="x", datatype=Datatype.BYTES, personal=True), texts(["ada", "bob"] * 9)),
        (Input(name="x", datatype=Datatype.FP32, personal=True), cells([1.5, 2.5])),
        (NUMBER, cells(np.zeros((2, 5_000)))),
    ],
    ids=["another each", "too many", "personal text", "personal number", "image"],
)
def test_of_some_columns_only_presence_is_kept(one: Input, values: Cells) -> None:
    """What is personal, always another, or too wide."""
    [bins] = bins_for(one, values)
    assert (bins.kind, bins.edges, bins.categories, bins.unnamed) == (
        ColumnKind.PRESENCE,
        (),
        (),
        (),
    )


def test_embeddings_are_counted_on_fixed_directions() -> None:
    """At most 32 of length one, the same for a name; few values are columns by themselves."""
    rows = np.random.default_rng(2).normal(size=(500, 64))
    bins = bins_for(NUMBER, cells(rows))
    assert len(bins) == 32
    assert {one.side for one in bins} == {Side.PROJECTION}
    assert [one.direction for one in bins] == [
        one.direction for one in bins_for(NUMBER, cells(rows[:100]))
    ]
    assert all(np.linalg.norm(one.direction) == pytest.approx(1, abs=1e-4) for one in bins)
    moved = Table(inputs={"x": cells(rows + 3)}, outputs={})
    [group] = grouped(bins, [], moved, np.zeros(500, int), 1)
    for one in bins:
        expected = (rows + 3) @ np.array(one.direction)
        assert group.counts[""][one.column].total == pytest.approx(expected.sum())
    assert [one.column for one in bins_for(NUMBER, cells(rows[:, :3]))] == ["x[0]", "x[1]", "x[2]"]


def test_scores_and_outputs_have_columns_of_their_own() -> None:
    """Of two classes the second one's probability, of more the largest; names never clash."""
    rows = np.array([[0.1, 0.9], [0.7, 0.3]])
    two = Output(name="p", datatype=Datatype.FP32, row_shape=(2,), classes=("no", "yes"))
    same = Output(name="x", datatype=Datatype.FP32)
    signature = Signature(inputs=(NUMBER,), outputs=(two, same))
    table = Table(
        inputs={"x": cells([1.0, 2.0])},
        outputs={"p": cells(rows), "x": cells([5.0, np.nan], is_input=False)},
    )
    found = profile(signature, table, 2)
    assert [one.column for one in found.bins] == ["x", "p:score", "x:output"]
    assert found.counts[""]["p:score"].total == pytest.approx(1.2)
    assert found.counts[""]["x:output"].places[:2] == (0, 1)
    three = Output(name="p", datatype=Datatype.FP32, row_shape=(3,), classes=("a", "b", "c"))
    likely = {"p": cells([[0.2, 0.5, 0.3]])}
    found = profile(Signature(inputs=(), outputs=(three,)), Table(inputs={}, outputs=likely), 1)
    assert found.counts[""]["p:score"].total == 0.5


def test_declared_slices_have_profiles_of_their_own() -> None:
    """Of at most twenty categories, the most frequent; a slice of another kind is none."""
    names = [f"c{at:02d}" for at in range(30) for _ in range(31 - at)]
    signature = Signature(inputs=(Input(name="town", datatype=Datatype.BYTES), NUMBER), outputs=())
    table = Table(inputs={"town": texts(names), "x": cells(np.arange(len(names)))}, outputs={})
    found = profile(signature, table, len(names), "town", "x", "nothing")
    assert found.slices == ("town",)
    assert len(found.rows) == 21
    assert found.rows["town=c00"] == 31
    assert found.counts["town=c01"]["x"].rows == 30


@settings(max_examples=30, deadline=None)
@given(of_numpy.arrays(np.float64, st.integers(1, 60), elements=st.floats(width=32)))
def test_every_row_has_one_place(values: np.ndarray[Any, Any]) -> None:
    """Whatever the numbers are, from a tensor and from a column of the log alike."""
    given_cells = cells(values)
    [bins] = bins_for(NUMBER, given_cells)
    column = pa.array(values, from_pandas=True)
    groups = np.zeros(len(values), int)
    both = [
        grouped([bins], [], Table(inputs={"x": one}, outputs={}), groups, 1)[0].counts[""]["x"]
        for one in (given_cells, Cells.of_column(column, is_input=True))
    ]
    assert both[0] == both[1]
    assert both[0].rows == len(values)
    finite = values[np.isfinite(values)]
    assert sum(both[0].places[3:-1]) == len(finite)


def test_a_version_is_profiled_on_its_held_out_rows(tmp_path: Path) -> None:
    """What it takes, and what its ONNX model itself gives; where no column fits there is none."""
    path, signature, label = made("network")
    files = RunFiles(tmp_path)
    files.artifact.write_bytes(path.read_bytes())
    job = Job(
        run="r",
        folder=tmp_path,
        data=folder_of_data() / "rows.parquet",
        dataset="rows:3",
        label=label,
    )
    equivalence = Equivalence(rows=0, largest_difference=0.0, tolerance=0.0)
    result = Result(signature=signature, equivalence=equivalence, metrics={}, example=None)
    said: list[str] = []
    write_reference_of_onnx(job, result, files, said.append)
    found = msgspec.json.decode(files.reference.read_bytes(), type=ReferenceProfile)
    rows = found.rows[""]
    assert found.source == f"{rows} held-out rows of rows:3"
    assert {one.rows for one in found.counts[""].values()} == {rows}
    assert said == ["making the reference profile"]
    files.reference.unlink()
    renamed = Result(
        signature=Signature(inputs=(NUMBER,), outputs=()),
        equivalence=equivalence,
        metrics={},
        example=None,
    )
    write_reference_of_onnx(job, renamed, files, said.append)
    files.artifact.write_bytes(onnx.ModelProto().SerializeToString())
    write_reference_of_onnx(job, result, files, said.append)
    assert not files.reference.exists()
    assert said[-1].startswith("no reference profile: ")


def test_slices_that_no_text_is_frequent_enough_for_are_told(tmp_path: Path) -> None:
    """Notes have none, carriers have; who makes the model reads which."""
    names = [Input(name=name, datatype=Datatype.BYTES) for name in ("note", "carrier")]
    signature = Signature(inputs=tuple(names), outputs=(Output(name="y", datatype=Datatype.FP32),))
    taken = {
        "note": np.array([f"note {number}" for number in range(30)], dtype=object),
        "carrier": np.array(["AA", "UA"] * 15, dtype=object),
    }
    job = Job(run="r", folder=tmp_path, data=tmp_path, slices=("note", "carrier"))
    files, said = RunFiles(tmp_path), list[str]()
    given_rows = {"y": np.zeros(30, np.float32)}
    write_reference(job, signature, taken=taken, given=given_rows, files=files, say=said.append)
    assert [one.split()[0] for one in said] == ["`note`"]
    found = msgspec.json.decode(files.reference.read_bytes(), type=ReferenceProfile)
    assert found.slices == ("carrier",)


def test_many_rows_are_sampled_evenly() -> None:
    """At most so many, from the first to the last, and all of a few."""
    assert sampled(0).tolist() == []
    assert sampled(3).tolist() == [0, 1, 2]
    many = sampled(3 * ROWS_MAX)
    assert (len(many), many[0], many[-1]) == (ROWS_MAX, 0, 3 * ROWS_MAX - 1)
