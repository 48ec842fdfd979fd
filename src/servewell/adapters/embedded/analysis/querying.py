"""Answers one query: one statement that reads, within its bounds, from the views alone."""

import resource
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import duckdb
import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from servewell.adapters.embedded.analysis.exchange import QueryOrder, WorkFiles
from servewell.adapters.embedded.analysis.label_rows import read_labels
from servewell.adapters.embedded.analysis.views import LABELS, bind
from servewell.ports.record_queries import (
    Answered,
    QueryInvalidError,
    QueryRefusedError,
    QueryTooLargeError,
    SqlQuery,
)

ROWS_AT_ONCE: Final = 10_000
THREADS: Final = 2
READS: Final = duckdb.StatementType.SELECT
# The parts of a query that read. Others, which may stand in a WITH, write.
READING_NODES: Final = frozenset(
    {"SELECT_NODE", "SET_OPERATION_NODE", "RECURSIVE_CTE_NODE", "CTE_NODE"}
)
HIDING: Final = frozenset({"query", "json_execute_serialized_sql"})  # run SQL that is in a text
# How DuckDB says that something does not fit; the rest of its errors speak of the SQL.
TOO_LARGE: Final = (duckdb.OutOfMemoryException, MemoryError)
UNSTORABLE: Final = (pa.types.is_union, pa.types.is_interval, pa.types.is_null)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Written:
    """What was written of an answer."""

    schema: pa.Schema
    rows: int
    cut: bool


def answer(order: QueryOrder, files: WorkFiles) -> Answered:
    """Answer a query; its rows are in `files.answer`.

    Raises: QueryInvalidError, QueryRefusedError, QueryTooLargeError, OSError.
    """
    query = order.query
    _bound_disk(query.disk_bytes_max)
    connection = duckdb.connect(":memory:")
    statement = _statement(connection, query)
    _configure(connection, query, files.spill)
    labels = _bind_labels(connection, order.labels)
    bound = bind(connection, order.records, query)
    close_doors(connection)
    written = _written(connection, statement, query, files.answer)
    return Answered(
        columns=tuple(written.schema.names),
        types=tuple(str(one.type) for one in written.schema),
        rows=written.rows,
        cut=written.cut,
        files=bound.files,
        segments=bound.segments,
        newest=bound.newest,
        views=(*bound.views, LABELS),
        left_out=tuple(bound.left_out),
        labels=labels,
    )


def _bound_disk(bytes_max: int) -> None:
    """Let no file of this process grow beyond this."""
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (bytes_max, hard))


def _statement(connection: duckdb.DuckDBPyConnection, query: SqlQuery) -> str:
    """Return the one statement of a query. Raises: QueryInvalidError, QueryRefusedError."""
    try:
        found = connection.extract_statements(query.sql)
    except duckdb.Error as error:
        raise _invalid(query, error) from error
    if len(found) != 1 or found[0].type != READS:
        raise _refused(", ".join(one.type.name for one in found) or "nothing")
    statement = found[0].query.rstrip().rstrip(";")
    for part in _parts(_parsed(connection, statement)):
        node, function = str(part.get("type", "")), str(part.get("function_name", ""))
        if node.endswith("_NODE") and node not in READING_NODES:
            raise _refused(f"a SELECT with a {node.removesuffix('_NODE').removesuffix('_QUERY')}")
        if function in HIDING:
            raise _refused(f"a SELECT that runs a text by `{function}`")
    return statement


def _parsed(connection: duckdb.DuckDBPyConnection, statement: str) -> dict[str, object]:
    """Return how DuckDB reads a SELECT. Raises: QueryRefusedError."""
    found = connection.execute("SELECT json_serialize_sql($sql)", {"sql": statement}).fetchall()
    tree = msgspec.json.decode(found[0][0], type=dict[str, object])
    if tree["error"]:
        raise _refused("a SELECT that cannot be looked through")
    return tree


def _parts(tree: object) -> Iterator[dict[str, object]]:
    """Yield every object within what DuckDB read."""
    waiting = [tree]
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict):
            yield one
            waiting += one.values()
        elif isinstance(one, list):
            waiting += one


def _refused(found: str) -> QueryRefusedError:
    return QueryRefusedError(
        f"A query of the prediction log is one SELECT; this is: {found}.",
        why="the prediction log is only read: nothing is written, attached, loaded or set",
        fix="ask with one SELECT, WITH, FROM, DESCRIBE or SUMMARIZE; `--plan` shows how it would "
        "be answered",
    )


