"""Rollouts, from their start to their end, with a real state."""

from dataclasses import replace
from pathlib import Path

import pytest

from flows.rollout_world import PLAN, World, passed
from servewell.core.catalog.change import Change, ChangeKind
from servewell.core.catalog.endpoint import BP_FULL, Endpoint
from servewell.core.catalog.gate import GateVerdict
from servewell.core.catalog.rollout import Stage, Strategy
from servewell.core.catalog.stop import EVERY, StopMode, StopOrder
from servewell.core.operations.rollout_moves import Move, Order
from servewell.flows import by_hand
from servewell.flows.platform import Platform
from servewell.flows.release import deploy, roll_back
from servewell.flows.rollouts import advance, give_order, start_rollout
from servewell.ports.endpoints import EndpointMissingError
from servewell.ports.gates import GatesNotPassedError
from servewell.ports.rollouts import RolloutBusyError


@pytest.fixture
def world(platform: Platform, endpoint: Endpoint) -> World:
    """Return a home with an endpoint and three versions."""
    del endpoint
    return World(platform)


def test_a_canary_walks_its_steps_to_the_end(world: World) -> None:
    """Each step lasts its time, the whole waits for the judge, and one rollback returns."""
    world.begin()
    shares = []
    world.until(Stage.SHIFTING)
    while not world.look(20.0).ended:
        shares.append(world.endpoint.traffic.get("v2", 0))
        world.observed()
    assert sorted(set(shares)) == [500, 5_000, BP_FULL]
    assert shares == sorted(shares)
    assert world.rollout.stage is Stage.PROMOTED
    kinds = [one.kind for one in world.history.changes("flights")]
    assert kinds[2] is ChangeKind.ROLLOUT_STARTED
    assert kinds[-1] is ChangeKind.ROLLOUT_ENDED
    roll_back(world, "flights")
    assert world.endpoint.traffic == {"v1": BP_FULL}


@pytest.mark.parametrize("strategy", [Strategy.ROLLING, Strategy.BLUE_GREEN])
def test_who_goes_by_time_alone_ends_only_with_requests(world: World, strategy: Strategy) -> None:
    """Rolling takes its steps by time, blue-green takes all; neither ends before it was asked."""
    world.begin(replace(PLAN, strategy=strategy))
    shares = [0]
    for _ in range(40):
        world.look(20.0)
        shares.append(world.endpoint.traffic.get("v2", 0))
    steps = {500, 5_000} if strategy is Strategy.ROLLING else set()
    assert set(shares) == {0, *steps, BP_FULL}
    assert shares == sorted(shares)
    assert world.rollout.stage is Stage.WATCHING
    assert world.rollout.waits_for[-1] == "200 requests more at this share"
    world.records.each_look = 150
    world.look(20.0)
    assert world.rollout.waits_for == ("50 requests more at this share",)
    assert world.look(20.0).stage is Stage.PROMOTED


def test_a_worse_candidate_leaves_at_the_next_look(world: World) -> None:
    """All requests return to the version before, and the candidate is in quarantine, and why."""
    world.begin()
    world.until(Stage.SHIFTING)
    world.observed(errors=300)
    assert world.look().stage is Stage.ROLLED_BACK
    assert world.endpoint.traffic == {"v1": BP_FULL}
    assert "10.000%" in world.endpoint.deployments[-1].quarantined
    assert world.rollout.judgement is not None
    assert world.rollout.evidence.failed == (0, 300)
    snapshot = world.snapshots.current()
    assert snapshot is not None
    assert snapshot.endpoints[0].traffic == {"v1": BP_FULL}


def test_one_rollout_at_a_time(world: World) -> None:
    """A second one is refused while the first has not ended."""
    world.begin()
    third = world.registry.get("flights", 3)
    with pytest.raises(RolloutBusyError, match="flights:2"):
        start_rollout(world, "flights", third, plan=PLAN, because="")


def test_a_clock_that_is_set_back_holds_and_says_so(world: World) -> None:
    """An hour back: the step is no younger and no older, the history tells, then it goes on."""
    world.begin(replace(PLAN, strategy=Strategy.ROLLING))
    world.until(Stage.SHIFTING)
    before = world.look(30.0)
    assert before.stage_s == 30.0
    after = world.look(-3_600.0)
    assert (after.stage, after.step, after.stage_s) == (Stage.SHIFTING, 0, 30.0)
    assert "set back by 3,600 s" in world.history.changes("flights")[-1].because
    assert world.look(29.0).step == 0
    assert world.look(2.0).step == 1


def test_time_without_a_control_process_shows_nothing(world: World) -> None:
    """After a day in which nobody looked, a step still lasts its time."""
    world.begin(replace(PLAN, strategy=Strategy.ROLLING))
    world.until(Stage.SHIFTING)
    assert world.look(86_400.0).step == 0
    assert "nobody looked for 86,400 s" in world.rollout.because
    assert world.look(30.0).step == 0


