"""The snapshot that workers serve from, and what they say of it."""

from dataclasses import dataclass
from typing import Protocol

from servewell.core.catalog.snapshot import Snapshot


@dataclass(frozen=True, slots=True, kw_only=True)
class Quarantined:
    """A package that a worker runs no more."""

    package: str  # digest
    trial: int  # of the deployment
    because: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerReport:
    """What a worker says of itself whenever that changes; of its memory, each two seconds."""

    worker: int  # index, from 0
    pid: int
    snapshot: int  # version that it serves from; 0 for none
    ready: bool  # whether every deployment with traffic of that snapshot is loaded
    fault: str  # why not all of the newest snapshot is served, for a person; or empty
    at: float  # seconds since the epoch, UTC
    quarantined: tuple[Quarantined, ...] = ()
    memory_bytes: int = 0  # that it holds, with the processes of its predictors
    stops: str = ""  # `stops_digest` of the emergency stops that it obeys; empty where unknown


class Snapshots(Protocol):
    """Carries snapshots to workers and their acknowledgement back.

    Every implementation passes tests/ports/test_snapshots.py, and holds:
    - publishing is atomic: a reader sees the old snapshot or the new one, whole;
    - an older version never replaces a newer one;
    - a corrupt snapshot raises SnapshotCorruptError and is never half-used; the previous one
      remains readable;
    - neither the control process nor the database is needed to read.
    """

    def publish(self, snapshot: Snapshot) -> None:
        """Make this the current snapshot, unless a newer one is.

        Raises: StorageError.
        """
        ...

    def current(self) -> Snapshot | None:
        """Return the current snapshot, or None before the first.

        Raises: SnapshotCorruptError.
        """
        ...

    def previous(self) -> Snapshot | None:
        """Return the snapshot before the current one, or None where there is none that is whole."""
        ...

    def token(self) -> object:
        """Return a cheap value that differs whenever the current snapshot has been replaced."""
        ...

    def report(self, report: WorkerReport) -> None:
        """Let a worker say what it serves. Never raises for a full disk: serving goes on."""
        ...

    def reports(self) -> tuple[WorkerReport, ...]:
        """Return the last report of each worker, by index."""
        ...
