"""The contract of `Tables`: what goes into a file comes out of it, and each fault has its place."""

import datetime as dt
import io
import resource
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from servewell.adapters.embedded.tables import FileTables
from servewell.core.catalog.dataset import Column
from servewell.ports.storage import StorageError
from servewell.ports.tables import Row, TableFaultsError, Tables

ROWS: list[Row] = [
    {"carrier": "UA", "wind": 12.5, "late": True},
    {"carrier": None, "wind": None, "late": False},
    {"carrier": 'quoted "comma", and\nnew line', "wind": -3.0, "late": None},
]


@pytest.fixture(params=[pytest.param(FileTables, id="embedded")])
def tables(request: pytest.FixtureRequest) -> Tables:
    """Each adapter in turn."""
    made: Tables = request.param()
    return made


def kept(tables: Tables, path: Path, rows: list[Row]) -> Path:
    """Write rows one by one, and return the path."""
    output = tables.write(path)
    for row in rows:
        output.write([row])
    output.close()
    return path


def rows_of(tables: Tables, path: Path | None, batch: int = 2) -> list[Row]:
    """Read all rows of a file."""
    return [row for rows in tables.read(path, batch=batch) for row in rows]


def fault_of(tables: Tables, path: Path, data: bytes) -> TableFaultsError:
    """Read a file with this content, which must fail."""
    path.write_bytes(data)
    with pytest.raises(TableFaultsError) as caught:
        rows_of(tables, path)
    return caught.value


@pytest.mark.parametrize("ending", [".jsonl", ".ndjson", ".parquet"])
def test_reads_back_what_was_written(tables: Tables, tmp_path: Path, ending: str) -> None:
    """Types survive JSON lines and Parquet."""
    path = kept(tables, tmp_path / f"rows{ending}", ROWS)
    assert rows_of(tables, path) == ROWS


def test_csv_holds_texts(tables: Tables, tmp_path: Path) -> None:
    """In CSV every value is a text, and an empty one is None; quoting survives."""
    path = kept(tables, tmp_path / "rows.csv", ROWS)
    assert rows_of(tables, path) == [
        {"carrier": "UA", "wind": "12.5", "late": "true"},
        {"carrier": None, "wind": None, "late": "false"},
        {"carrier": 'quoted "comma", and\nnew line', "wind": "-3.0", "late": None},
    ]


@pytest.mark.parametrize("ending", [".jsonl", ".csv", ".parquet"])
def test_reads_in_batches(tables: Tables, tmp_path: Path, ending: str) -> None:
    """No batch is larger than was asked, and none is empty."""
    path = kept(tables, tmp_path / f"rows{ending}", [{"n": n} for n in range(5)])
    assert [len(rows) for rows in tables.read(path, batch=2)] == [2, 2, 1]


