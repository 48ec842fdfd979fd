"""What is kept to tell how right predictions are, in the database of the state."""

import msgspec
import sqlalchemy as sa

from servewell.adapters.embedded.database import Database
from servewell.adapters.embedded.state_tables import LOSS_WATCH, QUALITY_REFERENCE
from servewell.core.catalog.loss_watch import LossWatch
from servewell.core.catalog.quality_reference import QualityReference


class SqlQualityFacts:
    """`QualityFacts` in SQLite or PostgreSQL."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def keep_reference(self, reference: QualityReference) -> None:
        """See `QualityFacts.keep_reference`."""
        with self._database.writing() as connection:
            known = sa.select(QUALITY_REFERENCE.c.package)
            same = known.where(QUALITY_REFERENCE.c.package == reference.package)
            if connection.execute(same).first() is None:
                row = {
                    "package": reference.package,
                    "made_at": reference.made_at,
                    "body": msgspec.json.encode(reference),
                }
                connection.execute(sa.insert(QUALITY_REFERENCE).values(row))

    def reference(self, package: str) -> QualityReference | None:
        """See `QualityFacts.reference`."""
        query = sa.select(QUALITY_REFERENCE.c.body).where(QUALITY_REFERENCE.c.package == package)
        with self._database.reading() as connection:
            body = connection.execute(query).scalar()
        return None if body is None else msgspec.json.decode(body, type=QualityReference)

    def watch(self, endpoint: str) -> LossWatch:
        """See `QualityFacts.watch`."""
        query = sa.select(LOSS_WATCH.c.body).where(LOSS_WATCH.c.endpoint == endpoint)
        with self._database.reading() as connection:
            body = connection.execute(query).scalar()
        return LossWatch(endpoint=endpoint) if body is None else _watch(body)

    def advance(self, watch: LossWatch, *, cursor: int) -> bool:
        """See `QualityFacts.advance`."""
        same = LOSS_WATCH.c.endpoint == watch.endpoint
        values = {"cursor": watch.cursor, "body": msgspec.json.encode(watch)}
        with self._database.writing() as connection:
            query = sa.select(LOSS_WATCH.c.cursor).where(same)
            known = connection.execute(query).scalar()
            if (known or 0) != cursor:
                return False
            if known is None:
                row = {"endpoint": watch.endpoint, **values}
                connection.execute(sa.insert(LOSS_WATCH).values(row))
            else:
                connection.execute(sa.update(LOSS_WATCH).where(same).values(values))
        return True


def _watch(body: bytes) -> LossWatch:
    return msgspec.json.decode(body, type=LossWatch)
