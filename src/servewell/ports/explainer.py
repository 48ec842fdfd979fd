"""Why a model answered one row as it did."""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from servewell.core.catalog.signature import Signature, Value
from servewell.core.catalog.workload import HeldOut
from servewell.errors import ServewellError

Row = dict[str, Value | list[Value]]


class NotExplainableError(ServewellError):
    """An answer cannot be explained from what is kept."""

    code = "SW-272"


class Method(StrEnum):
    """How an explanation was come by."""

    TREES = "exact for trees"  # every leaf of every tree, over every background row
    LINEAR = "exact for linear models"
    SAMPLED = "sampled"  # permutations; each contribution has an error


@dataclass(frozen=True, slots=True, kw_only=True)
class ExplainJob:
    """One row to explain, by its model, against the rows that it is compared with."""

    model: Path  # ONNX file
    signature: Signature
    row: Row  # as it was recorded; personal inputs are tokens
    data: Path | None  # Parquet file whose held-out rows are the background; or else
    held_out: HeldOut | None
    recorded: tuple[Row, ...] = ()  # these rows are
    timeout_s: float = 120.0
    memory_bytes_max: int = 2 << 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Contribution:
    """What one input did to the answer, beside the answers to the background rows."""

    input: str
    value: str  # as recorded, shortened; empty for a personal one
    amount: float | None  # in the unit of the explanation; None for a personal one
    error: float = 0.0  # one standard error of sampling; 0 where it is exact


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """The contributions, which sum to the difference of the answer and the expected one."""

    method: Method
    output: str  # of the model
    of: str  # the class that the output is for; empty for a number
    unit: str  # `log-odds`, `probability`, or the output's own
    expected: float  # mean over the background
    reached: float  # for this row; the mean over the background's values of personal inputs
    answer: float  # the model's own answer to this row, in the units of its output
    contributions: tuple[Contribution, ...]  # the largest first
    gap: float  # of the sum, from what it should be
    background: int  # rows
    source: str  # of the background
    because: str  # why this method


class Explainer(Protocol):
    """Explains answers. Contract: tests/ports/test_explainer.py.

    - What is called exact sums to the difference between the answer and the expected one, and was
      checked against the model as it is served;
    - the same job has the same explanation;
    - it runs in a process of its own, within its time and memory, and leaves nothing behind.
    """

    def explain(self, job: ExplainJob) -> Explanation:
        """Explain one row.

        Raises: NotExplainableError, StorageError.
        """
        ...
