"""The contract of `DataSources`: rows from files and databases, whole or not at all."""

import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from servewell.adapters.embedded.data_sources import FileDataSources
from servewell.ports.data_sources import (
    BadRowsError,
    DatabaseReadError,
    DataSource,
    DataSourceError,
    DataSources,
)

SECRET = "hunter2-of-the-database"  # noqa: S105 - of no database
MANY = 25_000  # rows: more than one piece of a query


@pytest.fixture
def scratch(tmp_path: Path) -> Path:
    """Where unfinished rows are."""
    return tmp_path / "scratch"


@pytest.fixture
def sources(scratch: Path) -> DataSources:
    """The adapter."""
    url = f"postgresql://ann:{SECRET}@127.0.0.1:1/rows"
    return FileDataSources(scratch, {"ROWS_URL": url, "EMPTY": ""})


def fetched(sources: DataSources, location: object, **rest: object) -> pa.Table:
    """Return the rows of a source."""
    with sources.fetch(DataSource(location=str(location), **rest)) as found:  # type: ignore[arg-type]  # any field
        return pq.read_table(found.path)


def csv(folder: Path, *lines: str) -> Path:
    """Write lines to a CSV file."""
    path = folder / "rows.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_types_are_told_by_all_values(sources: DataSources, tmp_path: Path) -> None:
    """Each column gets the narrowest type that all of its values have; an id keeps its zeros."""
    path = csv(
        tmp_path,
        "on,day,at,whole,number,id,text,none",
        "true,2013-01-01,2013-01-01 05:15,1,1,007,NA,",
        "FALSE,,2013-01-02T00:00:00.5,-12,2.5e3,012,,",
        ",2013-02-01,,,nan,,x y,",
    )
    found = fetched(sources, path)
    assert [str(one) for one in found.schema.types] == [
        "bool",
        "date32[day]",
        "timestamp[us]",
        "int64",
        "double",
        "string",
        "string",
        "string",
    ]
    assert found.column("number").to_pylist() == [1.0, 2500.0, None]
    assert found.column("id").to_pylist() == ["007", "012", None]
    assert found.column("text").to_pylist() == ["NA", None, "x y"]
    assert fetched(sources, path, texts=("whole",)).column("whole").to_pylist() == [
        "1",
        "-12",
        None,
    ]


def test_all_bad_lines_are_told_together(
    sources: DataSources, tmp_path: Path, scratch: Path
) -> None:
    """Every line that is no row is named, also behind a line break in a value; nothing is kept."""
    lines = [f'{place},"a, ""b"""' for place in range(500)]
    lines[2] = '2,"two\nlines"'
    lines[10] = "ten,x"
    lines[20] = "20,x,more"
    lines[30] = "30"
    path = csv(tmp_path, "number,text", *lines)
    with pytest.raises(BadRowsError) as caught:
        fetched(sources, path)
    told = str(caught.value)
    assert "line 13, `number`: found `ten`; allowed: a whole number" in told
    assert "line 23: 3 values, and there are 2 columns" in told
    assert "line 33: 1 values, and there are 2 columns" in told
    assert list(scratch.iterdir()) == []


def test_a_date_that_is_none_is_told(sources: DataSources, tmp_path: Path) -> None:
    """What looks like a date and is not in the calendar is a fault, with its line."""
    days = [f"2013-01-{1 + place % 28:02}" for place in range(300)]
    with pytest.raises(BadRowsError, match=r"line 302, `day`: found `2013-02-31`"):
        fetched(sources, csv(tmp_path, "day", *days, "2013-02-31"))


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "it is empty"),
        (b"a,a\n1,2\n", "`a` stands there twice"),
        (b"a,b\n1,2\n\xff,2\n", "line 3: bytes that are not UTF-8"),
        (b'a,b\n"1,2\n', "line 2: unexpected end of data"),
    ],
)
def test_a_file_that_is_no_csv_is_told(
    sources: DataSources, tmp_path: Path, content: bytes, told: str
) -> None:
    """No header, a name twice, other bytes than UTF-8 and an open quote come as words."""
    path = tmp_path / "rows.csv"
    path.write_bytes(content)
    with pytest.raises(BadRowsError, match=told):
        fetched(sources, path)


