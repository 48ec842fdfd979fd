"""The moves of an alert: the table, the facts that they depend on, and the next one."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from servewell.core.catalog.alert import OPEN, Alert, AlertEvent, AlertState, Reason, Silence
from servewell.core.catalog.signal import Severity, Signal, SignalKind
from servewell.core.catalog.workload_alerts import AlertRules

RETURNS_WITHIN_S: Final = 3_600.0  # after its end; later it is another alert
DOUBLINGS_MAX: Final = 4  # of the time for which it must be gone, by how often it returned
ESCALATIONS_MAX: Final = 3
TICKET_ESCALATES_S: Final = 86_400.0
EVENTS_KEPT: Final = 50
URGENCY: Final = tuple(Severity)

# Seconds that a condition must hold before anybody is told. The monitors of what moves slowly look
# at whole windows, and at several of them, before they say anything: no more waiting helps.
HOLD_S: Final[Mapping[SignalKind, float]] = {
    SignalKind.AVAILABILITY: 0.0,  # the windows of a burn rate are as long as they must be
    SignalKind.LATENCY: 0.0,
    SignalKind.FRESHNESS: 300.0,
    SignalKind.DRIFT: 0.0,
    SignalKind.QUALITY: 0.0,
    SignalKind.FEED: 0.0,
    SignalKind.ANOMALY: 300.0,
    SignalKind.SERVING: 30.0,  # a worker that dies is started again within seconds
    SignalKind.CHANGE: 0.0,
    SignalKind.ROOM: 120.0,
}


class Move(StrEnum):
    """What happens to an alert."""

    FIRE = "fire"
    DROP = "drop"
    ACKNOWLEDGE = "acknowledge"
    ESCALATE = "escalate"
    WORSEN = "worsen"
    RESOLVE = "resolve"
    RETURN = "return"


# What may happen in each state, and where that leads.
MOVES: Final[Mapping[AlertState, Mapping[Move, AlertState]]] = {
    AlertState.PENDING: {
        Move.FIRE: AlertState.FIRING,
        Move.DROP: AlertState.DROPPED,
    },
    AlertState.FIRING: {
        Move.ACKNOWLEDGE: AlertState.ACKNOWLEDGED,
        Move.ESCALATE: AlertState.FIRING,
        Move.WORSEN: AlertState.FIRING,
        Move.RESOLVE: AlertState.RESOLVED,
    },
    AlertState.ACKNOWLEDGED: {
        Move.WORSEN: AlertState.FIRING,
        Move.RESOLVE: AlertState.RESOLVED,
    },
    AlertState.RESOLVED: {Move.RETURN: AlertState.FIRING},
    AlertState.DROPPED: {},
}

# What somebody is to be told of a move; of the others nobody is.
TELLS: Final[Mapping[Move, Reason]] = {
    Move.FIRE: Reason.FIRED,
    Move.ACKNOWLEDGE: Reason.ACKNOWLEDGED,
    Move.ESCALATE: Reason.ESCALATED,
    Move.WORSEN: Reason.WORSE,
    Move.RESOLVE: Reason.RESOLVED,
    Move.RETURN: Reason.RETURNED,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """Everything that the next move of an alert depends on."""

    now: float  # seconds since the epoch, UTC
    signal: Signal | None  # the condition, where it holds now
    rules: AlertRules
    blind: bool = False  # whether its monitor could not say


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertDecision:
    """The move to make now, or None for none, and why."""

    move: Move | None
    because: str


STAY: Final = AlertDecision(move=None, because="nothing has changed")


def next_move(alert: Alert, facts: Facts) -> AlertDecision:
    """Return the one move that an alert makes now.

    Units:  times and durations in seconds.
    Raises: nothing.
    """
    if facts.blind and facts.signal is None:
        return replace(STAY, because="its monitor could not say")
    return (_ABSENT if facts.signal is None else _PRESENT)[alert.state](alert, facts)


def quiet_s(alert: Alert, rules: AlertRules) -> float:
    """Return for how many seconds the condition must be gone; longer the more it flaps."""
    return float(rules.resolve_after_s * 2 ** min(alert.returned, DOUBLINGS_MAX))


def hold_s(kind: SignalKind, rules: AlertRules) -> float:
    """Return for how many seconds a condition must hold before anybody is told."""
    rule = rules.kinds.get(kind)
    return HOLD_S[kind] if rule is None or rule.hold_s is None else rule.hold_s


def escalates_s(severity: Severity, rules: AlertRules) -> float | None:
    """Return after how many seconds without an acknowledgement an alert escalates."""
    return {Severity.PAGE: rules.escalate_after_s, Severity.TICKET: TICKET_ESCALATES_S}.get(
        severity
    )


def more_urgent(one: Severity, other: Severity) -> bool:
    """Whether a severity asks more of a person than another."""
    return URGENCY.index(one) < URGENCY.index(other)


def moved(alert: Alert, decision: AlertDecision, *, now: float, principal: str = "") -> Alert:
    """Return an alert after a move of the table."""
    if decision.move is None:
        return alert
    event = AlertEvent(at=now, move=decision.move, because=decision.because, principal=principal)
    state = MOVES[alert.state][decision.move]
    after = replace(
        alert,
        state=state,
        ended_at=None if state in OPEN else now,
        events=(*alert.events, event)[-EVENTS_KEPT:],
    )
    if decision.move is Move.RETURN:
        after = _anew(after)
    if decision.move in (Move.RETURN, Move.WORSEN):
        after = replace(after, acknowledged_by="")
    if decision.move is Move.ACKNOWLEDGE:
        after = replace(after, acknowledged_by=principal)
    if decision.move is Move.ESCALATE:
        after = replace(after, escalated=alert.escalated + 1)
    return _to_tell(after, decision.move, now)


def _anew(alert: Alert) -> Alert:
    """Return an alert that returned: as new to everybody who was told of its end."""
    after = replace(alert, returned=alert.returned + 1, escalated=0, escalate_at=None)
    if alert.tell is Reason.RESOLVED:  # nobody was told of it yet
        return after
    return replace(after, told_at=None, told_severity=None, heard=None)


def quiets(silence: Silence, alert: Alert, *, now: float) -> bool:
    """Whether a silence keeps an alert quiet now."""
    signal = alert.signal
    wanted = (silence.endpoint, silence.kind, silence.key)
    found = (signal.endpoint, str(signal.kind), alert.key)
    fits = all(want in ("", have) for want, have in zip(wanted, found, strict=True))
    return fits and silence.at <= now < silence.until


def _to_tell(alert: Alert, move: Move, now: float) -> Alert:
    """Note what is to be told of a move: nothing of the end of what nobody was told of."""
    if move is Move.DROP or (move is Move.RESOLVE and alert.told_at is None):
        return replace(alert, tell=None, tell_at=None)
    if move is Move.ACKNOWLEDGE and alert.told_at is None:
        return replace(alert, tell=None, tell_at=None)
    return replace(alert, tell=TELLS[move], tell_at=alert.tell_at or now)


Rule = Callable[[Alert, Facts], AlertDecision]


def _held(alert: Alert, facts: Facts) -> AlertDecision:
    needed, held = hold_s(alert.signal.kind, facts.rules), facts.now - alert.seen_at
    if held < needed:
        return replace(STAY, because=f"it has held for {held:,.0f} of {needed:,.0f} s")
    return AlertDecision(move=Move.FIRE, because=alert.signal.because)


def _dropped(alert: Alert, facts: Facts) -> AlertDecision:
    needed, held = hold_s(alert.signal.kind, facts.rules), facts.now - alert.seen_at
    because = f"it went within {held:,.0f} s, before it had held for {needed:,.0f} s"
    return AlertDecision(move=Move.DROP, because=because)


def _gone(alert: Alert, facts: Facts) -> AlertDecision:
    needed = quiet_s(alert, facts.rules)
    gone = 0.0 if alert.gone_at is None else facts.now - alert.gone_at
    if gone < needed:
        return replace(STAY, because=f"it has been gone for {gone:,.0f} of {needed:,.0f} s")
    return AlertDecision(
        move=Move.RESOLVE, because=f"the condition has been gone for {gone:,.0f} s"
    )


def _unacknowledged(alert: Alert, facts: Facts) -> AlertDecision:
    late = alert.escalate_at is not None and facts.now >= alert.escalate_at
    if not late or alert.cause or alert.silence or alert.escalated >= ESCALATIONS_MAX:
        return STAY
    waited = facts.now - (alert.told_at or alert.seen_at)
    because = f"nobody acknowledged it within {waited:,.0f} s of being told"
    return AlertDecision(move=Move.ESCALATE, because=because)


def _returned(alert: Alert, facts: Facts) -> AlertDecision:
    because = f"it returned {facts.now - (alert.ended_at or facts.now):,.0f} s after its end"
    return AlertDecision(move=Move.RETURN, because=because)


def _stays(_: Alert, __: Facts) -> AlertDecision:
    return STAY


_PRESENT: Final[Mapping[AlertState, Rule]] = {
    AlertState.PENDING: _held,
    AlertState.FIRING: _unacknowledged,
    AlertState.ACKNOWLEDGED: _stays,
    AlertState.RESOLVED: _returned,
    AlertState.DROPPED: _stays,
}
_ABSENT: Final[Mapping[AlertState, Rule]] = {
    AlertState.PENDING: _dropped,
    AlertState.FIRING: _gone,
    AlertState.ACKNOWLEDGED: _gone,
    AlertState.RESOLVED: _stays,
    AlertState.DROPPED: _stays,
}
