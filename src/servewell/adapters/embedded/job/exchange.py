"""What the job's process and the one that waits for it say to each other, and in which files."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

from servewell.core.catalog.inferred_signature import InputRuleError
from servewell.core.catalog.model import Equivalence, Parameter, Predictor
from servewell.core.catalog.signature import Signature
from servewell.core.operations.gate_measures import Measures
from servewell.core.performance.optimisation import MetricUnfitError
from servewell.errors import ServewellError
from servewell.ports.evaluator import EvaluateJob, EvaluationFailedError
from servewell.ports.optimiser import (
    OptimiseJob,
    Profile,
    ProfileJob,
    Study,
    StudyDataError,
    StudyFailedError,
)
from servewell.ports.trainer import (
    ConversionFailedError,
    HeldOutRowsError,
    Job,
    LibraryMissingError,
    NotEquivalentError,
    PickleRefusedError,
    PredictorInvalidError,
    TrainingFailedError,
)

SAID_BYTES_MAX: Final = 200  # of one line of progress

ERRORS: Final[dict[str, type[ServewellError]]] = {
    kind.code: kind
    for kind in (
        TrainingFailedError,
        ConversionFailedError,
        NotEquivalentError,
        PickleRefusedError,
        InputRuleError,
        HeldOutRowsError,
        LibraryMissingError,
        PredictorInvalidError,
        StudyFailedError,
        StudyDataError,
        MetricUnfitError,
        EvaluationFailedError,
    )
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What the job's process is to do, and the pipes that tie it to the one that waits.

    It is one of the jobs.
    """

    progress_pipe: int  # file descriptor to write lines of progress to
    parent_pipe: int  # file descriptor that ends when the waiting process does
    job: Job | None = None  # make a model,
    optimise: OptimiseJob | None = None  # or measure variants of one,
    profile: ProfileJob | None = None  # or find out where its time goes,
    evaluate: EvaluateJob | None = None  # or measure a version for the gates


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What came of a job, apart from the files."""

    signature: Signature
    equivalence: Equivalence
    metrics: dict[str, float]
    example: dict[str, Parameter] | None
    predictor: Predictor | None = None  # of an archive


Outcome = TypeVar("Outcome", Result, Study, Profile, Measures)


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """The error that ended a job."""

    code: str
    what: str
    why: str
    fix: str


class RunFiles:
    """The files of one run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.order = folder / "job.json"
        self.pid = folder / "pid"
        self.log = folder / "log.txt"
        self.environment = folder / "environment.lock"
        self.artifact = folder / "model.onnx"
        self.archive = folder / "predictor.zip"
        self.variants = folder / "variants"
        self.fitted = folder / "fitted"  # what training in its own environment hands over
        self.reference = folder / "reference-profile.json"
        self.quality = folder / "quality-reference.json"
        self.result = folder / "result.json"
        self.failure = folder / "failure.json"

    def clear(self) -> None:
        """Remove what an earlier attempt at the same run left.

        Raises: OSError.
        """
        made = (self.artifact, self.reference, self.quality, self.result, self.failure)
        for path in (self.pid, self.log, *made):
            path.unlink(missing_ok=True)


def say_to(pipe: int, line: str) -> None:
    """Send one line of progress; a reader that has gone is no reason to stop."""
    data = " ".join(line.split()).encode()[:SAID_BYTES_MAX]
    try:
        os.write(pipe, data + b"\n")
    except OSError:
        return
