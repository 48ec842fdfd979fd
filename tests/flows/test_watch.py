"""From a signal to a receiver: what is kept, what is sent, and what survives a death."""

import inspect
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import cast

import msgspec
import pytest
from click.testing import CliRunner

from flows.rollout_world import ByHand, HandClock
from ports.alert_receivers import Hook, hook
from servewell.adapters.embedded.processes import command_line
from servewell.cli.app import app
from servewell.cli.context import Session
from servewell.core.catalog.alert import AlertState, DeliveryState, Reason, Silence
from servewell.core.catalog.change import Change, ChangeKind
from servewell.core.catalog.endpoint import Endpoint
from servewell.core.catalog.known_workload import KnownWorkload
from servewell.core.catalog.signal import Severity, Signal, SignalKind
from servewell.core.catalog.workload import Artifact, Workload
from servewell.core.catalog.workload_alerts import AlertRules, Receiver
from servewell.core.operations.monitoring import (
    anomaly_signals,
    change_signals,
    drift_alarms,
    feedback_signals,
    quality_signals,
    record_signals,
)
from servewell.core.reliability import objective_signals, serving_signals
from servewell.flows.monitoring import undelivered
from servewell.flows.monitoring.alert_delivery import deliver_alerts
from servewell.flows.monitoring.alert_replay import replay
from servewell.flows.monitoring.alerts import (
    end_silence,
    retry_dead,
    silence_alerts,
    take_alert,
    try_receivers,
)
from servewell.flows.monitoring.monitors import MONITORS, Monitor
from servewell.flows.monitoring.watch import Seen, gather, look_at, watch
from servewell.flows.monitoring.watching import Watching
from servewell.flows.platform import Platform
from servewell.ports.alerts import AlertMissingError, AlertNotFiringError
from servewell.ports.outbox import DeadLetterMissingError
from servewell.wiring import open_platform

pytestmark = pytest.mark.enable_socket
NOTHING = Monitor(name="none", signals=lambda _, *, now: (), kinds=frozenset())  # noqa: ARG005 - as a monitor is called


@pytest.fixture
def server() -> Iterator[Hook]:
    """Give a receiver that takes everything."""
    with hook() as made:
        yield made


def known(platform: Platform, folder: Path, **receivers: Receiver) -> None:
    """Let the home know a workload with receivers."""
    (folder / "key").write_text("correct horse")
    found = [one for one in platform.workloads.list() if one.name == "flights"]
    platform.workloads.save(
        KnownWorkload(
            name="flights",
            folder=str(folder),
            digest="",
            workload=Workload(
                workload="flights",
                artifact=Artifact(path="model.onnx"),
                alerts=AlertRules(receivers=receivers),
            ),
            at=0.0,
            principal="anna",
            scheduled_from=0.0,
            revision=found[0].revision if found else 0,
        )
    )


def receiver(server: Hook, **more: object) -> Receiver:
    """Return a receiver of webhooks."""
    made = {"to": "webhook", "url": server.url, "unencrypted": True, "secret": "file:key", **more}
    return Receiver(**made)  # type: ignore[arg-type]  # as the workload file has them


def slow(platform: Platform, **more: object) -> Signal:
    """Return a page."""
    made = Signal(
        kind=SignalKind.LATENCY,
        severity=Severity.PAGE,
        endpoint="flights",
        since=platform.clock.now() - 60,
        what="The slowest of 100 requests take 300 ms.",
        because="300 ms against an objective of 100 ms",
        command="servewell rollback flights",
    )
    return replace(made, **more)  # type: ignore[arg-type]  # fields of a signal


def see(platform: Platform, *signals: Signal, after_s: float = 0.0) -> None:
    """Look at signals, some seconds from now."""
    look_at(platform, Seen(at=platform.clock.now() + after_s, signals=signals))


