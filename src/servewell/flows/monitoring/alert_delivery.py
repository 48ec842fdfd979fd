"""Send what waits in the outbox: in a thread of its own, to each receiver in its own.

A delivery leaves the outbox only when its receiver has said that it has it, so that whoever dies
between the two sends it again, under the same id.
"""

import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from servewell.core.catalog.alert import Delivery
from servewell.core.catalog.known_workload import KnownWorkload
from servewell.core.operations.monitoring.alerts_delivery import (
    after_failure,
    after_success,
    revived,
)
from servewell.core.operations.monitoring.alerts_words import title
from servewell.flows.monitoring.alert_page import alerts_page
from servewell.flows.platform import Platform
from servewell.ports.sinks import (
    DeliveryFailedError,
    Letter,
    ReceiverAddressError,
    SecretReferenceError,
)

AT_ONCE: Final = 8  # receivers that are sent to
IN_TURN_MAX: Final = 20  # deliveries to one of them before the others have theirs
PLOTTED_MAX: Final = 20  # alerts of a page
TURN_S: Final = (
    20.0  # for a receiver before the others have theirs: one that hangs delays a round so long
)
DAY_S: Final = 86_400.0  # for which a dead letter is tried once more each hour, while it matters
KEPT_S: Final = 7 * DAY_S  # for which a delivery is kept after its receiver has it
DEAD_KEPT_S: Final = 90 * DAY_S
RANDOM_BYTES: Final = 4
GONE_TRIES: Final = 1  # to a receiver that no workload names any more


def deliver_alerts(platform: Platform) -> None:
    """Try everything that is due; a receiver that hangs holds up no other.

    Raises: StateUnavailableError.
    """
    now = platform.clock.now()
    _revive(platform, platform.outbox.dead(since=now - DAY_S, due=now), now=now)
    by_receiver: dict[tuple[str, str], list[Delivery]] = {}
    for one in platform.outbox.due(now=now):
        by_receiver.setdefault((one.workload, one.receiver), []).append(one)
    if not by_receiver:
        return
    known = {one.name: one for one in platform.workloads.list()}
    with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="alerts") as threads:
        sent = [
            threads.submit(_in_turn, platform, found, known.get(workload))
            for (workload, _), found in by_receiver.items()
        ]
    for turn in sent:
        turn.result()
    platform.outbox.forget(before=now - KEPT_S, dead_before=now - DEAD_KEPT_S)


def letter_of(platform: Platform, delivery: Delivery) -> Letter:
    """Return a delivery as it is sent now."""
    notice = delivery.notice
    return Letter(
        id=delivery.id,
        source=platform.side_processes.place,
        sent_at=platform.clock.now(),
        notice=notice,
        page=alerts_page(title(notice), notice.alerts[:PLOTTED_MAX], now=notice.at),
    )


def _in_turn(
    platform: Platform, deliveries: Sequence[Delivery], known: KnownWorkload | None
) -> None:
    """Try the deliveries of one receiver until one fails: the others would fail with it.

    Whoever takes one is well again, so its dead letters are tried too.
    """
    began = platform.clock.now()
    for one in deliveries[:IN_TURN_MAX]:
        after = _tried(platform, one, known)
        platform.outbox.keep(after)
        now = platform.clock.now()
        if after.delivered_at is None:
            return
        if one is deliveries[0]:
            _revive(platform, _dead_of(platform, one, now), now=now)
        if not 0 <= now - began < TURN_S:
            return


def _dead_of(platform: Platform, delivery: Delivery, now: float) -> Sequence[Delivery]:
    whom = (delivery.workload, delivery.receiver)
    dead = platform.outbox.dead(since=now - DAY_S, due=math.inf)
    return [one for one in dead if (one.workload, one.receiver) == whom]


def _revive(platform: Platform, dead: Sequence[Delivery], *, now: float) -> None:
    """Let dead letters be tried once more where what they tell of is still open."""
    if dead:
        still_open = {one.id for one in platform.alerts.open(ended_after=now)}
        for one in dead:
            platform.outbox.keep(revived(one, still_open, now=now))


def _tried(platform: Platform, delivery: Delivery, known: KnownWorkload | None) -> Delivery:
    receiver = None if known is None else known.workload.alerts.receivers.get(delivery.receiver)
    if known is None or receiver is None:
        gone = f"no workload names `{delivery.receiver}` any more"
        return _failed(platform, delivery, gone, tries=GONE_TRIES)
    try:
        taken = platform.sinks.send(receiver, letter_of(platform, delivery), folder=known.folder)
    except (DeliveryFailedError, SecretReferenceError, ReceiverAddressError) as error:
        asked_s = error.retry_after_s if isinstance(error, DeliveryFailedError) else 0.0
        words = f"{error.what} {error.why}"
        return _failed(platform, delivery, words, tries=receiver.tries, retry_after_s=asked_s)
    except Exception as error:  # noqa: BLE001 - one delivery that nobody can send holds up no other
        # its words may hold what it could not use: a secret
        words = f"it could not be sent: {type(error).__name__}"
        return _failed(platform, delivery, words, tries=receiver.tries)
    return after_success(delivery, taken.answer, now=platform.clock.now(), wholly=taken.wholly)


def _failed(
    platform: Platform,
    delivery: Delivery,
    why: str,
    *,
    tries: int,
    retry_after_s: float = 0.0,
) -> Delivery:
    drawn = int.from_bytes(platform.ids.entropy(RANDOM_BYTES), "big")
    return after_failure(
        delivery,
        why,
        now=platform.clock.now(),
        tries=tries,
        jitter=drawn / 2 ** (8 * RANDOM_BYTES),
        retry_after_s=retry_after_s,
    )
