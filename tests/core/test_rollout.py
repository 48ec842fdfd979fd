"""The decisions of a rollout: each rule at its boundary, and what never happens."""

from dataclasses import replace

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from core.test_traffic import version
from servewell.core.catalog.endpoint import BP_FULL, Endpoint, Shadow
from servewell.core.catalog.judgement import Judgement, Verdict
from servewell.core.catalog.rollout import ENDED, Rollout, RolloutPlan, Stage, Strategy
from servewell.core.operations.rollout import decide
from servewell.core.operations.rollout_change import endpoint_after, rollout_after, watched
from servewell.core.operations.rollout_moves import (
    MOVES,
    Facts,
    Move,
    Order,
    RolloutDecision,
    traffic_of,
)
from servewell.core.operations.rollout_orders import OrderRefusedError
from servewell.core.operations.rollout_progress import QUIET_S, STEP_REQUESTS, WARM_WITHIN_S
from servewell.core.operations.rollout_start import RolloutImpossibleError, decide_start
from servewell.core.operations.traffic import QuarantinedError, decide_deploy

PLAN = RolloutPlan(steps_bp=(500, 5_000), step_min_s=60.0, watch_s=120.0, longest_s=3_600.0)
BEFORE = decide_deploy(Endpoint(name="flights", workload="flights"), version(1)).endpoint
SECOND = version(2)
SAYS = {one: Judgement(verdict=one, because=f"it says {one}") for one in Verdict}
ALL_WELL = {"judgement": SAYS[Verdict.PROMOTE], "requests": 10_000}
STEPS = st.lists(st.integers(1, BP_FULL - 1), min_size=1, max_size=4, unique=True).map(sorted)


def begun(plan: RolloutPlan = PLAN, endpoint: Endpoint = BEFORE) -> Rollout:
    """Return a rollout that was just started."""
    return decide_start(
        endpoint,
        SECOND,
        plan=plan,
        name="",
        because="a test",
        rollout_id="r",
        principal="ada",
        now=0.0,
    )


class Walk:
    """A rollout and its endpoint, moved by decisions."""

    def __init__(self, plan: RolloutPlan = PLAN) -> None:
        self.rollout = begun(plan)
        self.endpoint = BEFORE

    def go(self, **facts: object) -> RolloutDecision:
        """Decide on facts, and carry it out."""
        told = Facts(endpoint=self.endpoint, **facts)  # type: ignore[arg-type]  # as its fields say
        decision = decide(self.rollout, told)
        endpoint = endpoint_after(self.endpoint, self.rollout, decision, version=SECOND)
        self.rollout = rollout_after(self.rollout, decision, told, now=1.0, principal="bob")
        self.endpoint = endpoint
        return decision

    def until(self, stage: Stage, **facts: object) -> "Walk":
        """Go on, with all well, until the rollout comes to a stage."""
        for number in range(30):
            if self.rollout.stage is stage:
                return self
            well = {**ALL_WELL, "requests": 1_000 * (number + 1), "watched_s": 1_000.0}
            self.go(**{**well, **facts})
        raise AssertionError(f"it stays {self.rollout.stage}: {self.rollout.waits_for}")

    @property
    def share(self) -> int:
        """The candidate's share of the requests."""
        return self.endpoint.traffic.get("v2", 0)


def test_the_table_knows_every_stage() -> None:
    """A stage that has not ended can be held or is held, and always be rolled back; others end."""
    assert set(MOVES) == set(Stage)
    for stage, moves in MOVES.items():
        assert bool(moves) is (stage not in ENDED)
        assert {Move.ROLL_BACK, Move.CANCEL} <= set(moves) or stage in ENDED
        assert Move.STAY not in moves