def test_a_page_reaches_its_receiver_with_the_change_before_it(
    platform: Platform, endpoint: Endpoint, server: Hook, tmp_path: Path
) -> None:
    """It is kept, told once, and names the deployment that came just before it began."""
    known(platform, tmp_path, oncall=receiver(server))
    found = slow(platform)
    deployed = Change(
        at=found.since - 240,
        principal="anna",
        kind=ChangeKind.DEPLOYED,
        subject=endpoint.name,
        because="`v2` gets all requests",
    )
    platform.history.keep(deployed)
    see(platform, found, after_s=-20)
    see(platform, found, after_s=-5)
    deliver_alerts(platform)
    deliver_alerts(platform)
    (taken,) = server.taken
    (alert,) = taken.value["alerts"]
    assert taken.value["title"].startswith("[page] flights:")
    assert alert["change"]["because"] == "`v2` gets all requests"
    assert platform.alerts.get(1).told_at is not None
    told = platform.history.changes("flights")[-1]
    assert (told.kind, "300 ms" in told.because) == (ChangeKind.ALERT, True)


def test_without_receivers_alerts_are_kept_and_shown(
    platform: Platform, endpoint: Endpoint
) -> None:
    """The useful ones need nothing written."""
    assert endpoint.name == "flights"
    see(platform, slow(platform), after_s=-20)
    see(platform, slow(platform))
    assert platform.alerts.get(1).state is AlertState.FIRING
    assert platform.outbox.list(DeliveryState.WAITING) == ()


@pytest.mark.parametrize("answer", [(500, ""), (429, "90")])
def test_a_receiver_that_is_ill_gets_it_later(
    platform: Platform, endpoint: Endpoint, server: Hook, tmp_path: Path, answer: tuple[int, str]
) -> None:
    """Another receiver has it at once; the ill one when it is asked again, under the same id."""
    assert endpoint.name == "flights"
    status, asked = answer
    server.status = status
    server.headers = {"Retry-After": asked} if asked else {}
    with hook() as other:
        known(platform, tmp_path, ill=receiver(server), well=receiver(other))
        see(platform, slow(platform), after_s=-20)
        see(platform, slow(platform), after_s=-5)
        deliver_alerts(platform)
        assert (len(server.taken), len(other.taken)) == (1, 1)
    (waiting,) = platform.outbox.list(DeliveryState.WAITING)
    assert f"it answered {status}" in waiting.answer
    now = platform.clock.now()
    assert waiting.due_at > now + (80 if asked else 1)
    server.status = 200
    platform.outbox.keep(replace(waiting, due_at=now))
    deliver_alerts(platform)
    ids = [one.headers["x-servewell-delivery"] for one in server.taken]
    assert ids == [waiting.id, waiting.id]
    assert platform.outbox.list(DeliveryState.WAITING) == ()


def test_a_dead_letter_is_a_signal_and_can_be_sent_again(
    platform: Platform, endpoint: Endpoint, server: Hook, tmp_path: Path
) -> None:
    """After the declared tries nothing is lost: it is shown, told to others, and sent by hand."""
    assert endpoint.name == "flights"
    server.status = 503
    known(platform, tmp_path, oncall=receiver(server, tries=1))
    see(platform, slow(platform), after_s=-20)
    see(platform, slow(platform), after_s=-5)
    deliver_alerts(platform)
    (dead,) = platform.outbox.list(DeliveryState.DEAD)
    signals = gather(platform, now=platform.clock.now()).signals
    assert any("could not be delivered" in one.what for one in signals)
    with pytest.raises(DeadLetterMissingError):
        retry_dead(platform, "none")
    assert retry_dead(platform, dry_run=True) == (dead,)
    server.status = 200
    retry_dead(platform)
    deliver_alerts(platform)
    assert [one.id for one in platform.outbox.list(DeliveryState.DELIVERED)] == [dead.id]


def test_who_is_killed_before_the_delivery_is_marked_sends_it_again(
    platform: Platform, endpoint: Endpoint, server: Hook, tmp_path: Path
) -> None:
    """A real process dies while the receiver has the letter and has not answered yet."""
    assert endpoint.name == "flights"
    known(platform, tmp_path, oncall=receiver(server))
    see(platform, slow(platform), after_s=-20)
    see(platform, slow(platform), after_s=-5)
    server.go.clear()
    program = (
        "import sys; from pathlib import Path; from servewell.wiring import open_platform;"
        "from servewell.flows.monitoring.alert_delivery import deliver_alerts;"
        "deliver_alerts(open_platform(Path(sys.argv[1])))"
    )
    with subprocess.Popen([sys.executable, "-c", program, str(tmp_path / "home")]) as sender:
        assert server.came.wait(60)
        os.kill(sender.pid, signal.SIGKILL)
    server.go.set()
    assert len(platform.outbox.list(DeliveryState.WAITING)) == 1
    deliver_alerts(platform)
    first, second = (one.headers["x-servewell-delivery"] for one in server.taken)
    assert first == second
    assert platform.outbox.list(DeliveryState.WAITING) == ()


