"""From kept counters to a verdict, what it is called, and what it starts."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import msgspec
import numpy as np
import pytest

from core.profiles_made import DAY, HOUR, NOON, Values, normal, reference_of, window_of
from flows.drift_world import Then, count_hours, keep, serve
from flows.rollout_world import passed
from ports.written_log import Log, refused
from servewell.cli.app import run
from servewell.core.catalog.change import ChangeKind
from servewell.core.catalog.drift import DriftVerdict
from servewell.core.catalog.endpoint import BP_FULL, Endpoint
from servewell.core.catalog.gate import GateVerdict
from servewell.core.catalog.known_workload import KnownWorkload
from servewell.core.catalog.profile import MINUTE_S, ReferenceProfile
from servewell.core.catalog.reading import DRIFT_VERDICT, QUALITY_WORSE
from servewell.core.catalog.retraining import RetrainState, Trigger
from servewell.core.catalog.series_names import LOOK, of_endpoint
from servewell.core.catalog.signal import SignalKind
from servewell.core.catalog.triage import Kind
from servewell.core.catalog.workload_monitoring import (
    DriftRules,
    MonitoringRules,
    RetrainOnVerdict,
    RollBackOnVerdict,
    SignalRules,
)
from servewell.core.catalog.workload_objectives import ObjectiveRules
from servewell.core.operations.monitoring.loop import Act, Decision, decide
from servewell.flows.monitoring.drift import drift_of
from servewell.flows.monitoring.drift_signals import drift_signals
from servewell.flows.monitoring.looks import keep_looks
from servewell.flows.monitoring.loop import act, close_loop, facts_of
from servewell.flows.monitoring.readings import tell_readings
from servewell.flows.monitoring.triage import triage_of
from servewell.flows.platform import Platform
from servewell.flows.release import set_traffic
from servewell.ports.registry import ModelMissingError
from servewell.ports.state import StateConflictError

HOURLY = DriftRules(window_length_s=HOUR, seasons=False)


@pytest.fixture
def then(platform: Platform, endpoint: Endpoint) -> Then:
    """Return a home at a time of its own; nothing was served in it."""
    assert endpoint.name == "flights"
    return Then(platform)


def rows(count: int, *, centre: float = 0.0, seed: int = 1) -> dict[str, Values]:
    """Return the values of two columns, of which one may have moved."""
    draw = np.random.default_rng(seed)
    return {"x": normal(draw, count), "temp": normal(draw, count, centre=centre)}


def reference() -> ReferenceProfile:
    """Return what versions were made for."""
    return reference_of(rows(3_000, seed=99))


def moved_from(first: int) -> Any:  # noqa: ANN401 - a function of the hour
    """Return the values of each hour, which move from one on."""
    return lambda hour: rows(500, centre=1.0 if hour >= first else 0.0, seed=hour)


def told(then: Then, capsys: pytest.CaptureFixture[str], *words: str, code: int = 0) -> str:
    """Run a command; return what it says."""
    given = run(lambda _: cast("Platform", then), list(words))
    said = capsys.readouterr()
    assert given == code, said.err
    return said.out or said.err


def test_a_shift_is_told_from_the_counters(
    then: Then, endpoint: Endpoint, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Calm before it, drift after it, at the terminal, as JSON and as a page; and a signal."""
    kept = serve(cast("Platform", then), endpoint, reference())
    count_hours(then, kept, moved_from(40), first=NOON, hours=44)
    (calm,) = drift_of(then, "flights", now=NOON + 39 * HOUR)
    assert calm.verdict is DriftVerdict.FINE
    assert not drift_signals(then, now=NOON + 39 * HOUR)
    then.clock.at = NOON + 44 * HOUR
    (drifted,) = drift_of(then, "flights", now=then.clock.at)
    assert drifted.verdict is DriftVerdict.DRIFT
    assert (drifted.columns[0].column, drifted.columns[0].windows) == ("temp", 4)
    (signal,) = drift_signals(then, now=then.clock.at)
    assert (signal.kind, signal.since) == (SignalKind.DRIFT, NOON + 40 * HOUR)

    page = tmp_path / "drift.html"
    said = told(then, capsys, "drift", "flights", "--html", str(page))
    assert "DRIFT  flights/v1 (flights:1)" in said
    assert "temp: share of rows" in said
    assert "<svg" in page.read_text()
    as_json = json.loads(told(then, capsys, "drift", "flights", "--json", "--deployment", "v1"))
    assert as_json[0]["columns"][0]["verdict"] == "drift"
    assert "CANNOT TELL" in told(then, capsys, "triage", "flights")


