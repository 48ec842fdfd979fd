"""The main job with the state in PostgreSQL."""

import os
import secrets
from collections.abc import Iterator
from http import HTTPStatus

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.engine import make_url

from journeys.house import House

URL = os.environ.get("SERVEWELL_TEST_POSTGRES_URL", "")

pytestmark = [
    pytest.mark.enable_socket,
    pytest.mark.skipif(not URL, reason="SERVEWELL_TEST_POSTGRES_URL names no server"),
]


@pytest.fixture
def database() -> Iterator[str]:
    """Return the URL of a fresh database; drop it afterwards."""
    name = f"journey_{secrets.token_hex(8)}"
    engine = create_engine(URL, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    yield make_url(URL).set(database=name).render_as_string(hide_password=False)
    with engine.connect() as connection:
        connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
    engine.dispose()


def test_the_same_file_with_another_database(ready_house: House, database: str) -> None:
    """Served, changed and rolled back, and nothing of the state is in the home."""
    ready_house.environment = {"SERVEWELL_DATABASE_URL": database}
    key = ready_house.up()["key"]
    ready_house.up_second()
    assert ready_house.ask(key)[1]["model_version"] == "2"
    ready_house.run("rollback", "small")
    assert ready_house.ask(key)[1]["model_version"] == "1"
    assert not list(ready_house.home.glob("*.db"))
    files = [file for file in ready_house.home.rglob("*") if file.is_file()]
    address = database.partition("://")[2].encode()
    assert not any(address in file.read_bytes() for file in files)
    assert ready_house.ask("wrong")[0] == HTTPStatus.UNAUTHORIZED
