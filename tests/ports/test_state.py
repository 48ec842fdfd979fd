"""What holds for the state as a whole, and what a person is told when it cannot be used."""

import os
import sqlite3
import stat
import subprocess
import sys
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from servewell.adapters.embedded.database import MIGRATIONS, NEWEST, Database, open_database
from servewell.adapters.embedded.datasets import SqlDatasets
from servewell.adapters.embedded.state_tables import METADATA
from servewell.ports.state import StateUnavailableError

MIGRATE = """
import os, sys
from servewell.adapters.embedded.database import open_database
print("ready", flush=True)
sys.stdin.read()
database = open_database(os.environ["STATE_URL"])
database.migrate()
database.close()
"""
MIGRATE_AGAIN = """
import os, sys
from servewell.adapters.embedded.database import open_database
database = open_database(os.environ["STATE_URL"])
database.migrate()
database.close()
print("alembic" in sys.modules)
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Return the place of an SQLite database that does not exist yet."""
    return tmp_path / "home" / "servewell.db"


def opened(file: Path) -> Database:
    """Open an SQLite file."""
    return open_database(f"sqlite:///{file}")


def test_migrated_tables_are_those_of_this_release(database: Database) -> None:
    """The migrations lead to what the adapters use, and a second run changes nothing."""
    for _ in range(2):
        database.migrate()
        with database.reading() as connection:
            context = MigrationContext.configure(connection, opts={"compare_type": True})
            assert compare_metadata(context, METADATA) == []
            assert context.get_current_revision() == NEWEST


def test_the_newest_migration_is_the_one_named() -> None:
    """`NEWEST` is kept beside the files by hand; this sees that it is right."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    assert ScriptDirectory.from_config(config).get_heads() == [NEWEST]


def test_processes_that_start_at_once_migrate_once(state_url: str) -> None:
    """Each finds the tables made, whoever made them."""
    command, pipe = [sys.executable, "-c", MIGRATE], subprocess.PIPE
    environment = {**os.environ, "STATE_URL": state_url}
    started = [
        subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, env=environment)
        for _ in range(3)
    ]
    for process in started:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in started:
        assert process.stdin is not None
        process.stdin.close()
    for process in started:
        with process:
            assert process.wait() == 0


def test_tables_that_are_right_cost_no_migration_library(
    database: Database, state_url: str
) -> None:
    """A command does not wait for Alembic to load where nothing is to be done."""
    database.migrate()
    environment = {**os.environ, "STATE_URL": state_url}
    command = [sys.executable, "-c", MIGRATE_AGAIN]
    done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    assert done.stdout == "False\n"


def test_a_newer_release_is_left_alone(database: Database) -> None:
    """An older release does not touch what it does not know."""
    with database.writing() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(StateUnavailableError, match="newer release") as caught:
        database.migrate()
    assert "9999" in caught.value.why
    assert "newer release" in caught.value.fix


def test_a_failed_block_leaves_nothing(database: Database) -> None:
    """All of a transaction is kept, or nothing."""
    with pytest.raises(ZeroDivisionError):
        _keep_a_key_and_fail(database)
    with database.reading() as connection:
        assert connection.execute(sa.text("SELECT count(*) FROM api_key")).scalar() == 0


def test_a_server_that_was_restarted_is_found_again(database: Database) -> None:
    """Connections that the server has closed are replaced without anybody noticing."""
    with database.reading() as connection:
        if connection.dialect.name != "postgresql":
            pytest.skip("a file closes no connection")
        own = connection.execute(sa.text("SELECT pg_backend_pid()")).scalar_one()
    with pytest.raises(StateUnavailableError), database.reading() as connection:
        connection.execute(sa.text(f"SELECT pg_terminate_backend({own})"))
    assert SqlDatasets(database).list() == ()


def test_the_file_is_for_this_user_alone(file: Path) -> None:
    """The database, its log and its folder."""
    database = opened(file)
    database.migrate()
    places = [file.parent, *file.parent.glob("servewell.db*")]
    assert [stat.S_IMODE(place.stat().st_mode) & 0o077 for place in places] == [0] * len(places)
    database.close()


def test_every_connection_is_durable(file: Path) -> None:
    """Write-ahead log, and a commit returns when it is on the disk."""
    database = opened(file)
    with database.reading() as connection:
        pragmas = ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        found = [connection.exec_driver_sql(f"PRAGMA {one}").scalar() for one in pragmas]
    assert found == ["wal", 2, 1, 10_000]
    database.close()


@pytest.mark.parametrize("damage", [b"not a database at all\n" * 100, b"SQLite format 3\0" * 300])
def test_a_corrupt_file_is_kept_and_explained(file: Path, damage: bytes) -> None:
    """What is damaged is not touched; the message says what to do."""
    file.parent.mkdir()
    file.write_bytes(damage)
    with pytest.raises(StateUnavailableError, match=r"servewell\.db") as caught:
        opened(file).migrate()
    assert "left as it is" in caught.value.why
    assert "restore it from a backup" in caught.value.fix
    assert file.read_bytes() == damage


def test_damage_within_the_file_is_explained(file: Path) -> None:
    """A page that was overwritten is found when it is read, and said to be damage."""
    database = opened(file)
    database.migrate()
    database.close()
    with sqlite3.connect(file) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        page = connection.execute(
            "SELECT rootpage FROM sqlite_schema WHERE name = 'dataset_version'"
        ).fetchone()[0]
        size = connection.execute("PRAGMA page_size").fetchone()[0]
    connection.close()
    content = bytearray(file.read_bytes())
    content[(page - 1) * size : page * size] = b"\xff" * size
    file.write_bytes(content)
    database = opened(file)
    with pytest.raises(StateUnavailableError) as caught:
        SqlDatasets(database).list()
    assert "damaged" in caught.value.why
    database.close()


def test_a_file_in_the_way_is_explained(file: Path) -> None:
    """A home that cannot be used gives the reason and the next step."""
    file.parent.write_text("a file where the home should be")
    with pytest.raises(StateUnavailableError) as caught:
        opened(file)
    assert caught.value.why == "a file stands where a folder must be"


def test_a_folder_in_the_way_is_explained(file: Path) -> None:
    """SQLite's own refusal is turned into words."""
    file.mkdir(parents=True)
    with pytest.raises(StateUnavailableError) as caught:
        opened(file).migrate()
    assert "cannot be opened" in caught.value.why