def test_any_time_is_one_question(
    then: Then, endpoint: Endpoint, capsys: pytest.CaptureFixture[str]
) -> None:
    """`--since` and `--until` judge that time, in two halves; a wrong one is said in words."""
    kept = serve(cast("Platform", then), endpoint, reference())
    count_hours(then, kept, moved_from(10), first=NOON, hours=14)
    spans = {(0, 10): "fine", (10, 14): "drift", (8, 12): "watch", (20, 22): "cannot tell"}
    for (first, last), verdict in spans.items():
        now = float(NOON + last * HOUR)
        (report,) = drift_of(then, "flights", now=now, since=NOON + first * HOUR)
        assert report.verdict == verdict
    since = ("--since", "2023-11-15T00:00")  # which is NOON
    for words, code in (
        ((*since, "--until", "2023-11-15T00:00"), "SW-170"),
        (("--deployment", "v9"), "SW-205"),
        ((*since, "--until", "2023-11-15T10:00", "--slice", "x=1"), "SW-261"),
    ):
        assert run(lambda _: cast("Platform", then), ["drift", "flights", *words]) > 0
        assert code in capsys.readouterr().err


def test_a_version_without_a_reference_and_without_rows_says_so(
    then: Then, endpoint: Endpoint
) -> None:
    """Each silence has its reason, and the first minutes are judged by what there is."""
    assert not drift_of(then, "flights", now=NOON)
    serve(cast("Platform", then), endpoint, reference())
    (silent,) = drift_of(then, "flights", now=NOON)
    assert (silent.verdict, silent.rows) == (DriftVerdict.CANNOT_TELL, 0)
    assert "no row" in silent.because
    assert not drift_signals(then, now=NOON)
    kept = then.profiles.reference(then.registry.get("flights", 1).package)
    count_hours(then, kept, lambda _: rows(60), first=NOON, hours=1)
    (early,) = drift_of(then, "flights", now=NOON + 300)
    assert (early.verdict, early.rows) == (DriftVerdict.CANNOT_TELL, 60)
    assert "60 rows in the window; it takes" in early.because


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        ("unknown-input; missing-input temp row 0", "Callers send `temp` under another name."),
        ("null temp row 0", "300 of 340 requests of the last hour are refused for their inputs: "),
    ],
)
def test_requests_that_do_not_fit_are_a_broken_feed(
    then: Then, endpoint: Endpoint, tmp_path: Path, reason: str, words: str
) -> None:
    """An input was renamed, or has values that are refused: it is named, though no row is kept."""
    kept = serve(cast("Platform", then), endpoint, reference())
    now = NOON + 2 * HOUR
    window = window_of(kept, rows(40), start=now - 600, seconds=MINUTE_S)
    keep(then, window, name="part", codes={"SW-313": 300})
    why = {"code": "SW-313", "reason": reason}
    lacking = [
        msgspec.structs.replace(refused(number, **why), time_ns=(now - 600) * 10**9 + number)
        for number in range(300)
    ]
    Log(then.records, tmp_path / "home" / "records").write("w0", lacking)
    (verdict,) = triage_of(then, "flights", now=now)
    assert (verdict.kind, verdict.columns) == (Kind.BROKEN_FEED, ("temp",))
    (signal,) = drift_signals(then, now=now)
    assert (signal.kind, signal.subject) == (SignalKind.FEED, "inputs")
    assert signal.what.startswith(words)


def test_what_nobody_calls_any_more_cannot_be_told(then: Then, endpoint: Endpoint) -> None:
    """A drift stands for a night, and not for ever: after two days it says since when."""
    kept = serve(cast("Platform", then), endpoint, reference())
    count_hours(then, kept, moved_from(40), first=NOON, hours=44)
    for hours, verdict in ((30, DriftVerdict.DRIFT), (49, DriftVerdict.CANNOT_TELL)):
        (report,) = drift_of(then, "flights", now=NOON + (44 + hours) * HOUR)
        assert report.verdict is verdict
    assert "no rows of it were counted since 2023-11-16 20:00 UTC" in report.because


