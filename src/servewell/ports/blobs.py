"""Immutable content, found by its digest."""

from pathlib import Path
from typing import Protocol

from servewell.errors import ServewellError


class BlobMissingError(ServewellError):
    """No blob has that digest."""

    code = "SW-508"


class BlobCorruptError(ServewellError):
    """A blob's content does not match its digest."""

    code = "SW-509"


class Blobs(Protocol):
    """Keeps content under its SHA-256.

    Every implementation passes tests/ports/test_blobs.py, and holds:
    - putting the same content twice is the same as once, and gives the same digest;
    - a digest that was returned can be read back after a kill at any moment, until it is removed;
    - what is read back is what was put, or BlobCorruptError: never other bytes.
    """

    def put(self, data: bytes) -> str:
        """Keep `data`; return its digest, SHA-256 in hex.

        Raises: StorageError.
        """
        ...

    def put_file(self, path: Path) -> str:
        """Keep the content of a file, read in pieces; return its digest.

        Raises: StorageError, FileNotFoundError.
        """
        ...

    def digest(self, path: Path) -> str:
        """Return the digest that a file's content has, and keep nothing.

        Raises: StorageError, FileNotFoundError.
        """
        ...

    def read(self, digest: str) -> bytes:
        """Return the content, checked against its digest.

        Raises: BlobMissingError, BlobCorruptError, StorageError.
        """
        ...

    def path(self, digest: str) -> Path:
        """Return a local, read-only file with the content, checked against its digest.

        Raises: BlobMissingError, BlobCorruptError, StorageError.
        """
        ...

    def has(self, digest: str) -> bool:
        """Whether the content is kept."""
        ...

    def remove(self, digest: str) -> None:
        """Remove the content; what is not kept is as good as removed.

        Raises: StorageError.
        """
        ...