def test_without_requests_it_waits(world: World) -> None:
    """A judge without data lets no share grow, and what it waits for is known."""
    world.begin()
    world.until(Stage.SHIFTING)
    for _ in range(10):
        world.look(25.0)
    assert world.endpoint.traffic["v2"] == 500
    assert world.rollout.waits_for == ("evidence: the judge has no data",)
    world.observed(10)
    for _ in range(3):
        world.look(25.0)
    assert world.endpoint.traffic["v2"] == 500
    assert "no record came for" in world.rollout.waits_for[0]


def test_a_worker_that_fills_the_machine_ends_it(world: World) -> None:
    """Whatever the strategy, the candidate goes before the memory does."""
    world.begin(replace(PLAN, strategy=Strategy.ROLLING))
    world.until(Stage.SHIFTING)
    world.acknowledge(memory_bytes=1 << 60)
    world.clock.at += 1.0
    advance(world, world.rollout)
    assert world.rollout.stage is Stage.ROLLED_BACK
    assert "MB of memory" in world.rollout.because


def test_memory_that_was_taken_before_is_not_the_candidates(world: World) -> None:
    """It holds, and says so; nobody is put in quarantine for it."""
    world.begin(replace(PLAN, strategy=Strategy.ROLLING))
    world.acknowledge(memory_bytes=1 << 60)
    while world.rollout.stage is not Stage.WARMING:
        world.clock.at += 1.0
        advance(world, world.rollout)
    world.acknowledge(memory_bytes=1 << 60)
    advance(world, world.rollout)
    assert world.rollout.stage is Stage.HELD
    assert "before the candidate was loaded" in world.rollout.because
    assert not any(one.quarantined for one in world.endpoint.deployments)


def test_an_emergency_stop_lets_no_time_pass(world: World, tmp_path: Path) -> None:
    """Nor does a file of the stops that nobody can read; when it is lifted, the step goes on."""
    world.begin(replace(PLAN, strategy=Strategy.ROLLING))
    world.until(Stage.SHIFTING)
    order = StopOrder(
        endpoint="flights", mode=StopMode.REFUSE, because="fire", principal="ada", at=1.0
    )
    world.stops.put(order)
    for _ in range(9):
        world.look(20.0)
    assert (world.rollout.step, world.rollout.stage_s) == (0, 0.0)
    assert "the endpoint is stopped" in world.rollout.waits_for[0]
    file = next(one for one in (tmp_path / "home").rglob("orders") if one.is_file())
    file.write_bytes(b"broken")
    world.look(20.0)
    assert "cannot be told whether the endpoint is stopped" in world.rollout.waits_for[0]
    world.stops.put(order)
    for stopped in ("flights", EVERY):
        world.stops.lift(stopped, because="", principal="ada", at=2.0)
    for _ in range(4):
        world.look(20.0)
    assert world.rollout.step == 1, world.rollout.waits_for


def test_records_that_are_lost_or_not_read_yet_hold_it(world: World) -> None:
    """A part of the evidence moves nothing; what is lost is noted, and the step begins anew."""
    world.begin()
    world.until(Stage.SHIFTING)
    world.observed()
    world.records.more = True
    for _ in range(5):
        world.look(20.0)
    assert world.rollout.step == 0
    assert world.rollout.waits_for == ("all records: records are still being read",)
    world.records.more = False
    world.records.missing = 12
    world.look(20.0)
    assert "12 records are missing (a test)" in world.history.changes("flights")[-1].because
    assert (world.rollout.step, world.rollout.stage_s) == (0, 0.0)


def test_a_gap_in_the_records_holds_and_says_so(world: World) -> None:
    """While they cannot be read nothing moves, whatever the evidence was; then it goes on."""
    world.begin()
    world.until(Stage.SHIFTING)
    world.observed()
    world.records.unreadable = True
    for _ in range(5):
        world.look(25.0)
    assert world.endpoint.traffic["v2"] == 500
    assert "the disk is gone" in world.rollout.waits_for[0]
    world.records.unreadable = False
    world.records.each_look = 3_000
    world.look(25.0)
    assert world.endpoint.traffic["v2"] == 5_000


def test_by_hand_only_what_passed_and_beside_no_rollout(world: World) -> None:
    """Deploy and traffic are refused while a rollout is open, and for what was never judged."""
    world.begin()
    for change in (
        lambda: by_hand.deploy(world, "flights", model="flights", number=3),
        lambda: by_hand.set_traffic(world, "flights", {"v1": BP_FULL}),
        lambda: by_hand.roll_back(world, "flights", to="v9"),
    ):
        with pytest.raises(RolloutBusyError):
            change()
    by_hand.roll_back(world, "flights", because="enough")
    assert world.rollout.stage is Stage.ROLLED_BACK
    assert world.rollout.because == "enough: a person rolled it back"
    with pytest.raises(GatesNotPassedError, match="never judged"):
        by_hand.deploy(world, "flights", model="flights", number=3)
    by_hand.deploy(world, "flights", model="flights", number=2)
    assert world.endpoint.traffic == {"v2": BP_FULL}


