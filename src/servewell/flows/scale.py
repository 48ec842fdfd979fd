"""Run more workers, or fewer, without losing a request."""

from typing import Final

from servewell.core.catalog.change import Change, ChangeKind
from servewell.core.operations.scaling import ScaleDecision, decide_scale
from servewell.flows.bring_up import wait_ready
from servewell.flows.platform import Platform
from servewell.ports.fleet import FleetState, NotServingError

WORKERS: Final = "workers"
GONE_WITHIN_S: Final = 20.0  # beyond the time in which requests may finish
LOOK_AGAIN_S: Final = 0.05


def scale(platform: Platform, wanted: int, *, dry_run: bool = False) -> ScaleDecision:
    """Keep so many workers running; return once they are ready, and those too many have gone.

    Raises: NotServingError, StateUnavailableError, StorageError.
    """
    state = platform.fleet.state()
    decision = decide_scale(_planned(state), wanted=wanted)
    if decision.needed and not dry_run:
        platform.fleet.scale(decision.workers)
        platform.history.keep(_change(platform, decision))
        _wait(platform, decision.workers)
    return decision


def _planned(state: FleetState) -> int:
    """Return how many workers are kept running.

    Raises: NotServingError.
    """
    if state.supervisor is None or state.plan is None:
        raise NotServingError(
            "Nothing keeps workers running in this home.",
            why="no supervisor runs, and it is what starts and ends workers",
            fix="`servewell up FOLDER` starts one",
        )
    return state.plan.workers


def _change(platform: Platform, decision: ScaleDecision) -> Change:
    return Change(
        at=platform.clock.now(),
        principal=platform.principal,
        kind=ChangeKind.SCALED,
        subject=WORKERS,
        because=decision.because,
    )


def _wait(platform: Platform, workers: int) -> None:
    """Raises: NotServingError where it is not so after a while."""
    state = platform.fleet.state()
    drain_s = state.plan.drain_s if state.plan else 0.0
    end = platform.clock.now() + drain_s + GONE_WITHIN_S
    while len(platform.fleet.state().workers) != workers:
        if platform.clock.now() > end:
            raise NotServingError(
                f"There are not {workers} workers after {drain_s + GONE_WITHIN_S:.0f} s.",
                why="a worker still finishes its requests, or does not start",
                fix="`servewell status` shows what runs; `servewell logs supervisor` says why",
            )
        platform.clock.sleep(LOOK_AGAIN_S)
    wait_ready(platform, 0)
