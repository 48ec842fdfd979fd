"""Rollouts, and the traffic that changes with them."""

from typing import Protocol

from servewell.core.catalog.change import Change
from servewell.core.catalog.endpoint import Endpoint
from servewell.core.catalog.rollout import Rollout
from servewell.errors import ServewellError


class RolloutMissingError(ServewellError):
    """No rollout has that id, or the endpoint has none."""

    code = "SW-227"


class RolloutBusyError(ServewellError):
    """The endpoint has a rollout that has not ended."""

    code = "SW-228"


def busy(endpoint: str, candidate_version: str) -> RolloutBusyError:
    """Return the error that says which rollout an endpoint has."""
    return RolloutBusyError(
        f"`{endpoint}` has a rollout that has not ended, of {candidate_version}.",
        why="an endpoint changes by one rollout at a time, so that each is judged by itself",
        fix=f"`servewell rollouts show {endpoint}` says where it stands; "
        f"`servewell rollouts cancel {endpoint}` ends it",
    )


class Rollouts(Protocol):
    """Remembers rollouts.

    Every implementation passes tests/ports/test_rollouts.py, and holds:
    - a rollout, the endpoint that it changes and the change that explains it are kept together
      or not at all;
    - `save` succeeds only on the rollout as it was read (`Rollout.revision`; 0 for a new one) and
      on the endpoint as it was read;
    - an endpoint has at most one rollout that has not ended;
    - one that has ended never changes again.

    All methods raise StateUnavailableError.
    """

    def save(
        self, rollout: Rollout, *, endpoint: Endpoint | None = None, change: Change | None = None
    ) -> Rollout:
        """Keep a rollout, with the endpoint and the line of history that go with it.

        Raises: StateConflictError, RolloutBusyError.
        """
        ...

    def get(self, rollout_id: str) -> Rollout:
        """Return a rollout.

        Raises: RolloutMissingError.
        """
        ...

    def list(self, endpoint: str | None = None, *, open_only: bool = False) -> tuple[Rollout, ...]:
        """Return rollouts, oldest first; of one endpoint, or of all."""
        ...
