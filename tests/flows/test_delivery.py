"""A pipeline waits for the end of the rollout that it began, as long as the workload says."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from flows.conftest import version
from flows.rollout_world import HandClock, World, passed
from journeys.house import write_ready_made
from servewell.core.catalog.endpoint import Endpoint
from servewell.core.catalog.rollout import Stage
from servewell.core.catalog.workload import Artifact
from servewell.core.catalog.workload_delivery import DeliveryRules
from servewell.core.catalog.workload_rollout import RolloutRules
from servewell.core.operations.delivery import DeliveryStep
from servewell.core.operations.rollout_moves import Order
from servewell.core.operations.traffic import decide_deploy
from servewell.flows.delivery import Change, RolloutNotDoneError, StepDone, run_step
from servewell.flows.gates import rules_of
from servewell.flows.make_model import make_model
from servewell.flows.platform import Platform
from servewell.flows.release import change_of
from servewell.flows.rollouts import advance_rollouts, give_order


@dataclass(slots=True)
class BusyClock(HandClock):
    """A clock in whose seconds something happens, while a delivery waits."""

    happens: Callable[[], None] = lambda: None
    happening: bool = False

    def sleep(self, seconds: float) -> None:
        """See `Clock.sleep`; what waits within what happens is not told again."""
        self.at += seconds
        if not self.happening:
            self.happening = True
            self.happens()
            self.happening = False


@dataclass(frozen=True, kw_only=True)
class Delivered:
    """A home whose endpoint serves a first version, and the change that brings a second."""

    world: World
    clock: BusyClock
    change: Change

    def roll_out(self, order: Order | None) -> StepDone:
        """Deliver; a person orders this as soon as the candidate gets requests."""

        def happens() -> None:
            self.world.acknowledge()
            rollout = self.world.rollouts.list("small")[-1]
            if rollout.stage is Stage.SHIFTING and order is not None:
                give_order(self.world, "small", order, because="a person said so")
            advance_rollouts(self.world)

        self.clock.happens = happens
        return run_step(self.world, self.change, DeliveryStep.ROLL_OUT)


@pytest.fixture
def delivery(platform: Platform, tmp_path: Path) -> Delivered:
    """Return a change whose version passed the gates already."""
    folder, clock = tmp_path / "small", BusyClock()
    write_ready_made(folder, port=1)
    world = World(platform, clock=clock)
    first, _ = platform.workload_files.read(folder)
    second = replace(
        first,
        artifact=Artifact(path="second.onnx"),
        delivery=DeliveryRules(roll_out_s=100),
        rollout=RolloutRules(watch_s=10),
    )

    manifest = replace(version(1).manifest, model="small")
    serving = platform.registry.add(replace(version(1), model="small", manifest=manifest))
    decision = decide_deploy(Endpoint(name="small", workload="small"), serving)
    platform.endpoints.save(decision.endpoint, change_of(platform, decision))
    made = make_model(platform, second, folder, dataset=None, progress=print).version
    rules = rules_of(platform, second, folder, made)
    platform.gates.keep(replace(passed(made), champion="small:1", rules=rules))
    change = Change(workload=second, folder=folder, live=True, progress=print)
    return Delivered(world=world, clock=clock, change=change)


def test_a_delivery_waits_until_its_version_is_promoted(delivery: Delivered) -> None:
    """A person promotes it, and the watch over all requests ends well."""
    done = delivery.roll_out(Order.PROMOTE)
    assert done.words.startswith("promoted: ")
    assert delivery.world.endpoints.get("small").traffic == {"v2": 10_000}


def test_a_delivery_fails_where_its_version_is_not_promoted(delivery: Delivered) -> None:
    """It says where the version stands and why; it waits as long as it may, and no longer."""
    begun = delivery.clock.at
    with pytest.raises(RolloutNotDoneError, match="small:2 is held") as caught:
        delivery.roll_out(Order.HOLD)
    assert "a person said so" in caught.value.why
    assert 100 <= delivery.clock.at - begun < 110
    give_order(delivery.world, "small", Order.CANCEL)
    assert delivery.world.endpoints.get("small").traffic == {"v1": 10_000}
