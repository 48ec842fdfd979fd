"""A home with a real state in which a rollout can be walked, at any time of day.

The clock is set by hand, and one worker that is this process takes up each snapshot at once.
"""

import os
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from servewell.core.catalog.endpoint import BP_FULL, Endpoint
from servewell.core.catalog.gate import GateReport, GateVerdict
from servewell.core.catalog.judgement import Arm, Batch
from servewell.core.catalog.model import ModelVersion
from servewell.core.catalog.outcome import Outcome
from servewell.core.catalog.prediction_record import SHADOW, STAGES
from servewell.core.catalog.rollout import Rollout, RolloutPlan, Stage
from servewell.core.operations.judge import observe
from servewell.core.operations.routing import choose, is_copied
from servewell.flows.platform import Platform
from servewell.flows.release import deploy
from servewell.flows.rollouts import advance_rollouts, start_rollout
from servewell.ports.fleet import FleetState
from servewell.ports.records import Followed
from servewell.ports.snapshots import WorkerReport
from servewell.ports.storage import StorageError

NOON = 1_700_000_000.0  # Tuesday, 14 November 2023, 22:13:20 UTC
PLAN = RolloutPlan(steps_bp=(500, 5_000), step_min_s=60.0, watch_s=120.0, longest_s=3_600.0)


@dataclass(slots=True)
class HandClock:
    """A clock that goes on only when told to."""

    at: float = NOON

    def now(self) -> float:
        """See `Clock.now`."""
        return self.at

    def sleep(self, seconds: float) -> None:
        """See `Clock.sleep`."""
        self.at += seconds


@dataclass(slots=True)
class ByHand:
    """`Platform`: that of a home, but for the clock."""

    platform: Platform
    clock: HandClock

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever port it is
        return getattr(self.platform, name)


@dataclass(slots=True)
class OneWorker:
    """A fleet whose one worker is this process, or has died."""

    alive: bool = True

    def state(self) -> FleetState:
        """See `Fleet.state`."""
        workers = {0: os.getpid()} if self.alive else {}
        return FleetState(supervisor=None, control=None, workers=workers, plan=None, started_at=0)


@dataclass(slots=True)
class Requests:
    """A prediction log: so many requests before each look, answered by whom the traffic says.

    The cursor is the number of the next request, so what is followed twice is the same twice.
    """

    platform: Platform
    each_look: int = 0
    candidate_fails: bool = False
    unreadable: bool = False
    more: bool = False  # than one look takes up
    missing: int = 0  # at each look

    def start_cursor(self, since: float) -> str:
        """See `Records.start_cursor`."""
        del since
        return "0"

    def follow(self, cursor: str, *, endpoint: str, inputs: bool = False) -> Followed:
        """See `Records.follow`."""
        del inputs
        if self.unreadable:
            raise StorageError("The records cannot be read.", why="the disk is gone", fix="wait")
        first = int(cursor)
        last = first + self.each_look
        serving = self.platform.endpoints.get(endpoint)
        outcomes = [one for at in range(first, last) for one in self._outcomes(serving, at)]
        return Followed(
            cursor=str(last),
            outcomes=tuple(outcomes),
            more=self.more,
            missing=self.missing,
            gaps=("a test",) if self.missing else (),
        )

    def _outcomes(self, serving: Endpoint, at: int) -> Iterator[Outcome]:
        name = choose(tuple(serving.traffic.items()), drawn(f"who {at}", BP_FULL)) or ""
        yield self._outcome(serving, at, name)
        shadow = serving.shadow
        if shadow and is_copied(f"request-{at}", shadow.share_bp):
            yield self._outcome(serving, at, shadow.deployment, role=SHADOW)

    def _outcome(self, serving: Endpoint, at: int, name: str, *, role: str = "") -> Outcome:
        fails = self.candidate_fails and name == "v2"
        return Outcome(
            prediction_id=f"request-{at}",
            time_ns=at * 1_000_000,
            deployment=name,
            role=role,
            status=500 if fails else 200,
            code="SW-320" if fails else "",
            snapshot=serving.revision,
            rows=1,
            stages_us=tuple(300 + drawn(f"time {at}", 100) for _ in STAGES),
            outputs={} if fails else {"late": [drawn(f"late {at}", 1_000) / 1_000]},
            inputs={},
            segment="s",
            sequence=at,
            endpoint=serving.name,
        )


def drawn(seed: str, below: int) -> int:
    """Return a number that looks drawn by chance, and is the same each time."""
    return zlib.crc32(seed.encode()) % below


@dataclass(slots=True)
class World:
    """`Platform`: that of a home, but for the clock, the fleet and the records."""

    platform: Platform
    clock: HandClock = field(default_factory=HandClock)
    fleet: OneWorker = field(default_factory=OneWorker)
    records: Requests = field(init=False)

    def __post_init__(self) -> None:
        """Follow the traffic of this home."""
        self.records = Requests(self.platform)

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever port it is
        return getattr(self.platform, name)

    def begin(self, plan: RolloutPlan = PLAN) -> Rollout:
        """Serve the first version, and begin to roll out the second."""
        deploy(self, "flights", model="flights", number=1)
        second = self.registry.get("flights", 2)
        self.gates.keep(passed(second))
        return start_rollout(self, "flights", second, plan=plan, because="")

    @property
    def rollout(self) -> Rollout:
        """The newest rollout."""
        return self.platform.rollouts.list("flights")[-1]

    @property
    def endpoint(self) -> Endpoint:
        """The endpoint as it is."""
        return self.platform.endpoints.get("flights")

    def look(self, seconds: float = 1.0) -> Rollout:
        """Let the worker take up what is published, let time go by, and look once."""
        self.acknowledge()
        self.clock.at += seconds
        advance_rollouts(self)
        return self.rollout

    def acknowledge(self, *, memory_bytes: int = 10**8) -> None:
        """Let the worker say what it serves."""
        current = self.snapshots.current()
        report = WorkerReport(
            worker=0,
            pid=os.getpid(),
            snapshot=current.version if current else 0,
            ready=True,
            fault="",
            at=self.clock.at,
            memory_bytes=memory_bytes,
        )
        self.snapshots.report(report)

    def until(self, *stages: Stage, looks: int = 60, seconds: float = 20.0) -> Rollout:
        """Look until the rollout has come to one of these stages."""
        for _ in range(looks):
            if self.look(seconds).stage in stages:
                return self.rollout
        raise AssertionError(f"it is still {self.rollout.stage}: {self.rollout.waits_for}")

    def observed(self, requests: int = 3_000, *, errors: int = 0) -> None:
        """Let so many requests of each have been recorded, with errors of the candidate."""
        batch = Batch(stable=_arm(requests), candidate=_arm(requests, errors=errors))
        rollout = self.rollout
        evidence = observe(rollout.evidence, batch, rollout.plan)
        self.rollouts.save(replace(rollout, evidence=evidence, quiet_s=0.0))


def _arm(requests: int, *, errors: int = 0) -> Arm:
    answered = range(requests - errors)
    return Arm(
        requests=requests,
        errors=errors,
        latencies_ms=tuple(2.0 + (one * 37 % 100) / 100 for one in answered),
        scores=tuple((one * 61 % 1_000) / 1_000 for one in answered),
    )


def passed(version: ModelVersion) -> GateReport:
    """Return a report that lets a version through, against the first one."""
    return GateReport(
        id=f"report-{version.name}",
        version=version.name,
        package=version.package,
        champion="flights:1",
        verdict=GateVerdict.PASS,
        because="every gate passed",
        rows=(),
        at=0.0,
    )