def test_a_receiver_that_nobody_names_any_more_ends_as_a_dead_letter(
    platform: Platform, endpoint: Endpoint, server: Hook, tmp_path: Path
) -> None:
    """What was decided for it is not lost without a word."""
    assert endpoint.name == "flights"
    known(platform, tmp_path, oncall=receiver(server))
    see(platform, slow(platform), after_s=-20)
    see(platform, slow(platform), after_s=-5)
    known(platform, tmp_path)
    deliver_alerts(platform)
    (dead,) = platform.outbox.list(DeliveryState.DEAD)
    assert "no workload names" in dead.answer


def test_control_dead_for_an_hour_opens_no_storm(
    platform: Platform, endpoint: Endpoint, server: Hook, tmp_path: Path
) -> None:
    """What changed meanwhile is one notice; what stands stays open, and nothing is resolved."""
    assert endpoint.name == "flights"
    known(platform, tmp_path, oncall=receiver(server))
    before = slow(platform, since=platform.clock.now() - 9_000)
    for after_s in (-8_000, -7_980):
        see(platform, before, after_s=after_s)
    deliver_alerts(platform)
    assert len(server.taken) == 1
    parts = [slow(platform, kind=SignalKind.QUALITY, subject=f"s{one}") for one in range(20)]
    for after_s in (-4_000, -3_990, -3_970, -3_930):
        see(platform, *parts, after_s=after_s)
    deliver_alerts(platform)
    assert len(server.taken) == 2
    assert len(server.taken[1].value["alerts"]) == 20
    assert server.taken[1].value["missed_from"] is not None
    assert platform.alerts.get(1).state is AlertState.FIRING


def test_two_who_watch_at_once_tell_nobody_twice(
    platform: Platform, endpoint: Endpoint, server: Hook, tmp_path: Path
) -> None:
    """A look that was decided on old facts is refused as a whole."""
    assert endpoint.name == "flights"
    known(platform, tmp_path, oncall=receiver(server))
    other = open_platform(tmp_path / "home")
    for after_s in (-30, -15):
        see(platform, slow(platform), after_s=after_s)
        see(other, slow(platform), after_s=after_s + 1)
    assert len(platform.outbox.list(DeliveryState.WAITING)) == 1


def test_a_monitor_that_fails_is_a_signal_and_silences_no_other(platform: Platform) -> None:
    """Its kinds are unknown, not well; the others are asked all the same."""

    def failing(_: Platform, *, now: float) -> tuple[Signal, ...]:
        raise ZeroDivisionError(str(now))

    bad = Monitor(name="drift", signals=failing, kinds=frozenset({SignalKind.DRIFT}))
    good = replace(NOTHING, signals=lambda _, *, now: (slow(platform, since=now),))  # type: ignore[misc]
    seen = gather(platform, now=1e9, monitors=[bad, good])
    assert seen.blind == {SignalKind.DRIFT}
    assert {one.kind for one in seen.signals} == {SignalKind.SERVING, SignalKind.LATENCY}


def test_a_fault_of_one_endpoint_silences_no_other(platform: Platform, endpoint: Endpoint) -> None:
    """The monitor that fails over one is asked of each by itself; the other still pages."""
    created = Change(
        at=0.0,
        principal="anna",
        kind=ChangeKind.ENDPOINT_CREATED,
        subject="rain",
        because="a test",
    )
    platform.endpoints.save(Endpoint(name="rain", workload="rain"), created)

    def failing(asked: Platform, *, now: float) -> tuple[Signal, ...]:
        names = [one.name for one in asked.endpoints.list()]
        if "rain" in names:
            raise ZeroDivisionError("no rain")
        return tuple(slow(asked, endpoint=name, since=now) for name in names)

    bad = Monitor(name="objectives", signals=failing, kinds=frozenset({SignalKind.LATENCY}))
    seen = gather(platform, now=1e9, monitors=[bad])
    assert [(one.kind, one.endpoint) for one in seen.signals] == [
        (SignalKind.LATENCY, endpoint.name),
        (SignalKind.SERVING, "rain"),
    ]
    assert seen.signals[1].because == "it ended so: ZeroDivisionError: no rain"
    assert seen.blind == {SignalKind.LATENCY}


