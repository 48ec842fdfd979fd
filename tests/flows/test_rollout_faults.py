"""Rollouts whose control process is killed, whose database goes, whose clock or records fail.

A look at a rollout and what it does are one piece: whatever is killed at any moment, the next look
finds a whole rollout, an endpoint that agrees with it and a line of history for each move.
"""

import os
import shutil
import signal
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from flows.conftest import version
from flows.rollout_world import PLAN, HandClock, World
from servewell.core.catalog.change import Change, ChangeKind
from servewell.core.catalog.endpoint import BP_FULL, Endpoint
from servewell.core.catalog.rollout import Margins, Rollout, Stage, Strategy
from servewell.core.operations.rollout_moves import MOVES
from servewell.errors import ServewellError
from servewell.flows.control import publish_unpublished
from servewell.flows.rollouts import advance_rollouts
from servewell.ports.state import StateConflictError, StateUnavailableError
from servewell.wiring import open_platform

WIDE = Margins(error_excess=0.2, latency_ratio=5.0, slow_ratio=9.0, score_psi=9.0)
QUICK = replace(
    PLAN, steps_bp=(4_000,), step_min_s=20.0, watch_s=20.0, requests_min=50, margins=WIDE
)
LOOK_S = 20.0
LOOKS_MAX = 40
SEEN = 9  # looks that a canary has behind it, so that each way through the rest of it is short
PLANS = {
    "canary": (QUICK, False, Stage.PROMOTED),
    "a bad canary": (QUICK, True, Stage.ROLLED_BACK),
    "blue-green": (replace(QUICK, strategy=Strategy.BLUE_GREEN), False, Stage.PROMOTED),
    "a bad shadow": (
        replace(QUICK, strategy=Strategy.SHADOW_THEN_CANARY, shadow_requests=40),
        True,
        Stage.ROLLED_BACK,
    ),
}


@dataclass(slots=True)
class Acts:
    """Counts what a look does to the state and to the workers, and does something at one of it."""

    at: int = -1
    then: Callable[[], None] = lambda: None
    names: list[str] = field(default_factory=list)

    def reach(self, name: str) -> None:
        """Take note of one act, before or after it."""
        self.names.append(name)
        if len(self.names) - 1 == self.at:
            self.then()


@dataclass(slots=True)
class Watched:
    """A port whose acts are counted."""

    port: Any
    acts: Acts
    named: tuple[str, ...]
    after: bool = True

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever method it is
        method = getattr(self.port, name)
        if name not in self.named:
            return method

        def watched(*words: Any, **named: Any) -> Any:  # noqa: ANN401 - the method's own
            self.acts.reach(f"before {name}")
            done = method(*words, **named)
            if self.after:
                self.acts.reach(f"after {name}")
            return done

        return watched


class FaultyWorld(World):
    """A world whose state and snapshots are watched."""

    acts = Acts()
    ports: dict[str, tuple[str, ...]] = {}  # noqa: RUF012 - set for each world
    after = True

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever port it is
        port = getattr(self.platform, name)
        named = self.ports.get(name)
        return Watched(port, self.acts, named, self.after) if named else port


