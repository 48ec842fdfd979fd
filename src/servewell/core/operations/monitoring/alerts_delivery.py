"""What becomes of a delivery after a try."""

from collections.abc import Container
from dataclasses import replace
from typing import Final

from servewell.core.catalog.alert import Delivery, DeliveryState

FIRST_S: Final = 5.0
LONGEST_S: Final = 3_600.0
REVIVED_AFTER_S: Final = 3_600.0  # that a dead letter is tried once more, while it matters


def after_success(delivery: Delivery, answer: str, *, now: float, wholly: bool = True) -> Delivery:
    """Return a delivery that its receiver has, `wholly` for everybody whom it is for."""
    return replace(
        delivery,
        state=DeliveryState.DELIVERED if wholly else DeliveryState.PARTLY,
        tries=delivery.tries + 1,
        answer=answer,
        delivered_at=now,
    )


def revived(delivery: Delivery, open_alerts: Container[int], *, now: float) -> Delivery:
    """Return a dead letter that is tried once more, where an alert that it tells of is still open.

    Else it is looked at again after `REVIVED_AFTER_S`: its alert may return.

    Units:  times in seconds since the epoch.
    """
    if not any(one.id in open_alerts for one in delivery.notice.alerts):
        return replace(delivery, due_at=now + REVIVED_AFTER_S)
    again = max(0, delivery.tries - 1)
    return replace(delivery, state=DeliveryState.WAITING, tries=again, due_at=now)


def after_failure(  # noqa: PLR0913 - the facts of a try
    delivery: Delivery,
    answer: str,
    *,
    now: float,
    tries: int,
    jitter: float,
    retry_after_s: float = 0.0,
) -> Delivery:
    """Return a delivery that its receiver did not take: it waits, or is a dead letter.

    The wait doubles from `FIRST_S` to `LONGEST_S`, and half of it is a matter of chance, so that
    the letters of an outage do not all come at once when it ends. What the receiver asked for is
    granted, up to `LONGEST_S`.

    Units:  seconds; `jitter` is a random number of 0..1.
    Raises: nothing.
    Source: M. Brooker, "Exponential Backoff And Jitter" (2015), "equal jitter".
    """
    after = replace(delivery, tries=delivery.tries + 1, answer=answer)
    if after.tries >= tries:
        return replace(after, state=DeliveryState.DEAD, due_at=now + REVIVED_AFTER_S)
    step_s = min(LONGEST_S, FIRST_S * 2 ** min(delivery.tries, 20))
    wait_s = max(step_s * (1 + jitter) / 2, min(retry_after_s, LONGEST_S))
    return replace(after, due_at=now + wait_s)
