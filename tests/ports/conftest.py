"""What the contract tests of the state share: a fresh database of each kind."""

import os
import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from servewell.adapters.embedded.database import Database, open_database

POSTGRES_URL = "SERVEWELL_TEST_POSTGRES_URL"


@pytest.fixture(params=["sqlite", "postgresql"])
def state_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Give the URL of an empty database: a new file, or a new schema of a real server."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'state' / 'servewell.db'}"
        return
    if POSTGRES_URL not in os.environ:
        pytest.skip(f"{POSTGRES_URL} names no server")
    yield from _schema(sa.make_url(os.environ[POSTGRES_URL]).set(drivername="postgresql+psycopg"))


@pytest.fixture
def database(state_url: str) -> Iterator[Database]:
    """Give a migrated, empty database of each kind."""
    opened = open_database(state_url)
    opened.migrate()
    yield opened
    opened.close()


def _schema(server: sa.URL) -> Iterator[str]:
    name = f"test_{secrets.token_hex(8)}"
    engine = sa.create_engine(server, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(sa.schema.CreateSchema(name))
    url = server.update_query_dict({"options": f"-csearch_path={name}"})
    yield url.render_as_string(hide_password=False)
    with engine.connect() as connection:
        connection.execute(sa.schema.DropSchema(name, cascade=True))
    engine.dispose()
