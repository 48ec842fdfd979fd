"""The database of the state: SQLite in a file, or PostgreSQL by URL, through SQLAlchemy Core.

Whoever writes takes turns with every other writer, in SQLite by `BEGIN IMMEDIATE` and in
PostgreSQL by one advisory lock held to the end of the transaction. Writes of the state are rare
and short, and so every number in it can be the next one, without a gap.
"""

import os
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from threading import Lock
from typing import Final

import sqlalchemy as sa
from sqlalchemy.engine import URL, Connection, Engine
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import ArgumentError
from sqlalchemy.pool import ConnectionPoolEntry, PoolProxiedConnection

from servewell.adapters.embedded.atomic_file import ensure_folder, sync_folder
from servewell.adapters.embedded.database_faults import shown, state_faults
from servewell.ports.state import StateUnavailableError

MIGRATIONS: Final = Path(__file__).parent / "migrations"
NEWEST: Final = "0004"  # the last file in `migrations/versions`
WAIT_S: Final = 10  # for another writer, and for a server to take the connection
WRITES: Final = "servewell_writes"
TURN: Final = 0x5345_5256  # any number that no other program of that database uses


class Database:
    """Gives connections, each with one transaction, to read or to write."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._writer = engine.execution_options(**{WRITES: True})
        self._looking: PoolProxiedConnection | None = None
        self._alone = Lock()

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Give a connection to read with.

        Raises: StateUnavailableError.
        """
        with state_faults(self._engine.url), self._engine.begin() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """Give a connection to write with, alone; all of it is kept at the end, or nothing.

        Raises: StateUnavailableError.
        """
        with state_faults(self._engine.url), self._writer.begin() as connection:
            if connection.dialect.name == "postgresql":
                connection.execute(sa.text(f"SET LOCAL lock_timeout = '{WAIT_S}s'"))
                connection.execute(sa.select(sa.func.pg_advisory_xact_lock(TURN)))
            yield connection

    def token(self) -> object:
        """Return a value that differs whenever anything was kept; in PostgreSQL it always does.

        Source: https://sqlite.org/pragma.html#pragma_data_version: it tells of what other
        connections kept, and this one is for nothing else.

        Raises: StateUnavailableError.
        """
        if self._engine.dialect.name != "sqlite":
            return object()
        with state_faults(self._engine.url), self._alone:
            if self._looking is None:
                self._looking = self._engine.raw_connection()
                self._looking.detach()
            with closing(self._looking.cursor()) as cursor:
                cursor.execute("PRAGMA data_version")
                return cursor.fetchone()

    def migrate(self) -> None:
        """Bring the tables to what this release needs; cheap where they are.

        Raises: StateUnavailableError, also where a newer release has been here.
        """
        with self.reading() as connection:
            found = _version(connection)
        if found > NEWEST:
            raise self._too_new(found)
        if found < NEWEST:
            with self.writing() as connection:
                if _version(connection) < NEWEST:
                    _upgrade(connection)

    def empty_log(self) -> None:
        """Leave nothing of what was removed in SQLite's write-ahead log.

        It waits for readers as any writer does; what they hold up, the next one empties.

        Raises: StateUnavailableError.
        """
        if self._engine.dialect.name != "sqlite":
            return
        with state_faults(self._engine.url), closing(self._engine.raw_connection()) as connection:
            connection.cursor().execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def close(self) -> None:
        """Close the connections. They open again when needed."""
        if self._looking is not None:
            self._looking.close()
            self._looking = None
        self._engine.dispose()

    def _too_new(self, found: str) -> StateUnavailableError:
        return StateUnavailableError(
            f"The state in `{shown(self._engine.url)}` belongs to a newer release of Servewell.",
            why=f"its tables are at version {found}, and this release knows them up to {NEWEST}",
            fix="install the newer release again, or restore a backup from before it",
        )


def open_database(url: str) -> Database:
    """Return the database at an SQLAlchemy URL, `sqlite:///FILE` or `postgresql+psycopg://…`.

    The file and its folder are made for this user alone. No table is made: see `migrate`.

    Raises: StateUnavailableError.
    """
    try:
        address = sa.make_url(url)
    except (ArgumentError, ValueError) as error:
        raise _unusable_url("it is not an SQLAlchemy URL") from error
    return Database(
        _sqlite(address) if address.get_backend_name() == "sqlite" else _server(address)
    )


def _sqlite(url: URL) -> Engine:
    if url.database in (None, "", ":memory:"):
        raise _unusable_url("it names no file, and state in memory is gone with its process")
    with state_faults(url):
        _make_file(Path(str(url.database)))
    engine = sa.create_engine(url, hide_parameters=True, connect_args={"timeout": WAIT_S})
    sa.event.listen(engine, "connect", _prepare_sqlite)
    sa.event.listen(engine, "begin", _begin_sqlite)
    return engine


def _server(url: URL) -> Engine:
    if find_spec("psycopg") is None:
        raise StateUnavailableError(
            f"The state in `{shown(url)}` cannot be used.",
            why="this installation has no driver for PostgreSQL",
            fix="install it with `pip install 'servewell[postgres]'`",
        )
    return sa.create_engine(
        url,
        hide_parameters=True,
        pool_pre_ping=True,
        isolation_level="READ COMMITTED",  # each statement sees what the turn before it kept
        connect_args={"connect_timeout": WAIT_S},
    )


def _make_file(path: Path) -> None:
    ensure_folder(path.parent)
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
        sync_folder(path.parent)


def _prepare_sqlite(connection: DBAPIConnection, _: ConnectionPoolEntry) -> None:
    connection.isolation_level = None  # `_begin_sqlite` says when a transaction begins
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode = WAL")
    cursor.execute("PRAGMA synchronous = FULL")
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.execute("PRAGMA secure_delete = ON")  # what is erased is overwritten
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    writes = connection.get_execution_options().get(WRITES)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _version(connection: Connection) -> str:
    """Return the version of the tables, as sortable text; empty before the first."""
    if not sa.inspect(connection).has_table("alembic_version"):
        return ""
    return str(
        connection.execute(sa.text("SELECT version_num FROM alembic_version")).scalar() or ""
    )


def _upgrade(connection: Connection) -> None:
    from alembic import command  # noqa: PLC0415  (slow to import, and needed once a release)
    from alembic.config import Config  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def _unusable_url(why: str) -> StateUnavailableError:
    return StateUnavailableError(
        "SERVEWELL_DATABASE_URL cannot be used.",
        why=why,
        fix="write `sqlite:///FILE` or `postgresql+psycopg://USER:PASSWORD@HOST/DATABASE`",
    )
