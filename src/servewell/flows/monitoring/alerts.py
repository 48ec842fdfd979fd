"""What a person does with alerts: take one, keep some quiet, try who is told, send again."""

from dataclasses import dataclass, replace
from typing import Final

from servewell.core.catalog.alert import (
    Alert,
    AlertState,
    Delivery,
    DeliveryState,
    Notice,
    Reason,
    Silence,
)
from servewell.core.catalog.change import Change, ChangeKind
from servewell.core.catalog.signal import Points, Severity, Signal, SignalKind
from servewell.core.operations.monitoring.alerts import acknowledge
from servewell.core.operations.monitoring.alerts_moves import quiets
from servewell.core.operations.monitoring.alerts_routing import Route
from servewell.core.operations.monitoring.alerts_words import moment
from servewell.flows.monitoring.alert_delivery import letter_of
from servewell.flows.monitoring.watch import HOME, change_of, routes_of
from servewell.flows.platform import Platform
from servewell.ports.alerts import AlertMissingError, AlertNotFiringError
from servewell.ports.sinks import DeliveryFailedError, ReceiverAddressError, SecretReferenceError

EXAMPLE_VALUES: Final = (12.0, 14.0, 11.0, 13.0, 40.0, 95.0, 180.0, 210.0)
EXAMPLE_BOUND: Final = 100.0
MINUTE_S: Final = 60.0
DEAD_MAX: Final = 10_000
KEEPS: Final = frozenset({"pagerduty", "alertmanager"})  # what is told, until its end is told


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """What a receiver answered to a test."""

    workload: str
    receiver: str
    to: str
    delivered: bool
    answer: str  # empty where it was not asked


def take_alert(platform: Platform, number: int, *, because: str, dry_run: bool = False) -> Alert:
    """Acknowledge an alert: it is not told again, unless it gets worse.

    Raises: AlertMissingError, AlertNotFiringError, StateConflictError, StateUnavailableError.
    """
    alert = platform.alerts.get(number)
    if alert.state is not AlertState.FIRING:
        raise _not_firing(alert)
    now = platform.clock.now()
    why = because or f"{platform.principal} has it"
    taken = acknowledge(alert, principal=platform.principal, because=why, now=now)
    if not dry_run:
        platform.alerts.save(taken.alert, changes=[change_of(platform, taken, at=now)])
    return taken.alert


def silence_alerts(
    platform: Platform, wanted: Silence, *, dry_run: bool = False
) -> tuple[Silence, tuple[Alert, ...]]:
    """Keep alerts quiet for a time; return the silence, and which open alerts it fits now.

    Its id, its time and who made it are given here.

    Raises: StateUnavailableError.
    """
    now = platform.clock.now()
    made = replace(wanted, id=platform.ids.new(), at=now, principal=platform.principal)
    fits = tuple(one for one in platform.alerts.open(ended_after=now) if quiets(made, one, now=now))
    if not dry_run:
        platform.alerts.silence(
            made, _change(platform, made, f"silenced until {moment(made.until)}")
        )
    return made, fits


def end_silence(platform: Platform, name: str, *, dry_run: bool = False) -> Silence:
    """End a silence now.

    Raises: AlertMissingError, StateUnavailableError.
    """
    now = platform.clock.now()
    found = next((one for one in platform.alerts.silences(now=now) if one.id == name), None)
    if found is None:
        raise AlertMissingError(
            f"There is no silence `{name}`.",
            why="none of that id is in force",
            fix="`servewell alerts silences` shows those that are",
        )
    ended = replace(found, until=now)
    if not dry_run:
        platform.alerts.silence(ended, _change(platform, ended, "the silence was ended"))
    return ended


def try_receivers(
    platform: Platform, endpoint: str | None = None, *, dry_run: bool = False
) -> tuple[Tried, ...]:
    """Send a test to every receiver, of one endpoint or of all; return what each answered.

    Nothing waits in the outbox for it, and no incident stays open.

    Raises: StateUnavailableError.
    """
    routes = routes_of(platform, platform.workloads.list())
    return tuple(
        _try(platform, one, dry_run=dry_run)
        for one in routes
        if endpoint is None or endpoint in one.endpoints
    )


