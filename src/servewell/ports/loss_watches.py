"""How far the losses of endpoints were watched for a change."""

from typing import Protocol

from servewell.core.catalog.loss_watch import LossWatch


class LossWatches(Protocol):
    """Keeps watches. Contract: tests/ports/test_loss_watches.py.

    - A watch and the label up to which it looked are kept together, and only by whoever knows the
      last one: each label counts once, wherever a process is killed and however many try.
    """

    def of(self, endpoint: str) -> LossWatch:
        """Return how far the losses of an endpoint were watched; from the start at first.

        Raises: StateUnavailableError.
        """
        ...

    def advance(self, watch: LossWatch, *, cursor: int) -> bool:
        """Keep a watch in place of the one that had this cursor; False where there is another.

        Raises: StateUnavailableError.
        """
        ...
