"""Deliveries that wait, were made, or were given up."""

from typing import Protocol

from servewell.core.catalog.alert import Delivery, DeliveryState, GivenUp
from servewell.errors import ServewellError


class DeadLetterMissingError(ServewellError):
    """No dead letter has that id."""

    code = "SW-269"


class Outbox(Protocol):
    """Keeps every delivery until its receiver has it. `Alerts.save` puts them in.

    Every implementation passes tests/ports/test_outbox.py, and holds:
    - a delivery that waits is due again after every failure and every death of a process, until it
      is kept as delivered or dead;
    - what waits is never forgotten, and what is dead not before its time.

    All methods raise StateUnavailableError.
    """

    def due(self, *, now: float) -> tuple[Delivery, ...]:
        """Return what is to be tried now, in the order in which it was made."""
        ...

    def list(self, state: DeliveryState, *, limit: int = 100) -> tuple[Delivery, ...]:
        """Return the newest deliveries in a state, the newest first."""
        ...

    def dead(self, *, since: float, due: float) -> tuple[Delivery, ...]:
        """Return the dead letters made since a time whose next look is due, oldest first."""
        ...

    def given_up(self, *, since: float) -> tuple[GivenUp, ...]:
        """Return what is to be known of those made since a time that not all got, oldest first."""
        ...

    def keep(self, delivery: Delivery) -> None:
        """Keep what came of a try."""
        ...

    def retry(self, number: str, *, at: float) -> Delivery:
        """Let a dead letter be tried again from a time on, as if it had never been.

        Raises: DeadLetterMissingError.
        """
        ...

    def forget(self, *, before: float, dead_before: float) -> None:
        """Forget what was made before a time (epoch s): what was delivered, and what is dead."""
        ...
