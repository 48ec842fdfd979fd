"""The contract of `Outbox`."""

import math
from dataclasses import replace

import pytest

from ports.alert_receivers import T0, notice
from servewell.adapters.embedded.database import Database
from servewell.adapters.embedded.monitoring.alerts import SqlAlerts
from servewell.adapters.embedded.monitoring.outbox import SqlOutbox
from servewell.core.catalog.alert import Delivery, DeliveryState, GivenUp
from servewell.core.catalog.signal import Severity
from servewell.ports.outbox import DeadLetterMissingError, Outbox

FIRST = Delivery(id="a", workload="w", receiver="r", notice=notice(), made_at=T0, due_at=T0)
SECOND = replace(FIRST, id="b", made_at=T0 + 1, due_at=T0 + 1)


@pytest.fixture(params=[pytest.param(SqlOutbox, id="sql")])
def outbox(request: pytest.FixtureRequest, database: Database) -> Outbox:
    """Each adapter in turn, with two deliveries."""
    SqlAlerts(database).save(deliveries=[SECOND, FIRST])
    made: Outbox = request.param(database)
    return made


def test_what_waits_is_due_again_until_it_is_done(outbox: Outbox) -> None:
    """In the order of its making, and not before its time."""
    assert outbox.due(now=T0 - 1) == ()
    assert outbox.due(now=T0 + 1) == (FIRST, SECOND)
    outbox.keep(replace(FIRST, tries=1, due_at=T0 + 10, answer="500"))
    assert outbox.due(now=T0 + 9) == (SECOND,)
    outbox.keep(replace(SECOND, state=DeliveryState.DELIVERED, delivered_at=T0 + 2))
    (left,) = outbox.due(now=T0 + 10)
    assert (left.tries, left.answer) == (1, "500")


def test_a_dead_letter_is_kept_until_somebody_lets_it_go_again(outbox: Outbox) -> None:
    """It is tried anew, as often as it was declared; what waits is no dead letter."""
    outbox.keep(replace(FIRST, state=DeliveryState.DEAD, tries=12))
    assert [one.id for one in outbox.list(DeliveryState.DEAD)] == ["a"]
    assert outbox.due(now=T0 + 1) == (SECOND,)
    assert outbox.retry("a", at=T0 + 5).tries == 0
    assert [one.id for one in outbox.due(now=T0 + 5)] == ["a", "b"]
    for name in ("a", "c"):
        with pytest.raises(DeadLetterMissingError, match=name):
            outbox.retry(name, at=T0)


def test_only_what_waits_is_never_forgotten(outbox: Outbox) -> None:
    """What was delivered is kept for a while, a dead letter for longer, one that waits for ever."""
    outbox.keep(replace(FIRST, state=DeliveryState.DELIVERED, delivered_at=T0))
    outbox.forget(before=T0 + 100, dead_before=T0)
    assert outbox.list(DeliveryState.DELIVERED) == ()
    assert outbox.list(DeliveryState.WAITING) == (SECOND,)
    dead = replace(SECOND, state=DeliveryState.DEAD)
    outbox.keep(dead)
    outbox.forget(before=T0 + 100, dead_before=T0)
    assert outbox.list(DeliveryState.DEAD) == (dead,)
    outbox.forget(before=T0, dead_before=T0 + 100)
    assert outbox.list(DeliveryState.DEAD) == ()


def test_dead_letters_are_found_by_age_and_by_their_next_look(outbox: Outbox) -> None:
    """All of a day, or those that are due; and what is to be known of them without their notice."""
    for one in (FIRST, SECOND):
        outbox.keep(replace(one, state=DeliveryState.DEAD, due_at=T0 + 3_600, answer="500"))
    assert outbox.dead(since=T0, due=T0 + 3_599) == ()
    assert [one.id for one in outbox.dead(since=T0, due=T0 + 3_600)] == ["a", "b"]
    assert [one.id for one in outbox.dead(since=T0 + 1, due=math.inf)] == ["b"]
    (first, second) = outbox.given_up(since=T0)
    assert first == GivenUp(
        state=DeliveryState.DEAD,
        workload="w",
        receiver="r",
        severity=Severity.PAGE,
        made_at=T0,
        answer="500",
    )
    assert outbox.given_up(since=T0 + 1) == (second,)
    outbox.keep(replace(SECOND, state=DeliveryState.PARTLY, answer="refused: ben"))
    assert [one.state for one in outbox.given_up(since=T0)] == ["dead", "partly"]
