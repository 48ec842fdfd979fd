"""The answer of a database as Parquet, in pieces.

Each piece of rows is kept as Arrow reads it, and the types are joined when all are there: a column
may begin with nulls, or with whole numbers.
"""

import re
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq
import sqlalchemy as sa
from sqlalchemy.engine import URL, Connection
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from servewell.adapters.embedded.database_faults import shown
from servewell.ports.data_sources import DatabaseReadError, DataSourceError

PIECE_ROWS: Final = 20_000
WAIT_S: Final = 10
DRIVERS: Final = {"sqlite": "sqlite", "postgresql": "postgresql+psycopg"}
TABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_.]*")


def source_of(url: URL, query: str) -> str:
    """Return where rows are from as it may be told."""
    return f"{'sqlite:///' if url.get_backend_name() == 'sqlite' else ''}{shown(url)}: {query}"


def read_url(text: str, *, told: str) -> URL:
    """Return the address of a database; `told` is what to call it.

    Raises: DataSourceError.
    """
    try:
        url = sa.make_url(text)
        backend = url.get_backend_name()
    except (ArgumentError, ValueError):
        raise _unusable(told, "it is no URL of a database") from None  # the cause repeats the URL
    if backend not in DRIVERS:
        raise _unusable(told, f"databases of the kind `{backend}` are not read")
    if backend == "sqlite" and not (url.database and Path(url.database).is_file()):
        raise _unusable(told, f"there is no file `{url.database or ''}`")
    if backend == "postgresql" and find_spec("psycopg") is None:
        raise DataSourceError(
            f"Rows cannot be taken from {told}.",
            why="this installation has no driver for PostgreSQL",
            fix="install it with `pip install 'servewell[postgres]'`",
        )
    return url.set(drivername=DRIVERS[backend])


def convert_query(url: URL, query: str, target: Path) -> None:
    """Write what a query answers, or all rows of the table that it names, as Parquet.

    Raises: DataSourceError, DatabaseReadError, OSError.
    """
    if not query.strip():
        raise DataSourceError(
            "It is not said which rows to read.",
            why="a database has many tables",
            fix="name a table, or write SQL: `--query flights`, `--query 'SELECT … FROM …'`",
        )
    with _reading(url) as connection:
        found = connection.execute(_statement(query), execution_options={"yield_per": PIECE_ROWS})
        if not found.returns_rows:
            raise _refused(url, "the query gives no rows")
        pieces = target.with_suffix(".pieces")
        schema = _spool(found, pieces)
    _join(pieces, target, schema)


@contextmanager
def _reading(url: URL) -> Iterator[Connection]:
    """Give a connection that cannot write; its faults come without a secret."""
    arguments = {"timeout" if url.get_backend_name() == "sqlite" else "connect_timeout": WAIT_S}
    engine = sa.create_engine(url, hide_parameters=True, connect_args=arguments)
    try:
        with engine.connect() as connection:
            if url.get_backend_name() == "sqlite":
                connection.exec_driver_sql("PRAGMA query_only = ON")
            else:
                connection.exec_driver_sql("SET TRANSACTION READ ONLY")
            yield connection
    except SQLAlchemyError as error:
        raise _refused(url, _without_secrets(error, url)) from None  # the cause repeats the URL
    finally:
        engine.dispose()


def _statement(query: str) -> sa.TextClause | sa.Select[Any]:
    if not TABLE.fullmatch(query.strip()):
        return sa.text(query.replace(":", "\\:"))  # nothing is bound: a colon is a colon
    *schema, name = query.strip().split(".")
    return sa.select(sa.text("*")).select_from(sa.table(name, schema=".".join(schema) or None))


def _spool(found: sa.CursorResult[Any], pieces: Path) -> pa.Schema:
    """Write the pieces one after another, each with the types that it has; return those of all."""
    names = _unique(list(found.keys()))
    schemas: list[pa.Schema] = []
    with pieces.open("wb") as file:
        for rows in found.partitions(PIECE_ROWS):
            columns = zip(names, zip(*rows, strict=True), strict=True)
            arrays = [_array(name, column) for name, column in columns]
            table = pa.table(arrays, names=names)
            schemas.append(table.schema)
            with pa.ipc.new_stream(file, table.schema) as writer:
                writer.write_table(table)
    empty = pa.schema([(name, pa.null()) for name in names])
    try:
        joined = pa.unify_schemas([empty, *schemas], promote_options="permissive")
    except pa.ArrowException:  # its words may hold values
        raise _mixed("A column") from None
    return pa.schema(
        [(one.name, pa.string() if pa.types.is_null(one.type) else one.type) for one in joined]
    )


def _array(name: str, values: Iterable[object]) -> pa.Array:
    try:
        return pa.array([_plain(one) for one in values])
    except (pa.ArrowException, OverflowError):  # its words hold values
        raise _mixed(f"The column `{name}`") from None


def _mixed(column: str) -> DataSourceError:
    return DataSourceError(
        f"{column} of the answer holds values of several kinds.",
        why="a column is kept with one kind: numbers, texts, times, or true and false",
        fix="turn it into one in the query, as with `CAST(x AS TEXT) AS x`",
    )


def _join(pieces: Path, target: Path, schema: pa.Schema) -> None:
    with pieces.open("rb") as file, pq.ParquetWriter(target, schema) as writer:
        while file.peek(1):
            table = pa.ipc.open_stream(file).read_all()
            try:
                writer.write_table(table.cast(schema))
            except pa.ArrowException:  # its words may hold values
                raise _mixed("A column") from None


def _unique(names: list[str]) -> list[str]:
    """Return the names, or refuse them where two columns share one."""
    twice = sorted({one for one in names if names.count(one) > 1})
    if twice:
        raise DataSourceError(
            f"Two columns of the answer are called `{twice[0]}`.",
            why="a column is found by its name",
            fix="give each column of the query a name of its own with `AS`",
        )
    return names


def _plain(value: object) -> object:
    if isinstance(value, Decimal):
        return float(value)
    return str(value) if isinstance(value, uuid.UUID | dict | list) else value


def _without_secrets(error: SQLAlchemyError, url: URL) -> str:
    said = getattr(error, "orig", None) or error
    text = next(iter(str(said).splitlines()), type(said).__name__)
    secrets = [url.password, *map(str, url.query.values())]
    return re.sub("|".join(re.escape(one) for one in secrets if one) or r"(?!)", "***", text)


def _refused(url: URL, why: str) -> DatabaseReadError:
    return DatabaseReadError(
        f"Rows cannot be read from `{shown(url)}`.",
        why=f"the database says: {why}",
        fix="check the address, the query and the rights of that user; nothing was kept",
    )


def _unusable(told: str, why: str) -> DataSourceError:
    return DataSourceError(
        f"Rows cannot be taken from {told}.",
        why=why,
        fix="name a `.csv` or `.parquet` file, `sqlite:///FILE`, `postgresql://HOST/DATABASE`, or "
        "`env:NAME` of a variable that holds such a URL",
    )
