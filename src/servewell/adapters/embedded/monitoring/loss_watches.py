"""How far the losses of endpoints were watched, in the database of the state."""

from typing import Final

import msgspec
import sqlalchemy as sa

from servewell.adapters.embedded.database import Database
from servewell.adapters.embedded.state_tables import LOSS_WATCH
from servewell.core.catalog.loss_watch import LossWatch

ROWS: Final = LOSS_WATCH.c


class SqlLossWatches:
    """`LossWatches` in SQLite or PostgreSQL."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def of(self, endpoint: str) -> LossWatch:
        """See `LossWatches.of`."""
        query = sa.select(ROWS.body).where(ROWS.endpoint == endpoint)
        with self._database.reading() as connection:
            body = connection.execute(query).scalar()
        if body is None:
            return LossWatch(endpoint=endpoint)
        return msgspec.json.decode(body, type=LossWatch)

    def advance(self, watch: LossWatch, *, cursor: int) -> bool:
        """See `LossWatches.advance`."""
        same = ROWS.endpoint == watch.endpoint
        values = {"cursor": watch.cursor, "body": msgspec.json.encode(watch)}
        with self._database.writing() as connection:
            known = connection.execute(sa.select(ROWS.cursor).where(same)).scalar()
            if (known or 0) != cursor:
                return False
            if known is None:
                row = {"endpoint": watch.endpoint, **values}
                connection.execute(sa.insert(LOSS_WATCH).values(row))
            else:
                connection.execute(sa.update(LOSS_WATCH).where(same).values(values))
        return True