@pytest.mark.parametrize(
    "url", ["", "nonsense", "sqlite://", "sqlite:///:memory:", "postgresql+psycopg://h:port/d"]
)
def test_an_address_that_cannot_be_used_is_explained(url: str) -> None:
    """The message names the setting and the forms that it may have."""
    with pytest.raises(StateUnavailableError, match="SERVEWELL_DATABASE_URL") as caught:
        open_database(url)
    assert "sqlite:///FILE" in caught.value.fix


@pytest.mark.parametrize(
    "address",
    ["ada:hunter2@127.0.0.1:1/state", "127.0.0.1:1/state?user=ada&password=hunter2"],
)
def test_a_server_that_does_not_answer_is_named_without_its_password(address: str) -> None:
    """The host and the database are shown, the password never."""
    database = open_database(f"postgresql+psycopg://{address}")
    with pytest.raises(StateUnavailableError, match=r"postgresql://127\.0\.0\.1/state") as caught:
        database.migrate()
    assert "PostgreSQL says" in caught.value.why
    assert "SERVEWELL_DATABASE_URL" in caught.value.fix
    assert "hunter2" not in f"{caught.value} {database!r}"
    database.close()


def _keep_a_key_and_fail(database: Database) -> None:
    insert = (
        "INSERT INTO api_key (id, digest, principal, role, endpoints, created_at) "
        "VALUES ('i', 'd', 'p', 'r', '[]', 1)"
    )
    with database.writing() as connection:
        connection.execute(sa.text(insert))
        raise ZeroDivisionError
