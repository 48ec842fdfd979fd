"""The files around a workload, and the commands that its developers run on them."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from servewell.errors import ServewellError


class CommandFailedError(ServewellError):
    """A command of the workload's developers could not be started, failed, or took too long."""

    code = "SW-535"


@dataclass(frozen=True, slots=True, kw_only=True)
class Root:
    """Where a repository begins, and how it is worked with."""

    folder: Path  # the workload's own where it is in no repository
    branch: str  # the one that others start from; `main` where none is known


class Project(Protocol):
    """The folder of a workload, as its developers know it. Contract: tests/ports/test_project.py.

    - a file is written whole or not at all;
    - a command runs without a shell and never outlives its time, nor do the processes it starts.
    """

    def root(self, folder: Path) -> Root:
        """Return the root of the git repository that a folder is in."""
        ...

    def read(self, path: Path) -> str | None:
        """Return the text of a file, or None where there is none.

        Raises: StorageError.
        """
        ...

    def write(self, path: Path, text: str) -> None:
        """Write a file, readable as its folder is; folders that lack are made.

        Raises: StorageError.
        """
        ...

    def has_tests(self, folder: Path) -> bool:
        """Whether there are files `test_*.py` below a folder."""
        ...

    def run(
        self, command: str, folder: Path, *, timeout_s: float, progress: Callable[[str], None]
    ) -> None:
        """Run a command, split as a shell does; `progress` gets each line that it prints.

        Raises: CommandFailedError.
        """
        ...
