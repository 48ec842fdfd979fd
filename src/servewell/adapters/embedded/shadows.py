"""Shadows in the database of the state."""

from dataclasses import replace
from typing import Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from servewell.adapters.embedded.database import Database
from servewell.adapters.embedded.endpoints import keep_endpoint
from servewell.adapters.embedded.state_tables import SHADOW, row_of, value_of
from servewell.core.catalog.change import Change
from servewell.core.catalog.endpoint import Endpoint
from servewell.core.catalog.shadow import ShadowRun
from servewell.ports.state import StateConflictError

ROWS: Final = SHADOW.c


class SqlShadows:
    """`Shadows` in SQLite or PostgreSQL."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def save(
        self, run: ShadowRun, *, endpoint: Endpoint | None = None, change: Change | None = None
    ) -> ShadowRun:
        """See `Shadows.save`."""
        kept = replace(run, revision=run.revision + 1)
        with self._database.writing() as connection:
            _refuse_other(connection, run)
            if endpoint is not None and change is not None:
                keep_endpoint(connection, endpoint, change)
            connection.execute(sa.delete(SHADOW).where(ROWS.endpoint == run.endpoint))
            connection.execute(sa.insert(SHADOW).values(row_of(kept)))
        return kept

    def list(
        self, endpoint: str | None = None, *, open_only: bool = False
    ) -> tuple[ShadowRun, ...]:
        """See `Shadows.list`."""
        query = sa.select(SHADOW).order_by(ROWS.endpoint)
        if endpoint is not None:
            query = query.where(ROWS.endpoint == endpoint)
        if open_only:
            query = query.where(ROWS.ended_at.is_(None))
        with self._database.reading() as connection:
            found = connection.execute(query).mappings().all()
        return tuple(value_of(row, ShadowRun) for row in found)


def _refuse_other(connection: Connection, run: ShadowRun) -> None:
    """Refuse a shadow that is not as it was read, and a new one beside one that has not ended."""
    query = sa.select(ROWS.revision, ROWS.ended_at).where(ROWS.endpoint == run.endpoint)
    known = connection.execute(query).first()
    anew = run.revision == 0 and (known is None or known.ended_at is not None)
    if anew or (known is not None and known.revision == run.revision):
        return
    raise StateConflictError(
        f"The shadow of `{run.endpoint}` is another one by now.",
        why="somebody else started, stopped or observed it since it was read",
        fix="do the same again: it is read anew",
    )