values = st.one_of(
    st.none(), st.integers(-(10**17), 10**17), st.floats(allow_nan=False, allow_infinity=False)
)
texts = st.text(st.characters(codec="utf-8", exclude_characters="\r\0", exclude_categories=["Cs"]))


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.lists(st.tuples(values, texts), min_size=1, max_size=20))
def test_what_is_exported_comes_back(
    sources: DataSources, tmp_path: Path, rows: list[tuple[float | None, str]]
) -> None:
    """Rows written as CSV by us are read back as the same values."""
    numbers = pa.array([None if one is None else float(one) for one, _ in rows], pa.float64())
    told = pa.array([text or None for _, text in rows], pa.string())
    pq.write_table(pa.table({"number": numbers, "text": told}), tmp_path / "rows.parquet")
    sources.export(tmp_path / "rows.parquet", tmp_path / "out.csv")
    found = fetched(sources, tmp_path / "out.csv", texts=("text",))
    assert found.column("text").to_pylist() == told.to_pylist()
    back = [None if one is None else float(one) for one in found.column("number").to_pylist()]
    assert back == numbers.to_pylist()


@pytest.fixture
def database_url(state_url: str) -> str:
    """Give a database of each kind with a table in it."""
    if state_url.startswith("sqlite"):
        path = Path(state_url.removeprefix("sqlite:///"))
        path.parent.mkdir(parents=True)
        sqlite3.connect(path).close()
    engine = sa.create_engine(state_url)
    table = sa.Table(
        "flights",
        sa.MetaData(),
        sa.Column("id", sa.Integer),
        sa.Column("price", sa.Numeric(10, 2)),
        sa.Column("late", sa.Float),
        sa.Column("carrier", sa.String),
        sa.Column("at", sa.DateTime),
    )
    with engine.begin() as connection:
        table.create(connection)
        connection.exec_driver_sql(
            "INSERT INTO flights SELECT id, 2.5, CASE WHEN id < 22000 THEN NULL ELSE id * 0.5 END, "
            "'UA', '2013-01-01 10:30:00' FROM (WITH RECURSIVE n(id) AS (SELECT 0 UNION ALL "
            "SELECT id + 1 FROM n WHERE id < 24999) SELECT id FROM n) AS ids"
        )
    engine.dispose()
    return state_url


def test_a_query_is_read_in_pieces(sources: DataSources, database_url: str) -> None:
    """All rows come, with the types that all of them have: a column may begin with nulls."""
    found = fetched(sources, database_url, query="flights")
    assert (found.num_rows, found.column("id").to_pylist()[-1]) == (MANY, MANY - 1)
    assert [str(one) for one in found.schema.types][:4] == ["int64", "double", "double", "string"]
    some = fetched(sources, database_url, query="SELECT id FROM flights WHERE carrier = 'x:y'")
    assert (some.num_rows, some.column_names) == (0, ["id"])


@pytest.mark.parametrize("query", ["DELETE FROM flights", "DROP TABLE flights", "nonsense of it"])
def test_a_query_cannot_write(sources: DataSources, database_url: str, query: str) -> None:
    """A database is only read: what would change it is refused, and nothing is changed."""
    with pytest.raises(DatabaseReadError):
        fetched(sources, database_url, query=query)
    assert fetched(sources, database_url, query="SELECT id FROM flights").num_rows == MANY


def test_no_secret_is_told(sources: DataSources, database_url: str) -> None:
    """What is said of a source, in success as in failure, has no password in it."""
    url = sa.make_url(database_url)
    if url.get_backend_name() == "postgresql":
        url = url.set(password=SECRET)
    told = url.render_as_string(hide_password=False)
    with sources.fetch(DataSource(location=told, query="flights")) as found:
        assert SECRET not in found.source
        assert found.source.endswith(": flights")


