"""The life of an alert: the table, the rules at their bounds, and what holds for all sequences."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from hypothesis import given, settings
from hypothesis import strategies as st

from servewell.core.catalog.alert import (
    OPEN,
    Alert,
    AlertState,
    Delivery,
    DeliveryState,
    Look,
    Notice,
    Reason,
    Silence,
)
from servewell.core.catalog.change import Change, ChangeKind
from servewell.core.catalog.signal import Severity, Signal, SignalKind
from servewell.core.catalog.workload_alerts import AlertRules, KindRule, Receiver
from servewell.core.operations.monitoring.alerts import Outcome, acknowledge, decide
from servewell.core.operations.monitoring.alerts_change import nearest_change
from servewell.core.operations.monitoring.alerts_delivery import (
    LONGEST_S,
    after_failure,
    after_success,
)
from servewell.core.operations.monitoring.alerts_folding import EXPLAINS
from servewell.core.operations.monitoring.alerts_gaps import GAP_S, SETTLES_S
from servewell.core.operations.monitoring.alerts_moves import (
    ESCALATIONS_MAX,
    HOLD_S,
    MOVES,
    RETURNS_WITHIN_S,
    Move,
)
from servewell.core.operations.monitoring.alerts_routing import Route, routed
from servewell.core.operations.monitoring.alerts_words import (
    lines,
    span,
    sparkline,
    title,
)

T0: Final = 1_800_000_000.0
STEP_S: Final = 10.0
SLOW = Signal(
    kind=SignalKind.LATENCY,
    severity=Severity.PAGE,
    endpoint="flights",
    since=T0,
    what="The slowest of 100 requests take 300 ms.",
    because="300 ms against an objective of 100 ms",
)
DEAD = replace(SLOW, kind=SignalKind.SERVING, subject="workers", what="Worker 0 is dead.")
DRIFT = replace(SLOW, kind=SignalKind.DRIFT, severity=Severity.TICKET, what="It drifts.")
FEED = replace(SLOW, kind=SignalKind.FEED, severity=Severity.NOTE, what="`temp` is in Fahrenheit.")


class World:
    """Looks at one moment after the other, and remembers what was told."""

    def __init__(self, rules: AlertRules | None = None) -> None:
        self.rules = {"flights": rules or AlertRules()}
        self.look = Look()
        self.alerts: tuple[Alert, ...] = ()
        self.told: list[Notice] = []
        self.silences: list[Silence] = []
        self.now = T0

    def see(self, *signals: Signal, after_s: float = STEP_S, **more: object) -> Outcome:
        """Look once, some time after the last look."""
        self.now += after_s
        outcome = decide(
            self.alerts,
            signals,
            silences=self.silences,
            now=self.now,
            rules=self.rules,
            look=self.look,
            **more,  # type: ignore[arg-type]  # passed on as they are
        )
        self.look = outcome.look
        self.alerts = outcome.alerts
        self.told += outcome.notices
        return outcome

    def keep_seeing(self, *signals: Signal, for_s: float, every_s: float = STEP_S) -> None:
        """Look every few seconds for a while."""
        for _ in range(int(for_s // every_s)):
            self.see(*signals, after_s=every_s)

    @property
    def reasons(self) -> list[Reason]:
        """Why somebody was told, one after the other."""
        return [one.reason for one in self.told]

    def of(self, signal: Signal) -> Alert:
        """Return the newest alert of a signal."""
        return max((one for one in self.alerts if one.key == signal.key), key=lambda one: one.id)


def test_the_table_leads_only_where_somebody_is_told_once() -> None:
    """Every state has its row; what has ended can only return, and a dropped one never does."""
    assert set(MOVES) == set(AlertState)
    assert set(MOVES[AlertState.RESOLVED]) == {Move.RETURN}
    assert not MOVES[AlertState.DROPPED]
    assert all(Move.RESOLVE in MOVES[one] for one in OPEN - {AlertState.PENDING})


def test_what_explains_what_has_no_circle() -> None:
    """A cause stands behind all that it explains, by whatever detour."""

    def below(kind: SignalKind) -> set[SignalKind]:
        direct = EXPLAINS.get(kind, frozenset())
        return set(direct) | {far for one in direct for far in below(one)}

    assert all(kind not in below(kind) for kind in SignalKind)


def test_a_page_is_told_once_while_it_lasts() -> None:
    """It waits for others for ten seconds, is told, and then no more until it escalates."""
    world = World()
    world.see(SLOW)
    assert world.reasons == []
    world.keep_seeing(SLOW, for_s=600)
    assert world.reasons == [Reason.FIRED]
    assert title(world.told[0]).startswith("[page] flights: The slowest")


def test_a_condition_has_to_hold_for_its_time() -> None:
    """A worker that is started again within seconds wakes nobody."""
    world = World()
    world.keep_seeing(DEAD, for_s=HOLD_S[SignalKind.SERVING])
    assert world.of(DEAD).state is AlertState.PENDING
    world.see()
    assert world.alerts[0].state is AlertState.DROPPED
    world.keep_seeing(DEAD, for_s=60)
    assert world.of(DEAD).state is AlertState.FIRING
    assert world.reasons == [Reason.FIRED]


def test_the_workload_may_say_otherwise() -> None:
    """Its rules change severity and hold time, and mute a kind."""
    rules = AlertRules(
        kinds={
            "latency": KindRule(severity="note", hold_s=120),
            "serving": KindRule(mute=True),
        }
    )
    world = World(rules)
    world.keep_seeing(SLOW, DEAD, for_s=110)
    assert [one.state for one in world.alerts] == [AlertState.PENDING]
    world.keep_seeing(SLOW, DEAD, for_s=120)
    assert [(one.severity, one.state) for one in world.alerts] == [
        (Severity.NOTE, AlertState.FIRING)
    ]


def test_it_resolves_by_itself_and_does_not_flap() -> None:
    """A condition that goes and comes is one alert; the more it returns the longer it must go."""
    world = World()
    world.keep_seeing(SLOW, for_s=60)
    for _ in range(20):  # gone for less than five minutes, again and again
        world.keep_seeing(for_s=120)
        world.keep_seeing(SLOW, for_s=60)
    assert world.reasons.count(Reason.FIRED) == 1
    assert Reason.RESOLVED not in world.reasons
    world.keep_seeing(for_s=400)
    assert world.reasons[-1] is Reason.RESOLVED
    world.keep_seeing(SLOW, for_s=60)
    assert world.reasons[-1] is Reason.RETURNED
    world.keep_seeing(for_s=400)
    assert world.of(SLOW).state is AlertState.FIRING
    world.keep_seeing(for_s=400)
    assert world.of(SLOW).state is AlertState.RESOLVED
    assert len({one.id for one in world.alerts}) == 1


def test_long_after_its_end_it_is_another_alert() -> None:
    """What comes back after an hour has a number of its own."""
    world = World()
    world.keep_seeing(SLOW, for_s=60)
    world.keep_seeing(for_s=RETURNS_WITHIN_S + 600)
    world.keep_seeing(SLOW, for_s=30)
    assert world.of(SLOW).id == 2


def test_nobody_acknowledges_and_it_escalates_three_times() -> None:
    """A page is told again each quarter of an hour, and then not for ever."""
    world = World()
    world.keep_seeing(SLOW, for_s=4 * 3_600, every_s=60)
    assert world.reasons == [Reason.FIRED] + [Reason.ESCALATED] * ESCALATIONS_MAX


def test_who_acknowledges_is_left_in_peace_until_it_gets_worse() -> None:
    """An acknowledged ticket is told again only when it is worth a page."""
    world = World()
    world.keep_seeing(DRIFT, for_s=120)
    taken = acknowledge(world.of(DRIFT), principal="anna", because="on it", now=world.now).alert
    world.alerts = (taken,)
    world.keep_seeing(DRIFT, for_s=2 * 86_400, every_s=250)
    assert world.reasons == [Reason.FIRED, Reason.ACKNOWLEDGED]
    assert world.of(DRIFT).acknowledged_by == "anna"
    world.keep_seeing(replace(DRIFT, severity=Severity.PAGE), for_s=30)
    assert world.reasons[-1] is Reason.WORSE
    assert world.of(DRIFT).state is AlertState.FIRING


def test_what_is_explained_is_folded_under_its_cause() -> None:
    """A dead worker is told, and the latency it explains is one line below it."""
    world = World()
    world.keep_seeing(DEAD, for_s=40)
    world.keep_seeing(DEAD, SLOW, for_s=300)
    assert world.of(SLOW).cause == DEAD.key
    assert [one.key for notice in world.told for one in notice.alerts] == [DEAD.key]
    world.keep_seeing(SLOW, for_s=400)
    assert world.of(DEAD).state is AlertState.RESOLVED
    assert world.of(SLOW).cause == ""
    assert world.told[-1].alerts[0].key == SLOW.key


def test_a_note_never_hides_a_page() -> None:
    """A cause is as urgent as what it explains, and is told anew when that makes it so."""
    world = World()
    world.keep_seeing(FEED, for_s=120)
    assert world.told[0].severity is Severity.NOTE
    worse = replace(DRIFT, severity=Severity.PAGE)
    world.keep_seeing(FEED, worse, for_s=60)
    assert world.of(worse).cause == FEED.key
    assert world.told[-1].severity is Severity.PAGE
    assert world.told[-1].folded == {FEED.key: ("It drifts.",)}


def test_what_stood_long_before_hides_no_page() -> None:
    """A full disk that somebody took an hour ago is no reason for failures that begin now."""
    disk = replace(
        SLOW, kind=SignalKind.ROOM, endpoint="", subject="disk", severity=Severity.TICKET
    )
    world = World()
    world.keep_seeing(disk, for_s=300)
    taken = acknowledge(world.of(disk), principal="anna", because="on it", now=world.now).alert
    world.alerts = (taken,)
    world.keep_seeing(disk, for_s=3_600, every_s=60)
    late = replace(SLOW, since=world.now)
    world.keep_seeing(disk, late, for_s=60)
    assert world.of(late).cause == ""
    assert (world.told[-1].severity, world.told[-1].alerts[0].key) == (Severity.PAGE, late.key)
    named = replace(late, kind=SignalKind.AVAILABILITY, causes=(disk.key,))
    world.keep_seeing(disk, late, named, for_s=60)
    assert world.of(named).cause == disk.key


def test_what_was_a_page_once_may_become_one_again() -> None:
    """A cause that is a ticket again for a while is told anew when a page is folded under it."""
    feed = replace(FEED, severity=Severity.TICKET)
    page = replace(DRIFT, severity=Severity.PAGE)
    world = World()
    world.keep_seeing(feed, for_s=120)
    world.keep_seeing(feed, page, for_s=60)
    assert world.reasons == [Reason.FIRED, Reason.WORSE]
    world.keep_seeing(feed, for_s=1_200)
    assert world.of(feed).told_severity is Severity.TICKET
    told = len(world.told)
    world.keep_seeing(feed, page, for_s=60)
    assert [(one.reason, one.severity) for one in world.told[told:]] == [
        (Reason.WORSE, Severity.PAGE)
    ]


def test_who_is_told_of_pages_alone_hears_of_the_end_of_one() -> None:
    """An incident of what was a page, and ended as a ticket, is closed; a ticket wakes nobody."""
    pager = Receiver(to="pagerduty", severities=("page",))
    route = Route(workload="w", name="r", receiver=pager, endpoints=frozenset({"flights"}))
    world = World()
    world.keep_seeing(SLOW, for_s=60)
    world.keep_seeing(replace(SLOW, severity=Severity.TICKET), for_s=1_800)
    world.keep_seeing(for_s=600)
    heard = [part.reason for one in world.told for _, part in routed(one, [route])]
    assert heard == [Reason.FIRED, Reason.RESOLVED]


def test_a_severity_at_its_bound_is_told_once() -> None:
    """What is a page at one look and a ticket at the next wakes nobody each time."""
    world = World(AlertRules(escalate_after_s=86_400))
    for _ in range(60):
        world.see(SLOW)
        world.see(replace(SLOW, severity=Severity.TICKET))
    assert world.reasons == [Reason.FIRED]


def test_what_waits_for_its_time_hides_nothing_for_long() -> None:
    """A page below a condition that nobody is told of yet is told by itself after a minute."""
    world = World(AlertRules(kinds={"serving": KindRule(hold_s=3_600)}))
    world.keep_seeing(DEAD, SLOW, for_s=120)
    assert world.of(DEAD).state is AlertState.PENDING
    assert [one.key for notice in world.told for one in notice.alerts] == [SLOW.key]


def test_what_another_monitor_of_its_kind_sees_is_told() -> None:
    """One of two monitors of a kind fails: what the other one sees, and the failure, fire."""
    fails = replace(DEAD, endpoint="", subject="monitor records", severity=Severity.TICKET)
    blind = frozenset({SignalKind.SERVING})
    world = World()
    for _ in range(12):
        world.see(DEAD, fails, blind=blind)
    told = {one.key for notice in world.told for one in notice.alerts}
    assert told == {DEAD.key, fails.key}
    for _ in range(60):
        world.see(fails, blind=blind)
    assert world.of(DEAD).state is AlertState.FIRING
    world.see(DEAD, fails, blind=blind)
    assert world.of(DEAD).gone_at is None


def test_a_silence_keeps_quiet_what_it_names_and_no_more() -> None:
    """What is silenced explains nothing, and is told when the silence ends."""
    world = World()
    world.silences = [
        Silence(id="s", kind="serving", at=T0, until=T0 + 900, because="known", principal="anna")
    ]
    world.keep_seeing(DEAD, SLOW, for_s=800)
    assert {one.key for notice in world.told for one in notice.alerts} == {SLOW.key}
    assert world.of(DEAD).silence == "s"
    world.keep_seeing(DEAD, SLOW, for_s=300)
    assert DEAD.key in {one.key for one in world.told[-1].alerts}


def test_a_monitor_that_cannot_say_resolves_nothing() -> None:
    """To be blind is no good news."""
    world = World()
    world.keep_seeing(SLOW, for_s=60)
    for _ in range(200):
        world.see(blind=frozenset({SignalKind.LATENCY}))
    assert world.of(SLOW).state is AlertState.FIRING


def test_an_hour_without_watching_resolves_nothing_and_is_told_in_one_notice() -> None:
    """What fired, what came and what stands after a gap is summed up once."""
    names = [f"e{place}" for place in range(30)]
    before = [replace(SLOW, endpoint=one) for one in names]
    after = [replace(DRIFT, endpoint=one, severity=Severity.PAGE) for one in names]
    world = World()
    world.keep_seeing(*before, for_s=60)
    told = len(world.told)
    world.see(*after, after_s=3_600)
    world.keep_seeing(*after, for_s=SETTLES_S - STEP_S)
    assert len(world.told) == told
    world.keep_seeing(*after, for_s=60)
    (summary,) = world.told[told:]
    assert summary.missed_from is not None
    assert world.now - summary.missed_from > 3_600
    assert {one.key for one in summary.alerts} == {one.key for one in after}
    assert all(world.of(one).state is AlertState.FIRING for one in before)
    assert "nobody watched for 1 h" in title(summary)


def test_what_an_hour_without_watching_set_off_later_is_one_notice_too() -> None:
    """Figures that had to hold for five minutes after it do not come one by one."""
    old = [replace(DRIFT, endpoint=f"e{place}") for place in range(20)]
    late = [replace(one, kind=SignalKind.FRESHNESS) for one in old]
    world = World()
    world.see()
    world.see(*old, *late, after_s=3_600)
    world.keep_seeing(*old, *late, for_s=900)
    assert [len(one.alerts) for one in world.told] == [20, 20]
    assert world.told[1].alerts[0].signal.kind is SignalKind.FRESHNESS
    assert world.look.missed_from is None


def test_looks_that_are_slow_for_ever_silence_nothing() -> None:
    """Each of them comes after a gap: what holds is told all the same, and what went ends."""
    for every_s in (GAP_S + 1, 2 * GAP_S, 10 * GAP_S):
        world = World()
        world.keep_seeing(SLOW, DEAD, for_s=12 * every_s, every_s=every_s)
        told = {one.key for notice in world.told for one in notice.alerts}
        assert told == {DEAD.key}
        assert world.of(SLOW).cause == DEAD.key
        world.keep_seeing(for_s=12 * every_s, every_s=every_s)
        assert not [one for one in world.alerts if one.state in OPEN]
        assert world.reasons[-1] is Reason.RESOLVED


def test_a_gap_alone_is_no_news() -> None:
    """A restart of the control process, with nothing new, tells nobody anything."""
    world = World()
    world.keep_seeing(SLOW, for_s=60)
    world.see(SLOW, after_s=GAP_S + 1)
    world.keep_seeing(SLOW, for_s=300)
    assert world.reasons == [Reason.FIRED]


def test_a_gap_counts_neither_for_a_condition_nor_against_it() -> None:
    """What was seen once before it and once after it has not held for an hour."""
    world = World()
    world.see(DEAD)
    world.see(DEAD, after_s=3_600)
    assert world.of(DEAD).state is AlertState.PENDING
    world.keep_seeing(DEAD, for_s=60)
    world.see()
    world.see(after_s=3_600)
    assert world.of(DEAD).state is AlertState.FIRING


def test_a_clock_that_is_set_back_changes_nothing() -> None:
    """Neither hold times nor quiet times grow or vanish with it."""
    world = World()
    world.keep_seeing(SLOW, for_s=60)
    world.see(SLOW, after_s=-7_200)
    world.keep_seeing(SLOW, for_s=60)
    assert world.reasons == [Reason.FIRED]
    assert world.of(SLOW).state is AlertState.FIRING


KINDS = (SignalKind.LATENCY, SignalKind.SERVING, SignalKind.DRIFT, SignalKind.ANOMALY)
SOME = st.builds(
    Signal,
    kind=st.sampled_from(KINDS),
    severity=st.sampled_from(Severity),
    endpoint=st.sampled_from(["flights", ""]),
    subject=st.sampled_from(["", "workers"]),
    since=st.sampled_from([T0, T0 + 500]),
    what=st.just("It is so."),
    because=st.just("it was measured"),
    causes=st.sampled_from([(), ("latency/flights//",), ("drift/flights//",)]),
)
Looks = Sequence[tuple[list[Signal], float]]
LOOKS = st.lists(
    st.tuples(
        st.lists(SOME, max_size=5), st.sampled_from([1.0, 10.0, 45.0, 200.0, 4_000.0, -50.0])
    ),
    max_size=25,
)


@settings(max_examples=80)
@given(LOOKS)
def test_what_holds_for_every_sequence_of_looks(
    looks: Sequence[tuple[list[Signal], float]],
) -> None:
    """One alert a key is open; only moves of the table; nothing folded or silenced is told."""
    world = World()
    for signals, after_s in looks:
        old = {one.id: one for one in world.alerts}
        outcome = world.see(*signals, after_s=after_s)
        open_keys = [one.key for one in outcome.alerts if one.state in OPEN]
        assert len(open_keys) == len(set(open_keys))
        assert len({one.id for one in outcome.alerts}) == len(outcome.alerts)
        for one in outcome.decided:
            before = old[one.alert.id].state if one.alert.id in old else AlertState.PENDING
            reached = {before, *MOVES[before].values()}
            worse = one.decision.move is Move.WORSEN
            assert one.alert.state in reached or worse
            assert one.decision.because
        for notice in outcome.notices:
            for alert in notice.alerts:
                assert not (alert.cause or alert.silence) or alert.tell is Reason.RESOLVED
        roots = {one.cause for one in outcome.alerts if one.cause}
        assert all(
            one.cause == "" for one in outcome.alerts if one.key in roots and one.state in OPEN
        )


@settings(max_examples=40)
@given(LOOKS)
def test_nothing_is_silent_for_ever(looks: Looks) -> None:
    """A page that stands is told, by itself or below its cause, whatever came before."""
    world = World()
    for signals, after_s in looks:
        world.see(*signals, after_s=after_s)
    start = len(world.told)
    world.keep_seeing(SLOW, for_s=7_200, every_s=60)
    alert = world.of(SLOW)
    told = {one.key for notice in world.told[start:] for one in notice.alerts}
    assert alert.state in (AlertState.FIRING, AlertState.ACKNOWLEDGED)
    assert alert.told_at is not None or alert.cause in told


def test_the_nearest_change_is_named() -> None:
    """The last deployment before it began: not a later one, a key, or another endpoint's."""

    def change(at: float, kind: ChangeKind, subject: str) -> Change:
        return Change(at=at, principal="anna", kind=kind, subject=subject, because="it was time")

    deployed = change(T0 - 240, ChangeKind.DEPLOYED, "flights")
    history = [
        change(T0 - 8 * 86_400, ChangeKind.DEPLOYED, "flights"),
        change(T0 - 900, ChangeKind.DATASET, "dataset:flights"),
        deployed,
        change(T0 - 60, ChangeKind.DEPLOYED, "hotels"),
        change(T0 - 60, ChangeKind.KEY_CREATED, "flights"),
        change(T0 + 600, ChangeKind.DEPLOYED, "flights"),
    ]
    named = frozenset({"dataset:flights"})
    assert nearest_change(SLOW, history, subjects=named) is deployed
    assert nearest_change(SLOW, history[:2], subjects=named) is history[1]
    assert nearest_change(SLOW, history[:1], subjects=named) is None
    alert = Alert(
        id=1, key=SLOW.key, severity=Severity.PAGE, signal=SLOW, seen_at=T0, change=deployed
    )
    (line,) = [one for one in lines(alert, now=T0 + 60) if one.startswith("before it")]
    assert line == "before it: deployed of `flights`, 4 min before, by anna: it was time"


