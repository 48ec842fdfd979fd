"""Decide what becomes of alerts at one look at all signals.

An alert is a state machine: `AlertState` names the states, `alerts_moves.MOVES` is the whole table,
and `next_move` picks the move of one alert. Here all alerts make theirs, those that others explain
are folded under them, and what somebody is to be told is gathered.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Final

from servewell.core.catalog.alert import OPEN, Alert, AlertState, Look, Notice, Silence
from servewell.core.catalog.change import Change
from servewell.core.catalog.signal import Severity, Signal, SignalKind
from servewell.core.catalog.workload_alerts import AlertRules
from servewell.core.operations.monitoring.alerts_folding import folded
from servewell.core.operations.monitoring.alerts_gaps import (
    GAP_S,
    looked,
    missed_s,
    shifted,
    uncounted_s,
)
from servewell.core.operations.monitoring.alerts_home import home_rules
from servewell.core.operations.monitoring.alerts_moves import (
    RETURNS_WITHIN_S,
    URGENCY,
    AlertDecision,
    Facts,
    Move,
    escalates_s,
    more_urgent,
    moved,
    next_move,
    quiet_s,
    quiets,
)
from servewell.core.operations.monitoring.alerts_notices import most_urgent_of, notices

DEFAULTS: Final = AlertRules()
HOME: Final = ""  # the endpoint of what is about all of them

RulesOf = Mapping[
    str, AlertRules
]  # by endpoint; the defaults where there is none, for the home the most severe


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    """One alert and what was decided of it."""

    alert: Alert  # after the move
    decision: AlertDecision

    @property
    def noted(self) -> bool:
        """Whether it belongs in the history: it moved, and asks something of somebody."""
        quiet = self.alert.severity is Severity.NOTE or self.decision.move is Move.DROP
        return self.decision.move is not None and not quiet


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a look comes to."""

    look: Look
    decided: tuple[Decided, ...]  # of every alert, those that stay too, by id
    notices: tuple[Notice, ...]

    @property
    def alerts(self) -> tuple[Alert, ...]:
        """Return the alerts as they are now."""
        return tuple(one.alert for one in self.decided)


def decide(  # noqa: PLR0913 - the facts of a look
    alerts: Sequence[Alert],
    signals: Iterable[Signal],
    *,
    silences: Sequence[Silence],
    now: float,
    rules: RulesOf,
    look: Look,
    changes: Mapping[str, Change] = MappingProxyType({}),
    blind: frozenset[SignalKind] = frozenset(),
    gap_s: float = GAP_S,
) -> Outcome:
    """Return what becomes of each alert, and what somebody is to be told.

    `alerts` are those that are open, and those that ended within `RETURNS_WITHIN_S`; `changes` has
    the nearest one before each new condition; `blind` names the kinds of which no monitor could say
    anything. A time in which nobody looked counts neither for a condition nor against it, and what
    is found after it is told in one notice.

    Units:  times in seconds since the epoch, durations in seconds.
    Raises: nothing.
    """
    missed = missed_s(look, now, gap_s)
    uncounted = uncounted_s(look, missed, gap_s)
    look = looked(look, now, missed)
    rules = {HOME: home_rules(tuple(rules.values())), **rules}
    view = _View(
        now=now, present=_unmuted(signals, rules), silences=silences, rules=rules, blind=blind
    )
    known = [shifted(one, uncounted) for one in alerts if _counts(one, now)]
    fresh = [replace(one, change=changes.get(one.key)) for one in _opened(view, known, look.seen)]
    look = replace(look, seen=look.seen + len(fresh))
    stepped = [_step(view.seen(one), view) for one in (*known, *fresh)]
    explained = {one.key: one for one in folded([each.alert for each in stepped], now=now)}
    weighed = [_weigh(one, explained[one.alert.key], view) for one in stepped]
    told = notices([one.alert for one in weighed], look=look, now=now)
    return Outcome(
        look=told.look,
        decided=tuple(_told(one, told.keys, view) for one in weighed),
        notices=told.notices,
    )


def acknowledge(alert: Alert, *, principal: str, because: str, now: float) -> Decided:
    """Return an alert that a person takes: it stays until the condition has gone.

    Raises: KeyError, where its state is not FIRING.
    """
    decision = AlertDecision(move=Move.ACKNOWLEDGE, because=because)
    return Decided(alert=moved(alert, decision, now=now, principal=principal), decision=decision)


