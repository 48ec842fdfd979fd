"""Turn rollouts and trainings that went wrong into what a person is told."""

from collections.abc import Iterator, Sequence
from typing import Final

from servewell.core.catalog.retraining import Retraining, RetrainState
from servewell.core.catalog.rollout import Rollout, Stage
from servewell.core.catalog.series import DAY_S
from servewell.core.catalog.signal import Severity, Signal, SignalKind

REMEMBERED_S: Final = 7 * DAY_S  # for which a rollout that went back, or a training, is told of
FAILED: Final = frozenset({RetrainState.FAILED, RetrainState.TIMED_OUT, RetrainState.ABANDONED})


def rollout_signal(rollouts: Sequence[Rollout], *, now: float) -> Signal | None:
    """Return what is to be told of the newest rollout of an endpoint, or None.

    One that is held waits for a person, and so does one that went back, for a week: until the
    next one begins. `rollouts` are of one endpoint, oldest first.

    Raises: nothing.
    """
    if not rollouts:
        return None
    last = rollouts[-1]
    if last.stage is Stage.HELD:
        return _of_rollout(last, "is held and waits for a person", since=last.stage_at)
    ended = last.ended_at or now
    if last.stage is Stage.ROLLED_BACK and now - ended < REMEMBERED_S:
        return _of_rollout(last, "was rolled back", since=ended)
    return None


def training_signals(
    trainings: Sequence[Retraining], endpoints: dict[str, str], *, now: float
) -> Iterator[Signal]:
    """Yield the trainings that failed, where none of the same workload was begun since.

    `endpoints` are the names of endpoints by workload; `trainings` are by number.

    Raises: nothing.
    """
    last = {one.workload: one for one in trainings if one.state is not RetrainState.MERGED}
    for one in last.values():
        ended = one.ended_at or one.asked_at
        if one.state in FAILED and now - ended < REMEMBERED_S:
            yield Signal(
                kind=SignalKind.CHANGE,
                severity=Severity.TICKET,
                endpoint=endpoints.get(one.workload, ""),
                subject=f"training of {one.workload}",
                since=ended,
                what=f"Training {one.id} of `{one.workload}` {one.state.value.replace('-', ' ')}.",
                because=one.outcome or one.because,
                command=f"servewell retrain history {one.workload}",
                runbook="training-failed",
            )


def _of_rollout(rollout: Rollout, how: str, *, since: float) -> Signal:
    return Signal(
        kind=SignalKind.CHANGE,
        severity=Severity.TICKET,
        endpoint=rollout.endpoint,
        deployment=rollout.candidate,
        subject="rollout",
        since=since,
        what=f"The rollout of {rollout.candidate_version} at `{rollout.endpoint}` {how}.",
        because=rollout.because,
        command=f"servewell rollouts show {rollout.endpoint}",
        runbook="rollout",
    )
