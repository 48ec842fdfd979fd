"""The history in the database of the state. Triggers there refuse to alter or remove a change."""

from collections.abc import Collection
from dataclasses import replace

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from servewell.adapters.embedded.database import Database
from servewell.adapters.embedded.state_tables import CHANGE, next_number, row_of, value_of
from servewell.core.catalog.change import Change, ChangeKind

ROWS = CHANGE.c


class SqlHistory:
    """`History` in SQLite or PostgreSQL."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def keep(self, change: Change) -> int:
        """See `History.keep`."""
        with self._database.writing() as connection:
            return keep_change(connection, change)

    def changes(
        self,
        subject: str | None = None,
        *,
        since: float | None = None,
        until: float | None = None,
        kinds: Collection[ChangeKind] | None = None,
    ) -> tuple[Change, ...]:
        """See `History.changes`."""
        query = sa.select(CHANGE).order_by(ROWS.revision)
        if subject is not None:
            query = query.where(ROWS.subject == subject)
        if since is not None:
            query = query.where(ROWS.at >= since)
        if until is not None:
            query = query.where(ROWS.at <= until)
        if kinds is not None:
            query = query.where(ROWS.kind.in_([one.value for one in kinds]))
        with self._database.reading() as connection:
            found = connection.execute(query).mappings().all()
        return tuple(value_of(row, Change) for row in found)

    def revision(self) -> int:
        """See `History.revision`."""
        with self._database.reading() as connection:
            return next_number(connection, ROWS.revision) - 1

    def token(self) -> object:
        """See `History.token`."""
        return self._database.token()


def keep_change(connection: Connection, change: Change) -> int:
    """Keep a change within a transaction of `Database.writing`; return the revision it got."""
    revision = next_number(connection, ROWS.revision)
    connection.execute(sa.insert(CHANGE).values(row_of(replace(change, revision=revision))))
    return revision