@pytest.mark.parametrize(
    ("strategy", "stages"),
    [
        (Strategy.CANARY, "waiting warming shifting shifting watching promoted"),
        (Strategy.ROLLING, "waiting warming shifting shifting watching promoted"),
        (Strategy.BLUE_GREEN, "waiting warming watching promoted"),
        (
            Strategy.SHADOW_THEN_CANARY,
            "waiting warming shadowing shifting shifting watching promoted",
        ),
    ],
)
def test_each_strategy_goes_its_way(strategy: Strategy, stages: str) -> None:
    """With all well, a rollout passes these stages and no other."""
    walk, seen = Walk(replace(PLAN, strategy=strategy)), []
    while not walk.rollout.ended:
        requests = 10_000 * (1 + len(seen))
        moved = walk.go(**{**ALL_WELL, "requests": requests}, watched_s=1_000.0)
        seen.append(moved.stage)
    assert [one.value for one in seen] == stages.split()
    assert walk.endpoint.traffic == {"v2": BP_FULL}
    assert walk.endpoint.past[-1] == (("v1", BP_FULL),)


def test_a_shadow_gets_copies_and_no_request() -> None:
    """It is told to the workers with its share, and taken away at the next stage."""
    walk = Walk(replace(PLAN, strategy=Strategy.SHADOW_THEN_CANARY, shadow_bp=2_000))
    walk.until(Stage.SHADOWING)
    assert walk.endpoint.shadow == Shadow(deployment="v2", share_bp=2_000)
    assert walk.share == 0
    walk.go(shadow_missing=("90 copies more",), watched_s=9.0)
    assert walk.rollout.waits_for == ("90 copies more",)
    walk.until(Stage.SHIFTING)
    assert walk.endpoint.shadow is None


def test_a_shadow_that_disagrees_leaves() -> None:
    """No request ever reaches it, and it is known why."""
    walk = Walk(replace(PLAN, strategy=Strategy.SHADOW_THEN_CANARY)).until(Stage.SHADOWING)
    assert walk.go(shadow_worse="half of its answers differ").stage is Stage.ROLLED_BACK
    assert walk.endpoint.deployments[-1].quarantined == "half of its answers differ"
    assert walk.endpoint.shadow is None


@pytest.mark.parametrize(
    ("facts", "waits_for"),
    [
        ({"watched_s": 59.0}, "1 s more at this share"),
        ({"judgement": None}, "evidence: the judge has no data"),
        ({"quiet_s": QUIET_S + 1}, "requests: no record came for 31 s"),
        ({"requests": STEP_REQUESTS - 1}, "1 requests more at this share"),
        ({"closed": "Fri 16:00-24:00 UTC"}, "the end of `Fri 16:00-24:00 UTC`"),
        ({"blind": "the disk is gone"}, "all records: the disk is gone"),
    ],
)
def test_a_share_grows_only_on_evidence(facts: dict[str, object], waits_for: str) -> None:
    """Each thing that is missing holds the step, and is named."""
    walk = Walk().until(Stage.SHIFTING, judgement=None, requests=0)
    decision = walk.go(**{**ALL_WELL, "watched_s": 60.0, **facts})
    assert decision.move is Move.STAY
    assert waits_for in "; ".join(decision.waits_for)
    assert walk.share == 500


def test_between_steps_the_judge_need_not_be_sure() -> None:
    """What is not shown worse goes on to the next step; all requests need more."""
    walk = Walk().until(Stage.SHIFTING)
    unsure = {"judgement": replace(SAYS[Verdict.WAIT], missing=("180 requests",))}
    walk.go(**unsure, requests=90_000, watched_s=60.0)
    assert walk.share == 5_000
    decision = walk.go(**unsure, requests=99_000, watched_s=6_000.0)
    assert decision.stage is Stage.HELD
    assert "180 requests" in decision.because
    assert walk.share == 5_000


def test_inconclusive_is_rolled_back_where_that_was_declared() -> None:
    """What was missing is said, and the candidate is not blamed for it."""
    walk = Walk(replace(PLAN, on_inconclusive="roll-back")).until(Stage.SHIFTING)
    decision = walk.go(watched_s=4_000.0)
    assert decision.stage is Stage.ROLLED_BACK
    assert "inconclusive after 3,600 s" in decision.because
    assert not walk.endpoint.deployments[-1].quarantined


