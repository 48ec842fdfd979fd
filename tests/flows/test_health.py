"""Objectives, figures over time and health, on a real state filled by hand."""

import json
from dataclasses import dataclass, field, replace
from typing import Any, Final, cast

import pytest

from flows.rollout_world import HandClock
from servewell.cli.app import run
from servewell.core.catalog.change import Change, ChangeKind
from servewell.core.catalog.endpoint import BP_FULL, Endpoint
from servewell.core.catalog.health import HealthState
from servewell.core.catalog.known_workload import KnownWorkload
from servewell.core.catalog.label import Label
from servewell.core.catalog.profile import TrafficWindow
from servewell.core.catalog.retraining import Retraining, RetrainState, Trigger
from servewell.core.catalog.series import DAY_S, HOUR_S, SeriesPoint
from servewell.core.catalog.series_names import (
    CORRECTED,
    COUNTED,
    DISK_FREE,
    FAILED,
    LOOK,
    MISSING,
    MOVED,
    RECORDS_LOST,
    REFUSED,
    REQUESTS,
    SLOW,
    UNUSUAL,
    WORKERS,
    of_endpoint,
)
from servewell.core.catalog.signal import Severity, Signal, SignalKind
from servewell.core.catalog.stop import StopMode, StopOrder
from servewell.core.catalog.workload import Artifact, Workload
from servewell.core.catalog.workload_objectives import (
    Dependency,
    FreshnessRules,
    ObjectiveRules,
)
from servewell.flows.monitoring.anomalies import anomaly_signals, judge_figures
from servewell.flows.monitoring.change import change_signals
from servewell.flows.monitoring.figures import keep_known, keep_points
from servewell.flows.monitoring.health import health, health_of
from servewell.flows.monitoring.looks import keep_looks
from servewell.flows.monitoring.monitors import ask_all
from servewell.flows.monitoring.objective_events import LAG_MAX_S
from servewell.flows.monitoring.objectives import objective_signals, objectives_standing
from servewell.flows.monitoring.profiling import keep_profiles
from servewell.flows.monitoring.series import (
    keep_compacted,
    keep_home_series,
    keep_late_series,
    keep_traffic_series,
    sweep_series,
)
from servewell.flows.monitoring.serving import serving_signals
from servewell.flows.platform import Platform
from servewell.flows.release import deploy
from servewell.ports.fleet import FleetPlan, FleetState
from servewell.ports.profiles import CountedPart, Part
from servewell.ports.registry import ModelMissingError
from servewell.ports.snapshots import WorkerReport

pytestmark = pytest.mark.enable_socket  # the workers' door is knocked at; nobody opens
PID: Final = 4_711
NOW: Final = 1_700_000_400.0


@dataclass(slots=True)
class TwoWorkers:
    """A fleet that is to have two workers, of which so many run."""

    running: int = 2
    control: int | None = PID

    def state(self) -> FleetState:
        """See `Fleet.state`."""
        plan = FleetPlan(
            host="127.0.0.1",
            port=9,
            workers=2,
            drain_s=1.0,
            retention_days=30,
            record_bytes_max=1 << 30,
        )
        workers = {index: PID + index for index in range(self.running)}
        return FleetState(
            supervisor=PID, control=self.control, workers=workers, plan=plan, started_at=0.0
        )