def world_of(home: Path, case: str, *, at: float | None = None) -> FaultyWorld:
    """Return a world on a home, as a process that was just started sees it."""
    world = FaultyWorld(open_platform(home))
    world.records.each_look = 700
    world.records.candidate_fails = PLANS[case][1]
    found = world.platform.rollouts.list()
    world.clock = HandClock(at or (found[-1].looked_at if found else HandClock().at))
    return world


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Return a home for each plan, in which its rollout has just begun."""
    homes = {}
    for case, (plan, _, _) in PLANS.items():
        homes[case] = tmp_path_factory.mktemp("begun") / "home"
        world = world_of(homes[case], case)
        for number in (1, 2):
            world.platform.registry.add(version(number))
        change = Change(
            at=0.0,
            principal="ada",
            kind=ChangeKind.ENDPOINT_CREATED,
            subject="flights",
            because="a test",
        )
        world.platform.endpoints.save(Endpoint(name="flights", workload="flights"), change)
        world.begin(plan)
        for _ in range(SEEN if case == "canary" else 0):
            world.observed(100)
    return homes


def go_on(world: FaultyWorld, *, checked: bool = False) -> Rollout:
    """Look until the rollout has ended, as the control process does."""
    for _ in range(LOOKS_MAX):
        if world.rollout.ended:
            return world.rollout
        world.clock.at = world.rollout.looked_at + LOOK_S
        try:
            publish_unpublished(world)  # as the control process does first
            world.acknowledge()
            advance_rollouts(world)
        except ServewellError:
            world.acts.at = -1  # what was broken works again at the next look
        if checked:
            is_sound(world)
    raise AssertionError(f"it is still {world.rollout.stage}: {world.rollout.waits_for}")


def is_sound(world: World) -> None:
    """Check what holds at any moment, whatever happened."""
    platform = world.platform
    rollout, endpoint = world.rollout, platform.endpoints.get("flights")
    assert sum(endpoint.traffic.values()) == BP_FULL
    changes = platform.history.changes("flights")[2:]
    stages = [one.because.split(", ")[1].split(":")[0] for one in changes]
    assert stages[0] == Stage.PROPOSED
    assert stages[-1] == rollout.stage, "the history and the rollout agree"
    for before, after in pairwise(stages):
        assert Stage(after) in MOVES[Stage(before)].values()
    assert changes[-1].because.endswith(rollout.because)
    assert changes[-1].traffic == endpoint.traffic
    kinds = [one.kind for one in changes]
    assert kinds.count(ChangeKind.ROLLOUT_STARTED) == 1
    assert kinds.count(ChangeKind.ROLLOUT_ENDED) == int(rollout.ended)
    snapshot = platform.snapshots.current()
    assert snapshot is not None
    served = snapshot.endpoints[0].traffic
    assert sum(served.values()) == BP_FULL


def in_a_child(run: Callable[[], object]) -> int:
    """Run something in a process of its own; return the signal that ended it, or 0."""
    child = os.fork()
    if child == 0:
        try:
            run()
        finally:
            os._exit(0)
    return os.WTERMSIG(os.waitpid(child, 0)[1])


def kill_myself() -> None:
    """End this process as nothing can refuse."""
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.parametrize("case", PLANS)
def test_killed_at_any_act_it_goes_on(begun: dict[str, Path], tmp_path: Path, case: str) -> None:
    """Before and after each act of a whole rollout: it ends as if nothing had happened.

    The evidence counts every request once, though some were looked at twice.
    """
    acts = {"rollouts": ("save",), "snapshots": ("publish",)}
    expected: Rollout | None = None
    for at in range(1_000):
        home = tmp_path / f"home-{at}"
        shutil.copytree(begun[case], home)

        def die(home: Path = home, at: int = at) -> None:
            world = world_of(home, case)
            world.ports, world.acts = acts, Acts(at, kill_myself)
            go_on(world)

        killed = in_a_child(die)
        world = world_of(home, case)
        is_sound(world)
        ended = go_on(world)
        is_sound(world)
        expected = expected or ended
        assert ended.stage is PLANS[case][2]
        assert ended.evidence == expected.evidence
        assert ended.comparison == expected.comparison
        served = world.platform.snapshots.current()
        assert served is not None
        if not killed:
            assert at > 4 * 3, "each move has four moments"
            break
        shutil.rmtree(home)


@pytest.mark.parametrize("case", PLANS)
def test_without_a_database_for_a_while_it_goes_on(
    begun: dict[str, Path], tmp_path: Path, case: str
) -> None:
    """Whichever call to the state fails, first or later, the look is whole or not at all."""

    def gone() -> None:
        raise StateUnavailableError("The database is gone.", why="a test", fix="wait")

    ports = {
        "rollouts": ("list", "save"),
        "endpoints": ("get", "list"),
        "history": ("revision",),
        "registry": ("get",),
        "gates": ("latest",),
        "keys": ("list",),
    }
    expected: Rollout | None = None
    for at in range(0, 1_000, 5):
        home = tmp_path / f"home-{at}"
        shutil.copytree(begun[case], home)
        world = world_of(home, case)
        world.ports, world.acts, world.after = ports, Acts(at, gone), False
        acts = world.acts
        ended = go_on(world)
        is_sound(world)
        expected = expected or ended
        assert ended.stage is PLANS[case][2]
        assert ended.evidence == expected.evidence
        shutil.rmtree(home)
        if len(acts.names) <= at:
            break


def test_two_control_processes_do_no_harm(begun: dict[str, Path], tmp_path: Path) -> None:
    """Each looks when the other is about to keep what it decided: one move is made, and once."""
    home = tmp_path / "home"
    shutil.copytree(begun["canary"], home)
    one, other = world_of(home, "canary"), world_of(home, "canary")
    conflicts = []

    def overtake() -> None:
        one.acts.at += 4
        before = other.rollout
        other.clock.at = before.looked_at + LOOK_S
        try:
            advance_rollouts(other)
        except StateConflictError:
            conflicts.append(before)

    one.ports, one.acts = {"rollouts": ("save",)}, Acts(0, overtake)
    ended = go_on(one, checked=True)
    assert ended.stage is Stage.PROMOTED
    assert conflicts == []
