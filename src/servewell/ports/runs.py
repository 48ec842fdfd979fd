"""Training and import runs."""

from typing import Protocol

from servewell.core.catalog.run import Run
from servewell.core.catalog.run_query import RunQuery
from servewell.errors import ServewellError


class RunMissingError(ServewellError):
    """No run has that id."""

    code = "SW-203"


class Runs(Protocol):
    """Remembers runs.

    Every implementation passes tests/ports/test_runs.py, and holds:
    - a run's id, workload, inputs and start never change, but that inputs may be empty at first;
      its state changes only as `run.MOVES` allows; a save against that raises StateConflictError
      and changes nothing;
    - saving the same run twice is the same as once.

    All methods raise StateUnavailableError.
    """

    def save(self, run: Run) -> None:
        """Keep a run, new or changed.

        Raises: StateConflictError.
        """
        ...

    def get(self, run_id: str) -> Run:
        """Return a run.

        Raises: RunMissingError.
        """
        ...

    def succeeded(self, workload: str, inputs_digest: str) -> Run | None:
        """Return the newest run of this work that succeeded, or None."""
        ...

    def find(self, query: RunQuery) -> tuple[Run, ...]:
        """Return the runs that a query asks for, in its order.

        It stays quick with tens of thousands of runs that have hundreds of metrics each.
        """
        ...

    def list(self, workload: str | None = None) -> tuple[Run, ...]:
        """Return the runs, oldest first; of one workload, or of all."""
        ...
