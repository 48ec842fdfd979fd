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

        Files that are there to hold secrets are left out, and so is what looks like a key or a
        password. Where something was left out, or all of it because it is too much to keep, the
        first lines say so. Empty where nothing differs, or where there is no repository.
        """
        ...
