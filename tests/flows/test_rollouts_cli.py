"""What a person orders of a rollout, as the commands tell it."""

import json
from dataclasses import replace
from typing import Any, cast

import pytest

from flows.rollout_world import PLAN, World
from servewell.cli.app import run
from servewell.core.catalog.endpoint import BP_FULL, Endpoint
from servewell.core.catalog.rollout import Stage
from servewell.flows.platform import Platform


@pytest.fixture
def world(platform: Platform, endpoint: Endpoint) -> World:
    """Return a home whose rollout begins and is promoted only with the consent of a person."""
    del endpoint
    world = World(platform)
    world.begin(replace(PLAN, approval="both"))
    return world


def ordered(
    world: World, capsys: pytest.CaptureFixture[str], *words: str, code: int = 0
) -> dict[str, Any]:
    """Run `servewell rollouts ORDER flights …`; return what it says."""
    order, *rest = words
    given = run(lambda _: cast("Platform", world), ["rollouts", order, "flights", "--json", *rest])
    told = capsys.readouterr()
    assert given == code, told.err
    found: dict[str, Any] = json.loads(told.out or told.err)
    return found


def test_each_order_is_carried_out_and_told(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    """Approved, held, resumed and cancelled, each with its reason; a dry run does nothing."""
    dry = ordered(world, capsys, "approve", "--dry-run")
    assert (dry["carried_out"], dry["decision"]["move"]) == (False, "approve")
    assert world.rollout.stage is Stage.PROPOSED
    assert ordered(world, capsys, "approve", "--because", "seen")["carried_out"]
    world.until(Stage.SHIFTING)
    world.acknowledge()
    held = ordered(world, capsys, "hold", "--because", "the storm")
    assert held["rollout"]["stage"] == "held"
    assert "the storm" in held["decision"]["because"]
    assert held["traffic"]["v2"] == PLAN.steps_bp[0]
    assert ordered(world, capsys, "resume")["rollout"]["stage"] == "shifting"
    foreseen = ordered(world, capsys, "advance", "--dry-run")
    assert (foreseen["carried_out"], foreseen["decision"]["move"]) == (False, "stay")
    assert world.rollout.stage is Stage.SHIFTING
    ended = ordered(world, capsys, "cancel", "--because", "another one is ready")
    assert ended["rollout"]["stage"] == "cancelled"
    assert ended["traffic"] == {"v1": BP_FULL}


def test_an_order_that_is_not_possible_is_refused_in_words(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    """What is not held cannot be resumed, and without a rollout there is nothing to order."""
    refused = ordered(world, capsys, "resume", code=4)
    assert refused["code"] == "SW-231"
    assert world.rollout.stage is Stage.PROPOSED
    ordered(world, capsys, "cancel")
    gone = ordered(world, capsys, "hold", code=4)
    assert "no rollout under way" in gone["error"]