def _configure(connection: duckdb.DuckDBPyConnection, query: SqlQuery, spill: Path) -> None:
    settings = {
        "TimeZone": "UTC",
        "threads": THREADS,
        "memory_limit": f"{query.memory_bytes_max}B",
        "temp_directory": str(spill),
        "max_temp_directory_size": f"{query.disk_bytes_max}B",
        "autoinstall_known_extensions": False,
        "autoload_known_extensions": False,
        "python_enable_replacements": False,
        "preserve_insertion_order": False,
    }
    for name, value in settings.items():
        connection.execute(f"SET {name} = $value", {"value": value})


def close_doors(connection: duckdb.DuckDBPyConnection) -> None:
    """Leave no file within reach: what may be read is registered."""
    connection.execute("SET enable_external_access = false")
    connection.execute("SET lock_configuration = true")


def _bind_labels(connection: duckdb.DuckDBPyConnection, path: Path) -> int:
    """Make the view of the labels; return how many there are."""
    table = read_labels(path)
    connection.register("known_labels", table)
    connection.execute(
        f"CREATE VIEW {LABELS} AS "  # noqa: S608 - our own name
        "SELECT *, try_cast(value AS DOUBLE) AS number FROM known_labels"
    )
    return int(table.num_rows)


def _written(
    connection: duckdb.DuckDBPyConnection, statement: str, query: SqlQuery, path: Path
) -> _Written:
    """Write the rows of an answer. Raises: QueryInvalidError, QueryTooLargeError, OSError."""
    try:
        asked = f"EXPLAIN {statement}" if query.plan else statement
        return _write(_asked(connection, asked).to_arrow_reader(ROWS_AT_ONCE), query, path)
    except TOO_LARGE as error:
        raise _too_large(query, str(error)) from error
    except (duckdb.Error, pa.ArrowInvalid) as error:
        raise _invalid(query, error) from error
    except OSError as error:
        raise _too_large(query, f"{error}") from error


def _asked(connection: duckdb.DuckDBPyConnection, sql: str) -> duckdb.DuckDBPyRelation:
    try:
        return connection.sql(sql)
    except duckdb.Error:
        connection.execute(sql)  # fails likewise, and says where
        raise


def _write(reader: pa.RecordBatchReader, query: SqlQuery, path: Path) -> _Written:
    schema = _storable(reader.schema)
    rows = 0
    cut = False
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        for batch in _batches(reader, schema):
            left = None if query.rows_max is None else query.rows_max - rows
            cut = left is not None and len(batch) > left
            part = batch.slice(0, left) if cut else batch
            writer.write_table(part)
            rows += len(part)
            if cut:
                break
    return _Written(schema=schema, rows=rows, cut=cut)


def _storable(schema: pa.Schema) -> pa.Schema:
    """Return the schema with names that differ, and texts for what no file holds."""
    names: list[str] = []
    for name in schema.names:
        free = (name, *(f"{name}_{number}" for number in range(2, len(schema) + 2)))
        names.append(next(one for one in free if one not in names))
    types = [pa.string() if _is_unstorable(one.type) else one.type for one in schema]
    return pa.schema(list(zip(names, types, strict=True)))


def _is_unstorable(kind: pa.DataType) -> bool:
    return any(is_such(kind) for is_such in UNSTORABLE)


def _batches(reader: pa.RecordBatchReader, schema: pa.Schema) -> Iterator[pa.Table]:
    for batch in reader:
        columns = [
            pa.array([None if one is None else str(one) for one in column.to_pylist()], pa.string())
            if _is_unstorable(column.type)
            else column
            for column in batch.columns
        ]
        yield pa.Table.from_arrays(columns, schema=schema)


def _invalid(query: SqlQuery, error: Exception) -> QueryInvalidError:
    """Return what DuckDB says, with the place in the SQL that it points to."""
    head, _, pointer = str(error).partition("\n\nLINE ")
    what = " ".join(head.split())
    why = f"LINE {pointer}" if pointer else f"it was asked: {' '.join(query.sql.split())[:200]}"
    return QueryInvalidError(
        what if what.endswith((".", "!", "?")) else f"{what}.",
        why=why.rstrip(),
        fix="`servewell records query 'SHOW TABLES'` names the views, and "
        "`… 'DESCRIBE predictions'` their columns",
    )


def _too_large(query: SqlQuery, told: str) -> QueryTooLargeError:
    return QueryTooLargeError(
        "The query needs more memory or disk than it may take.",
        why=" ".join(told.split())[:300],
        fix=f"ask for less: fewer columns, fewer hours, sums instead of rows; it may take "
        f"{query.memory_bytes_max >> 20} MiB of memory (`--memory`)",
    )
