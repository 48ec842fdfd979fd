"""The contract of `RecordQueries`: SQL that reads the prediction log and nothing else."""

from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ports.written_log import START_S, TEXTS, Log, answered, refused
from servewell.adapters.embedded.analysis.record_queries import ProcessRecordQueries
from servewell.adapters.embedded.records import FileRecords
from servewell.core.catalog.label import Label
from servewell.core.security.visibility import Sight
from servewell.errors import ServewellError
from servewell.ports.record_queries import (
    Answered,
    QueryInvalidError,
    QueryRefusedError,
    QueryTooLargeError,
    RecordQueries,
    SqlQuery,
)

HOUR = 3_600


@pytest.fixture(params=["embedded"])
def queries(tmp_path: Path) -> RecordQueries:
    """Each adapter, over the log in `records`."""
    return ProcessRecordQueries(tmp_path / "records", tmp_path / "scratch")


@pytest.fixture
def log(tmp_path: Path) -> Log:
    """Three hours of `flights`, one of `trains`: compacted, and later records that are not."""
    folder = tmp_path / "records"
    written = Log(FileRecords(folder), folder)
    written.write("w0-1-1", [answered(n, after_s=n * HOUR) for n in range(3)])
    written.write("w0-2-1", [answered(10, endpoint="trains"), refused(11)])
    written.compact()
    texts = {"package": TEXTS.package, "inputs": [["a"], [True]], "outputs": [["yes"]]}
    written.write("w0-3-1", [answered(20, after_s=4 * HOUR), answered(21, **texts)])
    return written


def ask(queries: RecordQueries, sql: str, **how: Any) -> tuple[list[tuple[Any, ...]], Answered]:  # noqa: ANN401 - fields of any type
    """Return the rows of an answer, and what is told of it."""
    with queries.answer(SqlQuery(sql=sql, **how), ()) as answer:
        rows = [tuple(row.values()) for some in answer.rows() for row in some]
        return rows, answer.told


def label(number: int, value: str | float) -> Label:
    """Return the truth of one prediction."""
    return Label(
        prediction_id=f"id-{number:06d}",
        row=0,
        endpoint="flights",
        deployment="champion",
        role="",
        predicted_at=START_S,
        value=value,
        added_at=START_S + 5,
        principal="ada",
        source="truth.csv",
    )


@pytest.mark.usefixtures("log")
def test_records_are_there_once_compacted_or_not(queries: RecordQueries) -> None:
    """Records of files and of open segments are counted once, and how far they reach is told."""
    rows, told = ask(queries, "SELECT endpoint, count(*) FROM predictions GROUP BY 1 ORDER BY 1")
    assert rows == [("flights", 6), ("trains", 1)]
    assert (told.files, told.segments) == (5, 1)
    assert told.newest == pytest.approx(START_S + 4 * HOUR, abs=1)
    assert told.views == ("flights", "trains", "predictions", "labels")


def test_only_the_partitions_needed_are_read(queries: RecordQueries, log: Log) -> None:
    """A question about one hour of one endpoint opens no file of others, and the plan says so."""
    sql = "SELECT count(*) FROM predictions WHERE endpoint = 'flights' AND hour = '2023-11-15T00'"
    [(_, plan)], _ = ask(queries, sql, plan=True)
    assert "2023-11-15T00" in plan
    from servewell.adapters.embedded.analysis import views  # noqa: PLC0415 - DuckDB is an extra

    with duckdb.connect(":memory:") as connection:
        bound = views.bind(connection, log.folder, SqlQuery(sql=sql))
        for path in log.folder.rglob("*.parquet"):
            if "hour=2023-11-15T00" not in str(path) or "endpoint=flights" not in str(path):
                path.unlink()
        assert connection.execute(sql).fetchall() == [(1,)]
        with pytest.raises(duckdb.Error):
            connection.execute("SELECT sum(rows) FROM predictions").fetchall()
        assert bound.files == 5


def test_types_of_files_are_united(queries: RecordQueries, log: Log) -> None:
    """A column that one file lacks, or has in a narrower type, is one column of the view."""
    first, second, *_ = sorted(log.folder.rglob("endpoint=flights/*/*.parquet"))
    table = pq.read_table(first, partitioning=None)
    pq.write_table(table.drop_columns("role"), first)
    table = pq.read_table(second, partitioning=None)
    narrow = table["status"].cast(pa.int16())
    place = table.column_names.index("status")
    pq.write_table(table.set_column(place, "status", narrow), second)
    sql = "SELECT role, typeof(status), count(*) FROM flights GROUP BY ALL ORDER BY 3"
    rows, _ = ask(queries, sql)
    assert rows == [(None, "BIGINT", 1), ("", "BIGINT", 5)]


