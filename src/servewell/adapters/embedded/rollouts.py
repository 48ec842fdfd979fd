"""Rollouts in the database of the state."""

from dataclasses import replace

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from servewell.adapters.embedded.database import Database
from servewell.adapters.embedded.endpoints import keep_with
from servewell.adapters.embedded.state_tables import ROLLOUT, row_of, value_of
from servewell.core.catalog.change import Change
from servewell.core.catalog.endpoint import Endpoint
from servewell.core.catalog.rollout import Rollout
from servewell.ports.rollouts import RolloutMissingError, busy
from servewell.ports.state import StateConflictError

ROWS = ROLLOUT.c


class SqlRollouts:
    """`Rollouts` in SQLite or PostgreSQL."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def save(
        self, rollout: Rollout, *, endpoint: Endpoint | None = None, change: Change | None = None
    ) -> Rollout:
        """See `Rollouts.save`."""
        kept = replace(rollout, revision=rollout.revision + 1)
        with self._database.writing() as connection:
            _refuse_other(connection, rollout)
            keep_with(connection, endpoint, change)
            connection.execute(sa.delete(ROLLOUT).where(ROWS.id == rollout.id))
            connection.execute(sa.insert(ROLLOUT).values(row_of(kept)))
        return kept

    def get(self, rollout_id: str) -> Rollout:
        """See `Rollouts.get`."""
        query = sa.select(ROLLOUT).where(ROWS.id == rollout_id)
        with self._database.reading() as connection:
            found = connection.execute(query).mappings().first()
        if found is None:
            raise RolloutMissingError(
                f"There is no rollout `{rollout_id}`.",
                why="none of that id was ever started in this home",
                fix="`servewell rollouts list` shows them",
            )
        return value_of(found, Rollout)

    def list(self, endpoint: str | None = None, *, open_only: bool = False) -> tuple[Rollout, ...]:
        """See `Rollouts.list`."""
        query = sa.select(ROLLOUT).order_by(ROWS.began_at, ROWS.id)
        if endpoint is not None:
            query = query.where(ROWS.endpoint == endpoint)
        if open_only:
            query = query.where(ROWS.ended_at.is_(None))
        with self._database.reading() as connection:
            found = connection.execute(query).mappings().all()
        return tuple(value_of(row, Rollout) for row in found)


def _refuse_other(connection: Connection, rollout: Rollout) -> None:
    """Refuse a rollout that is not as it was read, or a second one of its endpoint."""
    query = sa.select(ROWS.revision, ROWS.ended_at).where(ROWS.id == rollout.id)
    known = connection.execute(query).first()
    revision, ended_at = (0, None) if known is None else known
    if revision != rollout.revision or ended_at is not None:
        raise StateConflictError(
            f"The rollout of `{rollout.endpoint}` has moved on.",
            why="it has ended" if ended_at else "somebody else moved it since it was read",
            fix=f"`servewell rollouts show {rollout.endpoint}` says where it stands",
        )
    same = sa.select(ROWS.id, ROWS.candidate_version).where(
        ROWS.endpoint == rollout.endpoint, ROWS.ended_at.is_(None), ROWS.id != rollout.id
    )
    if other := connection.execute(same).first():
        raise busy(rollout.endpoint, other.candidate_version)
