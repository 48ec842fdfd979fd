"""Model versions in the database of the state."""

from dataclasses import replace

import sqlalchemy as sa

from servewell.adapters.embedded.database import Database
from servewell.adapters.embedded.state_tables import MODEL_VERSION, next_number, row_of, value_of
from servewell.core.catalog.model import ModelVersion
from servewell.ports.registry import ModelMissingError

ROWS = MODEL_VERSION.c


class SqlRegistry:
    """`Registry` in SQLite or PostgreSQL."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, version: ModelVersion) -> ModelVersion:
        """See `Registry.add`."""
        same_model = ROWS.model == version.model
        same = sa.select(MODEL_VERSION).where(same_model, ROWS.package == version.package)
        with self._database.writing() as connection:
            if known := connection.execute(same).mappings().first():
                return value_of(known, ModelVersion)
            kept = replace(version, number=next_number(connection, ROWS.number, same_model))
            connection.execute(sa.insert(MODEL_VERSION).values(row_of(kept)))
        return kept

    def get(self, model: str, number: int | None = None) -> ModelVersion:
        """See `Registry.get`."""
        query = sa.select(MODEL_VERSION).where(ROWS.model == model).order_by(ROWS.number.desc())
        if number is not None:
            query = query.where(ROWS.number == number)
        with self._database.reading() as connection:
            found = connection.execute(query.limit(1)).mappings().first()
        if found is None:
            raise _missing(model, number)
        return value_of(found, ModelVersion)

    def list(self, model: str | None = None) -> tuple[ModelVersion, ...]:
        """See `Registry.list`."""
        query = sa.select(MODEL_VERSION).order_by(ROWS.created_at, ROWS.model, ROWS.number)
        if model is not None:
            query = sa.select(MODEL_VERSION).where(ROWS.model == model).order_by(ROWS.number)
        with self._database.reading() as connection:
            found = connection.execute(query).mappings().all()
        return tuple(value_of(row, ModelVersion) for row in found)


def _missing(model: str, number: int | None) -> ModelMissingError:
    return ModelMissingError(
        f"There is no model `{model}`." if number is None else f"There is no `{model}:{number}`.",
        why="no run has made it, and it was not imported",
        fix="`servewell models list` shows what there is; `servewell up` makes one",
    )