@pytest.mark.parametrize("stage", [Stage.SHIFTING, Stage.WATCHING])
def test_shown_worse_leaves_at_once(stage: Stage) -> None:
    """However young the step is, whatever window is open, and though the clock jumped."""
    walk = Walk().until(stage)
    walk.go(
        judgement=SAYS[Verdict.ROLL_BACK], closed="daily 0:00-24:00", jumped_s=9e9, refused="no"
    )
    assert walk.rollout.stage is Stage.ROLLED_BACK
    assert walk.endpoint.traffic == {"v1": BP_FULL}
    assert walk.endpoint.past == ()
    assert walk.endpoint.deployments[-1].quarantined == "it says roll back"


def test_all_requests_are_watched() -> None:
    """What fails too much once it has them all leaves, though the judge had promoted it."""
    walk = Walk().until(Stage.WATCHING)
    assert walk.go(worse_alone="it failed on 40 of 300").stage is Stage.ROLLED_BACK
    assert walk.endpoint.traffic == {"v1": BP_FULL}


@pytest.mark.parametrize(
    ("stage", "facts"),
    [
        (Stage.SHIFTING, {"judgement": SAYS[Verdict.ROLL_BACK]}),
        (Stage.SHIFTING, {"refused": "it failed by now", "failed": True}),
        (Stage.WATCHING, {"worse_alone": "it failed on 40 of 300"}),
    ],
)
def test_held_is_no_shelter(stage: Stage, facts: dict[str, object]) -> None:
    """A candidate that is held with a share is judged on."""
    walk = Walk().until(stage)
    walk.go(order=Order.HOLD)
    assert walk.share == (500 if stage is Stage.SHIFTING else BP_FULL)
    assert walk.go(**facts).stage is Stage.ROLLED_BACK


@pytest.mark.parametrize(
    ("strategy", "least"), [(Strategy.CANARY, STEP_REQUESTS), (Strategy.BLUE_GREEN, 200)]
)
def test_nothing_is_promoted_that_nobody_asked(strategy: Strategy, least: int) -> None:
    """With all requests it must have had some; without them the rollout ends inconclusive."""
    walk = Walk(replace(PLAN, strategy=strategy)).until(Stage.WATCHING)
    begun_with = walk.rollout.stage_requests
    few = {**ALL_WELL, "requests": begun_with + least - 1}
    assert walk.go(**few, watched_s=130.0).waits_for == ("1 requests more at this share",)
    quiet = {**ALL_WELL, "requests": begun_with + least, "quiet_s": QUIET_S + 1}
    assert "no record came" in walk.go(**quiet).waits_for[0]
    assert "inconclusive" in walk.go(**few, watched_s=9_999.0).because
    assert walk.rollout.stage is Stage.HELD
    walk.go(order=Order.PROMOTE)
    assert walk.go(watched_s=121.0).stage is Stage.PROMOTED


def test_where_nothing_is_watched_nothing_is_waited_for() -> None:
    """With `watch_s: 0` a person's word ends a rollout at the next look."""
    walk = Walk(replace(PLAN, watch_s=0.0)).until(Stage.WARMING)
    walk.go(order=Order.PROMOTE)
    assert walk.go().stage is Stage.PROMOTED


@pytest.mark.parametrize("stage", [Stage.WAITING, Stage.SHIFTING, Stage.WATCHING])
def test_an_emergency_stop_holds_the_clock_and_the_share(stage: Stage) -> None:
    """Whatever was shown before; then it goes on."""
    walk = Walk().until(stage)
    share = walk.share
    decision = walk.go(**ALL_WELL, stopped="the endpoint is stopped by ada")
    assert (decision.move, walk.share) == (Move.STAY, share)
    assert "the endpoint is stopped by ada" in decision.waits_for[0]


def test_a_gap_is_noted_and_the_share_begins_anew() -> None:
    """What was lost may have been against it."""
    walk = Walk().until(Stage.SHIFTING, requests=0, judgement=None)
    walk.go(watched_s=50.0)
    decision = walk.go(**ALL_WELL, watched_s=50.0, gap="12 records are missing")
    assert (decision.move, decision.noted) == (Move.STAY, True)
    assert "12 records are missing" in walk.rollout.because
    assert walk.rollout.stage_s == 0.0
    assert "10 s more" in walk.go(**ALL_WELL, watched_s=50.0).waits_for[0]


