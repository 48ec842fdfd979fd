"""What a worker asks the control process to change."""

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class Errand:
    """A change of an endpoint that a caller of a worker wants."""

    id: str  # unique: that of the request that asked for it
    endpoint: str
    loaded: bool  # whether its models are to be loaded, or unloaded
    principal: str  # who wants it
    until: float  # seconds since the epoch, UTC: after this nobody waits for it any more


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What came of an errand."""

    id: str
    fault: str  # why it could not be done, for a person; or empty


class Errands(Protocol):
    """Carries errands from workers to the control process, and word of them back.

    Every implementation passes tests/ports/test_errands.py, and holds:
    - an errand is there whole or not at all, and until `done` it is there again for whoever asks;
    - a report is read once, by whoever gave the errand;
    - what nobody asks for any more is forgotten, however its processes died.
    """

    def give(self, errand: Errand) -> None:
        """Ask for a change.

        Raises: StorageError.
        """
        ...

    def open(self, now: float) -> tuple[Errand, ...]:
        """Return what is to be done at `now`; forget what nobody waits for any more."""
        ...

    def done(self, report: Report) -> None:
        """Take an errand off the list and say what came of it."""
        ...

    def report(self, errand_id: str) -> Report | None:
        """Return what came of an errand, once; None while nothing has."""
        ...

    def withdraw(self, errand_id: str) -> None:
        """Wait for an errand no longer."""
        ...
