"""Alerts in the database of the state."""

from collections.abc import Sequence
from dataclasses import replace

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from servewell.adapters.embedded.database import Database
from servewell.adapters.embedded.history import keep_change
from servewell.adapters.embedded.monitoring.outbox import delivery_row
from servewell.adapters.embedded.state_tables import (
    ALERT,
    ALERT_DELIVERY,
    ALERT_LOOK,
    ALERT_SILENCE,
)
from servewell.core.catalog.alert import OPEN, Alert, AlertState, Delivery, Look, Silence
from servewell.core.catalog.change import Change
from servewell.ports.alerts import AlertMissingError
from servewell.ports.state import StateConflictError

ROWS = ALERT.c


class SqlAlerts:
    """`Alerts` in SQLite or PostgreSQL."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def open(self, *, ended_after: float) -> tuple[Alert, ...]:
        """See `Alerts.open`."""
        resolved = sa.and_(ROWS.state == str(AlertState.RESOLVED), ROWS.ended_at >= ended_after)
        standing = ROWS.state.in_(sorted(map(str, OPEN)))
        query = sa.select(ROWS.body).where(sa.or_(standing, resolved)).order_by(ROWS.id)
        return self._found(query)

    def list(self, endpoint: str | None = None, *, limit: int = 100) -> tuple[Alert, ...]:
        """See `Alerts.list`."""
        query = sa.select(ROWS.body).order_by(ROWS.id.desc()).limit(limit)
        return self._found(query if endpoint is None else query.where(ROWS.endpoint == endpoint))

    def get(self, number: int) -> Alert:
        """See `Alerts.get`."""
        found = self._found(sa.select(ROWS.body).where(ROWS.id == number))
        if not found:
            raise AlertMissingError(
                f"There is no alert {number}.",
                why="no condition of this home got that number, or it was forgotten long after "
                "its end",
                fix="`servewell alerts list` shows them",
            )
        return found[0]

    def look(self) -> Look:
        """See `Alerts.look`."""
        with self._database.reading() as connection:
            body = connection.execute(sa.select(ALERT_LOOK.c.body)).scalar()
        return Look() if body is None else msgspec.convert(body, type=Look)

    def save(
        self,
        *alerts: Alert,
        look: Look | None = None,
        deliveries: Sequence[Delivery] = (),
        changes: Sequence[Change] = (),
        forget_before: float = 0.0,
    ) -> None:
        """See `Alerts.save`."""
        with self._database.writing() as connection:
            if look is not None:
                _keep_look(connection, look)
            for one in alerts:
                _keep(connection, one)
            for delivery in deliveries:
                connection.execute(sa.insert(ALERT_DELIVERY).values(delivery_row(delivery)))
            for change in changes:
                keep_change(connection, change)
            if forget_before:
                connection.execute(sa.delete(ALERT).where(ROWS.ended_at < forget_before))

    def silences(self, *, now: float) -> tuple[Silence, ...]:
        """See `Alerts.silences`."""
        rows = ALERT_SILENCE.c
        query = sa.select(rows.body).where(rows.until > now).order_by(rows.at, rows.id)
        with self._database.reading() as connection:
            found = connection.execute(query).scalars().all()
        return tuple(msgspec.convert(one, type=Silence) for one in found)

    def silence(self, silence: Silence, change: Change) -> None:
        """See `Alerts.silence`."""
        row = {
            "id": silence.id,
            "at": silence.at,
            "until": silence.until,
            "body": msgspec.to_builtins(silence),
        }
        with self._database.writing() as connection:
            rows = ALERT_SILENCE.c  # what ended is told by the history
            over = sa.or_(rows.id == silence.id, rows.until < silence.at)
            connection.execute(sa.delete(ALERT_SILENCE).where(over))
            connection.execute(sa.insert(ALERT_SILENCE).values(row))
            keep_change(connection, change)

    def _found(self, query: sa.Select[tuple[object]]) -> tuple[Alert, ...]:
        with self._database.reading() as connection:
            found = connection.execute(query).scalars().all()
        return tuple(msgspec.convert(one, type=Alert) for one in found)


def _keep(connection: Connection, alert: Alert) -> None:
    known = connection.execute(sa.select(ROWS.revision).where(ROWS.id == alert.id)).scalar()
    _refuse_if_changed(f"The alert {alert.id}", known or 0, alert.revision)
    row = _row(replace(alert, revision=alert.revision + 1))
    if alert.state is AlertState.DROPPED:
        connection.execute(sa.delete(ALERT).where(ROWS.id == alert.id))
    elif known is None:
        connection.execute(sa.insert(ALERT).values(row))
    else:
        connection.execute(sa.update(ALERT).where(ROWS.id == alert.id).values(row))


def _keep_look(connection: Connection, look: Look) -> None:
    known = connection.execute(sa.select(ALERT_LOOK.c.revision)).scalar()
    _refuse_if_changed("The last look at all signals", known or 0, look.revision)
    kept = replace(look, revision=look.revision + 1)
    row = {"id": 1, "revision": kept.revision, "body": msgspec.to_builtins(kept)}
    statement = sa.insert(ALERT_LOOK) if known is None else sa.update(ALERT_LOOK)
    connection.execute(statement.values(row))


def _refuse_if_changed(what: str, known: int, read: int) -> None:
    if known != read:
        raise StateConflictError(
            f"{what} cannot be changed so.",
            why=f"it is at revision {known}, and {read} was read: somebody else changed it",
            fix="run it again; `servewell alerts list` shows what became of it",
        )


def _row(alert: Alert) -> dict[str, object]:
    return {
        "id": alert.id,
        "endpoint": alert.endpoint,
        "state": str(alert.state),
        "ended_at": alert.ended_at,
        "revision": alert.revision,
        "body": msgspec.to_builtins(alert),
    }