def test_records_that_stay_unread_are_inconclusive() -> None:
    """At the end of the longest time, as everything else that is missing."""
    walk = Walk().until(Stage.SHIFTING)
    decision = walk.go(**ALL_WELL, blind="the disk is gone", watched_s=9_999.0)
    assert decision.stage is Stage.HELD
    assert "inconclusive" in decision.because
    assert "the disk is gone" in decision.because


@pytest.mark.parametrize("fact", ["unsure_alone", "crowded"])
def test_who_is_not_shown_to_blame_is_held(fact: str) -> None:
    """And not in quarantine for it; a person's word goes on."""
    walk = Walk().until(Stage.WATCHING)
    assert walk.go(**{fact: "who knows"}).stage is Stage.HELD
    assert not walk.endpoint.deployments[-1].quarantined
    walk.go(order=Order.PROMOTE)
    assert walk.go(**{fact: "who knows"}).move is Move.STAY


@pytest.mark.parametrize("stage", [Stage.PROPOSED, Stage.WAITING, Stage.SHIFTING])
@pytest.mark.parametrize("order", [Order.ROLL_BACK, Order.QUARANTINE, Order.CANCEL])
def test_it_is_remembered_why_a_candidate_has_no_share(stage: Stage, order: Order) -> None:
    """Who took it back, and the quarantine, also where it never came to the endpoint."""
    walk = Walk(replace(PLAN, approval="start"))
    if stage is not Stage.PROPOSED:
        walk.go(order=Order.APPROVE)
        walk.until(stage)
    walk.go(order=order)
    last = walk.endpoint.deployments[-1]
    assert (last.name, last.share_bp) == ("v2", 0)
    assert bool(last.quarantined) is (order is Order.QUARANTINE)
    assert "its rollout ended: a person" in last.withdrawn
    assert walk.endpoint.traffic == {"v1": BP_FULL}
    if order is not Order.QUARANTINE:
        assert not decide_deploy(walk.endpoint, SECOND).endpoint.deployments[-1].withdrawn


@pytest.mark.parametrize("stage", [Stage.PROPOSED, Stage.WAITING, Stage.WARMING])
def test_an_ill_stable_one_never_gives_way_to_what_was_not_tried(stage: Stage) -> None:
    """The rollout holds, also as the only thing that could take the requests."""
    walk = Walk().until(stage)
    first, *others = walk.endpoint.deployments
    ill = replace(first, quarantined="it crashed")
    walk.endpoint = replace(walk.endpoint, deployments=(ill, *others))
    assert "`v1` is in quarantine: it crashed" in walk.go(**ALL_WELL).because
    assert (walk.rollout.stage, walk.share) == (Stage.HELD, 0)
    decision = walk.go(order=Order.ROLL_BACK)
    assert "`v1` is in quarantine: it crashed: the requests stay with" in decision.because


def test_a_quarantine_with_an_ill_stable_one_says_where_the_requests_go() -> None:
    """To whatever is well; here there is nothing."""
    walk = Walk().until(Stage.WATCHING)
    first, second = walk.endpoint.deployments
    ill = replace(first, quarantined="it crashed")
    other = replace(first, name="v0", package="package-0")
    walk.endpoint = replace(walk.endpoint, deployments=(other, ill, second))
    assert "the requests go to `v0` 100 %" in walk.go(order=Order.QUARANTINE).because
    assert walk.endpoint.traffic == {"v0": BP_FULL}


def test_rolling_asks_no_judge_but_heeds_a_guard() -> None:
    """What cannot be missed ends it all the same."""
    walk = Walk(replace(PLAN, strategy=Strategy.ROLLING)).until(Stage.SHIFTING)
    assert walk.go(judgement=SAYS[Verdict.ROLL_BACK]).move is Move.STAY
    assert walk.go(guard="all of its last 9 requests failed").stage is Stage.ROLLED_BACK


