"""Folders that steps write, kept by their content."""

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from servewell.core.catalog.step import Output
from servewell.errors import ServewellError


class OutputInvalidError(ServewellError):
    """A folder holds what cannot be kept: a link, a device, a socket, or a name that is no text."""

    code = "SW-431"


class Outputs(Protocol):
    """Keeps folders of files. Contract: tests/ports/test_outputs.py.

    - The same names with the same contents give the same digest; times and rights do not count.
    - What is brought back is what was kept, or an error: never other bytes, never a part.
    - A digest that was returned can be brought back after a kill at any moment.
    """

    def keep(self, folder: Path) -> Output:
        """Keep a folder with all below it.

        Raises: OutputInvalidError, StorageError.
        """
        ...

    def keep_files(self, files: Mapping[str, Path]) -> Output:
        """Keep files as a folder that holds them under these names.

        Raises: StorageError, FileNotFoundError.
        """
        ...

    def files(self, digest: str) -> dict[str, str]:
        """Return the digest of each file of an output, by its path.

        Raises: BlobMissingError, BlobCorruptError, StorageError.
        """
        ...

    def whole(self, digest: str) -> bool:
        """Whether an output can be brought back as it was kept."""
        ...

    def bring(self, digest: str, place: Path) -> Path:
        """Make `place` a folder with the files of an output, where it is none yet; return it.

        Raises: BlobMissingError, BlobCorruptError, StorageError.
        """
        ...
