"""The code that a run is made of, to be kept with it."""

from pathlib import Path
from typing import Protocol


class Sources(Protocol):
    """Finds code. Contract: tests/ports/test_sources.py.

    - Nothing is changed, and no code is run: neither the workload's nor a program that a
      repository names.
    """

    def files(self, folder: Path, scripts: tuple[Path, ...]) -> dict[str, Path]:
        """Return scripts and the Python files that they import, by their paths in the folder.

        Raises: TrainingFailedError where a file cannot be read.
        """
        ...

    def changes(self, folder: Path) -> bytes:
        """Return what differs in a folder from its last commit, as git writes it.

        Empty where nothing differs, where there is no repository, or where it is too much to keep.
        """
        ...
