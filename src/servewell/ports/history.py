"""Who changed what, when and why."""

from collections.abc import Collection
from typing import Protocol

from servewell.core.catalog.change import Change, ChangeKind


class History(Protocol):
    """The changes that this and the other ports kept. Append-only: none is altered or removed.

    Every implementation passes tests/ports/test_history.py. All methods raise
    StateUnavailableError.
    """

    def keep(self, change: Change) -> int:
        """Keep a change that leaves no trace in the state but this; return its revision."""
        ...

    def changes(
        self,
        subject: str | None = None,
        *,
        since: float | None = None,
        until: float | None = None,
        kinds: Collection[ChangeKind] | None = None,
    ) -> tuple[Change, ...]:
        """Return changes, oldest first: of one subject, of kinds, within times (epoch s)."""
        ...

    def revision(self) -> int:
        """Return the number of the newest change; 0 where nothing ever changed."""
        ...

    def token(self) -> object:
        """Return a cheap value that differs whenever anything of the state was kept by anybody.

        Where that cannot be told cheaply it differs each time.
        """
        ...
