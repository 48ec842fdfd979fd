"""Experiments, from their start to their end, with a real state."""

import json
from dataclasses import replace

import pytest

from flows.rollout_world import World, passed
from servewell.cli.app import run
from servewell.core.catalog.change import ChangeKind
from servewell.core.catalog.endpoint import BP_FULL, Endpoint
from servewell.core.catalog.experiment import Goal, Metric, Standing
from servewell.core.catalog.gate import GateVerdict
from servewell.core.catalog.rollout import RolloutPlan
from servewell.core.operations.experiment import ExperimentUndecidedError
from servewell.core.operations.rollout_start import RolloutImpossibleError
from servewell.flows.experiments import (
    find_experiment,
    follow_experiments,
    look_at,
    start_experiment,
    stop_experiment,
)
from servewell.flows.platform import Platform
from servewell.flows.release import deploy
from servewell.flows.rollouts import start_rollout
from servewell.ports.experiments import ExperimentBusyError, ExperimentMissingError
from servewell.ports.gates import GatesNotPassedError
from servewell.ports.rollouts import RolloutBusyError
from servewell.ports.storage import StorageError

GOAL = Goal(metric=Metric.ERRORS, smallest=0.05)


@pytest.fixture
def world(platform: Platform, endpoint: Endpoint) -> World:
    """Return a home whose endpoint serves the first version and has the second without a share."""
    del endpoint
    world = World(platform)
    for number in (1, 2):
        world.gates.keep(passed(world.registry.get("flights", number)))
        deploy(world, "flights", model="flights", number=number, share_bp=0)
    world.acknowledge()
    return world


def _start(world: World, *, dry_run: bool = False) -> None:
    start_experiment(world, "flights", ("v1", "v2"), share_bp=4_000, goal=GOAL, dry_run=dry_run)


def test_it_splits_the_requests_and_shows_the_better_one(world: World) -> None:
    """A second version that fails is told at some look, and the end with `apply` returns all."""
    _start(world)
    assert world.endpoint.traffic == {"v1": 6_000, "v2": 4_000}
    world.records.candidate_fails = True
    world.records.each_look = 400
    follow_experiments(world)
    seen = find_experiment(world, "flights")
    assert sum(seen.sums.requests) == 400
    assert seen.sums.failed[1] == seen.sums.requests[1] > 100
    assert seen.result is not None
    assert seen.result.standing is Standing.FIRST
    done = stop_experiment(world, "flights", apply=True, because="seen")
    assert done.carried_out
    assert world.endpoint.traffic == {"v1": BP_FULL}
    changes = [one for one in world.history.changes("flights") if one.kind is ChangeKind.EXPERIMENT]
    assert len(changes) == 2
    assert changes[-1].because.startswith("seen: first better: ")


def test_the_end_without_apply_changes_no_traffic(world: World) -> None:
    """It says what it recommends; what was seen stays with it, and later looks add nothing."""
    _start(world)
    world.records.each_look = 2_000
    done = stop_experiment(world, "flights", apply=False)
    assert done.experiment.result is not None
    assert done.experiment.result.standing is Standing.NO_DIFFERENCE
    assert world.endpoint.traffic == {"v1": 6_000, "v2": 4_000}
    assert look_at(world, find_experiment(world, "flights")) == done.experiment
    with pytest.raises(ExperimentMissingError):
        stop_experiment(world, "flights", apply=False)


def test_nothing_shown_is_not_applied(world: World) -> None:
    """The experiment goes on, with what it had seen."""
    _start(world)
    with pytest.raises(ExperimentUndecidedError):
        stop_experiment(world, "flights", apply=True)
    assert find_experiment(world, "flights").ended_at is None


def test_it_can_be_ended_where_its_end_cannot_be_read(world: World) -> None:
    """Then nothing of it is applied, and what was seen before stays."""
    _start(world)
    world.records.unreadable = True
    with pytest.raises(StorageError):
        stop_experiment(world, "flights", apply=True)
    assert stop_experiment(world, "flights", apply=False).carried_out
    assert world.experiments.list(open_only=True) == ()


def test_a_dry_run_changes_nothing(world: World) -> None:
    """Neither the traffic nor the list."""
    before = world.endpoint
    _start(world, dry_run=True)
    assert world.endpoint == before
    assert world.experiments.list() == ()


def test_it_does_not_run_beside_a_rollout_nor_a_second_one(world: World) -> None:
    """Each refuses while the other is under way."""
    third = world.registry.get("flights", 3)
    world.gates.keep(passed(third))
    _start(world)
    with pytest.raises(ExperimentBusyError):
        _start(world)
    with pytest.raises(RolloutImpossibleError):
        start_rollout(world, "flights", third, plan=RolloutPlan(), because="")
    world.records.each_look = 2_000
    stop_experiment(world, "flights", apply=True)
    start_rollout(world, "flights", third, plan=RolloutPlan(), because="")
    with pytest.raises(RolloutBusyError):
        _start(world)


def test_what_the_gates_refuse_gets_no_share(world: World) -> None:
    """A version that was never judged is in no experiment."""
    deploy(world, "flights", model="flights", number=3, share_bp=0)
    with pytest.raises(GatesNotPassedError):
        start_experiment(world, "flights", ("v1", "v3"), share_bp=5_000, goal=GOAL)


def test_what_the_gates_refuse_since_gets_no_more(world: World) -> None:
    """Nothing is applied of a version whose newest report fails; the experiment can be ended."""
    _start(world)
    world.records.each_look = 2_000
    report = passed(world.registry.get("flights", 1))
    world.gates.keep(replace(report, id="later", verdict=GateVerdict.FAIL, because="it is biased"))
    with pytest.raises(GatesNotPassedError):
        stop_experiment(world, "flights", apply=True)
    assert stop_experiment(world, "flights", apply=False).carried_out


def test_the_commands_say_it(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    """Start, show, list and stop answer in words and JSON; wrong words learn what they may be."""

    def say(*words: str) -> tuple[int, str]:
        code = run(lambda _: world, ["experiments", *words])
        told = capsys.readouterr()
        return code, told.out + told.err

    begun = ("start", "flights", "--between", "v1", "v2", "--smallest", "5%", "--metric")
    assert say(*begun, "output")[0] == 2
    code, text = say(*begun, "speed")
    assert (code, "`speed` is none of" in text) == (2, True)
    assert say(*begun, "latency", "--dry-run")[1].startswith("flights: would be: 50 %")
    code, text = say(*begun, "latency")
    assert code == 0
    assert "to compare the latency" in text
    world.records.each_look = 300
    assert "undecided" in say("show", "flights")[1]
    shown = json.loads(say("show", "flights", "--json")[1])
    assert shown["experiment"]["goal"]["smallest"] == 0.05
    assert "m" in say("list")[1]
    code, text = say("stop", "flights")
    assert code == 0
    assert "traffic: `v1` 50 %, `v2` 50 %" in text
