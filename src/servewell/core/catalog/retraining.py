"""One training that something other than a person's `up` asked for."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Trigger(StrEnum):
    """What asked for it."""

    HAND = "hand"
    SCHEDULE = "schedule"
    NEW_DATA = "new-data"
    SIGNAL = "signal"
    NEW_MODEL = "new-model"  # one that was made elsewhere and is to be imported


class RetrainState(StrEnum):
    """Where it stands."""

    ASKED = "asked"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    TIMED_OUT = "timed-out"
    INTERRUPTED = "interrupted"
    ABANDONED = "abandoned"  # interrupted as often as it may be begun
    MERGED = "merged"  # another training answered it too


MOVES: Final[dict[RetrainState, tuple[RetrainState, ...]]] = {
    RetrainState.ASKED: (RetrainState.RUNNING, RetrainState.MERGED),
    RetrainState.RUNNING: (
        RetrainState.SUCCEEDED,
        RetrainState.FAILED,
        RetrainState.TIMED_OUT,
        RetrainState.INTERRUPTED,
        RetrainState.ABANDONED,
    ),
    RetrainState.INTERRUPTED: (RetrainState.RUNNING, RetrainState.ABANDONED),
    RetrainState.SUCCEEDED: (),
    RetrainState.FAILED: (RetrainState.ASKED,),  # a person may ask once more
    RetrainState.TIMED_OUT: (RetrainState.ASKED,),
    RetrainState.ABANDONED: (RetrainState.ASKED,),
    RetrainState.MERGED: (),
}
OPEN: Final = frozenset((RetrainState.ASKED, RetrainState.RUNNING, RetrainState.INTERRUPTED))


@dataclass(frozen=True, slots=True, kw_only=True)
class Retraining:
    """One asked or begun training, as the state keeps it."""

    id: int = 0  # 1, 2, 3 … in the order they were asked for; given by the store
    workload: str
    trigger: Trigger
    because: str
    principal: str  # who asked, or the user of the control process
    state: RetrainState = RetrainState.ASKED
    asked_at: float  # seconds since the epoch, UTC
    signal: str = ""  # its name, of a signal
    source: str = ""  # which model appeared, of a new model: named the same whenever it is seen
    location: str = ""  # where that model is
    attempt: int = 0  # how often it was begun since it was asked for
    started_at: float | None = None  # of the last attempt
    ended_at: float | None = None
    place: str = ""  # the machine and the home whose process it is
    pid: int | None = None  # None until the process has taken it
    data: str = ""  # the stamp of the data's files when it began
    outcome: str = ""  # what came of it, for a person
    run: str | None = None
    model_version: str | None = None  # `model:number`
    revision: int = 0  # of this row: grows with each save
