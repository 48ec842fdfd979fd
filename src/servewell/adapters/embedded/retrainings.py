"""Retrainings in the database of the state."""

from dataclasses import replace

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from servewell.adapters.embedded.database import Database
from servewell.adapters.embedded.history import keep_change
from servewell.adapters.embedded.state_tables import RETRAINING, next_number, row_of, value_of
from servewell.core.catalog.change import Change
from servewell.core.catalog.retraining import MOVES, OPEN, Retraining, RetrainState
from servewell.ports.retrainings import RetrainingBusyError, RetrainingMissingError
from servewell.ports.state import StateConflictError

ROWS = RETRAINING.c


class SqlRetrainings:
    """`Retrainings` in SQLite or PostgreSQL."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def save(
        self, *retrainings: Retraining, change: Change | None = None
    ) -> tuple[Retraining, ...]:
        """See `Retrainings.save`."""
        with self._database.writing() as connection:
            kept = tuple(_keep(connection, one) for one in retrainings)
            if change is not None:
                keep_change(connection, change)
        return kept

    def get(self, number: int) -> Retraining:
        """See `Retrainings.get`."""
        found = self._found(sa.select(RETRAINING).where(ROWS.id == number))
        if not found:
            raise RetrainingMissingError(
                f"There is no retraining {number}.",
                why="nothing of this home asked for it",
                fix="`servewell retrain history` shows them",
            )
        return found[0]

    def last(self, workload: str, *, abandoned: bool = False) -> Retraining | None:
        """See `Retrainings.last`."""
        given_up = ROWS.state == RetrainState.ABANDONED
        trained = (
            ROWS.workload == workload,
            ROWS.source == "",
            ROWS.started_at.is_not(None),
            given_up if abandoned else ~given_up,
        )
        query = sa.select(RETRAINING).where(*trained).order_by(ROWS.id.desc()).limit(1)
        return next(iter(self._found(query)), None)

    def sources(self, workload: str) -> frozenset[str]:
        """See `Retrainings.sources`."""
        query = sa.select(ROWS.source).where(ROWS.workload == workload, ROWS.source != "")
        with self._database.reading() as connection:
            return frozenset(connection.execute(query).scalars())

    def list(
        self, workload: str | None = None, *, open_only: bool = False
    ) -> tuple[Retraining, ...]:
        """See `Retrainings.list`."""
        query = sa.select(RETRAINING).order_by(ROWS.id)
        if workload is not None:
            query = query.where(ROWS.workload == workload)
        if open_only:
            query = query.where(ROWS.state.in_(sorted(OPEN)))
        return self._found(query)

    def _found(self, query: sa.Select[tuple[object, ...]]) -> tuple[Retraining, ...]:
        with self._database.reading() as connection:
            found = connection.execute(query).mappings().all()
        return tuple(value_of(row, Retraining) for row in found)


def _keep(connection: Connection, new: Retraining) -> Retraining:
    _refuse_if_busy(connection, new)
    kept = replace(new, revision=new.revision + 1)
    if new.id == 0:
        _refuse_if_taken(connection, new)
        kept = replace(kept, id=next_number(connection, ROWS.id))
        connection.execute(sa.insert(RETRAINING).values(row_of(kept)))
        return kept
    same = ROWS.id == new.id
    found = connection.execute(sa.select(RETRAINING).where(same)).mappings().one()
    _refuse_if_impossible(value_of(found, Retraining), new)
    connection.execute(sa.update(RETRAINING).where(same).values(row_of(kept)))
    return kept


def _refuse_if_busy(connection: Connection, new: Retraining) -> None:
    running = sa.select(ROWS.id).where(
        ROWS.workload == new.workload, ROWS.state == RetrainState.RUNNING, ROWS.id != new.id
    )
    other = connection.execute(running).scalar()
    if new.state is RetrainState.RUNNING and other is not None:
        raise RetrainingBusyError(
            f"`{new.workload}` is being trained already.",
            why=f"retraining {other} has not ended, and a workload has one at a time",
            fix="`servewell retrain status` says when it has ended",
        )


def _refuse_if_taken(connection: Connection, new: Retraining) -> None:
    query = sa.select(ROWS.id).where(ROWS.workload == new.workload, ROWS.source == new.source)
    if new.source and (other := connection.execute(query).scalar()) is not None:
        raise _conflict(new, f"retraining {other} has taken `{new.source}`")


def _refuse_if_impossible(known: Retraining, new: Retraining) -> None:
    if known.revision != new.revision:
        raise _conflict(new, f"it is at revision {known.revision}, not {new.revision}")
    if new.state not in (known.state, *MOVES[known.state]):
        raise _conflict(new, f"it has {known.state}, and cannot become {new.state}")


def _conflict(new: Retraining, why: str) -> StateConflictError:
    return StateConflictError(
        f"The retraining {new.id or 'of ' + new.workload} cannot be changed so.",
        why=why,
        fix="`servewell retrain history` shows what became of it",
    )
