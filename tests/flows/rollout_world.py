"""A home with a real state in which a rollout can be walked, at any time of day.

The clock is set by hand, and one worker that is this process takes up each snapshot at once.
"""

import os
from dataclasses import dataclass, field, replace
from typing import Any

from servewell.core.catalog.endpoint import Endpoint
from servewell.core.catalog.gate import GateReport, GateVerdict
from servewell.core.catalog.judgement import Arm, Batch
from servewell.core.catalog.model import ModelVersion
from servewell.core.catalog.rollout import Rollout, RolloutPlan, Stage
from servewell.core.operations.judge import observe
from servewell.flows.platform import Platform
from servewell.flows.release import deploy
from servewell.flows.rollouts import advance_rollouts, start_rollout
from servewell.ports.fleet import FleetState
from servewell.ports.snapshots import WorkerReport

NOON = 1_700_000_000.0  # Tuesday, 14 November 2023, 22:13:20 UTC
PLAN = RolloutPlan(steps_bp=(500, 5_000), step_s=60.0, watch_s=120.0, longest_s=3_600.0)


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
class OneWorker:
    """A fleet whose one worker is this process, or has died."""

    alive: bool = True

    def state(self) -> FleetState:
        """See `Fleet.state`."""
        workers = {0: os.getpid()} if self.alive else {}
        return FleetState(supervisor=None, control=None, workers=workers, plan=None, started_at=0)


@dataclass(slots=True)
class World:
    """`Platform`: that of a home, but for the clock and the fleet."""

    platform: Platform
    clock: HandClock = field(default_factory=HandClock)
    fleet: OneWorker = field(default_factory=OneWorker)

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
        found: Rollout = self.rollouts.list("flights")[-1]
        return found

    @property
    def endpoint(self) -> Endpoint:
        """The endpoint as it is."""
        found: Endpoint = self.endpoints.get("flights")
        return found

    def look(self, seconds: float = 1.0) -> Rollout:
        """Let the worker take up what is published, let time go by, and look once."""
        self.acknowledge()
        self.clock.at += seconds
        advance_rollouts(self)
        return self.rollout

    def acknowledge(self, fault: str = "") -> None:
        """Let the worker say what it serves."""
        current = self.snapshots.current()
        report = WorkerReport(
            worker=0,
            pid=os.getpid(),
            snapshot=current.version if current else 0,
            ready=True,
            fault=fault,
            at=self.clock.at,
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
    """Return a report that lets a version through."""
    return GateReport(
        id=f"report-{version.name}",
        version=version.name,
        package=version.package,
        champion=None,
        verdict=GateVerdict.PASS,
        because="every gate passed",
        rows=(),
        at=0.0,
    )
