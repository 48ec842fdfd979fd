"""One execution of training or import."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from servewell.core.catalog.model import Parameter

ID_SHOWN: Final = 12  # digits of an id that people are shown; rarely are two runs' the same


class RunState(StrEnum):
    """Where a run stands."""

    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    INTERRUPTED = "interrupted"


MOVES: Final[dict[RunState, tuple[RunState, ...]]] = {
    RunState.RUNNING: (RunState.SUCCEEDED, RunState.FAILED, RunState.INTERRUPTED),
    RunState.SUCCEEDED: (),
    RunState.FAILED: (),
    RunState.INTERRUPTED: (),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A training or import run, and everything needed to say whether it must be repeated.

    Two runs with the same `inputs_digest` (data, script, parameters, environment) are the same
    work: the second is not started when the first succeeded.
    """

    id: str
    workload: str
    state: RunState
    inputs_digest: str  # empty until the steps before training have made what it depends on
    parameters: dict[str, Parameter] = field(default_factory=dict)
    dataset: str | None = None  # `name:number`
    commit: str | None = None
    dirty: bool = False
    environment_digest: str = ""
    started_at: float  # seconds since the epoch, UTC
    ended_at: float | None = None
    model_version: str | None = None  # `model:number` that came of it
    metrics: dict[str, float] = field(default_factory=dict)
    error: str | None = None  # what went wrong, for a person
    pid: int | None = None
    code_digest: str = ""  # of the list of its code files; `artifacts["code"]` is that list
    because: str = ""  # why it was begun
    principal: str = ""  # who began it
    artifacts: dict[str, str] = field(default_factory=dict)  # digests of what is kept, by name