@dataclass(slots=True)
class Home:
    """`Platform`: that of a home, but for the clock and the fleet."""

    platform: Platform
    clock: HandClock = field(default_factory=lambda: HandClock(at=NOW))
    fleet: TwoWorkers = field(default_factory=TwoWorkers)
    parts: int = 0

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever port it is
        return getattr(self.platform, name)

    def ready(self) -> None:
        """Let every worker that runs say that it serves what is newest."""
        current = self.snapshots.current()
        for index, pid in self.fleet.state().workers.items():
            self.snapshots.report(
                WorkerReport(
                    worker=index,
                    pid=pid,
                    snapshot=current.version if current else 0,
                    ready=True,
                    fault="",
                    at=self.clock.at,
                    memory_bytes=10**8,
                )
            )

    def counted(self, *windows: TrafficWindow) -> None:
        """Let a segment with these windows have been counted."""
        self.parts += 1
        part = Part(
            segment=f"s{self.parts}",
            endpoint="flights",
            hour=windows[0].start // HOUR_S * HOUR_S,
            records=sum(one.requests for one in windows),
        )
        self.profile_parts.add(CountedPart(part=part, windows=(), traffic=windows, waiting={}))

    def fill(
        self, metric: str, value: float, *, since_s: float, step: int = 300, of: str = "flights"
    ) -> None:
        """Fill a series of an endpoint with a value, up to now."""
        first = int(NOW - since_s) // step * step
        self.series.add(
            [
                SeriesPoint(name=of_endpoint(of, metric), start=at, seconds=step, value=value)
                for at in range(first, int(NOW), step)
            ],
            now=NOW,
        )

    def declare(self, rules: ObjectiveRules) -> None:
        """Let the workload of the endpoint have said so."""
        workload = Workload(workload="flights", artifact=Artifact(path="m.onnx"), objectives=rules)
        self.workloads.save(
            KnownWorkload(
                name="flights",
                folder="f",
                digest="",
                workload=workload,
                at=NOW,
                principal="p",
                scheduled_from=NOW,
            )
        )

    def named(self, found: tuple[Signal, ...]) -> dict[str, Severity]:
        """Return what is told, by kind and subject."""
        return {f"{one.kind}/{one.subject}": one.severity for one in found}


@pytest.fixture
def home(platform: Platform, endpoint: Endpoint) -> Home:
    """Return a home that serves one version with two workers."""
    del endpoint
    made = Home(platform)
    deploy(cast("Platform", made), "flights", model="flights", number=1)
    made.ready()
    return made


@pytest.fixture
def served(home: Home) -> Platform:
    """Return the same as the flows see it."""
    return cast("Platform", home)


def window(start: int, requests: int, **other: int) -> TrafficWindow:
    """Return a minute of traffic."""
    return TrafficWindow(
        endpoint="flights", deployment="v1", start=start, seconds=60, requests=requests, **other
    )


MINUTE: Final = int(NOW) // 60 * 60 - 600


def total(platform: Platform, metric: str) -> float:
    """Return the sum of a series of the endpoint."""
    name = of_endpoint("flights", metric)
    found = platform.series.read(name, since=NOW - 3 * DAY_S, until=NOW, step=60)
    return sum(one.total for one in found)


def test_traffic_becomes_figures_and_late_windows_correct_them(
    home: Home, served: Platform
) -> None:
    """What is counted is kept once; what comes a day late is added where it belongs."""
    home.counted(window(MINUTE, 100, failed=2, refused=5, slow=7), window(MINUTE + 60, 50))
    for _ in range(2):
        keep_traffic_series(served)
    assert [total(served, one) for one in (REQUESTS, FAILED, REFUSED, SLOW)] == [150, 2, 5, 7]
    day_before = MINUTE - DAY_S
    home.counted(window(MINUTE, 10, failed=1), window(day_before, 1_000, failed=3))
    keep_traffic_series(served)
    assert total(served, REQUESTS) == 160
    keep_late_series(served)
    assert [total(served, one) for one in (REQUESTS, FAILED)] == [1_160, 6]
    name = of_endpoint("flights", REQUESTS)
    late = served.series.read(name, since=day_before, until=day_before + 60, step=60)
    assert [one.total for one in late] == [1_000]
    assert total(served, "failed-by/v1") == 6


def test_an_endpoint_without_requests_is_not_written_anew(home: Home, served: Platform) -> None:
    """Three days later its minutes are an hour in profiles, which its figures know already."""
    home.counted(window(MINUTE, 100), window(MINUTE + 600, 50))
    keep_traffic_series(served)
    corrected = of_endpoint("flights", CORRECTED)
    home.clock.at += 3 * DAY_S
    sweep_series(served)
    keep_traffic_series(served)
    for _ in range(3):
        home.clock.at += DAY_S
        served.profile_parts.forget(home.clock.at)
    keep_traffic_series(served)
    (hour,) = served.profiles.traffic("flights", since=0, until=home.clock.at)
    assert (hour.seconds, hour.requests) == (HOUR_S, 150)
    assert corrected not in served.series.newest()
    home.counted(window(MINUTE, 7))
    keep_traffic_series(served)
    assert corrected in served.series.newest()


