"""Endpoints and their traffic."""

from typing import Protocol

from servewell.core.catalog.change import Change
from servewell.core.catalog.endpoint import Endpoint
from servewell.errors import ServewellError


class EndpointMissingError(ServewellError):
    """No endpoint has that name."""

    code = "SW-201"

    @classmethod
    def of(cls, name: str) -> "EndpointMissingError":
        """Return the error of a name."""
        return cls(
            f"There is no endpoint `{name}`.",
            why="nothing was ever deployed under that name in this home",
            fix="`servewell endpoints list` shows them; `servewell up` makes one",
        )


class Endpoints(Protocol):
    """Remembers endpoints.

    Every implementation passes tests/ports/test_endpoints.py, and holds:
    - an endpoint and the change that explains it are kept together or not at all;
    - `save` succeeds only on the endpoint as it was read (`Endpoint.revision`; 0 for a new one);
    - revisions number all changes of the state 1, 2, 3 … without a gap.

    All methods raise StateUnavailableError.
    """

    def get(self, name: str) -> Endpoint:
        """Return an endpoint.

        Raises: EndpointMissingError.
        """
        ...

    def list(self) -> tuple[Endpoint, ...]:
        """Return all endpoints, by name."""
        ...

    def save(self, endpoint: Endpoint, change: Change) -> Endpoint:
        """Keep an endpoint with the change that made it; return it at its new revision.

        Raises: StateConflictError.
        """
        ...