@pytest.mark.usefixtures("log")
def test_time_and_endpoint_bound_what_is_read(queries: RecordQueries) -> None:
    """`since`, `until` and `endpoint` hold for every view."""
    how = {"since": START_S + HOUR, "until": START_S + 2 * HOUR, "endpoint": "flights"}
    rows, told = ask(queries, "SELECT prediction_id FROM predictions", **how)
    assert rows == [("id-000001",)]
    assert "trains" not in told.views


@pytest.mark.usefixtures("log")
def test_who_may_see_one_endpoint_sees_no_other(queries: RecordQueries, tmp_path: Path) -> None:
    """The views and the files of other endpoints are out of reach."""
    sight = Sight(endpoints=("trains",), because="a key")
    rows, told = ask(queries, "SELECT DISTINCT endpoint FROM predictions", sight=sight)
    assert rows == [("trains",)]
    assert told.views == ("trains", "predictions", "labels")
    files = tmp_path / "records" / "parquet" / "endpoint=flights" / "*" / "*.parquet"
    with pytest.raises(QueryInvalidError, match="Permission"):
        ask(queries, f"FROM read_parquet('{files}')", sight=sight)


@pytest.mark.usefixtures("log")
def test_labels_are_joined(queries: RecordQueries) -> None:
    """The labels that are given can be joined by prediction and row."""
    sql = "SELECT p.prediction_id, l.number FROM flights p JOIN labels l USING (prediction_id, row)"
    with queries.answer(SqlQuery(sql=sql), [[label(1, 2.5)], [label(99, "x")]]) as answer:
        assert [row for some in answer.rows() for row in some] == [
            {"prediction_id": "id-000001", "number": 2.5}
        ]


@pytest.mark.parametrize(
    ("sql", "error"),
    [
        ("SELECT * FROM read_csv('/etc/passwd')", QueryInvalidError),
        ("SELECT * FROM read_text('/proc/self/environ')", QueryInvalidError),
        ("SELECT * FROM '/etc/passwd'", QueryInvalidError),
        ("SELECT * FROM glob('/**')", QueryInvalidError),
        ("SELECT * FROM read_csv('http://127.0.0.1:1/x')", QueryInvalidError),
        ("SELECT * FROM query('COPY (SELECT 1) TO ''/dev/null''')", QueryRefusedError),
        ("SELECT * FROM json_execute_serialized_sql('{}')", QueryRefusedError),
        ("WITH x AS (DELETE FROM flights) SELECT * FROM x", QueryRefusedError),
        ("SELECT (WITH x AS (INSERT INTO flights SELECT 1) SELECT 1)", QueryRefusedError),
        ("COPY (SELECT 1) TO 'x.csv'", QueryRefusedError),
        ("EXPLAIN ANALYZE COPY (SELECT 1) TO 'x.csv'", QueryRefusedError),
        ("ATTACH 'x.db'", QueryRefusedError),
        ("INSTALL httpfs", QueryRefusedError),
        ("LOAD httpfs", QueryRefusedError),
        ("PRAGMA database_list", QueryRefusedError),
        ("SET memory_limit = '1TB'", QueryRefusedError),
        ("DROP VIEW flights", QueryRefusedError),
        ("CREATE TABLE mine AS SELECT 1", QueryRefusedError),
        ("SELECT 1; SELECT 2", QueryRefusedError),
        ("-- nothing", QueryRefusedError),
        ("EXPORT DATABASE 'x'", QueryRefusedError),
    ],
)
def test_nothing_but_reading_the_log(log: Log, sql: str, error: type[ServewellError]) -> None:
    """What would read another file, write, attach, load or set is refused with a reason."""
    # In this process, which is many times faster than one of its own for each.
    from servewell.adapters.embedded.analysis import exchange, label_rows, querying  # noqa: PLC0415

    files = exchange.WorkFiles(log.folder.parent)
    label_rows.keep_labels((), files.labels)
    order = exchange.QueryOrder(
        query=SqlQuery(sql=sql, disk_bytes_max=1 << 40), records=log.folder, labels=files.labels
    )
    with pytest.raises(error):
        querying.answer(order, files)


COPY = "WITH x AS (COPY (SELECT 2 j WHERE false) TO '{file}' (FORMAT parquet)) SELECT * FROM x"


