"""Labels in the database of the state."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from servewell.adapters.embedded.database import Database
from servewell.adapters.embedded.state_tables import LABEL, next_number, row_of, value_of
from servewell.core.catalog.label import Label, LossSum
from servewell.core.operations.label_loss import LARGEST
from servewell.ports.labels import DeploymentLabels, Kept, LabelQuery

ROWS: Final = LABEL.c
IDS_AT_ONCE: Final = 500  # in one question

Key = tuple[str, int]  # prediction, row


class SqlLabels:
    """`Labels` in SQLite or PostgreSQL."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, labels: Sequence[Label], *, dry_run: bool = False) -> Kept:
        """See `Labels.add`."""
        with self._database.writing() as connection:
            known = _known(connection, sorted({one.prediction_id for one in labels}))
            number = next_number(connection, ROWS.number)
            news: list[Label] = []
            corrected = 0
            for label in labels:
                key = (label.prediction_id, label.row)
                if key in known and _alike(known[key], label.value):
                    continue
                corrected += key in known
                news.append(replace(label, number=number + len(news), corrects=key in known))
                known[key] = label.value
            if news and not dry_run:
                connection.execute(sa.insert(LABEL), [row_of(one) for one in news])
        added = len(news) - corrected
        return Kept(added=added, corrected=corrected, repeated=len(labels) - len(news))

    def history(self, prediction_id: str) -> tuple[Label, ...]:
        """See `Labels.history`."""
        query = sa.select(LABEL).where(ROWS.prediction_id == prediction_id)
        return self._found(query.order_by(ROWS.row, ROWS.number))

    def since(self, number: int, *, endpoint: str, limit: int) -> tuple[Label, ...]:
        """See `Labels.since`."""
        first = (ROWS.number > number, ROWS.endpoint == endpoint, ROWS.corrects.is_(False))
        return self._found(sa.select(LABEL).where(*first).order_by(ROWS.number).limit(limit))

    def holding(
        self, query: LabelQuery, *, after: int = 0, limit: int, newest: bool = False
    ) -> tuple[Label, ...]:
        """See `Labels.holding`."""
        order = ROWS.number.desc() if newest else ROWS.number
        wanted = _holding(query).where(ROWS.number > after)
        found = self._found(wanted.order_by(order).limit(limit))
        return found[::-1] if newest else found

    def last(self) -> int:
        """See `Labels.last`."""
        with self._database.reading() as connection:
            return next_number(connection, ROWS.number) - 1

    def status(self, endpoint: str) -> tuple[DeploymentLabels, ...]:
        """See `Labels.status`."""
        newest = (
            sa.select(sa.func.max(ROWS.number).label("number"), sa.func.count().label("times"))
            .where(ROWS.endpoint == endpoint)
            .group_by(ROWS.prediction_id, ROWS.row)
            .subquery()
        )
        query = (
            sa.select(
                ROWS.deployment,
                sa.func.count().label("predictions"),
                ROWS.measure,
                sa.func.avg(ROWS.loss).label("loss"),
                sa.func.sum(sa.case((newest.c.times > 1, 1), else_=0)).label("corrected"),
                sa.func.min(ROWS.predicted_at).label("first_predicted_at"),
                sa.func.max(ROWS.predicted_at).label("last_predicted_at"),
                sa.func.max(ROWS.added_at).label("last_added_at"),
                sa.func.avg(ROWS.added_at - ROWS.predicted_at).label("delay_s"),
            )
            .join(newest, newest.c.number == ROWS.number)
            .group_by(ROWS.deployment, ROWS.measure)
            .order_by(ROWS.deployment, ROWS.measure)
        )
        with self._database.reading() as connection:
            found = connection.execute(query).mappings().all()
        return tuple(value_of(row, DeploymentLabels) for row in found)

    def losses(  # noqa: PLR0913 - of what, of when, and as of when
        self,
        endpoint: str,
        deployment: str,
        *,
        since: float,
        until: float,
        known_at: float | None = None,
        most: float = LARGEST,
    ) -> LossSum | None:
        """See `Labels.losses`."""
        newest = _newest(endpoint, deployment, since, until)
        if known_at is not None:
            newest = newest.where(ROWS.added_at <= known_at)
        loss = sa.case((ROWS.loss > most, most), else_=ROWS.loss)
        query = (
            sa.select(
                ROWS.measure,
                sa.func.count().label("rows"),
                sa.func.sum(loss).label("total"),
                sa.func.sum(loss * loss).label("squares"),
            )
            .where(ROWS.number.in_(newest))
            .where(ROWS.loss <= LARGEST)
            .group_by(ROWS.measure)
            .order_by(sa.desc("rows"))
        )
        with self._database.reading() as connection:
            found = connection.execute(query).mappings().first()
        return None if found is None else value_of(found, LossSum)

    def _found(self, query: sa.Select[tuple[object, ...]]) -> tuple[Label, ...]:
        with self._database.reading() as connection:
            found = connection.execute(query).mappings().all()
        return tuple(value_of(row, Label) for row in found)


def _holding(query: LabelQuery) -> sa.Select[tuple[object, ...]]:
    later = LABEL.alias("later").c
    corrected = sa.exists().where(
        later.prediction_id == ROWS.prediction_id,
        later.row == ROWS.row,
        later.number > ROWS.number,
    )
    there = ROWS.prediction_id != ""  # what was erased is empty, but for its number
    return sa.select(LABEL).where(there, *_asked(query), ~corrected)


def _asked(query: LabelQuery) -> Iterator[sa.ColumnElement[bool]]:
    if query.endpoint is not None:
        yield ROWS.endpoint == query.endpoint
    if query.deployment is not None:
        yield ROWS.deployment == query.deployment
    if query.since is not None:
        yield ROWS.predicted_at >= query.since
    if query.until is not None:
        yield ROWS.predicted_at < query.until


def _newest(endpoint: str, deployment: str, since: float, until: float) -> sa.Select[tuple[int]]:
    """Return the numbers of the last labels of the rows predicted in [since, until)."""
    when = (ROWS.predicted_at >= since, ROWS.predicted_at < until)
    newest = sa.select(sa.func.max(ROWS.number)).where(
        ROWS.endpoint == endpoint, ROWS.deployment == deployment, *when
    )
    return newest.group_by(ROWS.prediction_id, ROWS.row)


def _known(connection: Connection, ids: Sequence[str]) -> dict[Key, object]:
    """Return what is true by now of the rows of these predictions."""
    known: dict[Key, object] = {}
    for start in range(0, len(ids), IDS_AT_ONCE):
        query = sa.select(ROWS.prediction_id, ROWS.row, ROWS.value)
        asked = query.where(ROWS.prediction_id.in_(ids[start : start + IDS_AT_ONCE]))
        for prediction_id, row, value in connection.execute(asked.order_by(ROWS.number)):
            known[prediction_id, row] = value
    return known


def _alike(known: object, value: object) -> bool:
    """Whether two labels say the same; True and 1 do not."""
    return isinstance(known, bool) == isinstance(value, bool) and known == value
