"""Gather what somebody is to be told into few notices."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from servewell.core.catalog.alert import Alert, AlertState, Look, Notice, Reason
from servewell.core.catalog.signal import Severity
from servewell.core.operations.monitoring.alerts_moves import URGENCY

# Seconds that the first news of an endpoint waits for others, so that a cause can be seen beside
# what it explains.
WAIT_S: Final[Mapping[Severity, float]] = {
    Severity.PAGE: 10.0,
    Severity.TICKET: 60.0,
    Severity.NOTE: 60.0,
}
AT_ONCE: Final = frozenset({Reason.WORSE, Reason.ESCALATED, Reason.ACKNOWLEDGED})
REASONS: Final = tuple(Reason)
TOLD_STATES: Final = frozenset({AlertState.FIRING, AlertState.ACKNOWLEDGED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Gathered:
    """What is told now, and of which alerts."""

    notices: tuple[Notice, ...]
    keys: frozenset[str]
    look: Look


def notices(alerts: Sequence[Alert], *, look: Look, now: float) -> Gathered:
    """Return what is to be told now: one notice an endpoint, or one of all after a gap.

    After a gap nothing is told until what came of it has settled; then all that is due is told in
    one notice, until what it set off has been told too.

    Units:  times in seconds since the epoch.
    Raises: nothing.
    """
    waiting = [one for one in alerts if _tellable(one)]
    missed_from = look.missed_from
    if missed_from is not None and now > look.summed_until:
        look, missed_from = replace(look, missed_from=None), None
    if missed_from is None:
        names = dict.fromkeys(one.endpoint for one in waiting)
        groups = {name: [one for one in waiting if one.endpoint == name] for name in names}
    else:
        groups = {"": waiting if now >= look.settles_at else []}
    told = [
        _notice(name, group, alerts, now, missed_from=missed_from)
        for name, group in groups.items()
        if _due(group, now)
    ]
    keys = frozenset(one.key for notice in told for one in notice.alerts)
    return Gathered(notices=tuple(told), keys=keys, look=look)


def _tellable(alert: Alert) -> bool:
    if alert.tell in (Reason.RESOLVED, Reason.ACKNOWLEDGED):
        return True
    return alert.tell is not None and not alert.cause and not alert.silence


def _due(group: Iterable[Alert], now: float) -> bool:
    return any(
        one.tell in AT_ONCE or now - (one.tell_at or now) >= WAIT_S[one.severity] for one in group
    )


def _notice(
    group: str,
    told: Sequence[Alert],
    alerts: Sequence[Alert],
    now: float,
    *,
    missed_from: float | None,
) -> Notice:
    ordered = tuple(sorted(told, key=_urgency))
    endpoints, keys = {one.endpoint for one in told}, {one.key for one in told}
    return Notice(
        group=group,
        reason=first_reason(ordered),
        severity=most_urgent(ordered),
        at=now,
        alerts=ordered,
        standing=tuple(
            one
            for one in alerts
            if one.state in TOLD_STATES
            and one.told_at is not None
            and one.endpoint in endpoints
            and one.key not in keys
        ),
        folded={
            key: found
            for key in sorted(keys)
            if (found := tuple(one.signal.what for one in alerts if one.cause == key))
        },
        missed_from=missed_from,
    )


def _urgency(alert: Alert) -> tuple[int, int, float]:
    reason = REASONS.index(alert.tell or Reason.RESOLVED)
    return reason, URGENCY.index(alert.severity), alert.signal.since


def first_reason(alerts: Sequence[Alert]) -> Reason:
    """Return the most urgent reason to tell of some alerts."""
    return min((one.tell or Reason.RESOLVED for one in alerts), key=REASONS.index)


def most_urgent(alerts: Sequence[Alert]) -> Severity:
    """Return the severity of the most urgent of some alerts."""
    return min((one.severity for one in alerts), key=URGENCY.index)


def most_urgent_of(one: Severity, other: Severity | None) -> Severity:
    """Return the more urgent of two severities."""
    return one if other is None else min(one, other, key=URGENCY.index)
