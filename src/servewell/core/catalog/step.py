"""One step of a run: what it did, what came of it, and what it took."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final


class StepState(StrEnum):
    """Where a step of a run stands."""

    RUNNING = "running"
    SUCCEEDED = "succeeded"
    CACHED = "cached"  # the output of an earlier run was taken
    FAILED = "failed"
    INTERRUPTED = "interrupted"


MOVES: Final[dict[StepState, tuple[StepState, ...]]] = {
    StepState.RUNNING: (StepState.SUCCEEDED, StepState.FAILED, StepState.INTERRUPTED),
    StepState.SUCCEEDED: (),
    StepState.CACHED: (),
    StepState.FAILED: (),
    StepState.INTERRUPTED: (),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What processes took of the machine."""

    cpu_s: float = 0.0  # seconds of processors, of the process and of those that it waited for
    memory_bytes: int = 0  # the most that one process held resident


NO_USAGE: Final = Usage()


def both(first: Usage, second: Usage) -> Usage:
    """Return what two processes took, one after the other: of memory the most counts."""
    return Usage(
        cpu_s=first.cpu_s + second.cpu_s,
        memory_bytes=max(first.memory_bytes, second.memory_bytes),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One try of a step."""

    number: int  # from 1
    started_at: float  # seconds since the epoch, UTC
    ended_at: float
    error: str | None = None  # why it failed, for a person
    usage: Usage = NO_USAGE


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """What a step wrote: a folder, kept under the digest of its list of files."""

    digest: str  # SHA-256 of the list, hex; the list is a blob of that digest
    files: int
    size_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step of one run.

    Two steps with the same `key` (inputs, code, parameters, environment) are the same work: the
    second takes the output of the first.
    """

    run: str
    name: str
    position: int  # in the order in which the run began its steps, from 0
    kind: str
    state: StepState
    key: str  # SHA-256, hex
    because: str  # why it ran, or why it did not have to
    needs: tuple[str, ...] = ()
    started_at: float  # seconds since the epoch, UTC
    ended_at: float | None = None
    attempts: tuple[Attempt, ...] = ()
    output: Output | None = None
    cached_from: str | None = None  # the run that made the output
    metrics: dict[str, float] = field(default_factory=dict)
    parts: dict[str, str] = field(default_factory=dict)  # of the key: a digest for each part
    usage: Usage = NO_USAGE
