"""Steps of runs in the database of the state."""

from typing import Final

import sqlalchemy as sa

from servewell.adapters.embedded.database import Database
from servewell.adapters.embedded.state_tables import RUN, STEP, row_of, value_of
from servewell.core.catalog.step import MOVES, Step, StepState
from servewell.ports.state import StateConflictError

ROWS = STEP.c
FIXED: Final = ("position", "key", "started_at")
MADE_MAX: Final = 10


class SqlPipelines:
    """`Pipelines` in SQLite or PostgreSQL."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def save(self, step: Step) -> None:
        """See `Pipelines.save`."""
        same = (ROWS.run == step.run, ROWS.name == step.name)
        with self._database.writing() as connection:
            known = connection.execute(sa.select(STEP).where(*same)).mappings().first()
            if known is None:
                connection.execute(sa.insert(STEP).values(row_of(step)))
            else:
                _refuse_if_impossible(value_of(known, Step), step)
                connection.execute(sa.update(STEP).where(*same).values(row_of(step)))

    def of(self, run: str) -> tuple[Step, ...]:
        """See `Pipelines.of`."""
        return self._found(sa.select(STEP).where(ROWS.run == run).order_by(ROWS.position))

    def made(self, key: str) -> tuple[Step, ...]:
        """See `Pipelines.made`."""
        query = sa.select(STEP).where(ROWS.key == key, ROWS.state == StepState.SUCCEEDED)
        return self._found(query.order_by(ROWS.started_at.desc(), ROWS.run.desc()).limit(MADE_MAX))

    def last(self, workload: str, name: str) -> Step | None:
        """See `Pipelines.last`."""
        done = ROWS.state.in_((StepState.SUCCEEDED, StepState.CACHED))
        query = sa.select(STEP).join(RUN, RUN.c.id == ROWS.run)
        query = query.where(RUN.c.workload == workload, ROWS.name == name, done)
        found = self._found(query.order_by(ROWS.started_at.desc(), ROWS.run.desc()).limit(1))
        return found[0] if found else None

    def _found(self, query: sa.Select[tuple[object, ...]]) -> tuple[Step, ...]:
        with self._database.reading() as connection:
            found = connection.execute(query).mappings().all()
        return tuple(value_of(row, Step) for row in found)


def _refuse_if_impossible(known: Step, step: Step) -> None:
    changed = [name for name in FIXED if getattr(known, name) != getattr(step, name)]
    if changed:
        raise _conflict(step, f"its {' and '.join(changed)} would differ from what it began with")
    if step.state not in (known.state, *MOVES[known.state]):
        raise _conflict(step, f"it has {known.state}, and cannot become {step.state} any more")


def _conflict(step: Step, why: str) -> StateConflictError:
    return StateConflictError(
        f"The step `{step.name}` of the run `{step.run}` cannot be changed so.",
        why=why,
        fix="do the same again: it begins a new run where the old one cannot be used",
    )