def test_the_figures_of_the_home_are_kept(home: Home, served: Platform) -> None:
    """Workers, memory and disk at each look; what is past its retention goes."""
    for _ in range(3):
        keep_home_series(served)
        home.clock.at += 10
    found = served.series.read(WORKERS, since=NOW - 60, until=NOW + 60, step=10)
    assert [one.mean for one in found] == [2.0, 2.0, 2.0]
    (disk, *_) = served.series.read(DISK_FREE, since=NOW - 60, until=NOW + 60, step=10)
    assert 0 < disk.mean < 1
    home.clock.at += 500 * DAY_S
    sweep_series(served)
    assert served.series.newest() == {}


def test_an_outage_pages_and_spends_the_budget(home: Home, served: Platform) -> None:
    """A month of good requests, then an hour in which a tenth fails: a page, with its figures."""
    for metric, value in ((REQUESTS, 100.0), (FAILED, 0.0), (REFUSED, 40.0), (SLOW, 0.0)):
        home.fill(metric, value, since_s=20 * DAY_S)
    assert objective_signals(served, now=NOW) == ()
    home.fill(FAILED, 6.0, since_s=HOUR_S)
    (signal,) = objective_signals(served, now=NOW)
    assert (signal.kind, signal.severity) == (SignalKind.AVAILABILITY, Severity.PAGE)
    standing = objectives_standing(served, "flights", now=NOW)
    budget = standing.budgets[0]
    assert budget.burning is not None
    assert budget.burning.long.share_bad == pytest.approx(0.1)  # of what the caller did right
    assert 0 < budget.left < 1
    assert len(budget.days) in {20, 21}
    assert health_of(served, "flights", now=NOW).state is HealthState.UNHEALTHY


def test_a_short_period_is_read_as_finely_as_its_windows(home: Home, served: Platform) -> None:
    """Over seven days the rules still see the last minutes, and no more than the period."""
    home.declare(ObjectiveRules(period_days=7, latency="99%"))
    for metric, value in ((REQUESTS, 10.0), (FAILED, 0.0), (REFUSED, 0.0), (SLOW, 0.0)):
        home.fill(metric, value, since_s=DAY_S, step=60)
    home.fill(SLOW, 9.0, since_s=900, step=60)
    budget = objectives_standing(served, "flights", now=NOW).budgets[1]
    assert budget.burning is not None
    assert budget.burning.rule.long_s == 14 * 60
    assert budget.period.total == pytest.approx(14_400, rel=0.01)


def test_ages_are_looked_at_and_held_to_their_goal(home: Home, served: Platform) -> None:
    """An old model, labels that are young enough, data that nobody knows of."""
    fresh = FreshnessRules(model_days=30, data_days=30, label_days=30)
    home.declare(ObjectiveRules(freshness=fresh, drift="95%", quality="95%"))
    label = Label(
        prediction_id="1",
        row=0,
        endpoint="flights",
        deployment="v1",
        role="",
        predicted_at=NOW,
        value=1,
        added_at=NOW,
        principal="p",
        source="s",
    )
    served.labels.add([label])
    for _ in range(12):
        keep_looks(served)
        home.clock.at += 300
    standing = objectives_standing(served, "flights", now=home.clock.at)
    found = {one.objective.name: one for one in standing.budgets}
    assert found["freshness of the model"].period.share_bad == 1.0
    assert found["freshness of the newest label"].period.share_bad == 0.0
    assert found["freshness of the data"].period.total == 12
    assert "nothing was counted" in found["quality"].because
    told = objective_signals(served, now=home.clock.at)
    assert {one.subject: one.severity for one in told} == {
        "objective freshness of the model": Severity.TICKET,
        "objective freshness of the data": Severity.TICKET,
    }


def test_an_endpoint_that_cannot_be_looked_at_keeps_no_other_from_it(
    home: Home, served: Platform
) -> None:
    """The fault is told at the end; what was looked at is kept; the other is told to be unseen."""
    home.declare(ObjectiveRules(freshness=FreshnessRules(model_days=30)))
    flights = served.endpoints.get("flights")
    (one,) = flights.deployments
    change = replace(served.history.changes()[0], subject="aircraft")
    gone = replace(one, model="gone")
    lost = replace(flights, name="aircraft", deployments=(gone,), revision=0)
    served.endpoints.save(lost, change)
    for _ in range(5):
        keep_home_series(served)
        with pytest.raises(ModelMissingError):
            keep_looks(served)
        home.clock.at += 300
    assert of_endpoint("flights", LOOK, "freshness of the model") in served.series.newest()
    found = objective_signals(served, now=home.clock.at)
    told = {(one.endpoint, one.subject) for one in found if one.kind is SignalKind.SERVING}
    assert told == {("aircraft", "looks")}