def test_a_feed_that_breaks_pages_before_its_day_is_over(then: Then, endpoint: Endpoint) -> None:
    """With thirty rows an hour a window is a day; half of the values missing is told by noon."""
    kept = serve(cast("Platform", then), endpoint, reference())

    def values(hour: int) -> dict[str, Values]:
        found = rows(30, seed=hour)
        return found | {"temp": [None] * 15 + list(found["temp"][15:])} if hour >= 72 else found

    count_hours(then, kept, values, first=NOON, hours=84)
    assert not drift_signals(then, now=NOON + 72 * HOUR)
    (signal,) = drift_signals(then, now=NOON + 84 * HOUR)
    assert (signal.kind, signal.subject) == (SignalKind.FEED, "temp")
    assert signal.since == NOON + 72 * HOUR


def test_a_version_without_requests_is_neither_looked_at_nor_told_of(
    then: Then, endpoint: Endpoint
) -> None:
    """Its drift is shown, and spends no budget and makes no signal; nor does an old window."""
    then.declare(MonitoringRules(drift=HOURLY), ObjectiveRules(drift="95%"))
    platform = cast("Platform", then)
    old = serve(platform, endpoint, reference())
    count_hours(then, old, moved_from(0), first=NOON, hours=6)
    then.clock.at = NOON + 6 * HOUR + 60
    look = of_endpoint("flights", LOOK, "drift")

    def looked_bad() -> list[float]:
        keep_looks(platform)
        return [one.total for one in then.series.read(look, since=0, until=NOON + DAY, step=300)]

    assert looked_bad() == [1.0]
    then.clock.at += 2 * HOUR
    assert looked_bad() == [1.0]
    new = serve(platform, endpoint, reference(), number=2)
    count_hours(then, new, moved_from(99), first=NOON + 8 * HOUR, hours=1)
    then.clock.at = NOON + 9 * HOUR + 60
    assert looked_bad() == [1.0, 0.0]
    verdicts = {one.deployment: one.verdict for one in drift_of(then, "flights", now=then.clock.at)}
    assert verdicts["v1"] is DriftVerdict.DRIFT
    assert not drift_signals(then, now=then.clock.at)
    tell_readings(platform)
    kinds = {DRIFT_VERDICT, QUALITY_WORSE}
    told_of = {one.labels["deployment"] for one in then.readings.told() if one.name in kinds}
    assert told_of == {"v2"}


@pytest.fixture
def skewed(then: Then, endpoint: Endpoint) -> KnownWorkload:
    """Return a workload that declares a rollback, and whose newest version is skewed."""
    rules = SignalRules(roll_back=RollBackOnVerdict())
    known = then.declare(MonitoringRules(drift=HOURLY, signals=rules))
    platform = cast("Platform", then)
    serve(platform, endpoint, reference())
    then.clock.at += 60
    kept = serve(platform, endpoint, reference(), number=2)
    count_hours(then, kept, moved_from(0), first=NOON + HOUR, hours=4)
    then.clock.at = NOON + 5.5 * HOUR
    return known


def test_skew_is_rolled_back_once_where_it_is_declared(then: Then, skewed: KnownWorkload) -> None:
    """A version whose rows were others from the first hour on goes; the history says why."""
    assert skewed.workload.monitoring.signals.roll_back is not None
    platform = cast("Platform", then)
    verdicts = {
        one.deployment: one.kind for one in triage_of(platform, "flights", now=then.clock.at)
    }
    assert verdicts["v2"] is Kind.SKEW
    close_loop(platform)
    assert then.endpoints.get("flights").traffic == {"v1": BP_FULL}
    back = then.history.changes("flights")[-1]
    assert back.kind is ChangeKind.ROLLED_BACK
    assert "the signal `skew`: train-serving skew in `v2`" in back.because
    revision = then.history.revision()
    close_loop(platform)
    assert then.history.revision() == revision