def test_a_monitor_names_every_kind_that_it_can_find() -> None:
    """What it is blind to when it fails is all of that, so that none of its alerts resolve."""
    made_in = {
        "objectives": objective_signals,
        "serving": serving_signals,
        "records": record_signals,
        "drift": drift_alarms,
        "quality": quality_signals,
        "feedback": feedback_signals,
        "anomalies": anomaly_signals,
        "changes": change_signals,
        "deliveries": undelivered,
    }
    found = {
        name: {SignalKind[kind] for kind in re.findall(r"kind=SignalKind\.(\w+)", source)}
        for name, source in ((name, inspect.getsource(one)) for name, one in made_in.items())
    }
    found["objectives"] |= set(objective_signals.KINDS.values())
    assert {one.name: set(one.kinds) for one in MONITORS} == found


def test_a_monitor_is_asked_again_when_something_may_be_new(
    platform: Platform, endpoint: Endpoint
) -> None:
    """After its time, at once after a change of what is served, and each time while it fails."""
    home = ByHand(platform, HandClock(at=1e9))
    asked: list[float] = []
    failing: list[str] = []

    def signals(_: Platform, *, now: float) -> tuple[Signal, ...]:
        asked.append(now - 1e9)
        if failing:
            raise ZeroDivisionError
        return ()

    own = Monitor(name="own", signals=signals, kinds=frozenset(), every_s=60.0)
    watching = Watching([own])

    def look(at: float) -> None:
        home.clock.at = 1e9 + at
        watching.watch(cast("Platform", home))

    look(0)
    look(10)
    platform.endpoints.save(
        platform.endpoints.get(endpoint.name),
        Change(
            at=0.0, principal="anna", kind=ChangeKind.DEPLOYED, subject="flights", because="a test"
        ),
    )
    look(20)
    look(70)
    look(80)
    failing.append("it")
    look(140)
    look(150)
    assert list(dict.fromkeys(asked)) == [0, 20, 80, 140, 150]
    watching.tell_readings(cast("Platform", home))
    assert platform.readings.told()


def test_all_monitors_say_something_of_a_home_in_which_nothing_serves(
    platform: Platform, endpoint: Endpoint
) -> None:
    """None of them fails for want of data."""
    assert endpoint.name == "flights"
    found = gather(platform, now=platform.clock.now())
    assert not found.blind
    assert not [one.what for one in found.signals if "cannot say" in one.what]
    watch(platform)


def test_a_person_takes_an_alert(platform: Platform, endpoint: Endpoint) -> None:
    """Once; it is in the history by whom, and a trial changes nothing."""
    assert endpoint.name == "flights"
    see(platform, slow(platform), after_s=-20)
    see(platform, slow(platform))
    take_alert(platform, 1, because="on it", dry_run=True)
    assert platform.alerts.get(1).state is AlertState.FIRING
    take_alert(platform, 1, because="on it")
    assert platform.alerts.get(1).acknowledged_by == platform.principal
    with pytest.raises(AlertNotFiringError):
        take_alert(platform, 1, because="me too")
    with pytest.raises(AlertMissingError):
        take_alert(platform, 9, because="")


def test_a_silence_is_made_and_ended(platform: Platform, endpoint: Endpoint) -> None:
    """It says which open alerts it fits, and leaves a trace in the history."""
    assert endpoint.name == "flights"
    see(platform, slow(platform))
    now = platform.clock.now()
    wanted = Silence(
        id="", endpoint="flights", at=now, until=now + 60, because="known", principal=""
    )
    made, fits = silence_alerts(platform, wanted)
    assert [one.id for one in fits] == [1]
    end_silence(platform, made.id)
    with pytest.raises(AlertMissingError):
        end_silence(platform, made.id)
    said = [one.because for one in platform.history.changes("flights")]
    assert sum("silence" in one for one in said) == 2


