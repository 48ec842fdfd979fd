"""Jobs that measure a model version beside the champion, for the gates to decide on."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from servewell.core.catalog.behaviour import BehaviourTest
from servewell.core.catalog.model import Predictor
from servewell.core.catalog.signature import Signature
from servewell.core.catalog.workload import HeldOut
from servewell.core.catalog.workload_gates import GateRules
from servewell.core.operations.gate_measures import Measures
from servewell.errors import ServewellError
from servewell.ports.data_measuring import DataQuestion
from servewell.ports.optimiser import Step


class EvaluationFailedError(ServewellError):
    """The job that measures a version for the gates ended without a result."""

    code = "SW-418"


class BehaviourFileError(ServewellError):
    """A file of behaviour tests has faults, all of which are named."""

    code = "SW-140"


@dataclass(frozen=True, slots=True, kw_only=True)
class Contender:
    """A model version, as it is served."""

    version: str  # `model:number`
    model: Path  # ONNX, or the archive of a predictor
    signature: Signature
    predictor: Predictor | None = None
    python: Path | None = None  # of the predictor's own environment


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluateJob:
    """What is to be measured, and on which rows."""

    run: str  # id; names the folder of the log
    candidate: Contender
    champion: Contender | None = None
    data: Path | None = None  # Parquet; without it, rows are made up from the signature
    question: DataQuestion | None = None  # what is to be found out about those rows themselves
    label: str | None = None
    held_out: HeldOut | None = None
    rules: GateRules = field(default_factory=GateRules)
    behaviour: tuple[BehaviourTest, ...] = ()
    seed: int = 0  # of everything that is drawn
    timeout_s: float = 600.0
    memory_bytes_max: int = 8 << 30  # that the job may hold beside what it starts with


class Evaluator(Protocol):
    """Measures versions in a process of its own. Contract: tests/ports/test_evaluator.py.

    - Both versions answer the same rows, by what would serve them.
    - The same job measures the same, but for times and memory.
    - A job that is killed, times out or fails has no result, only its log.
    """

    def evaluate(self, job: EvaluateJob, progress: Callable[[Step], None]) -> Measures:
        """Measure.

        Raises: EvaluationFailedError, HeldOutRowsError, LibraryMissingError, StorageError.
        """
        ...

    def behaviours(self, path: Path, signature: Signature) -> tuple[BehaviourTest, ...]:
        """Read a file of behaviour tests: YAML, CSV or Parquet, by the end of its name.

        Each is checked against the inputs and outputs of the version that it is for.

        Raises: BehaviourFileError.
        """
        ...

    def log(self, run: str) -> Path:
        """Return where the log of a run is, whether it exists yet or not."""
        ...