def test_a_burn_stays_while_nobody_counts(home: Home, served: Platform) -> None:
    """A time without counting ends no alert and is told; one without requests ends it."""
    for metric, value in ((REQUESTS, 100.0), (FAILED, 0.0), (REFUSED, 0.0), (SLOW, 0.0)):
        home.fill(metric, value, since_s=20 * DAY_S)
    home.fill(FAILED, 50.0, since_s=HOUR_S)
    keep_known(served, of_endpoint("flights", COUNTED), until=NOW, now=NOW)
    later = NOW + LAG_MAX_S + 60
    for at in (NOW - 60, later - 60):
        keep_known(served, WORKERS, until=at, now=later)
    found = home.named(objective_signals(served, now=later))
    assert found["availability/objective availability"] is Severity.PAGE
    assert found["serving/counting"] is Severity.TICKET
    later = NOW + 2 * HOUR_S
    keep_known(served, of_endpoint("flights", COUNTED), until=later, now=later)
    found = home.named(objective_signals(served, now=later))
    assert found.get("availability/objective availability") is not Severity.PAGE


def test_what_is_counted_is_known_by_endpoint(served: Platform) -> None:
    """Compacted, then in profiles, then in figures: each step says until when."""
    counted = of_endpoint("flights", COUNTED)
    for duty in (keep_compacted, keep_profiles, keep_traffic_series):
        assert counted not in served.series.newest()
        duty(served)
    assert served.series.newest()[counted] == int(NOW) // 60 * 60


def test_the_whole_is_told_from_its_parts(home: Home, served: Platform) -> None:
    """Its own requests, an upstream as promised, and endpoints of which one will do."""
    either = Dependency(any_of=(Dependency(endpoint="weather"), Dependency(endpoint="flights")))
    store = Dependency(upstream="store", availability="99%")
    home.declare(ObjectiveRules(availability="99.9%", depends_on=(store, either)))
    for metric, value in ((REQUESTS, 1_000.0), (FAILED, 1.0), (REFUSED, 0.0)):
        home.fill(metric, value, since_s=DAY_S)
    whole = objectives_standing(served, "flights", now=NOW).whole
    assert whole is not None
    assert whole.parts[0].name == "store"
    assert whole.good == pytest.approx(0.999 * 0.99 * 0.999)
    assert "cannot be promised" in whole.because


def test_what_an_endpoint_needs_spends_its_composite_budget(home: Home, served: Platform) -> None:
    """The endpoint answers all, and what it needs fails a tenth: told, with what it comes from."""
    change = replace(served.history.changes()[0], subject="weather")
    served.endpoints.save(Endpoint(name="weather", workload="weather"), change)
    home.declare(ObjectiveRules(depends_on=(Dependency(endpoint="weather"),)))
    for metric, value in ((REQUESTS, 100.0), (FAILED, 0.0), (REFUSED, 0.0)):
        home.fill(metric, value, since_s=3 * DAY_S)
        home.fill(metric, value, since_s=3 * DAY_S, of="weather")
    assert objective_signals(served, now=NOW) == ()
    home.fill(FAILED, 10.0, since_s=HOUR_S, of="weather")
    found = {one.endpoint: one for one in objective_signals(served, now=NOW)}
    assert found["weather"].subject == "objective availability"
    assert found["flights"].subject == "objective composite availability"
    assert found["flights"].severity is Severity.PAGE
    assert found["weather"].key in found["flights"].causes
    assert health_of(served, "flights", now=NOW).state is HealthState.UNHEALTHY


