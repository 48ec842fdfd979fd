"""The workloads that this home may act on by itself."""

from typing import Protocol

from servewell.core.catalog.known_workload import KnownWorkload
from servewell.errors import ServewellError


class WorkloadMissingError(ServewellError):
    """No workload of that name was ever brought up in this home."""

    code = "SW-245"


class Workloads(Protocol):
    """Remembers workloads.

    Every implementation passes tests/ports/test_workloads.py, and holds: `save` succeeds only on
    the workload as it was read (`KnownWorkload.revision`; 0 for a new one).

    All methods raise StateUnavailableError.
    """

    def save(self, known: KnownWorkload) -> KnownWorkload:
        """Keep a workload, new or changed; return it as it is kept.

        Raises: StateConflictError.
        """
        ...

    def get(self, name: str) -> KnownWorkload:
        """Return a workload.

        Raises: WorkloadMissingError.
        """
        ...

    def list(self) -> tuple[KnownWorkload, ...]:
        """Return all of them, by name."""
        ...
