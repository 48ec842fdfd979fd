"""Dataset versions in the database of the state."""

from dataclasses import replace

import sqlalchemy as sa

from servewell.adapters.embedded.database import Database
from servewell.adapters.embedded.state_tables import DATASET_VERSION, next_number, row_of, value_of
from servewell.core.catalog.dataset import DatasetVersion

ROWS = DATASET_VERSION.c


class SqlDatasets:
    """`Datasets` in SQLite or PostgreSQL."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, version: DatasetVersion) -> DatasetVersion:
        """See `Datasets.add`."""
        same_name = ROWS.name == version.name
        same = sa.select(DATASET_VERSION).where(same_name, ROWS.digest == version.digest)
        with self._database.writing() as connection:
            if known := connection.execute(same).mappings().first():
                return value_of(known, DatasetVersion)
            kept = replace(version, number=next_number(connection, ROWS.number, same_name))
            connection.execute(sa.insert(DATASET_VERSION).values(row_of(kept)))
        return kept

    def list(self, name: str | None = None) -> tuple[DatasetVersion, ...]:
        """See `Datasets.list`."""
        query = sa.select(DATASET_VERSION).order_by(ROWS.created_at, ROWS.name, ROWS.number)
        if name is not None:
            query = sa.select(DATASET_VERSION).where(ROWS.name == name).order_by(ROWS.number)
        with self._database.reading() as connection:
            found = connection.execute(query).mappings().all()
        return tuple(value_of(row, DatasetVersion) for row in found)
