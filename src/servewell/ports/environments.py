"""Locked environments of Python, for code that is not the platform's own."""

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from servewell.errors import ServewellError


class LockInvalidError(ServewellError):
    """A list of requirements does not name every package by its exact version."""

    code = "SW-411"


class EnvironmentFailedError(ServewellError):
    """An environment cannot be made from its lock."""

    code = "SW-522"


class Environments(Protocol):
    """Makes environments, each named by the digest of what it holds.

    Contract: tests/ports/test_environments.py.

    - The same lock gives the same digest, and is made once.
    - One that a kill left half made is not found, and is made again.
    - Making one runs no code of the packages.
    """

    def digest(self, lock: bytes) -> str:
        """Return the name of the environment of a lock: SHA-256, hex, of it and this Python.

        Raises: LockInvalidError.
        """
        ...

    def resolve(self, wanted: bytes, progress: Callable[[str], None]) -> bytes:
        """Return the lock of packages that are wanted, with the packages that those need.

        Raises: EnvironmentFailedError.
        """
        ...

    def ensure(self, lock: bytes, progress: Callable[[str], None]) -> str:
        """Make the environment of a lock where it is not there; return its digest.

        Raises: LockInvalidError, EnvironmentFailedError, StorageError.
        """
        ...

    def python(self, digest: str) -> Path | None:
        """Return the Python of an environment, or None where it is not there."""
        ...
