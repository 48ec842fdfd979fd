"""What people say of predictions: on its way from the workers, and kept."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from servewell.core.catalog.feedback import (
    ConsentText,
    CorrectionState,
    Feedback,
    FeedbackCount,
    Said,
)
from servewell.errors import ServewellError


class FeedbackMissingError(ServewellError):
    """No feedback has that id."""

    code = "SW-274"

    @classmethod
    def of(cls, name: str) -> "FeedbackMissingError":
        """Return the error of an id."""
        return cls(
            f"There is no feedback `{name}`.",
            why="none of this home has that id: it was erased, or its time has passed",
            fix="`servewell feedback list ENDPOINT` shows what there is",
        )


class InboxFullError(ServewellError):
    """More feedback waits to be taken up than may wait."""

    code = "SW-276"


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """What a worker put into the inbox at once."""

    name: str
    said: tuple[Said, ...]  # nothing where it is damaged
    damaged: bool = False


class FeedbackInbox(Protocol):
    """Holds feedback until it is taken up. Contract: tests/ports/test_feedback.py.

    - It needs neither the control process nor the database;
    - what `put` has taken survives the death of every process and a loss of power, whole;
    - a batch waits until `done` says that it was taken up; one that cannot be read is set aside, is
      told of once, and holds up none behind it.
    """

    def put(self, said: Sequence[Said]) -> None:
        """Keep feedback, all of it or none. Raises: InboxFullError, StorageError."""
        ...

    def taking(self) -> AbstractContextManager[None]:
        """Have all that waits for oneself within the block; others wait. Raises: StorageError."""
        ...

    def waiting(self, limit: int) -> tuple[Batch, ...]:
        """Return the first batches that wait, oldest first. Raises: StorageError."""
        ...

    def done(self, batch: Batch) -> None:
        """Forget a batch. Raises: StorageError."""
        ...

    def damaged(self) -> tuple[str, ...]:
        """Return where what nobody can read was set aside. Raises: StorageError."""
        ...

    def sweep(self, before: float) -> tuple[str, ...]:
        """Remove what was set aside and written before a time (epoch seconds); return which.

        Raises: StorageError.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedbackQuery:
    """Which feedback is asked for; what is empty or None does not matter."""

    ids: tuple[str, ...] | None = None  # at most 500
    endpoint: str = ""
    prediction_id: str = ""
    subject: str = ""  # keyed token of a person
    state: CorrectionState | None = None
    before: float | None = None  # seconds since the epoch, UTC
    limit: int = 1_000


class FeedbackStore(Protocol):
    """Keeps what each author says of each row now. Contract: tests/ports/test_feedback.py.

    - An author has one piece of feedback for a row, the newest by its time, however often and in
      whatever order it is kept;
    - what was replaced or removed is in no answer and nowhere in the store any more;
    - a label that was a correction is emptied, but for its number, together with the correction:
      when that is removed, rejected, or replaced by what is not accepted;
    - all of one call are kept, or none.

    All methods raise StateUnavailableError.
    """

    def keep(self, feedback: Sequence[Feedback]) -> None:
        """Keep feedback, each in place of what its author said before of the row."""
        ...

    def find(self, query: FeedbackQuery) -> tuple[Feedback, ...]:
        """Return feedback, newest first."""
        ...

    def settle(self, feedback_id: str, *, state: CorrectionState, because: str) -> None:
        """Note where a correction stands now. Raises: FeedbackMissingError."""
        ...

    def remove(self, feedback: Sequence[Feedback], *, labels: bool = True) -> int:
        """Remove feedback of these ids that is not newer; return how many labels were emptied.

        Without `labels` none is.
        """
        ...

    def close(self, ids: Sequence[str], *, now: float, until: float) -> None:
        """Remember until a time that nothing more is to be taken of these; times in epoch seconds.

        What was remembered until before `now` is forgotten.
        """
        ...

    def closed(self, ids: Sequence[str]) -> frozenset[str]:
        """Return those of which nothing more is to be taken."""
        ...

    def counts(self, endpoint: str, *, since: float, window_s: int) -> tuple[FeedbackCount, ...]:
        """Count ratings by deployment and window; windows begin at multiples of their length."""
        ...


class ConsentTexts(Protocol):
    """Keeps every text that people agreed to. Contract: tests/ports/test_feedback.py."""

    def keep(self, endpoint: str, asked: ConsentText, *, at: float) -> None:
        """Keep the text of a consent, once."""
        ...

    def of(self, endpoint: str) -> tuple[ConsentText, ...]:
        """Return every text that people of this endpoint agreed to, oldest first."""
        ...