@dataclass(frozen=True, slots=True, kw_only=True)
class _View:
    """What a look sees."""

    now: float
    present: Mapping[str, Signal]  # by key
    silences: Sequence[Silence]
    rules: RulesOf
    blind: frozenset[SignalKind]

    def rules_of(self, alert: Alert) -> AlertRules:
        return self.rules.get(alert.endpoint, DEFAULTS)

    def seen(self, alert: Alert) -> Alert:
        """Return an alert with what is seen of its condition, and before others weigh on it."""
        signal = self.present.get(alert.key)
        gone_at = alert.gone_at
        if alert.state in OPEN and (signal or alert.signal.kind not in self.blind):
            gone_at = None if signal else alert.gone_at or self.now
        found = next((one.id for one in self.silences if quiets(one, alert, now=self.now)), "")
        newest = signal or alert.signal
        if alert.state in OPEN:
            newest = replace(newest, since=min(newest.since, alert.signal.since))
        after = replace(alert, signal=newest, gone_at=gone_at, silence=found)
        return replace(after, severity=_own_severity(after.signal, self.rules_of(after)))


def _unmuted(signals: Iterable[Signal], rules: RulesOf) -> dict[str, Signal]:
    """Return the signals by key; of several with one key the most urgent."""
    found: dict[str, Signal] = {}
    for one in sorted(signals, key=lambda signal: URGENCY.index(signal.severity)):
        rule = rules.get(one.endpoint, DEFAULTS).kinds.get(one.kind)
        if rule is None or not rule.mute:
            found.setdefault(one.key, one)
    return found


def _counts(alert: Alert, now: float) -> bool:
    if alert.state is AlertState.RESOLVED:
        return now - (alert.ended_at or 0.0) <= RETURNS_WITHIN_S
    return alert.state in OPEN


def _opened(view: _View, known: Sequence[Alert], seen: int) -> list[Alert]:
    old = {one.key for one in known}
    new = [one for key, one in view.present.items() if key not in old]
    return [
        Alert(id=seen + place, key=one.key, severity=one.severity, signal=one, seen_at=view.now)
        for place, one in enumerate(new, start=1)
    ]


def _own_severity(signal: Signal, rules: AlertRules) -> Severity:
    rule = rules.kinds.get(signal.kind)
    asked = None if rule is None else rule.severity
    return signal.severity if asked is None else Severity(asked)


def _step(alert: Alert, view: _View) -> Decided:
    facts = Facts(
        now=view.now,
        signal=view.present.get(alert.key),
        rules=view.rules_of(alert),
        blind=alert.signal.kind in view.blind,
    )
    decision = next_move(alert, facts)
    return Decided(alert=moved(alert, decision, now=view.now), decision=decision)


def _weigh(one: Decided, explained: Alert, view: _View) -> Decided:
    """Return an alert folded or not, told again where it is more urgent than it was told."""
    weighed = replace(one.alert, cause=explained.cause, severity=explained.severity)
    after = _eased(weighed, view)
    told = after.told_severity
    quiet = after.cause or after.silence or after.tell is not None
    standing = after.state in (AlertState.FIRING, AlertState.ACKNOWLEDGED)
    if not standing or quiet or told is None or not more_urgent(after.severity, told):
        return replace(one, alert=after)
    because = f"it is worth a {after.severity} now, and was told as a {told}"
    decision = AlertDecision(move=Move.WORSEN, because=because)
    return Decided(alert=moved(after, decision, now=view.now), decision=decision)


def _eased(alert: Alert, view: _View) -> Alert:
    """Return an alert that has been less urgent than was told, for so long that it may get worse.

    It must be so for as long as a condition must be gone, or one at a bound would be told each time
    that it crosses it.
    """
    told = alert.told_severity
    if told is None or not more_urgent(told, alert.severity):
        return replace(alert, eased_at=None)
    since = view.now if alert.eased_at is None else alert.eased_at
    if view.now - since < quiet_s(alert, view.rules_of(alert)):
        return replace(alert, eased_at=since)
    after = escalates_s(alert.severity, view.rules_of(alert))
    return replace(
        alert,
        told_severity=alert.severity,
        eased_at=None,
        escalate_at=None if after is None else view.now + after,
    )


def _told(one: Decided, keys: frozenset[str], view: _View) -> Decided:
    if one.alert.key not in keys:
        return one
    after = escalates_s(one.alert.severity, view.rules_of(one.alert))
    alert = replace(
        one.alert,
        tell=None,
        tell_at=None,
        told_at=view.now,
        told_severity=one.alert.severity,
        heard=most_urgent_of(one.alert.severity, one.alert.heard),
        eased_at=None,
        escalate_at=None if after is None else view.now + after,
    )
    return replace(one, alert=alert)
