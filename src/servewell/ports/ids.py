"""Ids and random bytes that nobody can guess."""

from typing import Protocol


class Ids(Protocol):
    """Makes ids and secrets. No value is ever given twice."""

    def new(self) -> str:
        """Return a new id: lower-case letters and digits, sortable by the time of its making."""
        ...

    def entropy(self, size: int) -> bytes:
        """Return `size` random bytes from the operating system."""
        ...
