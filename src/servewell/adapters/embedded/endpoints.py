"""Endpoints in the database of the state."""

from dataclasses import replace

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from servewell.adapters.embedded.database import Database
from servewell.adapters.embedded.history import keep_change
from servewell.adapters.embedded.state_tables import ENDPOINT, row_of, value_of
from servewell.core.catalog.change import Change
from servewell.core.catalog.endpoint import Endpoint
from servewell.ports.endpoints import EndpointMissingError
from servewell.ports.state import StateConflictError

ROWS = ENDPOINT.c


class SqlEndpoints:
    """`Endpoints` in SQLite or PostgreSQL."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def get(self, name: str) -> Endpoint:
        """See `Endpoints.get`."""
        with self._database.reading() as connection:
            query = sa.select(ENDPOINT).where(ROWS.name == name)
            found = connection.execute(query).mappings().first()
        if found is None:
            raise EndpointMissingError.of(name)
        return value_of(found, Endpoint)

    def list(self) -> tuple[Endpoint, ...]:
        """See `Endpoints.list`."""
        with self._database.reading() as connection:
            found = connection.execute(sa.select(ENDPOINT)).mappings().all()
        return tuple(sorted((value_of(row, Endpoint) for row in found), key=lambda one: one.name))

    def save(self, endpoint: Endpoint, change: Change) -> Endpoint:
        """See `Endpoints.save`."""
        with self._database.writing() as connection:
            return keep_endpoint(connection, endpoint, change)


def keep_endpoint(connection: Connection, endpoint: Endpoint, change: Change) -> Endpoint:
    """Keep an endpoint within a transaction of `Database.writing`.

    Raises: StateConflictError.
    """
    same = ROWS.name == endpoint.name
    revision = connection.execute(sa.select(ROWS.revision).where(same)).scalar() or 0
    if revision != endpoint.revision:
        raise _conflict(endpoint, revision)
    kept = replace(endpoint, revision=keep_change(connection, change))
    connection.execute(sa.delete(ENDPOINT).where(same))
    connection.execute(sa.insert(ENDPOINT).values(row_of(kept)))
    return kept


def keep_with(connection: Connection, endpoint: Endpoint | None, change: Change | None) -> None:
    """Keep what goes with another value in its transaction: a change, and the endpoint it changes.

    Raises: StateConflictError.
    """
    if endpoint is not None and change is not None:
        keep_endpoint(connection, endpoint, change)
    elif change is not None:
        keep_change(connection, change)


def _conflict(endpoint: Endpoint, revision: int) -> StateConflictError:
    return StateConflictError(
        f"The endpoint `{endpoint.name}` was changed by somebody else.",
        why=f"it is at revision {revision}; this change was made for revision {endpoint.revision}",
        fix="`servewell history` shows what was done; do the same again if it is still right",
    )
