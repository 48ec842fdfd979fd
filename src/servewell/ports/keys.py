"""API keys, as digests."""

from typing import Protocol

from servewell.core.catalog.change import Change
from servewell.core.catalog.key import ApiKey
from servewell.errors import ServewellError


class KeyMissingError(ServewellError):
    """No key has that id."""

    code = "SW-204"


class Keys(Protocol):
    """Remembers keys. Only digests cross this port, never a key.

    Every implementation passes tests/ports/test_keys.py, and holds:
    - keys and the change that explains them are kept together or not at all;
    - a key that was revoked stays revoked: saving it without `revoked_at` raises
      StateConflictError and changes nothing.

    All methods raise StateUnavailableError.
    """

    def save(self, keys: tuple[ApiKey, ...], change: Change) -> None:
        """Keep keys, new or changed, with the change that made them.

        Raises: StateConflictError.
        """
        ...

    def get(self, key_id: str) -> ApiKey:
        """Return a key.

        Raises: KeyMissingError.
        """
        ...

    def list(self) -> tuple[ApiKey, ...]:
        """Return all keys, oldest first."""
        ...