def test_what_the_workers_put_in_quarantine_is_over() -> None:
    """A crash loop ends the rollout at any stage, with the reason of the workers."""
    walk = Walk().until(Stage.SHIFTING)
    ill = [replace(one, quarantined="it ended 3 workers") for one in walk.endpoint.deployments[1:]]
    walk.endpoint = replace(walk.endpoint, deployments=(walk.endpoint.deployments[0], *ill))
    assert "it ended 3 workers" in walk.go().because
    assert walk.endpoint.traffic == {"v1": BP_FULL}


def test_without_a_stable_one_nothing_is_taken_from_the_candidate() -> None:
    """Where the stable one is in quarantine, the rollout holds, and says why."""
    walk = Walk().until(Stage.SHIFTING)
    first, second = walk.endpoint.deployments
    walk.endpoint = replace(
        walk.endpoint,
        deployments=(
            replace(first, share_bp=0, quarantined="it crashed"),
            replace(second, share_bp=BP_FULL),
        ),
    )
    assert walk.go().stage is Stage.HELD
    assert walk.go(order=Order.CANCEL).stage is Stage.CANCELLED
    assert walk.endpoint.traffic == {"v2": BP_FULL}


def test_traffic_that_somebody_changed_is_left_alone() -> None:
    """The rollout holds instead of fighting for it."""
    walk = Walk().until(Stage.SHIFTING)
    first, second = walk.endpoint.deployments
    changed = (replace(first, share_bp=9_000), replace(second, share_bp=1_000))
    walk.endpoint = replace(walk.endpoint, deployments=changed)
    assert "something else changed it" in walk.go(**ALL_WELL, watched_s=99.0).because
    assert walk.rollout.stage is Stage.HELD
    assert walk.share == 1_000
    walk.go(order=Order.RESUME)
    assert walk.share == 500


def test_workers_that_cannot_load_it_end_it() -> None:
    """It waits for them so long, and names what they lack."""
    walk = Walk().until(Stage.WARMING)
    lacking = {"unready": ("worker 1: out of memory",)}
    assert walk.go(**lacking, watched_s=WARM_WITHIN_S - 1).waits_for == lacking["unready"]
    assert "out of memory" in walk.go(**lacking, watched_s=2.0).because
    assert walk.rollout.stage is Stage.ROLLED_BACK


@pytest.mark.parametrize("approval", ["none", "start", "promotion", "both"])
def test_a_person_is_asked_where_that_was_declared(approval: str) -> None:
    """Before the start, before all requests, or before both; consent is kept with its giver."""
    walk = Walk(replace(PLAN, approval=approval))
    approvals = 0
    for number in range(20):
        facts = {**ALL_WELL, "requests": 10_000 * (number + 1), "watched_s": 200.0}
        if "approval of a person" in "; ".join(walk.go(**facts).waits_for):
            walk.go(order=Order.APPROVE)
            approvals += 1
    assert walk.rollout.stage is Stage.PROMOTED
    assert approvals == {"none": 0, "both": 2}.get(approval, 1)
    assert {one.principal for one in walk.rollout.approvals} == ({"bob"} if approvals else set())


def test_consent_that_nobody_asked_for_is_refused() -> None:
    """An approval is of something."""
    walk = Walk().until(Stage.SHIFTING)
    with pytest.raises(OrderRefusedError, match="approve"):
        walk.go(order=Order.APPROVE)
    with pytest.raises(OrderRefusedError, match="approve"):
        Walk(replace(PLAN, approval="promotion")).go(order=Order.APPROVE)


def test_a_person_promotes_past_the_judge_and_not_past_the_gates() -> None:
    """From then on only hard guards count; a version that did not pass stays out."""
    walk = Walk().until(Stage.SHIFTING)
    with pytest.raises(OrderRefusedError) as refused:
        walk.go(order=Order.PROMOTE, refused="the gates say no")
    assert refused.value.why == "the gates say no"
    with pytest.raises(OrderRefusedError):
        walk.go(order=Order.PROMOTE, unready=("worker 0, which loads it",))
    walk.go(order=Order.PROMOTE, judgement=SAYS[Verdict.ROLL_BACK])
    assert walk.share == BP_FULL
    assert walk.go(judgement=SAYS[Verdict.ROLL_BACK]).move is Move.STAY
    assert walk.go(guard="it fails").stage is Stage.ROLLED_BACK