def test_a_verdict_takes_back_no_more_than_it_knew_of(then: Then, skewed: KnownWorkload) -> None:
    """What somebody changed while the verdict was made stands; so does a rollout."""
    platform = cast("Platform", then)
    decision = Decision(act=Act.ROLL_BACK, signal="skew", because="train-serving skew in `v2`")
    before = then.endpoints.get("flights")
    set_traffic(platform, "flights", {"v1": 5_000, "v2": 5_000})
    with pytest.raises(StateConflictError):
        act(platform, skewed, before, decision)
    assert then.endpoints.get("flights").traffic == {"v1": 5_000, "v2": 5_000}


def test_a_verdict_returns_to_no_version_that_was_taken_back(
    then: Then, skewed: KnownWorkload
) -> None:
    """Neither to one that a person withdrew, nor to one that fails its newest report."""
    platform = cast("Platform", then)
    served = then.endpoints.get("flights")
    first = next(one for one in served.deployments if one.name == "v1")
    withdrawn = replace(
        served,
        deployments=(
            replace(first, withdrawn="ada took it back: it was wrong"),
            served.deployments[-1],
        ),
    )
    failed = replace(passed(then.registry.get("flights", 1)), verdict=GateVerdict.FAIL)
    verdict = next(
        one for one in triage_of(platform, "flights", now=then.clock.at) if one.deployment == "v2"
    )

    def hindered(endpoint: Endpoint) -> str:
        facts = facts_of(platform, skewed, endpoint, verdict, now=then.clock.at)
        decision = decide(facts)
        return "" if decision.act is Act.ROLL_BACK else decision.because

    assert not hindered(served)
    assert "ada took it back: it was wrong" in hindered(withdrawn)
    then.gates.keep(failed)
    assert "flights:1" in hindered(served)
    close_loop(platform)
    assert then.endpoints.get("flights").traffic == {"v2": BP_FULL}


def test_a_fault_at_one_endpoint_keeps_no_other_from_the_loop(
    then: Then, skewed: KnownWorkload
) -> None:
    """It is told at the end, and the other is rolled back all the same."""
    platform = cast("Platform", then)
    flights = then.endpoints.get(skewed.name)
    gone = replace(flights.deployments[0], model="gone")
    change = replace(then.history.changes()[0], subject="aircraft")
    lost = replace(flights, name="aircraft", deployments=(gone,), past=(), revision=0)
    then.endpoints.save(lost, change)
    with pytest.raises(ModelMissingError):
        close_loop(platform)
    assert then.endpoints.get("flights").traffic == {"v1": BP_FULL}


def test_nothing_is_done_that_is_not_declared(then: Then, endpoint: Endpoint) -> None:
    """The same trouble changes nothing where the workload says nothing."""
    then.declare(MonitoringRules(drift=HOURLY))
    platform = cast("Platform", then)
    serve(platform, endpoint, reference())
    then.clock.at += 60
    kept = serve(platform, endpoint, reference(), number=2)
    count_hours(then, kept, moved_from(0), first=NOON + HOUR, hours=4)
    then.clock.at = NOON + 5.5 * HOUR
    revision = then.history.revision()
    close_loop(platform)
    assert then.history.revision() == revision


def test_a_verdict_asks_for_one_training_and_the_history_tells_it(
    then: Then, endpoint: Endpoint
) -> None:
    """The row and the line of the history are kept together; a second look waits for the first."""
    known = then.declare(MonitoringRules(signals=SignalRules(retrain=RetrainOnVerdict())))
    platform = cast("Platform", then)
    serve(platform, endpoint, reference())
    decision = Decision(
        act=Act.RETRAIN, signal="concept-drift", because="concept drift in `v1`: 900 labels say so"
    )
    served = then.endpoints.get("flights")
    act(platform, known, served, decision)
    (asked,) = then.retrainings.list("flights")
    assert (asked.trigger, asked.signal) == (Trigger.SIGNAL, "concept-drift")
    assert asked.state is RetrainState.ASKED
    line = then.history.changes("flights")[-1]
    assert line.kind is ChangeKind.SIGNAL
    assert line.because.startswith("the signal `concept-drift`: concept drift in `v1`")
    (verdict,) = triage_of(platform, "flights", now=then.clock.at)
    facts = facts_of(platform, known, served, verdict, now=then.clock.at)
    assert (facts.retraining, facts.retrained_at) == (asked.id, asked.asked_at)
    assert decide(facts).act is Act.NOTHING
