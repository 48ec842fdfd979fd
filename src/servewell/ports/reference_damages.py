"""Which reference profiles cannot be read."""

from typing import Protocol


class ReferenceDamages(Protocol):
    """What is wrong with reference profiles. Contract: tests/ports/test_reference_damages.py."""

    def note(self, package: str, because: str) -> bool:
        """Note that the reference profile of a package cannot be read; False where it was noted.

        Raises: StateUnavailableError.
        """
        ...

    def noted(self) -> dict[str, str]:
        """Return by package why its reference profile cannot be read, where none is kept yet.

        Raises: StateUnavailableError.
        """
        ...