def test_what_is_wrong_with_what_serves_is_told(home: Home, served: Platform) -> None:
    """One worker, then none; lost records; a stop; a version in quarantine."""
    assert home.named(serving_signals(served, now=NOW)) == {}
    home.fleet.running = 1
    assert home.named(serving_signals(served, now=NOW)) == {"serving/workers": Severity.TICKET}
    home.fleet.running, home.fleet.control = 0, None
    lost = [
        SeriesPoint(name=RECORDS_LOST, start=int(NOW) - 600 + at * 60, seconds=10, value=at * 2)
        for at in range(5)
    ]
    served.series.add(lost, now=NOW)
    served.stops.put(
        StopOrder(endpoint="flights", mode=StopMode.REFUSE, because="b", principal="p", at=NOW)
    )
    found = serving_signals(served, now=NOW)
    assert home.named(found) == {
        "serving/workers": Severity.PAGE,
        "serving/control": Severity.TICKET,
        "serving/records": Severity.TICKET,
        "serving/stop": Severity.TICKET,
    }
    told = {one.subject: one for one in found}
    assert told["records"].value == 8.0
    assert told["records"].since == NOW // 60 * 60 - 540
    now_served = served.endpoints.get("flights")
    (one,) = now_served.deployments
    assert one.share_bp == BP_FULL


def test_a_training_that_failed_is_told_until_the_next_begins(served: Platform) -> None:
    """A ticket with the outcome, gone when another one was begun."""
    asked = Retraining(
        workload="flights", trigger=Trigger.HAND, because="b", principal="p", asked_at=NOW
    )
    (kept,) = served.retrainings.save(asked)
    (running,) = served.retrainings.save(
        replace(kept, state=RetrainState.RUNNING, started_at=NOW, attempt=1)
    )
    served.retrainings.save(
        replace(running, state=RetrainState.FAILED, ended_at=NOW, outcome="no memory")
    )
    (signal,) = change_signals(served, now=NOW + 60)
    assert (signal.endpoint, signal.because) == ("flights", "no memory")
    served.retrainings.save(replace(asked, asked_at=NOW + 100))
    assert change_signals(served, now=NOW + 200) == ()


def test_a_figure_that_leaves_its_past_is_shown_and_pages_nobody(
    home: Home, served: Platform
) -> None:
    """Four weeks of days, then no request while somebody counts: a note, judged once."""
    name = of_endpoint("flights", REQUESTS)
    first = int(NOW - 28 * DAY_S) // DAY_S * DAY_S
    until = int(NOW) // 1_800 * 1_800
    points = [
        SeriesPoint(
            name=name,
            start=at,
            seconds=300,
            value=1_000.0 + at % DAY_S / 300 + at // 300 % 7,
        )
        for at in range(first, until - 3 * 1_800, 300)
    ]
    watched = [
        SeriesPoint(name=WORKERS, start=at, seconds=300, value=2.0)
        for at in range(until - DAY_S, until, 300)
    ]
    served.series.add([*points, *watched], now=NOW)
    home.clock.at = until + 400.0
    for _ in range(2):
        judge_figures(served)
    (signal,) = anomaly_signals(served, now=home.clock.at)
    assert (signal.kind, signal.severity) == (SignalKind.ANOMALY, Severity.NOTE)
    assert signal.value == 0.0
    assert signal.bound is not None
    assert signal.bound > 5_000
    assert [len(one.times) > 50 for one in signal.points] == [True, True]