@pytest.mark.parametrize(
    "sql",
    [
        COPY,
        "SELECT * FROM json_execute_serialized_sql(json_serialize_sql('{quoted}'))",
        "SELECT * FROM query('{quoted}')",
    ],
)
def test_no_query_writes(queries: RecordQueries, log: Log, sql: str) -> None:
    """What would write within a SELECT, or within a text, is refused, and no file changes."""
    files = sorted(one for one in log.folder.rglob("*") if one.is_file())
    before = [one.read_bytes() for one in files]
    copy = COPY.format(file=next(one for one in files if one.suffix == ".parquet"))
    with pytest.raises(QueryRefusedError, match=r"COPY|runs a text"):
        ask(queries, copy if sql == COPY else sql.format(quoted=copy.replace("'", "''")))
    assert sorted(one for one in log.folder.rglob("*") if one.is_file()) == files
    assert [one.read_bytes() for one in files] == before


def test_no_file_is_within_reach_of_duckdb(log: Log) -> None:
    """What passed for a SELECT all the same could neither write a file of the log nor read one."""
    from servewell.adapters.embedded.analysis import querying, views  # noqa: PLC0415 - an extra

    path = next(log.folder.rglob("*.parquet"))
    before = path.read_bytes()
    with duckdb.connect(":memory:") as connection:
        views.bind(connection, log.folder, SqlQuery(sql=""))
        querying.close_doors(connection)
        for sql in (COPY.format(file=path), f"FROM read_parquet('{path}')"):
            with pytest.raises(duckdb.PermissionException):
                connection.execute(sql)
        assert connection.execute("SELECT count(*) FROM predictions").fetchall() == [(7,)]
    assert path.read_bytes() == before


def test_an_error_says_where(queries: RecordQueries) -> None:
    """A fault in the SQL names the line and points to the place."""
    with pytest.raises(QueryInvalidError) as caught:
        ask(queries, "SELECT *\nFROM predictions\nWHERE colour = 1")
    assert "colour" in caught.value.what
    assert caught.value.why.startswith("LINE 3: WHERE colour = 1")
    assert caught.value.why.rstrip().endswith("^^^^^^")


def test_what_takes_too_long_or_too_much_is_ended(queries: RecordQueries, tmp_path: Path) -> None:
    """A huge cross join ends at its time, a huge text at its memory; nothing is left behind."""
    huge = "SELECT count(*) FROM range(10000000) a, range(10000000) b WHERE a.range + b.range = 7"
    with pytest.raises(QueryTooLargeError, match="after 2 s"):
        ask(queries, huge, timeout_s=2)
    texts = "SELECT string_agg(repeat('x', 100000)) FROM range(100000)"
    with pytest.raises(QueryTooLargeError, match="memory"):
        ask(queries, texts, memory_bytes_max=64 << 20)
    assert list((tmp_path / "scratch").iterdir()) == []


@pytest.mark.usefixtures("log")
def test_an_answer_is_kept_whole_or_cut_and_said(queries: RecordQueries, tmp_path: Path) -> None:
    """Rows beyond the limit are cut and said; a file holds them with their types."""
    rows, told = ask(queries, "SELECT * FROM range(30000)", rows_max=7)
    assert (len(rows), told.rows, told.cut) == (7, 7, True)
    sql = "SELECT 1 AS a, 2 AS a, time, interval 1 day AS i, [1.5] AS l FROM flights LIMIT 2"
    with queries.answer(SqlQuery(sql=sql), ()) as answer:
        answer.save(tmp_path / "kept.parquet")
        answer.save(tmp_path / "kept.csv", as_csv=True)
    assert pq.read_table(tmp_path / "kept.parquet").column_names == ["a", "a_2", "time", "i", "l"]
    assert (tmp_path / "kept.csv").read_text().splitlines()[0] == "a,a_2,time,i,l"


def test_a_corrupt_file_is_left_out_and_named(queries: RecordQueries, log: Log) -> None:
    """What cannot be read hides nothing else."""
    [file] = [one for one in log.folder.rglob("*.parquet") if "endpoint=trains" in str(one)]
    file.write_bytes(b"no Parquet")
    rows, told = ask(queries, "SELECT count(*) FROM predictions")
    assert rows == [(6,)]
    assert told.left_out == (file.name,)


def test_an_empty_log_is_no_error(queries: RecordQueries) -> None:
    """Before the first record there are views with all columns of a request, and no row."""
    rows, told = ask(queries, "SELECT count(*), count(endpoint), count(role) FROM predictions")
    assert rows == [(0, 0, 0)]
    assert told.newest is None