def test_each_receiver_hears_what_it_asked_for() -> None:
    """By severity, by kind, by endpoint; who hears of escalations hears of nothing else."""
    world = World()
    world.keep_seeing(SLOW, DRIFT, for_s=2_000)

    def heard(receiver: Receiver, endpoints: frozenset[str] = frozenset({"flights"})) -> list[str]:
        route = Route(workload="w", name="r", receiver=receiver, endpoints=endpoints)
        return [
            f"{one.tell} {one.key}"
            for notice in world.told
            for _, part in routed(notice, [route])
            for one in part.alerts
        ]

    hook = Receiver(to="webhook")
    assert len(heard(hook)) > len(heard(replace(hook, severities=("page",)))) > 0
    assert set(heard(replace(hook, kinds=("drift",)))) == {f"fired {DRIFT.key}"}
    escalated = heard(replace(hook, escalation=True))
    assert set(escalated) == {f"escalated {SLOW.key}"}
    assert heard(hook, frozenset({"hotels"})) == []


def test_a_failure_waits_ever_longer_and_is_a_dead_letter_in_the_end() -> None:
    """The wait doubles up to an hour, half of it by chance, and no less than was asked for."""
    notice = Notice(group="", reason=Reason.TEST, severity=Severity.NOTE, at=T0, alerts=())
    sent = Delivery(id="d", workload="w", receiver="r", notice=notice, made_at=T0, due_at=T0)
    waits = []
    for _ in range(14):
        sent = after_failure(sent, "500", now=T0, tries=15, jitter=0.0)
        waits.append(sent.due_at - T0)
    assert waits[:4] == [2.5, 5.0, 10.0, 20.0]
    assert max(waits) == LONGEST_S / 2
    assert after_failure(sent, "500", now=T0, tries=15, jitter=1.0).state is DeliveryState.DEAD
    again = replace(sent, tries=0)
    asked = after_failure(again, "429", now=T0, tries=15, jitter=0.5, retry_after_s=120)
    assert asked.due_at == T0 + 120
    assert after_success(again, "200", now=T0).state is DeliveryState.DELIVERED


@given(st.lists(st.none() | st.floats(-1e9, 1e9), max_size=200))
def test_a_small_plot_fits_into_a_line(values: list[float | None]) -> None:
    """However many values there are, it has at most as many characters as a line has room for."""
    drawn = sparkline(values)
    assert len(drawn) == min(len(values), 32)


def test_spans_are_said_in_two_units() -> None:
    """A reader wants 1 h 2 min, not 3,725 s."""
    assert [span(one) for one in (0, 59, 61, 3_725, 90_000)] == [
        "0 s",
        "59 s",
        "1 min",
        "1 h 2 min",
        "1 d 1 h",
    ]
