"""Experiments, and the traffic that changes with them."""

from typing import Protocol

from servewell.core.catalog.change import Change
from servewell.core.catalog.endpoint import Endpoint
from servewell.core.catalog.experiment import Experiment
from servewell.errors import ServewellError


class ExperimentMissingError(ServewellError):
    """No experiment has that id, or the endpoint has none."""

    code = "SW-246"


class ExperimentBusyError(ServewellError):
    """The endpoint has an experiment that has not ended."""

    code = "SW-247"


def busy(endpoint: str) -> ExperimentBusyError:
    """Return the error that says that an endpoint has an experiment."""
    return ExperimentBusyError(
        f"`{endpoint}` has an experiment that has not ended.",
        why="two at a time would be mixed up in the same requests",
        fix=f"`servewell experiments show {endpoint}` says what it shows; "
        f"`servewell experiments stop {endpoint}` ends it",
    )


class Experiments(Protocol):
    """Remembers experiments.

    Every implementation passes tests/ports/test_experiments.py, and holds:
    - an experiment, the endpoint that it changes and the change that explains it are kept together
      or not at all;
    - `save` succeeds only on the experiment as it was read (`Experiment.revision`; 0 for a new
      one) and on the endpoint as it was read;
    - an endpoint has at most one experiment that has not ended;
    - one that has ended never changes again.

    All methods raise StateUnavailableError.
    """

    def save(
        self,
        experiment: Experiment,
        *,
        endpoint: Endpoint | None = None,
        change: Change | None = None,
    ) -> Experiment:
        """Keep an experiment, with the endpoint and the line of history that go with it.

        Raises: StateConflictError, ExperimentBusyError.
        """
        ...

    def get(self, experiment_id: str) -> Experiment:
        """Return an experiment.

        Raises: ExperimentMissingError.
        """
        ...

    def list(
        self, endpoint: str | None = None, *, open_only: bool = False
    ) -> tuple[Experiment, ...]:
        """Return experiments, oldest first; of one endpoint, or of all."""
        ...