@pytest.mark.parametrize("ending", [".jsonl", ".csv", ".parquet"])
def test_an_output_appears_only_when_it_is_whole(
    tables: Tables, tmp_path: Path, ending: str
) -> None:
    """The former file stays until the new file is whole; abandoning leaves no trace."""
    path = tmp_path / f"rows{ending}"
    path.write_text("former")
    output = tables.write(path)
    output.write(ROWS)
    assert path.read_text() == "former"
    output.abandon()
    assert [(one.name, one.read_text()) for one in tmp_path.iterdir()] == [(path.name, "former")]
    kept(tables, path, ROWS)
    assert len(rows_of(tables, path)) == len(ROWS)
    assert [one.name for one in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("ending", [".jsonl", ".csv", ".parquet"])
def test_an_output_without_rows_is_a_file(tables: Tables, tmp_path: Path, ending: str) -> None:
    """Nothing written is an empty file under its name, not a missing one."""
    assert kept(tables, tmp_path / f"rows{ending}", []).exists()


def test_a_column_may_begin_empty(tables: Tables, tmp_path: Path) -> None:
    """Columns and types are those of all rows: late columns and late types are neither lost."""
    rows: list[Row] = [{"a": None, "p": []}, {"a": 1, "p": [0.5]}, {"a": 2.5, "b": {"c": "x"}}]
    parquet = kept(tables, tmp_path / "rows.parquet", rows)
    assert rows_of(tables, parquet) == [
        {"a": None, "p": [], "b": None},
        {"a": 1.0, "p": [0.5], "b": None},
        {"a": 2.5, "p": None, "b": {"c": "x"}},
    ]
    csv = kept(tables, tmp_path / "rows.csv", rows)
    assert csv.read_text().splitlines() == ["a,p,b", ",[],", "1,[0.5],", '2.5,,"{""c"":""x""}"']


def test_a_parquet_column_has_one_type(tables: Tables, tmp_path: Path) -> None:
    """Rows that no column type can hold are refused in words, and leave no file."""
    output = tables.write(tmp_path / "rows.parquet")
    output.write([{"a": 1}, {"a": "text"}])
    with pytest.raises(TableFaultsError) as caught:
        output.close()
    assert ".jsonl" in caught.value.fix
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_written_is_said(tables: Tables, tmp_path: Path) -> None:
    """A missing folder and an unknown ending are faults that name the file."""
    with pytest.raises(StorageError, match="missing"):
        tables.write(tmp_path / "missing" / "rows.csv")
    with pytest.raises(TableFaultsError, match=r"rows\.xlsx"):
        tables.write(tmp_path / "rows.xlsx")


@pytest.mark.parametrize("ending", [".jsonl", ".csv", ".parquet"])
def test_a_full_disk_leaves_nothing(tables: Tables, tmp_path: Path, ending: str) -> None:
    """When no more can be written, that is said, and the former file stays alone."""
    path = tmp_path / f"rows{ending}"
    path.write_text("former")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        with pytest.raises(StorageError, match="rows"):
            kept(tables, path, [{"text": "x" * 1_000}] * 200)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert [(one.name, one.read_text()) for one in tmp_path.iterdir()] == [(path.name, "former")]


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        pytest.param('[{"a": 1}, {"a": NaN}]', [{"a": 1}, {"a": None}], id="array"),
        pytest.param('\n[\n{"a": 1},\n{"a": 2}\n]', [{"a": 1}, {"a": 2}], id="array-over-lines"),
        pytest.param('{\n  "a": [1,\n 2]\n}\n', [{"a": [1, 2]}], id="one-object"),
        pytest.param('{"a": 1}\n\n{"a": 2}', [{"a": 1}, {"a": 2}], id="lines"),
        pytest.param("[]", [], id="empty-array"),
        pytest.param("", [], id="empty"),
    ],
)
def test_reads_every_form_of_json(
    tables: Tables, tmp_path: Path, text: str, rows: list[Row]
) -> None:
    """An array, one object and lines are told apart; NaN is a missing value; a BOM is no fault."""
    path = tmp_path / "rows.json"
    path.write_text(text, encoding="utf-8-sig")
    assert rows_of(tables, path) == rows
    assert rows_of(FileTables(stdin=io.BytesIO(text.encode())), None) == rows


def test_lines_arrive_while_the_rest_is_still_to_come() -> None:
    """JSON lines are not read ahead of the batch, so a stream without an end works."""
    stream = io.BytesIO(b'{"a": 1}\n' * 3 + b"not read yet")
    batches = FileTables(stdin=stream).read(None, batch=2)
    assert next(batches) == [{"a": 1}, {"a": 1}]
    assert stream.tell() == 2 * len(b'{"a": 1}\n')