def test_what_came_late_is_judged_again(home: Home, served: Platform) -> None:
    """Half hours of an outage of the control are not judged as 0, and are once they are counted."""
    until = int(NOW) // 1_800 * 1_800
    name, unusual = of_endpoint("flights", REQUESTS), of_endpoint("flights", UNUSUAL, REQUESTS)
    points = [
        SeriesPoint(name=name, start=at, seconds=300, value=100.0 + at // 300 % 7)
        for at in range(until - 5 * DAY_S, until - HOUR_S, 300)
    ]
    served.series.add(points, now=NOW)
    home.clock.at = until + 400.0
    judge_figures(served)
    judged = of_endpoint("flights", MOVED, REQUESTS)
    assert served.series.newest(judged) == {judged: until - 1_800}
    assert served.series.newest(unusual) == {unusual: until - HOUR_S - 1_800}
    home.counted(*(window(until - HOUR_S + 60 * at, 20) for at in range(60)))
    keep_traffic_series(served)
    judge_figures(served)
    assert served.series.newest(unusual) == {unusual: until - HOUR_S - 1_800}
    home.clock.at += 1_800
    judge_figures(served)
    found = served.series.read(unusual, since=until - HOUR_S, until=until, step=1_800)
    assert len(found) == 2
    assert max(abs(one.mean) for one in found) < 4


def test_a_figure_is_judged_once_also_in_its_first_days(home: Home, served: Platform) -> None:
    """Before anything is expected of it the half hour counts as judged: nothing is rewritten."""
    home.fill(REFUSED, 10.0, since_s=DAY_S)
    judge_figures(served)
    (moved,) = served.series.newest(of_endpoint("flights", MOVED) + "/").items()
    name, start = moved
    assert name == of_endpoint("flights", MOVED, REFUSED)
    served.series.add([SeriesPoint(name=name, start=start, seconds=1_800, value=5.0)], now=NOW)
    judge_figures(served)
    (kept,) = served.series.read(name, since=start, until=start + 1_800, step=1_800)
    assert kept.mean == 5.0


def test_figures_that_no_room_is_left_for_are_told(served: Platform) -> None:
    """Whoever keeps them, what is left out is counted, and is a ticket."""
    for at in range(2):
        columns = [of_endpoint("flights", MISSING, f"{at}-{one}") for one in range(1_500)]
        points = [SeriesPoint(name=one, start=0, seconds=60, value=0.0) for one in columns]
        keep_points(served, points, now=NOW)
    (signal,) = serving_signals(served, now=NOW + 60)
    assert (signal.subject, signal.severity) == ("series", Severity.TICKET)
    assert signal.value == 1_000


def test_health_says_what_it_does_not_know(home: Home, served: Platform) -> None:
    """Nobody watches; then no traffic; then all is well."""
    (found,) = health(served, now=NOW)
    assert found.state is HealthState.UNKNOWN
    assert "Nobody keeps watch" in found.because
    keep_home_series(served)
    (found,) = health(served, now=NOW)
    assert "No traffic in the last hour; none was ever counted" in found.because
    home.counted(window(MINUTE, 100))
    keep_traffic_series(served)
    (found,) = health(served, now=NOW)
    assert found.state is HealthState.HEALTHY, found.reasons
    assert "100 requests in the last hour" in found.because
    home.counted(window(MINUTE + 60, 200, refused=200))
    keep_traffic_series(served)
    (found,) = health(served, now=NOW)
    assert found.state is HealthState.DEGRADED
    assert "200 of 300 requests of the last hour were refused" in found.because


def test_a_fault_that_nobody_foresaw_is_told_in_words(home: Home, served: Platform) -> None:
    """A monitor that fails over one endpoint leaves that one unknown, and says why; no other."""
    change = Change(
        at=NOW, principal="p", kind=ChangeKind.ENDPOINT_CREATED, subject="rain", because="b"
    )
    served.endpoints.save(Endpoint(name="rain", workload="rain"), change)
    keep_home_series(served)
    home.counted(window(MINUTE, 100))
    keep_traffic_series(served)
    answers = ask_all(served, now=NOW)
    answers["drift"] = replace(answers["drift"], faults={"rain": "ValueError: no such bin"})
    flights, rain = health(served, now=NOW, answers=answers)
    assert flights.state is HealthState.HEALTHY, flights.reasons
    assert rain.state is HealthState.UNKNOWN
    assert "The monitor of drift failed: ValueError: no such bin" in {
        one.what for one in rain.reasons
    }


def told(home: Home, capsys: pytest.CaptureFixture[str], *words: str, code: int = 0) -> str:
    """Run a command on the home; return what it says."""
    given = run(lambda _: cast("Platform", home), list(words))
    said = capsys.readouterr()
    assert given == code, said.err
    return said.out


def test_the_commands_tell_it(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    """Words for people, JSON for programs, and 4 where something is wrong."""
    assert "unknown: Nobody keeps watch" in told(home, capsys, "health")
    for metric, value in ((REQUESTS, 100.0), (FAILED, 2.0), (REFUSED, 0.0), (SLOW, 0.0)):
        home.fill(metric, value, since_s=3 * DAY_S)
    bad = told(home, capsys, "health", "flights", code=4)
    assert "degraded" in bad
    assert "next: servewell objectives flights" in bad
    (found,) = json.loads(told(home, capsys, "health", "--json", code=4))
    assert found["state"] == "degraded"
    page = told(home, capsys, "objectives", "flights")
    assert "availability  99.5%" in page
    assert "FIRES" in page
    assert "by day" in page
    standing = json.loads(told(home, capsys, "objectives", "flights", "--json"))
    assert standing["budgets"][0]["left"] < 0