def retry_dead(
    platform: Platform, name: str | None = None, *, dry_run: bool = False
) -> tuple[Delivery, ...]:
    """Let one dead letter, or all of them, be tried again at once.

    Raises: DeadLetterMissingError, StateUnavailableError.
    """
    dead = platform.outbox.list(DeliveryState.DEAD, limit=DEAD_MAX)
    names = [one.id for one in dead] if name is None else [name]
    if dry_run:
        return tuple(one for one in dead if one.id in names)
    at = platform.clock.now()
    return tuple(platform.outbox.retry(one, at=at) for one in names)


def _try(platform: Platform, route: Route, *, dry_run: bool) -> Tried:
    answers = [] if dry_run else [_sent(platform, route, one) for one in _tests(platform, route)]
    failures = [answer for took, answer in answers if not took]
    return Tried(
        workload=route.workload,
        receiver=route.name,
        to=route.receiver.to,
        delivered=bool(answers) and not failures,
        answer=next(iter(failures), answers[0][1] if answers else ""),
    )


def _sent(platform: Platform, route: Route, notice: Notice) -> tuple[bool, str]:
    """Return whether a receiver took a notice, and what it answered."""
    delivery = Delivery(
        id=platform.ids.new(),
        workload=route.workload,
        receiver=route.name,
        notice=notice,
        made_at=notice.at,
        due_at=notice.at,
    )
    folder = platform.workloads.get(route.workload).folder
    try:
        letter = letter_of(platform, delivery)
        return True, platform.sinks.send(route.receiver, letter, folder=folder).answer
    except (DeliveryFailedError, SecretReferenceError, ReceiverAddressError) as error:
        return False, f"{error.what} {error.why}"


def _tests(platform: Platform, route: Route) -> tuple[Notice, ...]:
    """Return what is sent as a test: where an incident would stay open, its end too."""
    now = platform.clock.now()
    first = _test(now, f"This is a test by {platform.principal}: nothing is wrong.")
    ended = replace(first.alerts[0], state=AlertState.RESOLVED, ended_at=now)
    return (first, replace(first, alerts=(ended,))) if route.receiver.to in KEEPS else (first,)


def _test(now: float, what: str) -> Notice:
    times = tuple(now - MINUTE_S * back for back in reversed(range(len(EXAMPLE_VALUES))))
    points = Points(
        name="an example", unit="ms", times=times, values=EXAMPLE_VALUES, bound=EXAMPLE_BOUND
    )
    signal = Signal(
        kind=SignalKind.SERVING,
        severity=Severity.NOTE,
        endpoint="",
        subject="test",
        since=times[0],
        what=what,
        because="somebody ran `servewell alerts test`",
        points=(points,),
        command="servewell alerts list",
    )
    alert = Alert(
        id=0,
        key=signal.key,
        state=AlertState.FIRING,
        severity=Severity.NOTE,
        signal=signal,
        seen_at=now,
        tell=Reason.TEST,
    )
    return Notice(group="", reason=Reason.TEST, severity=Severity.NOTE, at=now, alerts=(alert,))


def _change(platform: Platform, silence: Silence, what: str) -> Change:
    names = (silence.endpoint, silence.kind, silence.key)
    told = ", ".join(f"`{one}`" for one in names if one) or "all alerts"
    return Change(
        at=platform.clock.now(),
        principal=platform.principal,
        kind=ChangeKind.ALERT,
        subject=silence.endpoint or HOME,
        because=f"{told}: {what}: {silence.because}",
    )


def _not_firing(alert: Alert) -> AlertNotFiringError:
    taken = f" by {alert.acknowledged_by}" if alert.acknowledged_by else ""
    return AlertNotFiringError(
        f"The alert {alert.id} cannot be acknowledged.",
        why=f"it is {alert.state}{taken}, and only one that fires can be taken",
        fix=f"`servewell alerts show {alert.id}` says what became of it",
    )
