"""Dataset versions in the database of the state."""

from dataclasses import replace

import sqlalchemy as sa

from servewell.adapters.embedded.database import Database
from servewell.adapters.embedded.history import keep_change
from servewell.adapters.embedded.state_tables import (
    DATASET,
    DATASET_VERSION,
    next_number,
    row_of,
    value_of,
)
from servewell.core.catalog.change import Change
from servewell.core.catalog.dataset import DatasetPolicy, DatasetVersion
from servewell.ports.datasets import DatasetMissingError

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
            if found := connection.execute(same).mappings().first():
                known = value_of(found, DatasetVersion)
                if known.removed_at is None:
                    return known
                back = replace(version, number=known.number)
                connection.execute(_update(back))
                return back
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

    def get(self, name: str, number: int | None = None) -> DatasetVersion:
        """See `Datasets.get`."""
        query = sa.select(DATASET_VERSION).where(ROWS.name == name).order_by(ROWS.number.desc())
        query = query.where(ROWS.removed_at.is_(None) if number is None else ROWS.number == number)
        with self._database.reading() as connection:
            found = connection.execute(query.limit(1)).mappings().first()
        if found is None:
            raise _missing(name, number)
        return value_of(found, DatasetVersion)

    def remove(self, version: DatasetVersion, change: Change) -> None:
        """See `Datasets.remove`."""
        with self._database.writing() as connection:
            if not connection.execute(_update(version)).rowcount:
                raise _missing(version.name, version.number)
            keep_change(connection, change)

    def policies(self) -> dict[str, DatasetPolicy]:
        """See `Datasets.policies`."""
        with self._database.reading() as connection:
            found = connection.execute(sa.select(DATASET)).mappings().all()
        return {row["name"]: value_of(row, DatasetPolicy) for row in found}

    def set_policy(self, policy: DatasetPolicy, change: Change) -> None:
        """See `Datasets.set_policy`."""
        with self._database.writing() as connection:
            connection.execute(sa.delete(DATASET).where(DATASET.c.name == policy.name))
            connection.execute(sa.insert(DATASET).values(row_of(policy)))
            keep_change(connection, change)


def _update(version: DatasetVersion) -> sa.Update:
    same = (ROWS.name == version.name, ROWS.number == version.number)
    return sa.update(DATASET_VERSION).where(*same).values(row_of(version))


def _missing(name: str, number: int | None) -> DatasetMissingError:
    reference = name if number is None else f"{name}:{number}"
    return DatasetMissingError(
        f"There is no dataset `{reference}`.",
        why="nothing of that name and number is kept in this home",
        fix="`servewell data list` lists what is; `servewell data add` adds to it",
    )
