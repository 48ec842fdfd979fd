"""Deliveries in the database of the state."""

from dataclasses import replace

import msgspec
import sqlalchemy as sa

from servewell.adapters.embedded.database import Database
from servewell.adapters.embedded.state_tables import ALERT_DELIVERY, value_of
from servewell.core.catalog.alert import Delivery, DeliveryState, GivenUp
from servewell.ports.outbox import DeadLetterMissingError

ROWS = ALERT_DELIVERY.c
GIVEN_UP = (DeliveryState.DEAD, DeliveryState.PARTLY)
TOLD = (ROWS.state, ROWS.workload, ROWS.receiver, ROWS.severity, ROWS.made_at, ROWS.answer)


class SqlOutbox:
    """`Outbox` in SQLite or PostgreSQL."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def due(self, *, now: float) -> tuple[Delivery, ...]:
        """See `Outbox.due`."""
        waits = (ROWS.state == str(DeliveryState.WAITING), ROWS.due_at <= now)
        return self._found(sa.select(ROWS.body).where(*waits).order_by(ROWS.made_at, ROWS.id))

    def list(self, state: DeliveryState, *, limit: int = 100) -> tuple[Delivery, ...]:
        """See `Outbox.list`."""
        query = sa.select(ROWS.body).where(ROWS.state == str(state))
        return self._found(query.order_by(ROWS.made_at.desc(), ROWS.id.desc()).limit(limit))

    def dead(self, *, since: float, due: float) -> tuple[Delivery, ...]:
        """See `Outbox.dead`."""
        query = sa.select(ROWS.body).where(*_dead(since), ROWS.due_at <= due)
        return self._found(query.order_by(ROWS.made_at, ROWS.id))

    def given_up(self, *, since: float) -> tuple[GivenUp, ...]:
        """See `Outbox.given_up`."""
        of_them = (ROWS.state.in_([str(one) for one in GIVEN_UP]), ROWS.made_at >= since)
        query = sa.select(*TOLD).where(*of_them)
        with self._database.reading() as connection:
            rows = connection.execute(query.order_by(ROWS.made_at, ROWS.id)).mappings().all()
        return tuple(value_of(one, GivenUp) for one in rows)

    def keep(self, delivery: Delivery) -> None:
        """See `Outbox.keep`."""
        same = ROWS.id == delivery.id
        with self._database.writing() as connection:
            connection.execute(sa.update(ALERT_DELIVERY).where(same).values(delivery_row(delivery)))

    def retry(self, number: str, *, at: float) -> Delivery:
        """See `Outbox.retry`."""
        dead = (ROWS.id == number, ROWS.state == str(DeliveryState.DEAD))
        with self._database.writing() as connection:
            body = connection.execute(sa.select(ROWS.body).where(*dead)).scalar()
            if body is None:
                raise DeadLetterMissingError(
                    f"There is no dead letter `{number}`.",
                    why="no delivery of that id was given up",
                    fix="`servewell alerts dead-letters` shows those that were",
                )
            found = msgspec.convert(body, type=Delivery)
            again = replace(found, state=DeliveryState.WAITING, tries=0, due_at=at)
            connection.execute(
                sa.update(ALERT_DELIVERY).where(ROWS.id == number).values(delivery_row(again))
            )
        return again

    def forget(self, *, before: float, dead_before: float) -> None:
        """See `Outbox.forget`."""
        ends = (
            (DeliveryState.DELIVERED, before),
            (DeliveryState.PARTLY, before),
            (DeliveryState.DEAD, dead_before),
        )
        with self._database.writing() as connection:
            for state, end in ends:
                done = (ROWS.state == str(state), ROWS.made_at < end)
                connection.execute(sa.delete(ALERT_DELIVERY).where(*done))

    def _found(self, query: sa.Select[tuple[object]]) -> tuple[Delivery, ...]:
        with self._database.reading() as connection:
            found = connection.execute(query).scalars().all()
        return tuple(msgspec.convert(one, type=Delivery) for one in found)


def _dead(since: float) -> tuple[sa.ColumnElement[bool], ...]:
    return (ROWS.state == str(DeliveryState.DEAD), ROWS.made_at >= since)


def delivery_row(delivery: Delivery) -> dict[str, object]:
    """Return a delivery as a row: what is asked for has a column, all of it is the body."""
    return {
        "id": delivery.id,
        "state": str(delivery.state),
        "workload": delivery.workload,
        "receiver": delivery.receiver,
        "severity": str(delivery.notice.severity),
        "answer": delivery.answer,
        "made_at": delivery.made_at,
        "due_at": delivery.due_at,
        "body": msgspec.to_builtins(delivery),
    }
