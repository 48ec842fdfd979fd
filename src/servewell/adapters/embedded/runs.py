"""Runs in the database of the state."""

from typing import Final

import sqlalchemy as sa

from servewell.adapters.embedded.database import Database
from servewell.adapters.embedded.state_tables import RUN, row_of, value_of
from servewell.core.catalog.run import MOVES, Run, RunState
from servewell.ports.runs import RunMissingError
from servewell.ports.state import StateConflictError

ROWS = RUN.c
FIXED: Final = ("workload", "inputs_digest", "started_at")


class SqlRuns:
    """`Runs` in SQLite or PostgreSQL."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def save(self, run: Run) -> None:
        """See `Runs.save`."""
        with self._database.writing() as connection:
            known = connection.execute(sa.select(RUN).where(ROWS.id == run.id)).mappings().first()
            if known is None:
                connection.execute(sa.insert(RUN).values(row_of(run)))
            else:
                _refuse_if_impossible(value_of(known, Run), run)
                connection.execute(sa.update(RUN).where(ROWS.id == run.id).values(row_of(run)))

    def get(self, run_id: str) -> Run:
        """See `Runs.get`."""
        found = self._found(sa.select(RUN).where(ROWS.id == run_id))
        if not found:
            raise RunMissingError(
                f"There is no run `{run_id}`.",
                why="no training and no import of this home has that id",
                fix="`servewell models show MODEL` names the run of each version",
            )
        return found[0]

    def succeeded(self, workload: str, inputs_digest: str) -> Run | None:
        """See `Runs.succeeded`."""
        same_work = (ROWS.workload == workload, ROWS.inputs_digest == inputs_digest)
        query = sa.select(RUN).where(*same_work, ROWS.state == RunState.SUCCEEDED)
        found = self._found(query.order_by(ROWS.started_at.desc(), ROWS.id.desc()).limit(1))
        return found[0] if found else None

    def list(self, workload: str | None = None) -> tuple[Run, ...]:
        """See `Runs.list`."""
        query = sa.select(RUN).order_by(ROWS.started_at, ROWS.id)
        return self._found(query if workload is None else query.where(ROWS.workload == workload))

    def _found(self, query: sa.Select[tuple[object, ...]]) -> tuple[Run, ...]:
        with self._database.reading() as connection:
            found = connection.execute(query).mappings().all()
        return tuple(value_of(row, Run) for row in found)


def _refuse_if_impossible(known: Run, run: Run) -> None:
    changed = [name for name in FIXED if getattr(known, name) != getattr(run, name)]
    if changed:
        raise _conflict(run, f"its {' and '.join(changed)} would differ from what it began with")
    if run.state not in (known.state, *MOVES[known.state]):
        raise _conflict(run, f"it has {known.state}, and cannot become {run.state} any more")


def _conflict(run: Run, why: str) -> StateConflictError:
    return StateConflictError(
        f"The run `{run.id}` cannot be changed so.",
        why=why,
        fix="do the same again: it begins a new run where the old one cannot be used",
    )