def test_a_test_says_what_each_receiver_answered(
    platform: Platform, endpoint: Endpoint, server: Hook, tmp_path: Path
) -> None:
    """An incident that a test opens is closed by it, and nothing is left in the outbox."""
    assert endpoint.name == "flights"
    with hook() as ill:
        ill.status = 500
        pager = receiver(server, to="pagerduty")
        known(platform, tmp_path, pager=pager, ill=receiver(ill))
        assert [one.delivered for one in try_receivers(platform, dry_run=True)] == [False, False]
        assert server.taken == []
        by_name = {one.receiver: one for one in try_receivers(platform)}
    assert [one.value["event_action"] for one in server.taken] == ["trigger", "resolve"]
    assert by_name["pager"].delivered
    assert (by_name["ill"].delivered, "500" in by_name["ill"].answer) == (False, True)
    assert platform.outbox.list(DeliveryState.WAITING) == ()


def test_a_replay_says_what_these_rules_would_have_said(
    platform: Platform, endpoint: Endpoint, server: Hook, tmp_path: Path
) -> None:
    """Two hours of a bad day are one alert that fired and resolved; nobody is told."""
    assert endpoint.name == "flights"
    known(platform, tmp_path, oncall=receiver(server))
    end = platform.clock.now() - 86_400

    def past(_: Platform, *, now: float) -> tuple[Signal, ...]:
        return (slow(platform, since=end - 7_200),) if end - 7_200 <= now <= end else ()

    monitor = Monitor(name="past", signals=past, kinds=frozenset({SignalKind.LATENCY}))
    present = replace(NOTHING, knows_past=False)
    found = replay(platform, days=2, every_s=900, monitors=[monitor, present])
    (alert,) = found.alerts
    assert alert.state is AlertState.RESOLVED
    assert [one.notice.reason for one in found.told] == [
        Reason.FIRED,
        *[Reason.ESCALATED] * 3,
        Reason.RESOLVED,
    ]
    assert found.told[0].receivers == ("flights/oncall",)
    assert found.unasked == ("none",)
    assert platform.alerts.list() == ()
    assert server.taken == []


def test_control_watches_and_delivers(tmp_path: Path, server: Hook) -> None:
    """The real control process sends what waits in the outbox, and looks by itself."""
    home = tmp_path / "home"
    platform = open_platform(home)
    known(platform, tmp_path, oncall=receiver(server))
    platform.endpoints.save(
        Endpoint(name="flights", workload="flights"),
        Change(
            at=0.0,
            principal="anna",
            kind=ChangeKind.ENDPOINT_CREATED,
            subject="flights",
            because="a test",
        ),
    )
    see(platform, slow(platform), after_s=-20)
    see(platform, slow(platform), after_s=-5)
    before = platform.alerts.look().revision
    with subprocess.Popen(command_line("control", home), start_new_session=True) as control:
        try:
            assert server.came.wait(60)
            end = time.monotonic() + 60
            while platform.alerts.look().revision == before and time.monotonic() < end:
                time.sleep(0.05)
        finally:
            control.send_signal(signal.SIGTERM)
    assert platform.alerts.look().revision > before


def test_the_command_line_shows_and_answers(
    platform: Platform, endpoint: Endpoint, tmp_path: Path
) -> None:
    """List, show with a page, ack, silence, silences, dead letters, and a replay."""
    assert endpoint.name == "flights"
    see(platform, slow(platform), after_s=-20)
    see(platform, slow(platform))

    def run(*words: str) -> str:
        session = Session(open_platform=lambda _: platform)
        ran = CliRunner().invoke(app, ["alerts", *words], obj=session, catch_exceptions=False)
        assert ran.exit_code == 0, ran.output
        return ran.output

    assert "firing" in run("list", "flights")
    page = tmp_path / "alert.html"
    assert "next: servewell rollback flights" in run("show", "1", "--html", str(page))
    assert "<h1>Alert 1</h1>" in page.read_text()
    assert "acknowledged by" in run("ack", "1", "--because", "on it")
    assert "1 open alerts" in run("silence", "flights", "--for", "2h", "--because", "known")
    (found,) = msgspec.json.decode(run("silences", "--json"))
    assert "ended" in run("silence", "--end", found["id"])
    assert "Nothing is silenced" in run("silences")
    assert "No receiver is declared" in run("test")
    assert "Everything was delivered" in run("dead-letters")
    assert "0 dead letters" in run("retry", "--all")
    assert "looks" in run("replay", "--days", "0.01", "--every", "5m")
