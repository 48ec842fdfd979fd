"""Steps of a pipeline, each attempt a job in a process of its own."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from servewell.core.catalog.model import Parameter
from servewell.core.catalog.step import NO_USAGE, Usage
from servewell.errors import ServewellError


class StepFailedError(ServewellError):
    """The code of a step failed, or ended without a result."""

    code = "SW-428"

    def __init__(self, what: str, *, why: str, fix: str, usage: Usage = NO_USAGE) -> None:
        super().__init__(what, why=why, fix=fix)
        self.usage = usage


class StepTimeoutError(StepFailedError):
    """A step took longer than it may."""

    code = "SW-429"


class StepMemoryError(StepFailedError):
    """A step wanted more memory than it may have."""

    code = "SW-430"


@dataclass(frozen=True, slots=True, kw_only=True)
class StepJob:
    """What one attempt of a step is to do."""

    run: str
    step: str
    attempt: int  # from 1
    folder: Path  # of the workload; also the working folder
    script: Path
    function: str | None  # None runs the script as a program
    inputs: dict[str, Path] = field(default_factory=dict)  # the output folders of what it needs
    parameters: dict[str, Parameter] = field(default_factory=dict)
    python: Path | None = None  # of its own environment; None for the platform's
    timeout_s: float = 3_600.0
    memory_bytes_max: int = 8 << 30


@dataclass(frozen=True, slots=True, kw_only=True)
class StepResult:
    """What came of an attempt that succeeded."""

    output: Path  # the folder that it wrote to
    metrics: dict[str, float]
    usage: Usage


@dataclass(frozen=True, slots=True, kw_only=True)
class Progressed:
    """How far a step says that it is."""

    share: float  # 0..1
    words: str = ""


class Steps(Protocol):
    """Runs the steps of pipelines. Contract: tests/ports/test_steps.py.

    - The code of a step runs in another process; whatever it does, the caller goes on.
    - When the caller is killed, nothing of the step runs on.
    - The log of an attempt stays, whatever becomes of it.
    """

    def run(self, job: StepJob, progress: Callable[[Progressed], None]) -> StepResult:
        """Run one attempt to its end; `progress` is told whenever the step says how far it is.

        Raises: StepFailedError, StepTimeoutError, StepMemoryError, StorageError.
        """
        ...

    def log(self, run: str, step: str, attempt: int) -> Path:
        """Return where the log of an attempt is, whether it exists yet or not."""
        ...

    def place(self, run: str, step: str) -> Path:
        """Return where the output of a step may be brought back to, for the time of a run."""
        ...

    def held(self, run: str) -> AbstractContextManager[None]:
        """Hold a run for the time of the block: as long as this process lives, it is alive.

        Waits for whoever holds it already. Other work than a run is held under a name of its own.

        Raises: StorageError.
        """
        ...

    def alive(self, run: str) -> bool:
        """Whether a process holds a run."""
        ...

    def clear(self, run: str) -> None:
        """Remove the working folders of a run; its logs stay.

        Raises: StorageError.
        """
        ...
