"""What tracking servers have been sent."""

from typing import Protocol

from servewell.core.catalog.tracked import Tracked


class Mirrors(Protocol):
    """Remembers what each server has. Contract: tests/ports/test_mirrors.py.

    All methods raise StateUnavailableError.
    """

    def keep(self, tracked: Tracked) -> None:
        """Keep what a server has of a run now, in the place of what it had."""
        ...

    def list(self, url: str) -> tuple[Tracked, ...]:
        """Return what a server has."""
        ...