@pytest.mark.parametrize(
    ("stage", "back"),
    [
        (Stage.PROPOSED, Stage.PROPOSED),
        (Stage.WARMING, Stage.PROPOSED),
        (Stage.SHIFTING, Stage.SHIFTING),
        (Stage.WATCHING, Stage.WATCHING),
    ],
)
def test_resumed_it_goes_on_where_it_was(stage: Stage, back: Stage) -> None:
    """Its share stays while it is held, and no approval or time is skipped."""
    walk = Walk(replace(PLAN, approval="start"))
    if stage is not Stage.PROPOSED:
        walk.go(order=Order.APPROVE)
        walk.until(stage)
    share, step = walk.share, walk.rollout.step
    walk.go(order=Order.HOLD)
    assert (walk.rollout.stage, walk.share) == (Stage.HELD, share)
    assert walk.go(watched_s=9e9, **ALL_WELL).move is Move.STAY
    walk.go(order=Order.RESUME)
    assert (walk.rollout.stage, walk.rollout.step, walk.share) == (back, step, share)
    assert walk.rollout.running_s == walk.rollout.stage_s == 0.0


def test_a_report_that_turned_holds() -> None:
    """A version of which the gates say no by now gets no more."""
    walk = Walk().until(Stage.SHIFTING)
    assert walk.go(refused="a newer report cannot tell", **ALL_WELL).stage is Stage.HELD
    assert walk.share == 500
    failed = {"refused": "a newer report failed", "failed": True}
    assert Walk().until(Stage.WARMING).go(**failed).stage is Stage.HELD
    walk = Walk().until(Stage.SHIFTING)
    assert walk.go(**failed, **ALL_WELL).stage is Stage.ROLLED_BACK
    assert not walk.endpoint.deployments[-1].quarantined


@pytest.mark.parametrize(
    ("passed", "expected"),
    [(0.0, (0.0, 0.0)), (29.0, (29.0, 0.0)), (-0.5, (0.0, 0.0)), (-9.0, (0.0, -9.0)),
     (3_600.0, (0.0, 3_600.0))],
)  # fmt: skip
def test_time_that_nobody_watched_does_not_count(
    passed: float, expected: tuple[float, float]
) -> None:
    """A clock that jumps, back or ahead, makes no rollout older."""
    assert watched(1_000.0, 1_000.0 + passed) == expected


@pytest.mark.parametrize("jumped_s", [-3_600.0, 86_400.0])
def test_a_jump_of_the_clock_is_said_and_holds(jumped_s: float) -> None:
    """Nothing moves on its account, and the history tells of it."""
    walk = Walk().until(Stage.SHIFTING)
    decision = walk.go(**ALL_WELL, jumped_s=jumped_s)
    assert (decision.move, decision.noted) == (Move.STAY, True)
    assert "does not count" in decision.because
    walk.go(order=Order.HOLD)
    held = walk.rollout.because
    assert not walk.go(jumped_s=jumped_s).noted
    assert walk.rollout.because == held


def test_a_rollout_begins_from_one_that_is_well() -> None:
    """Not from nothing, from a split, with the version that serves, or with one in quarantine."""
    with pytest.raises(RolloutImpossibleError, match="no deployment"):
        begun(endpoint=Endpoint(name="flights", workload="flights"))
    split = decide_deploy(BEFORE, version(3), share_bp=1_000).endpoint
    with pytest.raises(RolloutImpossibleError, match="10 %"):
        begun(endpoint=split)
    with pytest.raises(RolloutImpossibleError, match="already"):
        begun(endpoint=decide_deploy(BEFORE, SECOND).endpoint)
    walk = Walk().until(Stage.SHIFTING)
    walk.go(judgement=SAYS[Verdict.ROLL_BACK])
    with pytest.raises(QuarantinedError):
        begun(endpoint=walk.endpoint)


