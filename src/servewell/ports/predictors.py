"""Processes that run a predictor: Python code of a user, apart from the worker that serves it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from numpy.typing import NDArray

from servewell.core.catalog.model import Predictor
from servewell.errors import ServewellError

Array = NDArray[Any]
Columns = Mapping[str, Array]


class PredictorStartError(ServewellError):
    """The process of a predictor does not start, or the predictor does not load in it."""

    code = "SW-521"


class PredictorRaisedError(Exception):
    """The predictor raised an error on these rows. Its message is in the log, never in here."""


class PredictorSlowError(Exception):
    """There was no answer in time. The process works on: `settle` comes before the next call."""


class PredictorLostError(Exception):
    """The process ended in the middle of a call, or sent what is no answer; it is gone now."""


class PredictorHost(Protocol):
    """One predictor with at most one process of it. One caller at a time may use it.

    Contract: tests/ports/test_predictors.py.

    - Nothing that the code of the user does reaches the caller but arrays and these errors.
    - The process has no open file of the caller, no secret in its environment, and ends with all
      that it started when the caller ends, however that ends.
    - What it prints goes to a log that is bounded.
    """

    def start(self, *, within_s: float) -> None:
        """Start a process and wait until the predictor has loaded.

        Raises: PredictorStartError.
        """
        ...

    def call(self, columns: Columns, *, within_s: float) -> dict[str, Array]:
        """Return what the predictor answers to these rows.

        Raises: PredictorRaisedError, PredictorSlowError, PredictorLostError.
        """
        ...

    def settle(self, *, within_s: float) -> None:
        """Wait for the answer to a call that was too slow, and let go of it.

        Raises: PredictorSlowError, PredictorLostError.
        """
        ...

    def memory_bytes(self) -> int:
        """Return the memory that the process holds; 0 where none runs."""
        ...

    def kill(self) -> None:
        """End the process and whatever it started. Other threads may call it at any time."""
        ...

    def close(self) -> None:
        """Kill the process, and remove what was laid out for it."""
        ...


class Predictors(Protocol):
    """Lays out packaged predictors, to be run."""

    def open(self, archive: Path, predictor: Predictor, *, log: str) -> PredictorHost:
        """Lay out the package in `archive`, a zip file; `log` names the log of its processes.

        Raises: PredictorStartError where it cannot be laid out, or its environment is missing.
        """
        ...
