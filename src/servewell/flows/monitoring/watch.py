"""Look at all signals, and keep what is to be told: the duty of watching."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Final

from servewell.core.catalog.alert import Alert, Delivery, Look
from servewell.core.catalog.change import Change, ChangeKind
from servewell.core.catalog.known_workload import KnownWorkload
from servewell.core.catalog.signal import Severity, Signal, SignalKind
from servewell.core.catalog.workload_alerts import AlertRules
from servewell.core.operations.monitoring.alerts import Decided, Outcome, RulesOf, decide
from servewell.core.operations.monitoring.alerts_change import (
    LOOK_BACK_S,
    SLACK_S,
    TELLING,
    nearest_change,
)
from servewell.core.operations.monitoring.alerts_moves import RETURNS_WITHIN_S
from servewell.core.operations.monitoring.alerts_routing import Route, routed
from servewell.core.operations.monitoring.alerts_words import said
from servewell.flows.monitoring.monitors import (
    MONITORS,
    Answers,
    Monitor,
    ask_all,
)
from servewell.flows.platform import Platform

KEPT_S: Final = 400 * 86_400.0  # for which an alert is kept after its end
LOOK_KEPT_S: Final = 60.0  # how often a look is kept at which nothing changed
HOME: Final = "home"  # the subject in the history of what is about no endpoint


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """The signals of one look, and the kinds of which nothing could be said."""

    at: float  # seconds since the epoch, UTC
    signals: tuple[Signal, ...]
    blind: frozenset[SignalKind] = frozenset()


def watch(platform: Platform) -> None:
    """Look at all signals once, and keep alerts and what is to be told in one transaction.

    Raises: StateUnavailableError, StateConflictError.
    """
    look_at(platform, gather(platform, now=platform.clock.now()))


def look_at(platform: Platform, seen: Seen) -> Outcome:
    """Decide on signals that were gathered, and keep what was decided.

    Raises: StateUnavailableError, StateConflictError.
    """
    known = platform.workloads.list()
    look = platform.alerts.look()
    before = platform.alerts.open(ended_after=seen.at - RETURNS_WITHIN_S)
    outcome = decide(
        before,
        seen.signals,
        silences=platform.alerts.silences(now=seen.at),
        now=seen.at,
        rules=rules_of(platform, known),
        look=look,
        changes=changes_before(platform, fresh(seen.signals, before), known),
        blind=seen.blind,
    )
    _keep(platform, before, look, outcome, deliveries(platform, outcome, known))
    return outcome


def gather(platform: Platform, *, now: float, monitors: Sequence[Monitor] = MONITORS) -> Seen:
    """Ask every monitor for its signals; one that fails is a signal, and makes blind."""
    answers = ask_all(platform, now=now, monitors=monitors)
    return seen_of(answers, monitors, now=now)


def seen_of(answers: Answers, monitors: Sequence[Monitor], *, now: float) -> Seen:
    """Return what the answers of monitors come to. `now` is in seconds since the epoch."""
    found = [(one, answers[one.name]) for one in monitors]
    unsaid = [
        _unwatched(one, endpoint, because, now)
        for one, answer in found
        for endpoint, because in answer.faults.items()
    ]
    return Seen(
        at=now,
        signals=(*chain.from_iterable(answer.signals for _, answer in found), *unsaid),
        blind=frozenset(chain.from_iterable(one.kinds for one, answer in found if answer.faults)),
    )


def rules_of(platform: Platform, known: Iterable[KnownWorkload]) -> RulesOf:
    """Return the rules of alerts by endpoint. Raises: StateUnavailableError."""
    by_name = {one.name: one.workload.alerts for one in known}
    found = platform.endpoints.list()
    return {one.name: by_name.get(one.workload, AlertRules()) for one in found}


def deliveries(
    platform: Platform, outcome: Outcome, known: Iterable[KnownWorkload]
) -> tuple[Delivery, ...]:
    """Return what is to be sent to whom. Raises: StateUnavailableError."""
    routes = routes_of(platform, known)
    return tuple(
        Delivery(
            id=platform.ids.new(),
            workload=route.workload,
            receiver=route.name,
            notice=part,
            made_at=notice.at,
            due_at=notice.at,
        )
        for notice in outcome.notices
        for route, part in routed(notice, routes)
    )


def routes_of(platform: Platform, known: Iterable[KnownWorkload]) -> tuple[Route, ...]:
    """Return all receivers. Raises: StateUnavailableError."""
    endpoints = platform.endpoints.list()
    return tuple(
        Route(
            workload=one.name,
            name=name,
            receiver=receiver,
            endpoints=frozenset(each.name for each in endpoints if each.workload == one.name),
        )
        for one in known
        for name, receiver in one.workload.alerts.receivers.items()
    )


def fresh(signals: Iterable[Signal], alerts: Iterable[Alert]) -> tuple[Signal, ...]:
    """Return the signals of which there is no alert yet."""
    keys = {one.key for one in alerts}
    return tuple(one for one in signals if one.key not in keys)


def changes_before(
    platform: Platform, signals: Sequence[Signal], known: Iterable[KnownWorkload]
) -> dict[str, Change]:
    """Return by key of each signal the change that came just before it.

    Raises: StateUnavailableError.
    """
    if not signals:
        return {}
    begun = [one.since for one in signals]
    history = platform.history.changes(
        since=min(begun) - LOOK_BACK_S, until=max(begun) + SLACK_S, kinds=TELLING
    )
    subjects = _subjects(platform, known)
    found = (
        (one.key, nearest_change(one, history, subjects=subjects.get(one.endpoint, frozenset())))
        for one in signals
    )
    return {key: change for key, change in found if change is not None}


def change_of(platform: Platform, decided: Decided, *, at: float) -> Change:
    """Return what the history says of a move of an alert."""
    return Change(
        at=at,
        principal=platform.principal,
        kind=ChangeKind.ALERT,
        subject=decided.alert.endpoint or HOME,
        because=said(decided.alert, decided.decision.because),
    )


def _subjects(platform: Platform, known: Iterable[KnownWorkload]) -> dict[str, frozenset[str]]:
    """Return by endpoint what else it depends on: its workload and its dataset."""
    datasets = {one.name: _dataset(one) for one in known}
    return {
        one.name: frozenset({one.workload, datasets.get(one.workload, "")})
        for one in platform.endpoints.list()
    }


def _dataset(known: KnownWorkload) -> str:
    data = known.workload.data
    name = known.name if data is None or data.dataset is None else data.dataset.partition(":")[0]
    return f"dataset:{name}"


def _unwatched(monitor: Monitor, endpoint: str, because: str, now: float) -> Signal:
    return Signal(
        kind=SignalKind.SERVING,
        severity=Severity.TICKET,
        endpoint=endpoint,
        subject=f"monitor {monitor.name}",
        since=now,
        what=f"The monitor `{monitor.name}` cannot say anything.",
        because=f"it ended so: {because}",
        command="servewell doctor",
        runbook="monitor-fails",
    )


def _keep(
    platform: Platform,
    before: Sequence[Alert],
    look: Look,
    outcome: Outcome,
    sent: Sequence[Delivery],
) -> None:
    old = {one.id: one for one in before}
    changed = [one for one in outcome.alerts if old.get(one.id) != one]
    quiet = replace(outcome.look, at=look.at) == look
    if changed or sent or not quiet or not 0 <= outcome.look.at - look.at < LOOK_KEPT_S:
        platform.alerts.save(
            *changed,
            look=outcome.look,
            deliveries=sent,
            changes=[
                change_of(platform, one, at=outcome.look.at) for one in outcome.decided if one.noted
            ],
            forget_before=outcome.look.at - KEPT_S,
        )
