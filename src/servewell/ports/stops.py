"""Emergency stops, from whoever orders them to the workers."""

from contextlib import AbstractContextManager
from typing import Protocol

from servewell.core.catalog.stop import StopNote, StopOrder
from servewell.errors import ServewellError


class StopsCorruptError(ServewellError):
    """The file of the emergency stops does not match its checksum or its signature."""

    code = "SW-379"


class Stops(Protocol):
    """Keeps the stops that are in force.

    Every implementation passes tests/ports/test_stops.py, and holds:
    - neither the control process nor the database is needed to put, lift or read one;
    - a reader sees the stops before a change or after it, whole; a file that is not ours, or
      damaged, raises StopsCorruptError and leaves what a reader had; one that cannot be read, a
      StorageError;
    - no stop ends because its file is damaged;
    - one endpoint has one stop at most: the newest;
    - what was put or lifted is noted until it is told, so that the history misses none; one at a
      time tells it, so that it has none twice.
    """

    def put(self, order: StopOrder) -> None:
        """Bring a stop into force.

        Where what was there is damaged, it is in force beside an order for EVERY endpoint to refuse
        its requests: nobody knows any more which of them was stopped.

        Raises: StorageError.
        """
        ...

    def lift(self, endpoint: str, *, because: str, principal: str, at: float) -> bool:
        """End the stop of an endpoint; whether there was one. `at` is in seconds (epoch).

        Raises: StopsCorruptError, StorageError.
        """
        ...

    def current(self) -> tuple[StopOrder, ...]:
        """Return the stops in force, by endpoint.

        Raises: StopsCorruptError, StorageError.
        """
        ...

    def token(self) -> object:
        """Return a cheap value that differs whenever the stops have changed."""
        ...

    def untold(self) -> tuple[StopNote, ...]:
        """Return what was put and lifted and does not stand in the history yet, oldest first.

        Raises: StopsCorruptError, StorageError.
        """
        ...

    def telling(self) -> AbstractContextManager[bool]:
        """Have what is untold for oneself within the block; False where somebody else has it.

        Nobody waits for it, least of all who puts a stop.

        Raises: StorageError.
        """
        ...

    def told(self, note: StopNote) -> None:
        """Forget a note: it stands in the history.

        Raises: StopsCorruptError, StorageError.
        """
        ...
