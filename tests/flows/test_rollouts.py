"""Rollouts, from their start to their end, with a real state."""

import pytest

from flows.rollout_world import PLAN, World
from servewell.core.catalog.change import ChangeKind
from servewell.core.catalog.endpoint import BP_FULL, Endpoint
from servewell.core.catalog.rollout import Stage
from servewell.flows.platform import Platform
from servewell.flows.release import roll_back
from servewell.flows.rollouts import start_rollout
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
