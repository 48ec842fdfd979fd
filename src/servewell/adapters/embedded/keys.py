"""API keys, as digests, in the database of the state."""

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from servewell.adapters.embedded.database import Database
from servewell.adapters.embedded.history import keep_change
from servewell.adapters.embedded.state_tables import API_KEY, row_of, value_of
from servewell.core.catalog.change import Change
from servewell.core.catalog.key import ApiKey
from servewell.ports.keys import KeyMissingError
from servewell.ports.state import StateConflictError

ROWS = API_KEY.c


class SqlKeys:
    """`Keys` in SQLite or PostgreSQL."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def save(self, keys: tuple[ApiKey, ...], change: Change) -> None:
        """See `Keys.save`."""
        with self._database.writing() as connection:
            for key in keys:
                _keep(connection, key)
            keep_change(connection, change)

    def get(self, key_id: str) -> ApiKey:
        """See `Keys.get`."""
        with self._database.reading() as connection:
            query = sa.select(API_KEY).where(ROWS.id == key_id)
            found = connection.execute(query).mappings().first()
        if found is None:
            raise KeyMissingError(
                f"There is no key `{key_id}`.",
                why="no key of this home has that id",
                fix="`servewell keys list` shows them; `servewell keys create` makes one",
            )
        return value_of(found, ApiKey)

    def list(self) -> tuple[ApiKey, ...]:
        """See `Keys.list`."""
        with self._database.reading() as connection:
            query = sa.select(API_KEY).order_by(ROWS.created_at, ROWS.id)
            found = connection.execute(query).mappings().all()
        return tuple(value_of(row, ApiKey) for row in found)


def _keep(connection: Connection, key: ApiKey) -> None:
    same = ROWS.id == key.id
    revoked_at = connection.execute(sa.select(ROWS.revoked_at).where(same)).scalar()
    if revoked_at is not None and key.revoked_at is None:
        raise StateConflictError(
            f"The key `{key.id}` was revoked.",
            why="a key that was revoked stays revoked",
            fix="make a new one with `servewell keys create`",
        )
    connection.execute(sa.delete(API_KEY).where(same))
    connection.execute(sa.insert(API_KEY).values(row_of(key)))
