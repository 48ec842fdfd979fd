"""What is kept to tell how right predictions are."""

from typing import Protocol

from servewell.core.catalog.loss_watch import LossWatch
from servewell.core.catalog.quality_reference import QualityReference


class QualityFacts(Protocol):
    """Keeps references and watches. Contract: tests/ports/test_quality_facts.py.

    - What is kept of a package stays: a reference never changes;
    - a watch and the label up to which it looked are kept together, and only by whoever knows the
      last one: each label counts once, wherever a process is killed and however many try.
    """

    def keep_reference(self, reference: QualityReference) -> None:
        """Keep how right a package was on its held-out rows; what is kept of it already stays.

        Raises: StateUnavailableError.
        """
        ...

    def reference(self, package: str) -> QualityReference | None:
        """Return how right a package was on its held-out rows, None where that is not known.

        Raises: StateUnavailableError.
        """
        ...

    def watch(self, endpoint: str) -> LossWatch:
        """Return how far the losses of an endpoint were watched; from the start at first.

        Raises: StateUnavailableError.
        """
        ...

    def advance(self, watch: LossWatch, *, cursor: int) -> bool:
        """Keep a watch in place of the one that had this cursor; False where there is another.

        Raises: StateUnavailableError.
        """
        ...