@pytest.mark.enable_socket
@pytest.mark.parametrize(
    "location", ["env:ROWS_URL", f"postgresql://ann:{SECRET}@127.0.0.1:1/rows?application_name=x"]
)
def test_a_server_that_does_not_answer_is_told(sources: DataSources, location: str) -> None:
    """The address is named, and the password is not."""
    with pytest.raises(DatabaseReadError) as caught:
        fetched(sources, location, query="flights")
    assert "127.0.0.1" in str(caught.value)
    assert SECRET not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize(
    ("location", "query"),
    [
        ("env:NOT_THERE", "t"),
        ("env:EMPTY", "t"),
        (f"mysql://ann:{SECRET}@host/rows", "t"),
        (f"no url at all://{SECRET}", "t"),
        ("sqlite:////nowhere/rows.db", "t"),
        ("rows.txt", ""),
        ("nowhere.csv", ""),
    ],
)
def test_a_source_that_is_none_is_told(sources: DataSources, location: str, query: str) -> None:
    """What cannot be read is refused in words that repeat no secret."""
    with pytest.raises(DataSourceError) as caught:
        fetched(sources, location, query=query)
    assert SECRET not in str(caught.value)


FETCH = """
import os, signal, sys
from pathlib import Path
from servewell.adapters.embedded.data_sources import FileDataSources
from servewell.ports.data_sources import DataSource
sources = FileDataSources(Path(sys.argv[1]), {})
with sources.fetch(DataSource(location=sys.argv[2])) as found:
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_kill_leaves_nothing(sources: DataSources, tmp_path: Path, scratch: Path) -> None:
    """What a killed process fetched is never read, and gone with the next one that fetches."""
    path = csv(tmp_path, "a", "1")
    killed = subprocess.run([sys.executable, "-c", FETCH, str(scratch), str(path)], check=False)
    assert killed.returncode == -signal.SIGKILL
    [left] = scratch.iterdir()
    with sources.fetch(DataSource(location=str(path))):
        assert not left.exists()
        assert [one.name.partition("-")[0] for one in scratch.iterdir()] == [str(os.getpid())]
    assert list(scratch.iterdir()) == []


def test_statistics_tell_no_personal_value(sources: DataSources, tmp_path: Path) -> None:
    """Numbers, texts and times are described; of a personal column only counts are."""
    rows = pa.table(
        {
            "name": ["ann", "bob", None],
            "age": [40, 50, None],
            "day": pa.array([1, 2, None], pa.date32()),
        }
    )
    pq.write_table(rows, tmp_path / "rows.parquet")
    plain = {one.name: one for one in sources.statistics(tmp_path / "rows.parquet", personal=())}
    assert plain["name"].top == (("ann", 1), ("bob", 1))
    assert (plain["age"].mean, plain["age"].quantiles[-1]) == (45.0, 50.0)
    assert (plain["day"].first, plain["day"].last) == ("1970-01-02", "1970-01-03")
    [name, *_] = sources.statistics(tmp_path / "rows.parquet", personal=("name",))
    assert (name.missing, name.distinct, name.top, name.personal) == (1, 2, (), True)


@pytest.mark.parametrize("rows", [2, MANY])
def test_a_column_of_several_kinds_is_told(sources: DataSources, tmp_path: Path, rows: int) -> None:
    """Within one piece of the answer or across two, without a value of it."""
    path = tmp_path / "mixed.db"
    with closing(sqlite3.connect(path)) as database:
        database.execute("CREATE TABLE t (x)")
        database.executemany("INSERT INTO t VALUES (?)", [(b"1",)] * (rows - 1) + [("hush",)])
        database.execute("INSERT INTO t VALUES (7)")
        database.commit()
    with pytest.raises(DataSourceError, match="values of several kinds") as refused:
        fetched(sources, f"sqlite:///{path}", query="t")
    assert "hush" not in str(refused.value)
    assert "CAST" in refused.value.fix
