"""Secrets of this home: keys that sign, the pepper, the redaction key."""

from typing import Protocol


class Secrets(Protocol):
    """Keeps secrets where only this user of the machine can read them.

    Every implementation passes tests/ports/test_secrets.py, and holds:
    - a secret, once made, is the same in every process, whoever asked first;
    - nothing but these methods shows it: no log, no error, no `repr`.

    All methods raise StorageError.
    """

    def get(self, name: str) -> bytes:
        """Return the secret of that name: 32 random bytes, made at the first call."""
        ...

    def put(self, name: str, secret: bytes) -> None:
        """Keep a secret that was made elsewhere, in place of what had its name."""
        ...

    def find(self, name: str) -> bytes | None:
        """Return the secret of that name, or None; makes nothing."""
        ...
