"""Trainings that were asked for, begun and ended."""

from typing import Protocol

from servewell.core.catalog.change import Change
from servewell.core.catalog.retraining import Retraining
from servewell.errors import ServewellError


class RetrainingMissingError(ServewellError):
    """No retraining has that number."""

    code = "SW-251"


class RetrainingBusyError(ServewellError):
    """The workload is being trained already."""

    code = "SW-250"


class Retrainings(Protocol):
    """Remembers retrainings.

    Every implementation passes tests/ports/test_retrainings.py, and holds:
    - those that are saved together, and the change that explains them, are kept together or not
      at all;
    - each is saved only as it was read (`Retraining.revision`; 0 for a new one, which gets the
      next number), and its state moves only as `retraining.MOVES` allows;
    - a workload has at most one that is running;
    - of one source a workload has at most one.

    All methods raise StateUnavailableError.
    """

    def save(
        self, *retrainings: Retraining, change: Change | None = None
    ) -> tuple[Retraining, ...]:
        """Keep retrainings, new or changed; return them as they are kept.

        Raises: StateConflictError, RetrainingBusyError.
        """
        ...

    def get(self, number: int) -> Retraining:
        """Return a retraining.

        Raises: RetrainingMissingError.
        """
        ...

    def last(self, workload: str, *, abandoned: bool = False) -> Retraining | None:
        """Return the training that was begun last and not abandoned, or None.

        With `abandoned` it is the last that was. To import a model is no training.
        """
        ...

    def sources(self, workload: str) -> frozenset[str]:
        """Return which models that appeared were taken."""
        ...

    def list(
        self, workload: str | None = None, *, open_only: bool = False
    ) -> tuple[Retraining, ...]:
        """Return retrainings by number; of one workload, or of all."""
        ...
