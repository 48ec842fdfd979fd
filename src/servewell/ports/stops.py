"""Emergency stops, from whoever orders them to the workers."""

from typing import Protocol

from servewell.core.catalog.stop import StopOrder


class Stops(Protocol):
    """Keeps the stops that are in force.

    Every implementation passes tests/ports/test_stops.py, and holds:
    - neither the control process nor the database is needed to put, lift or read one;
    - a reader sees the stops before a change or after it, whole; a file that is not ours, or
      damaged, raises StopsCorruptError and leaves what a reader had;
    - one endpoint has one stop at most: the newest.
    """

    def put(self, order: StopOrder) -> None:
        """Bring a stop into force.

        Raises: StorageError.
        """
        ...

    def lift(self, endpoint: str) -> bool:
        """End the stop of an endpoint; whether there was one.

        Raises: StorageError.
        """
        ...

    def current(self) -> tuple[StopOrder, ...]:
        """Return the stops in force, by endpoint.

        Raises: StopsCorruptError.
        """
        ...

    def token(self) -> object:
        """Return a cheap value that differs whenever the stops have changed."""
        ...
