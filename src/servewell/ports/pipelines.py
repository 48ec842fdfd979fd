"""What the steps of runs did."""

from typing import Protocol

from servewell.core.catalog.step import Step


class Pipelines(Protocol):
    """Remembers the steps of runs. Contract: tests/ports/test_pipelines.py.

    - A step's key and start never change, its state only as `step.MOVES` allows; a save against
      that raises StateConflictError and changes nothing.
    - Saving the same step twice is the same as once.

    All methods raise StateUnavailableError.
    """

    def save(self, step: Step) -> None:
        """Keep a step, new or changed.

        Raises: StateConflictError.
        """
        ...

    def of(self, run: str) -> tuple[Step, ...]:
        """Return the steps of a run, in the order in which they began."""
        ...

    def made(self, key: str) -> tuple[Step, ...]:
        """Return the steps with this key that succeeded, the newest first; at most ten."""
        ...

    def last(self, workload: str, name: str) -> Step | None:
        """Return the newest step of that name, in a workload, that succeeded or was cached."""
        ...
