"""Files that others put somewhere: data, and models."""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from servewell.core.operations.retraining import DataFiles


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """A file, or a folder, in a watched folder."""

    path: Path
    stamp: str  # another one when it changes
    changed_at: float  # seconds since the epoch, UTC


class Arrivals(Protocol):
    """Looks at files by their size and times alone. Contract: tests/ports/test_arrivals.py.

    Hidden files and those whose names say that they are being written are not seen.
    """

    def data(self, folder: Path, patterns: tuple[str, ...]) -> DataFiles:
        """Return what the files below a folder look like that any of the patterns names."""
        ...

    def models(self, folder: Path) -> tuple[Arrival, ...]:
        """Return what is in a folder, oldest first; nothing where there is no such folder."""
        ...

    def place(self, name: str) -> Path:
        """Return an empty folder of this name to bring something to.

        Raises: StorageError.
        """
        ...

    def keep(self, path: Path, name: str) -> Path:
        """Return a copy of a file or folder that nobody changes, kept under this name.

        Raises: StorageError.
        """
        ...

    def discard(self, name: str) -> None:
        """Remove what was brought under this name; nothing where nothing was."""
        ...