@pytest.mark.parametrize(
    ("name", "data", "place"),
    [
        pytest.param("a.jsonl", b'{"a": 1}\n{"a": }', "line 2, column 7", id="line"),
        pytest.param("a.jsonl", b'{"a": 1}\n[1]', "line 2, column 1", id="no-object"),
        pytest.param("a.jsonl", b'{"a": 1}\n{"a": "\xe9"}', "line 2, column 8", id="encoding"),
        pytest.param("a.jsonl", b'{"a": Infinity}', "line 1", id="infinity"),
        pytest.param("a.jsonl", b'{"a": "\\ud800"}', "line 1", id="half-a-character"),
        pytest.param("a.jsonl", b"[" * 100_000, "line 1", id="too-deep"),
        pytest.param("a.json", b'[\n  {"a": 1},\n  {"a" 2}\n]', "line 3, column 8", id="array"),
        pytest.param("a.json", b'[{"a": [1,2]} ,\n 7]', "line 2, column 2", id="element"),
        pytest.param("a.json", b'\n{"a":\n"\xe9"}', "line 3, column 2", id="document-encoding"),
        pytest.param("a.json", b'"text"', "line 1, column 1", id="no-rows"),
        pytest.param("a.csv", b"a,b\n1,2\n1,2,3", "line 3", id="too-many-values"),
        pytest.param("a.csv", b'a,b\n"1\n",2\n1', "line 4", id="after-a-value-of-two-lines"),
        pytest.param("a.csv", b'a,b\n1,"2', "line 2", id="quote"),
        pytest.param("a.csv", b"a,a\n1,2", "line 1", id="name-twice"),
        pytest.param("a.csv", b"a,b\n1,\xff", "line 2, column 3", id="csv-encoding"),
        pytest.param("a.csv", b"", "a.csv", id="empty-csv"),
        pytest.param("a.parquet", b"PAR1 and no more", "a.parquet", id="parquet"),
        pytest.param("a.xlsx", b"", "a.xlsx", id="ending"),
    ],
)
def test_a_fault_names_its_place(
    tables: Tables, tmp_path: Path, name: str, data: bytes, place: str
) -> None:
    """File, line and column of what cannot be read, and the next step."""
    fault = fault_of(tables, tmp_path / name, data)
    assert name in fault.what
    assert place in fault.what
    assert fault.fix


def test_rows_before_a_fault_are_read(tables: Tables, tmp_path: Path) -> None:
    """A fault stops the reading where it stands, not before."""
    path = tmp_path / "a.jsonl"
    path.write_text('{"a": 1}\nno')
    batches = tables.read(path, batch=1)
    assert next(batches) == [{"a": 1}]
    with pytest.raises(TableFaultsError, match="line 2"):
        next(batches)


@pytest.mark.parametrize("name", ["missing.csv", "missing.parquet", "folder.json"])
def test_a_file_that_is_not_there_is_said(tables: Tables, tmp_path: Path, name: str) -> None:
    """A missing file, or a folder, is a fault that names it."""
    (tmp_path / "folder.json").mkdir()
    with pytest.raises(TableFaultsError, match=name):
        rows_of(tables, tmp_path / name)
    with pytest.raises(TableFaultsError, match=name):
        tables.count(tmp_path / name)


def test_what_must_be_read_whole_has_a_limit(tmp_path: Path) -> None:
    """A large array, or a line without an end, is refused with what to write instead."""
    tables = FileTables(whole_bytes_max=1_000)
    array = fault_of(tables, tmp_path / "a.json", b"[\n" + b'{"a": 1},\n' * 200 + b"{}]")
    line = fault_of(tables, tmp_path / "a.jsonl", b'{"a": 1}\n' + b" " * 2_000)
    assert ".jsonl" in array.fix
    assert "line 2" in line.what


