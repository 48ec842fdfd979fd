"""Jobs that try a model: variants built and measured, and where its time goes."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from servewell.core.catalog.signature import Signature
from servewell.core.catalog.workload import HeldOut
from servewell.core.performance.optimisation import Cost, Metric, Unsuited, Variant
from servewell.errors import ServewellError


class StudyFailedError(ServewellError):
    """The job that measures a model ended without a result."""

    code = "SW-415"


class StudyDataError(ServewellError):
    """The rows of a model version are not there, or are not what the model takes."""

    code = "SW-416"


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A model, and the rows that it is tried on."""

    run: str  # id; names the folder of what is built, the log and the report
    model: Path  # ONNX
    signature: Signature
    data: Path | None = None  # Parquet; without it, rows are made up from the signature
    label: str | None = None
    held_out: HeldOut | None = None
    timeout_s: float = 3_600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Effort:
    """How thoroughly speed is measured."""

    rounds: int = 15  # in each, every model takes its turn; at least 6
    slice_s: float = 0.04  # seconds a turn, for each number of rows


@dataclass(frozen=True, slots=True, kw_only=True)
class OptimiseJob:
    """Build what variants make sense, and measure each beside the original."""

    subject: Subject
    metric: Metric | None = None  # None: the usual one for what the model answers
    seed: int = 0  # of everything that is drawn
    effort: Effort = field(default_factory=Effort)


@dataclass(frozen=True, slots=True, kw_only=True)
class Study:
    """What came of an optimisation job."""

    metric: Metric
    rows: int  # held-out rows that quality was measured on
    made_up: str  # why those rows were made up; empty where they are real
    training_rows: int  # that the variants were made with, none of them held out
    quality: float  # of the original
    cost: Cost  # of the original
    variants: tuple[Variant, ...]
    unsuited: tuple[Unsuited, ...]
    seed: int
    rounds: int
    processor: str
    runtime: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfileJob:
    """Find out where the time of a prediction goes."""

    subject: Subject
    rows: int = 1  # of a request
    calls: int = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeTime:
    """One operator of the graph."""

    name: str
    operator: str  # its type, such as `MatMul`
    us: float  # a call


@dataclass(frozen=True, slots=True, kw_only=True)
class StageTime:
    """One stage of a prediction on the serving path."""

    name: str
    us_p50: float  # a call
    us_p99: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """Where the time of a prediction goes."""

    rows: int
    calls: int
    # Of the graph the faster half of the calls counts, as the profiler sees it, its own cost
    # included.
    run_us: float  # a call
    nodes: tuple[NodeTime, ...]  # in the order in which they run
    stages: tuple[StageTime, ...]  # in the order of the request path, measured without profiler
    processor: str
    runtime: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """How far a job has come."""

    done: int
    total: int  # 0 where it is not known yet
    words: str


class Optimiser(Protocol):
    """Tries models in a process of their own. Contract: tests/ports/test_optimiser.py.

    - A job changes no model: what it builds lies in the folder of its run, and nowhere else.
    - A job that is killed, times out or fails has no result, only its log.
    - `run` ids are the caller's: two jobs of one id replace each other.
    """

    def optimise(self, job: OptimiseJob, progress: Callable[[Step], None]) -> Study:
        """Build and measure variants.

        Raises: StudyFailedError, StudyDataError, MetricUnfitError, HeldOutRowsError,
        LibraryMissingError, StorageError.
        """
        ...

    def profile(self, job: ProfileJob, progress: Callable[[Step], None]) -> Profile:
        """Find out where the time goes.

        Raises: StudyFailedError, StudyDataError, HeldOutRowsError, LibraryMissingError,
        StorageError.
        """
        ...

    def artifact(self, run: str, variant: str) -> Path:
        """Return the ONNX file of a variant that a run built."""
        ...

    def log(self, run: str) -> Path:
        """Return where the log of a run is, whether it exists yet or not."""
        ...

    def lock(self, run: str) -> Path:
        """Return the file that says what a run was done with: one `name==version` a line."""
        ...

    def keep(self, run: str, name: str, text: str) -> Path:
        """Keep a report beside what a run built; return where.

        Raises: StorageError.
        """
        ...
