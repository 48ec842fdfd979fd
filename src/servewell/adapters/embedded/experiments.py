"""Experiments in the database of the state."""

from dataclasses import replace

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from servewell.adapters.embedded.database import Database
from servewell.adapters.embedded.endpoints import keep_with
from servewell.adapters.embedded.state_tables import EXPERIMENT, row_of, value_of
from servewell.core.catalog.change import Change
from servewell.core.catalog.endpoint import Endpoint
from servewell.core.catalog.experiment import Experiment
from servewell.ports.experiments import ExperimentMissingError, busy
from servewell.ports.state import StateConflictError

ROWS = EXPERIMENT.c


class SqlExperiments:
    """`Experiments` in SQLite or PostgreSQL."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def save(
        self,
        experiment: Experiment,
        *,
        endpoint: Endpoint | None = None,
        change: Change | None = None,
    ) -> Experiment:
        """See `Experiments.save`."""
        kept = replace(experiment, revision=experiment.revision + 1)
        with self._database.writing() as connection:
            _refuse_other(connection, experiment)
            keep_with(connection, endpoint, change)
            connection.execute(sa.delete(EXPERIMENT).where(ROWS.id == experiment.id))
            connection.execute(sa.insert(EXPERIMENT).values(row_of(kept)))
        return kept

    def get(self, experiment_id: str) -> Experiment:
        """See `Experiments.get`."""
        query = sa.select(EXPERIMENT).where(ROWS.id == experiment_id)
        with self._database.reading() as connection:
            found = connection.execute(query).mappings().first()
        if found is None:
            raise ExperimentMissingError(
                f"There is no experiment `{experiment_id}`.",
                why="none of that endpoint or id was ever started in this home",
                fix="`servewell experiments list` shows them; `servewell experiments start` "
                "begins one",
            )
        return value_of(found, Experiment)

    def list(
        self, endpoint: str | None = None, *, open_only: bool = False
    ) -> tuple[Experiment, ...]:
        """See `Experiments.list`."""
        query = sa.select(EXPERIMENT).order_by(ROWS.began_at, ROWS.id)
        if endpoint is not None:
            query = query.where(ROWS.endpoint == endpoint)
        if open_only:
            query = query.where(ROWS.ended_at.is_(None))
        with self._database.reading() as connection:
            found = connection.execute(query).mappings().all()
        return tuple(value_of(row, Experiment) for row in found)


def _refuse_other(connection: Connection, experiment: Experiment) -> None:
    """Refuse an experiment that is not as it was read, or a second one of its endpoint."""
    query = sa.select(ROWS.revision, ROWS.ended_at).where(ROWS.id == experiment.id)
    known = connection.execute(query).first()
    revision, ended_at = (0, None) if known is None else known
    if revision != experiment.revision or ended_at is not None:
        raise StateConflictError(
            f"The experiment of `{experiment.endpoint}` is not as it was read.",
            why="it has ended" if ended_at else "somebody else observed it meanwhile",
            fix=f"`servewell experiments show {experiment.endpoint}` says where it stands",
        )
    same = sa.select(ROWS.id).where(
        ROWS.endpoint == experiment.endpoint, ROWS.ended_at.is_(None), ROWS.id != experiment.id
    )
    if connection.execute(same).first():
        raise busy(experiment.endpoint)
