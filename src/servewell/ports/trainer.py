"""Jobs that make a model: training, conversion and the proof, in a process of their own."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from servewell.core.catalog.model import Equivalence, Parameter, Predictor
from servewell.core.catalog.signature import Signature
from servewell.core.catalog.step import NO_USAGE, Usage
from servewell.core.catalog.workload import HeldOut, InputRule
from servewell.errors import ServewellError


class TrainingFailedError(ServewellError):
    """The training script, or loading an imported model, failed."""

    code = "SW-401"


class ConversionFailedError(ServewellError):
    """The model could not be turned into ONNX."""

    code = "SW-402"


class NotEquivalentError(ServewellError):
    """The served answers differ from the trained model's by more than the tolerance."""

    code = "SW-403"


class PickleRefusedError(ServewellError):
    """A pickle was not allowed, or its scan found something that is not known to be harmless."""

    code = "SW-404"


class HeldOutRowsError(ServewellError):
    """The rows that are held out cannot be told, or there are none."""

    code = "SW-406"


class LibraryMissingError(ServewellError):
    """A library that this kind of model needs is not installed."""

    code = "SW-407"


class PredictorInvalidError(ServewellError):
    """A predictor cannot be packaged: it fails, or does not answer as a model has to."""

    code = "SW-410"


@dataclass(frozen=True, slots=True, kw_only=True)
class PredictorJob:
    """Code that is to be packaged as a model."""

    script: Path | None  # None where the model is a folder of MLflow, run by a script of ours
    files: tuple[Path, ...]  # files and folders that go with it
    lock: bytes  # of its own environment; empty where it runs in the platform's
    python: Path | None  # of its own environment; None for the platform's
    bounds: Predictor


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What a job is to do. One of `script`, `artifact` and `predictor` is given.

    A `predictor` without a script of its own comes with the `artifact`, a folder of MLflow.
    """

    run: str  # id; names the job's folder, log and result
    folder: Path  # where the script or the artifact was written; also the working folder
    script: Path | None = None
    function: str = "train"
    python: Path | None = None  # of the script's own environment; None for the platform's
    lock: bytes = b""  # of that environment
    artifact: Path | None = None
    format: str = "sklearn"  # of the artifact; a script may return any model that can be told apart
    allow_pickle: bool = False
    predictor: PredictorJob | None = None
    data: Path | None = None  # Parquet; an import may come without, and then proves less
    dataset: str = ""  # what people call that data: `name:number`
    label: str | None = None
    held_out: HeldOut | None = None
    slices: tuple[str, ...] = ()  # inputs whose texts have reference profiles of their own
    parameters: dict[str, Parameter] = field(default_factory=dict)
    inputs: dict[str, InputRule] = field(default_factory=dict)
    tolerance: float = 1e-4
    timeout_s: float = 3_600.0
    memory_bytes_max: int | None = None  # of a script; None: no bound


@dataclass(frozen=True, slots=True, kw_only=True)
class JobResult:
    """What came of a job."""

    artifact: Path  # the ONNX file, or the archive of a predictor
    signature: Signature
    equivalence: Equivalence
    metrics: dict[str, float]
    example: dict[str, Parameter] | None  # one real held-out row, without personal inputs
    log: Path
    environment: Path  # the lock: one `name==version` a line, below the Python and the platform
    predictor: Predictor | None = None  # how to run it, where it is Python code
    told: Path  # what of this is no file, as one
    reference: Path | None = None  # profile of the held-out rows; None where there were none
    quality: Path | None = None  # what their labels say of it; None where they have none
    usage: Usage = NO_USAGE


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """What a job runs in."""

    lock: str  # the text of `JobResult.environment`
    digest: str  # SHA-256 of it, hex


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeVersion:
    """The state of the workload's folder in git."""

    commit: str | None  # None outside a repository
    dirty: bool


class Trainer(Protocol):
    """Runs jobs. Contract: tests/ports/test_trainer.py.

    - A job's user code runs in another process; whatever it does, the caller goes on.
    - A job that is killed, times out or fails leaves no result, only its log.
    """

    def run(self, job: Job, progress: Callable[[str], None]) -> JobResult:
        """Run a job to its end; `progress` gets a short line whenever there is something to say.

        Raises: TrainingFailedError, ConversionFailedError, NotEquivalentError, PickleRefusedError,
        InputRuleError, HeldOutRowsError, LibraryMissingError, PredictorInvalidError,
        StorageError.
        """
        ...

    def result(self, folder: Path) -> JobResult:
        """Return what a job made, from a folder that holds its files under their names.

        Raises: TrainingFailedError.
        """
        ...

    def environment(self) -> Environment:
        """Return what a job would run in now."""
        ...

    def code_digest(self, folder: Path, source: Path) -> str:
        """Return one SHA-256, in hex, over a script and the Python files that it imports.

        Those are files below its folder, imported also through others; all `*.py` files there
        where its text does not tell which. Of an artifact it is over its own bytes (a folder: all
        its files). Hidden folders are left out.

        Raises: TrainingFailedError where a file cannot be read.
        """
        ...

    def code_version(self, folder: Path) -> CodeVersion:
        """Return the git state of a folder."""
        ...

    def alive(self, run: str) -> bool:
        """Whether a process still works on a run."""
        ...

    def log(self, run: str) -> Path:
        """Return where the log of a run is, whether it exists yet or not."""
        ...
