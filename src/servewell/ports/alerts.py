"""Alerts, silences, and the last look."""

from collections.abc import Sequence
from typing import Protocol

from servewell.core.catalog.alert import Alert, Delivery, Look, Silence
from servewell.core.catalog.change import Change
from servewell.errors import ServewellError


class AlertMissingError(ServewellError):
    """No alert has that number, or no silence that id."""

    code = "SW-267"


class AlertNotFiringError(ServewellError):
    """An alert cannot be acknowledged where it stands."""

    code = "SW-268"


class Alerts(Protocol):
    """Remembers alerts, and who is still to be told.

    Every implementation passes tests/ports/test_alerts.py, and holds:
    - what is saved together is kept together or not at all: the alerts, the deliveries that tell of
      them, the look, and the changes for the history;
    - an alert and the look are saved only as they were read (their `revision`; 0 for a new one),
      so of two who decide at once one is refused, and nobody is told twice;
    - an alert that was dropped is forgotten: nobody was told of it.

    All methods raise StateUnavailableError.
    """

    def open(self, *, ended_after: float) -> tuple[Alert, ...]:
        """Return the alerts that are open or were resolved after a time (epoch s), by id."""
        ...

    def list(self, endpoint: str | None = None, *, limit: int = 100) -> tuple[Alert, ...]:
        """Return the newest alerts, the newest first; of one endpoint, or of all."""
        ...

    def get(self, number: int) -> Alert:
        """Return an alert.

        Raises: AlertMissingError.
        """
        ...

    def look(self) -> Look:
        """Return the last look; that of the epoch where nobody looked yet."""
        ...

    def save(
        self,
        *alerts: Alert,
        look: Look | None = None,
        deliveries: Sequence[Delivery] = (),
        changes: Sequence[Change] = (),
        forget_before: float = 0.0,
    ) -> None:
        """Keep what was decided, and forget alerts that ended before a time (epoch s).

        Raises: StateConflictError.
        """
        ...

    def silences(self, *, now: float) -> tuple[Silence, ...]:
        """Return the silences that have not ended, oldest first."""
        ...

    def silence(self, silence: Silence, change: Change) -> None:
        """Keep a silence, or replace the one of that id: that is how one ends early.

        Those that ended before it began are forgotten; the history has them.
        """
        ...
