"""Signatures on packages and snapshots."""

from typing import Protocol


class Signer(Protocol):
    """Signs with the key of this home and knows its own signatures again.

    Every implementation passes tests/ports/test_signer.py, and holds: `verify(d, sign(d))`, and
    nothing else verifies. `sign` raises StorageError.
    """

    def sign(self, data: bytes) -> bytes:
        """Return a signature over `data`."""
        ...

    def verify(self, data: bytes, signature: bytes) -> bool:
        """Whether `signature` was made over `data` with the key of this home."""
        ...
