"""What tracking servers have been sent, in the database of the state."""

import sqlalchemy as sa

from servewell.adapters.embedded.database import Database
from servewell.adapters.embedded.state_tables import TRACKED, row_of, value_of
from servewell.core.catalog.tracked import Tracked

ROWS = TRACKED.c


class SqlMirrors:
    """`Mirrors` in SQLite or PostgreSQL."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def keep(self, tracked: Tracked) -> None:
        """See `Mirrors.keep`."""
        same = (ROWS.run == tracked.run, ROWS.url == tracked.url)
        with self._database.writing() as connection:
            connection.execute(sa.delete(TRACKED).where(*same))
            connection.execute(sa.insert(TRACKED).values(row_of(tracked)))

    def list(self, url: str) -> tuple[Tracked, ...]:
        """See `Mirrors.list`."""
        query = sa.select(TRACKED).where(ROWS.url == url).order_by(ROWS.run)
        with self._database.reading() as connection:
            found = connection.execute(query).mappings().all()
        return tuple(value_of(row, Tracked) for row in found)