TEXTS = st.sampled_from(["", "", "", "told so"])
UNSAFE = ("guard", "blind", "jumped_s", "closed", "gap", "stopped", "crowded")
WAITS = st.sampled_from([(), (), ("something",)])
PLANS = st.builds(
    RolloutPlan,
    strategy=st.sampled_from(Strategy),
    steps_bp=STEPS.map(tuple),
    step_min_s=st.sampled_from([0.0, 60.0]),
    watch_s=st.sampled_from([0.0, 60.0]),
    longest_s=st.sampled_from([60.0, 3_600.0]),
    approval=st.sampled_from(["none", "start", "promotion", "both"]),
    on_inconclusive=st.sampled_from(["hold", "roll-back"]),
)


class AnyRollout(RuleBasedStateMachine):
    """A rollout that is told anything, in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.walk = Walk()
        self.let_through = True

    @rule(plan=PLANS)
    @precondition(lambda self: self.walk.rollout.ended or self.walk.rollout.stage is Stage.PROPOSED)
    def begin(self, plan: RolloutPlan) -> None:
        """Start anew."""
        self.walk = Walk(plan)

    @rule(
        watched_s=st.sampled_from([0.0, 1.0, 61.0, 4_000.0]),
        jumped_s=st.sampled_from([0.0, 0.0, 0.0, -50.0, 50.0]),
        quiet_s=st.sampled_from([0.0, 0.0, 99.0]),
        requests=st.integers(0, 100_000),
        judgement=st.sampled_from([None, *SAYS.values()]),
        shadow_worse=TEXTS,
        shadow_missing=WAITS,
        worse_alone=TEXTS,
        unready=WAITS,
        guard=TEXTS,
        blind=TEXTS,
        gap=TEXTS,
        stopped=TEXTS,
        crowded=TEXTS,
        unsure_alone=TEXTS,
        closed=TEXTS,
        refused=TEXTS,
        order=st.sampled_from([None] * 8 + list(Order)),
    )
    def look(self, **facts: object) -> None:
        """Decide on facts, and check the decision against them."""
        before, share = self.walk.rollout, self.walk.share
        try:
            decision = self.walk.go(**facts)
        except OrderRefusedError:
            assert facts["order"] is not None
            return
        if decision.move is Move.STAY:
            assert decision.stage is before.stage
            assert self.walk.share == share
        else:
            assert MOVES[before.stage][decision.move] is decision.stage
        assert decision.because
        if self.walk.share > share:
            assert not facts["refused"], "it did not pass the gates"
            assert before.stage is not Stage.WARMING or not facts["unready"]
            ordered = facts["order"] in (Order.PROMOTE, Order.RESUME)
            unsafe = (*(facts[one] for one in UNSAFE),)
            assert ordered or not any(unsafe)
            judged = before.plan.strategy is not Strategy.ROLLING and not before.unjudged
            worse = facts["judgement"] is SAYS[Verdict.ROLL_BACK]
            assert ordered or not (judged and worse and share)

    @invariant()
    def sums_to_the_whole(self) -> None:
        """Every request goes to one of the two."""
        traffic = self.walk.endpoint.traffic
        assert sum(traffic.values()) == BP_FULL
        assert set(traffic) <= {"v1", "v2"}

    @invariant()
    def traffic_is_what_the_stage_says(self) -> None:
        """The row of the rollout and the endpoint never differ, and nothing ended keeps a copy."""
        rollout = self.walk.rollout
        if rollout.stage is not Stage.HELD:
            assert self.walk.endpoint.traffic == traffic_of(rollout, self.walk.endpoint)
        assert (self.walk.endpoint.shadow is not None) is (rollout.stage is Stage.SHADOWING)
        assert (rollout.ended_at is not None) is rollout.ended

    @invariant()
    def one_rollback_returns(self) -> None:
        """While the candidate has a share, the traffic before it is one rollback away."""
        if self.walk.share:
            assert self.walk.endpoint.past[-1] == (("v1", BP_FULL),)
            assert any(one.name == "v1" for one in self.walk.endpoint.deployments)


AnyRollout.TestCase.settings = settings(max_examples=60, stateful_step_count=25)
TestAnyRollout = AnyRollout.TestCase
