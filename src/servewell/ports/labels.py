"""The truth for predictions."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from servewell.core.catalog.label import Label, LossSum
from servewell.core.operations.label_loss import LARGEST


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """What became of labels that were given."""

    added: int  # first ones of their rows
    corrected: int  # of rows that had another one
    repeated: int  # that were known already


@dataclass(frozen=True, slots=True, kw_only=True)
class DeploymentLabels:
    """The labels of what one deployment predicted."""

    deployment: str
    predictions: int  # rows with a label
    measure: str  # empty where label and outputs cannot be compared
    loss: float | None  # mean
    corrected: int
    first_predicted_at: float  # seconds since the epoch, UTC, as the next
    last_predicted_at: float
    last_added_at: float
    delay_s: float  # from prediction to label, mean


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelQuery:
    """Which labels to read: the one that holds of each row of these predictions."""

    endpoint: str | None = None
    deployment: str | None = None
    since: float | None = None  # of the prediction, seconds since the epoch, inclusive
    until: float | None = None  # exclusive


class Labels(Protocol):
    """Keeps what is true of predictions. Contract: tests/ports/test_labels.py.

    - A label is added once, however often it is given; another one for the same row corrects it,
      and both are kept;
    - numbers rise in the order of adding, without a gap for readers: who reads since a number gets
      every label behind it;
    - all of one call are kept, or none.
    """

    def add(self, labels: Sequence[Label], *, dry_run: bool = False) -> Kept:
        """Keep labels, or only say what would become of them.

        Of two for one row the later in order is the truth.

        Raises: StateUnavailableError.
        """
        ...

    def history(self, prediction_id: str) -> tuple[Label, ...]:
        """Return every label of a prediction, by row and in the order of adding.

        Raises: StateUnavailableError.
        """
        ...

    def since(self, number: int, *, endpoint: str, limit: int) -> tuple[Label, ...]:
        """Return the first labels of rows, added behind a number; corrections are left out.

        Raises: StateUnavailableError.
        """
        ...

    def holding(
        self, query: LabelQuery, *, after: int = 0, limit: int, newest: bool = False
    ) -> tuple[Label, ...]:
        """Return the first labels with a number above `after` that no later one corrects.

        With `newest` they are the last ones instead. The order is that of adding.

        Raises: StateUnavailableError.
        """
        ...

    def last(self) -> int:
        """Return the number of the last label, 0 where there is none.

        Raises: StateUnavailableError.
        """
        ...

    def status(self, endpoint: str) -> tuple[DeploymentLabels, ...]:
        """Sum up the labels that hold now, by deployment and measure.

        Raises: StateUnavailableError.
        """
        ...

    def losses(  # noqa: PLR0913 - of what, of when, and as of when
        self,
        endpoint: str,
        deployment: str,
        *,
        since: float,
        until: float,
        known_at: float | None = None,
        most: float = LARGEST,
    ) -> LossSum | None:
        """Add up the losses of the rows predicted in [since, until), of each by its last label.

        `known_at` leaves out labels that were added later. A loss above `most` counts as that.
        Of several measures it is the one with the most labels; None where there are none.

        Raises: StateUnavailableError.
        """
        ...
