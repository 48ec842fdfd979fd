"""Runs in the database of the state."""

import math
import operator
from collections.abc import Callable, Iterator
from typing import Final

import sqlalchemy as sa

from servewell.adapters.embedded.database import Database
from servewell.adapters.embedded.state_tables import RUN, RUN_METRIC, row_of, value_of
from servewell.core.catalog.run import MOVES, Run, RunState
from servewell.core.catalog.run_query import Comparison, RunQuery
from servewell.ports.runs import RunMissingError
from servewell.ports.state import StateConflictError

ROWS = RUN.c
METRICS = RUN_METRIC.c
COMPARISONS: Final[dict[Comparison, Callable[..., sa.ColumnElement[bool]]]] = {
    "<": operator.lt,
    "<=": operator.le,
    "=": operator.eq,
    "!=": operator.ne,
    ">=": operator.ge,
    ">": operator.gt,
}
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
                before = value_of(known, Run)
                _refuse_if_impossible(before, run)
                connection.execute(sa.update(RUN).where(ROWS.id == run.id).values(row_of(run)))
                old = (METRICS.run == run.id, METRICS.name.in_(tuple(before.metrics)))
                connection.execute(sa.delete(RUN_METRIC).where(*old))
            if measured := _measured(run):
                connection.execute(sa.insert(RUN_METRIC), measured)

    def get(self, run_id: str) -> Run:
        """See `Runs.get`."""
        found = self._found(sa.select(RUN).where(ROWS.id == run_id))
        if not found:
            raise RunMissingError(
                f"There is no run `{run_id}`.",
                why="no training and no import of this home has that id",
                fix="`servewell runs list` names the runs; a unique beginning of an id will do",
            )
        return found[0]

    def succeeded(self, workload: str, inputs_digest: str) -> Run | None:
        """See `Runs.succeeded`."""
        same_work = (ROWS.workload == workload, ROWS.inputs_digest == inputs_digest)
        query = sa.select(RUN).where(*same_work, ROWS.state == RunState.SUCCEEDED)
        found = self._found(query.order_by(ROWS.started_at.desc(), ROWS.id.desc()).limit(1))
        return found[0] if found else None

    def find(self, query: RunQuery) -> tuple[Run, ...]:
        """See `Runs.find`."""
        # Sorted are ids alone: a run is wide, and most of those that are found are not shown.
        wanted = sa.select(ROWS.id).where(*_wanted(query))
        for place, one in enumerate(query.conditions):
            metric = RUN_METRIC.alias(f"condition_{place}")
            meets = COMPARISONS[one.comparison](metric.c.value, one.value)
            wanted = wanted.join(
                metric, sa.and_(metric.c.run == ROWS.id, metric.c.name == one.metric, meets)
            )
        page = _in_order(wanted, query).limit(query.limit).offset(query.skip)
        with self._database.reading() as connection:
            ids = connection.execute(page).scalars().all()
            rows = connection.execute(sa.select(RUN).where(ROWS.id.in_(ids))).mappings().all()
        found = {row["id"]: value_of(row, Run) for row in rows}
        return tuple(found[one] for one in ids)

    def list(self, workload: str | None = None) -> tuple[Run, ...]:
        """See `Runs.list`."""
        query = sa.select(RUN).order_by(ROWS.started_at, ROWS.id)
        return self._found(query if workload is None else query.where(ROWS.workload == workload))

    def _found(self, query: sa.Select[tuple[object, ...]]) -> tuple[Run, ...]:
        with self._database.reading() as connection:
            found = connection.execute(query).mappings().all()
        return tuple(value_of(row, Run) for row in found)


def _measured(run: Run) -> list[dict[str, object]]:
    """Return the metrics as rows to search in; what is no finite number is not searched for."""
    return [
        {"run": run.id, "name": name, "value": value}
        for name, value in run.metrics.items()
        if math.isfinite(value)
    ]


def _wanted(query: RunQuery) -> Iterator[sa.ColumnElement[bool]]:
    if query.workload is not None:
        yield ROWS.workload == query.workload
    if query.states:
        yield ROWS.state.in_(query.states)
    if query.begins:
        yield ROWS.id.startswith(query.begins, autoescape=True)


def _in_order(wanted: sa.Select[tuple[str]], query: RunQuery) -> sa.Select[tuple[str]]:
    order: list[sa.ColumnElement[object]] = [ROWS.started_at, ROWS.id]
    if query.by is not None:
        sorting = RUN_METRIC.alias("sorting")
        on = sa.and_(sorting.c.run == ROWS.id, sorting.c.name == query.by)
        wanted = wanted.join(sorting, on, isouter=True)
        order = [sorting.c.value, *order]
    turned = [one.asc() if query.rising else one.desc() for one in order]
    return wanted.order_by(*(one.nulls_last() for one in turned[:-2]), *turned[-2:])


def _refuse_if_impossible(known: Run, run: Run) -> None:
    changed = [
        name
        for name in FIXED
        if getattr(known, name) != getattr(run, name)
        and not (name == "inputs_digest" and not known.inputs_digest)
    ]
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
