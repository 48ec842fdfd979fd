"""The contract of `Alerts`."""

from dataclasses import replace

import pytest

from ports.alert_receivers import T0, notice
from servewell.adapters.embedded.database import Database
from servewell.adapters.embedded.history import SqlHistory
from servewell.adapters.embedded.monitoring.alerts import SqlAlerts
from servewell.adapters.embedded.monitoring.outbox import SqlOutbox
from servewell.core.catalog.alert import Alert, AlertState, Delivery, Look, Silence
from servewell.core.catalog.change import Change, ChangeKind
from servewell.ports.alerts import AlertMissingError, Alerts
from servewell.ports.state import StateConflictError

CHANGE = Change(
    at=T0, principal="anna", kind=ChangeKind.ALERT, subject="flights", because="it fired"
)
DELIVERY = Delivery(id="d1", workload="w", receiver="r", notice=notice(), made_at=T0, due_at=T0)


@pytest.fixture(params=[pytest.param(SqlAlerts, id="sql")])
def alerts(request: pytest.FixtureRequest, database: Database) -> Alerts:
    """Each adapter in turn."""
    made: Alerts = request.param(database)
    return made


def alert(number: int, **changed: object) -> Alert:
    """Return an alert with all its evidence."""
    return replace(notice().alerts[0], id=number, change=CHANGE, **changed)  # type: ignore[arg-type]


def test_an_alert_comes_back_whole(alerts: Alerts) -> None:
    """With its evidence, its change and its events, at the next revision."""
    alerts.save(alert(7), look=Look(at=T0, seen=7))
    assert alerts.get(7) == replace(alert(7), revision=1)
    assert alerts.look() == Look(at=T0, seen=7, revision=1)
    with pytest.raises(AlertMissingError, match="8"):
        alerts.get(8)


def test_open_ones_and_those_that_just_ended_are_given(alerts: Alerts) -> None:
    """In the order of their numbers; the list has the newest first, of one endpoint or all."""
    resolved = AlertState.RESOLVED
    alerts.save(
        alert(3),
        alert(1, state=resolved, ended_at=T0 - 7_200),
        alert(2, state=resolved, ended_at=T0 - 60),
        alert(4),
    )
    assert [one.id for one in alerts.open(ended_after=T0 - 3_600)] == [2, 3, 4]
    assert [one.id for one in alerts.list("flights", limit=3)] == [4, 3, 2]
    assert alerts.list("hotels") == ()
    alerts.save(forget_before=T0 - 3_600)
    assert [one.id for one in alerts.list()] == [4, 3, 2]
    dropped = AlertState.DROPPED
    alerts.save(replace(alerts.get(4), state=dropped), alert(5, state=dropped))
    assert [one.id for one in alerts.list()] == [3, 2]


def test_all_of_it_is_kept_or_nothing(alerts: Alerts, database: Database) -> None:
    """Where the look was taken meanwhile, neither alert, delivery nor history has a trace."""
    outbox, history = SqlOutbox(database), SqlHistory(database)
    alerts.save(alert(1), look=Look(at=T0), deliveries=[DELIVERY], changes=[CHANGE])
    assert [one.id for one in outbox.due(now=T0)] == ["d1"]
    with pytest.raises(StateConflictError):
        alerts.save(
            alert(2),
            look=Look(at=T0 + 1),  # as it was before
            deliveries=[replace(DELIVERY, id="d2")],
            changes=[CHANGE],
        )
    assert [one.id for one in alerts.list()] == [1]
    assert [one.id for one in outbox.due(now=T0)] == ["d1"]
    assert len(history.changes("flights")) == 1


def test_an_alert_is_changed_only_as_it_was_read(alerts: Alerts) -> None:
    """Of two who change it at once the second is refused."""
    alerts.save(alert(1))
    read = alerts.get(1)
    alerts.save(replace(read, acknowledged_by="anna"))
    with pytest.raises(StateConflictError):
        alerts.save(replace(read, acknowledged_by="ben"))
    assert alerts.get(1).acknowledged_by == "anna"


def test_a_silence_ends(alerts: Alerts, database: Database) -> None:
    """By itself, or early by one of its id; both leave a trace in the history."""
    made = Silence(id="s", at=T0, until=T0 + 60, because="known", principal="anna")
    alerts.silence(made, CHANGE)
    assert alerts.silences(now=T0 + 59) == (made,)
    assert alerts.silences(now=T0 + 60) == ()
    alerts.silence(replace(made, until=T0 + 10), CHANGE)
    assert alerts.silences(now=T0 + 10) == ()
    assert len(SqlHistory(database).changes()) == 2
    later = replace(made, id="t", at=T0 + 20, until=T0 + 40)
    alerts.silence(later, CHANGE)
    assert alerts.silences(now=T0) == (later,)