def test_a_report_against_a_champion_of_before_lets_nothing_in(world: World) -> None:
    """Neither by a rollout nor by hand; what served a moment ago may come back by traffic alone."""
    for number in (1, 2):
        deploy(world, "flights", model="flights", number=number)
    third = world.registry.get("flights", 3)
    world.gates.keep(passed(third))  # against the first one
    deploy(world, "flights", model="flights", number=3, share_bp=0)
    for change in (
        lambda: start_rollout(world, "flights", third, plan=PLAN, because=""),
        lambda: by_hand.deploy(world, "flights", model="flights", number=3),
        lambda: by_hand.set_traffic(world, "flights", {"v2": 9_000, "v3": 1_000}),
    ):
        with pytest.raises(GatesNotPassedError, match="not judged against flights:2") as refused:
            change()
        assert "servewell gates run flights:3" in refused.value.fix
    by_hand.set_traffic(world, "flights", {"v1": 5_000, "v2": 5_000})
    assert world.endpoint.traffic == {"v1": 5_000, "v2": 5_000}


def test_by_hand_nothing_grows_that_failed_its_gates(world: World) -> None:
    """Neither by traffic nor by `rollback --to`; what was before comes back in one word."""
    for number in (1, 2):
        deploy(world, "flights", model="flights", number=number)
    by_hand.set_traffic(world, "flights", {"v1": 9_000, "v2": 1_000})
    by_hand.set_traffic(world, "flights", {"v2": BP_FULL})
    first = replace(passed(world.registry.get("flights", 1)), verdict=GateVerdict.FAIL)
    world.gates.keep(first)
    for change in (
        lambda: by_hand.set_traffic(world, "flights", {"v1": 9_500, "v2": 500}),
        lambda: by_hand.roll_back(world, "flights", to="v1"),
    ):
        with pytest.raises(GatesNotPassedError, match="do not let flights:1 through"):
            change()
    by_hand.roll_back(world, "flights")
    assert world.endpoint.traffic == {"v1": 9_000, "v2": 1_000}


@pytest.mark.parametrize("order", [None, Order.CANCEL])
def test_what_lost_its_requests_says_who_took_them(world: World, order: Order | None) -> None:
    """By hand, or by the end of a rollout; a new rollout forgets it."""
    world.begin()
    world.until(Stage.SHIFTING)
    if order:
        give_order(world, "flights", order, because="too soon")
    else:
        world.acknowledge()
        give_order(world, "flights", Order.PROMOTE)
        world.until(Stage.PROMOTED)
        by_hand.roll_back(world, "flights", because="too soon")
    took = world.endpoint.deployments[-1].withdrawn
    assert took.startswith(f"{world.principal} took it back: too soon")
    second = world.registry.get("flights", 2)
    start_rollout(world, "flights", second, plan=PLAN, because="")
    world.until(Stage.WARMING)
    assert not world.endpoint.deployments[-1].withdrawn


@pytest.mark.parametrize("quarantine", [True, False])
def test_rollback_in_one_word(world: World, *, quarantine: bool) -> None:
    """It ends the rollout; the candidate is in quarantine only where that was asked for."""
    world.begin()
    world.until(Stage.SHIFTING)
    by_hand.roll_back(world, "flights", quarantine=quarantine)
    assert world.endpoint.traffic == {"v1": BP_FULL}
    assert bool(world.endpoint.deployments[-1].quarantined) is quarantine


def test_a_dry_run_shows_the_next_move(world: World) -> None:
    """And makes none: not of a start, not of an order, not of a look."""
    world.begin()
    world.until(Stage.SHIFTING)
    before, revision = world.rollout, world.history.revision()
    done = give_order(world, "flights", Order.CANCEL, dry_run=True)
    assert done.decision.stage is Stage.CANCELLED
    assert done.endpoint.traffic == {"v1": BP_FULL}
    assert advance(world, before, dry_run=True).decision.move is Move.STAY
    assert (world.rollout, world.history.revision()) == (before, revision)


def test_observing_makes_no_history(world: World) -> None:
    """What is only seen is kept now and then, and nothing is published for it."""
    world.begin()
    world.until(Stage.SHIFTING)
    world.records.each_look = 10
    revision, before = world.history.revision(), world.rollout
    for _ in range(4):
        world.look(0.4)
    assert world.rollout == before
    for _ in range(2):
        world.look(0.4)
    kept = world.rollout
    assert kept.revision == before.revision + 1
    assert sum(kept.evidence.requests) > 0
    assert world.history.revision() == revision


def test_one_that_cannot_go_on_holds_up_no_other(world: World) -> None:
    """Of two rollouts the second is looked at too, and what stopped the first is told."""
    change = Change(
        at=0.0, principal="ada", kind=ChangeKind.ENDPOINT_CREATED, subject="a", because="a test"
    )
    first = world.begin()
    lost = replace(first, id="0", endpoint="lost", revision=0)
    world.rollouts.save(replace(lost, began_at=0.0), change=change)
    with pytest.raises(EndpointMissingError):
        world.look()
    assert world.rollout.stage is Stage.WAITING