def test_parquet_values_become_plain(tables: Tables, tmp_path: Path) -> None:
    """Times are ISO text, durations seconds, decimals floats, not-a-number None."""
    noon = dt.datetime(2013, 3, 1, 12, tzinfo=dt.UTC)
    table = pa.table(
        {
            "naive": pa.array([noon.replace(tzinfo=None)], pa.timestamp("ns")),
            "zoned": pa.array([noon], pa.timestamp("ms", tz="America/New_York")),
            "day": pa.array([noon.date()]),
            "lasting": pa.array([dt.timedelta(seconds=90)]),
            "price": pa.array([Decimal("1.25")]),
            "bytes": pa.array([b"abc"]),
            "kind": pa.array(["x"]).dictionary_encode(),
            "parts": pa.array([[1.5, float("nan")]]),
            "nan": pa.array([float("nan")], pa.float32()),
        }
    )
    pq.write_table(table, tmp_path / "a.parquet")
    assert rows_of(tables, tmp_path / "a.parquet") == [
        {
            "naive": "2013-03-01T12:00:00",
            "zoned": "2013-03-01T12:00:00+00:00",
            "day": "2013-03-01",
            "lasting": 90.0,
            "price": 1.25,
            "bytes": "abc",
            "kind": "x",
            "parts": [1.5, None],
            "nan": None,
        }
    ]


def test_parquet_bytes_that_are_no_text_are_said(tables: Tables, tmp_path: Path) -> None:
    """A value that JSON has no word for is a fault that names its column."""
    pq.write_table(pa.table({"picture": [b"\xff\xd8"]}), tmp_path / "a.parquet")
    with pytest.raises(TableFaultsError, match=r"a\.parquet") as caught:
        rows_of(tables, tmp_path / "a.parquet")
    assert "picture" in caught.value.why


def test_parquet_columns_have_names_of_their_own(tables: Tables, tmp_path: Path) -> None:
    """Of two columns with one name a row could hold only one: the file is refused."""
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table([[1], [2]], names=["n", "n"]), path)
    with pytest.raises(TableFaultsError, match=r"a\.parquet") as caught:
        rows_of(tables, path)
    assert "`n`" in caught.value.why


@pytest.mark.parametrize("statistics", [True, False])
def test_parquet_is_described(tables: Tables, tmp_path: Path, *, statistics: bool) -> None:
    """Rows, bytes, types, and how many rows of each column have no value: null or not a number."""
    path = tmp_path / "a.parquet"
    table = pa.table({"n": [1, None, 3], "x": [0.5, float("nan"), None], "p": [[1], None, []]})
    pq.write_table(table, path, write_statistics=statistics)
    facts = tables.describe(path)
    assert (facts.rows, facts.size_bytes) == (3, path.stat().st_size)
    assert facts.columns == (
        Column(name="n", type="int64", missing=1),
        Column(name="x", type="double", missing=2),
        Column(name="p", type="list<element: int64>", missing=1),
    )
    assert tables.count(path) == 3
    assert tables.count(kept(tables, tmp_path / "a.csv", ROWS)) is None


def test_a_cut_parquet_file_is_a_fault(tables: Tables, tmp_path: Path) -> None:
    """A file whose middle is damaged says so, whatever was read before."""
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"n": range(50_000)}), path, compression="gzip")
    data = bytearray(path.read_bytes())
    data[2_000:2_500] = bytes(500)
    path.write_bytes(bytes(data))
    with pytest.raises(TableFaultsError, match=r"a\.parquet"):
        rows_of(tables, path)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.text() | st.floats(width=64),
    lambda values: st.lists(values) | st.dictionaries(st.text(), values),
    max_leaves=5,
)


@given(rows=st.lists(st.dictionaries(st.text(), json_values)))
def test_json_lines_hold_any_rows(
    tmp_path_factory: pytest.TempPathFactory, rows: list[dict[str, Any]]
) -> None:
    """Whatever JSON can say comes back, with not-a-number and infinity as None."""
    path = kept(FileTables(), tmp_path_factory.mktemp("rows") / "a.jsonl", rows)
    assert rows_of(FileTables(), path) == _finite(rows)


def _finite(value: Any) -> Any:  # noqa: ANN401 - any JSON value
    if isinstance(value, float):
        return value if abs(value) < float("inf") else None
    if isinstance(value, list):
        return [_finite(one) for one in value]
    if isinstance(value, dict):
        return {name: _finite(one) for name, one in value.items()}
    return value
