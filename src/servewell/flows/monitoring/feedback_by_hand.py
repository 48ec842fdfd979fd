"""What people do with feedback: look at it, accept and reject corrections, export and erase."""

from dataclasses import dataclass, replace
from typing import Final

from servewell.core.catalog.change import Change, ChangeKind
from servewell.core.catalog.feedback import ConsentText, CorrectionState, Feedback
from servewell.core.operations.monitoring.feedback import (
    Move,
    check_label,
    decide_move,
    text_digest,
)
from servewell.core.operations.monitoring.feedback_summary import FeedbackSummary, summarised
from servewell.core.security.feedback_token import subject_token
from servewell.flows.monitoring.feedback import (
    add_labels,
    outcomes_of,
    take_up,
    take_up_feedback,
)
from servewell.flows.platform import Platform
from servewell.ports.feedback import FeedbackMissingError, FeedbackQuery

SECRET: Final = "feedback"  # noqa: S105  (the name of a secret, not one)
EVERYTHING: Final = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class SubjectExport:
    """Everything that is kept of one person's feedback."""

    feedback: tuple[Feedback, ...]
    texts: tuple[ConsentText, ...]  # that this person agreed to, whole
    unreadable: tuple[str, ...]  # files of feedback that nobody can read


@dataclass(frozen=True, slots=True, kw_only=True)
class Erasure:
    """What went from where, and what stays."""

    feedback: int  # pieces: ratings, comments, corrections
    labels: int  # that were corrections
    endpoints: tuple[str, ...]
    unreadable: tuple[str, ...]  # files of feedback that nobody can read: remove them by hand
    dry_run: bool = False


def list_feedback(platform: Platform, query: FeedbackQuery) -> tuple[Feedback, ...]:
    """Return feedback, newest first, with what just came.

    Raises: EndpointMissingError, StateUnavailableError, StorageError.
    """
    platform.endpoints.get(query.endpoint)
    take_up_feedback(platform)
    return platform.feedback.find(query)


def summarise(platform: Platform, endpoint: str, *, since: float, window_s: int) -> FeedbackSummary:
    """Return what was thought of the answers of an endpoint since a time (epoch seconds).

    Raises: EndpointMissingError, StateUnavailableError, StorageError.
    """
    platform.endpoints.get(endpoint)
    take_up_feedback(platform)
    counts = platform.feedback.counts(endpoint, since=since, window_s=window_s)
    return summarised(endpoint, counts, since=since)


def move_correction(
    platform: Platform, name: str, move: Move, *, because: str = "", dry_run: bool = False
) -> Feedback:
    """Accept a correction, which makes a label of it, or reject it, which empties that label.

    Raises: FeedbackMissingError, CorrectionMoveError, StateUnavailableError, StorageError.
    """
    with platform.feedback_inbox.taking():
        one = _get(platform, name)
        decision = decide_move(one, move, by=platform.principal, because=because)
        moved = replace(one, state=decision.state, because=decision.because)
        if dry_run:
            return moved
        labels = add_labels(platform, [moved], outcomes_of(platform, [moved.prediction_id]))
        check_label(moved, labels=labels)
        platform.feedback.settle(name, state=decision.state, because=decision.because)
        _tell(platform, one.endpoint, f"the correction of the feedback {name}: {decision.because}")
    return moved


def export_subject(platform: Platform, subject: str) -> SubjectExport:
    """Return everything that is kept of what one person said.

    Raises: StateUnavailableError, StorageError.
    """
    with platform.feedback_inbox.taking():
        take_up(platform)
        found = _of_subject(platform, subject)
    agreed = {(one.endpoint, one.consent_version, one.consent_digest) for one in found}
    texts = [
        text
        for endpoint in sorted({one.endpoint for one in found})
        for text in platform.consent_texts.of(endpoint)
        if (endpoint, text.version, text_digest(text.text)) in agreed
    ]
    unreadable = platform.feedback_inbox.damaged()
    return SubjectExport(feedback=found, texts=tuple(texts), unreadable=unreadable)


def erase_subject(platform: Platform, subject: str, *, dry_run: bool = False) -> Erasure:
    """Erase everything that one person said, and the labels that it became.

    The history says how much was erased, and not whose.

    Raises: StateUnavailableError, StorageError.
    """
    with platform.feedback_inbox.taking():
        take_up(platform)
        found = _of_subject(platform, subject)
        labels = sum(one.state is CorrectionState.ACCEPTED for one in found)
        if not dry_run:
            labels = platform.feedback.remove(found)
        endpoints = tuple(sorted({one.endpoint for one in found}))
        erased = Erasure(
            feedback=len(found),
            labels=labels,
            endpoints=endpoints,
            unreadable=platform.feedback_inbox.damaged(),
            dry_run=dry_run,
        )
        for name in () if dry_run else endpoints:
            count = sum(one.endpoint == name for one in found)
            _tell(platform, name, f"of one person, pieces of feedback that were erased: {count}")
    return erased


def _of_subject(platform: Platform, subject: str) -> tuple[Feedback, ...]:
    token = subject_token(subject, platform.secrets.get(SECRET))
    query = FeedbackQuery(subject=token, limit=EVERYTHING)
    return platform.feedback.find(query) if token else ()


def _get(platform: Platform, name: str) -> Feedback:
    found = platform.feedback.find(FeedbackQuery(ids=(name,)))
    if not found:
        raise FeedbackMissingError.of(name)
    return found[0]


def _tell(platform: Platform, endpoint: str, because: str) -> None:
    change = Change(
        at=platform.clock.now(),
        principal=platform.principal,
        kind=ChangeKind.FEEDBACK,
        subject=endpoint,
        because=because,
    )
    platform.history.keep(change)
