"""What becomes of feedback: which policy holds, and where a correction stands.

A correction is none, waits for a person, is a label, was rejected, or is left alone. What the
author says anew begins anew; only a person moves one that waits, or takes a decision back.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from servewell.core.catalog.feedback import (
    BROWSER,
    SOURCE,
    ConsentText,
    Corrections,
    CorrectionState,
    Feedback,
    FeedbackPolicy,
    Said,
    Scope,
)
from servewell.core.catalog.outcome import Outcome
from servewell.core.catalog.workload_feedback import FeedbackRules
from servewell.errors import ServewellError

DIGEST_DIGITS: Final = 16


class CorrectionMoveError(ServewellError):
    """A correction cannot be accepted or rejected where it stands."""

    code = "SW-275"


class ConsentTextChangedError(ServewellError):
    """Another text of consent has a version that people were asked by before."""

    code = "SW-277"


class Move(StrEnum):
    """What a person may do with a correction."""

    ACCEPT = "accept"
    REJECT = "reject"


MOVES: Final[dict[CorrectionState, dict[Move, CorrectionState]]] = {
    CorrectionState.NONE: {},
    CorrectionState.PENDING: {
        Move.ACCEPT: CorrectionState.ACCEPTED,
        Move.REJECT: CorrectionState.REJECTED,
    },
    CorrectionState.ACCEPTED: {Move.REJECT: CorrectionState.REJECTED},
    CorrectionState.REJECTED: {Move.ACCEPT: CorrectionState.ACCEPTED},
    CorrectionState.IGNORED: {},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class CorrectionDecision:
    """Where a correction stands now, and why."""

    state: CorrectionState
    because: str


def policy_of(rules: FeedbackRules) -> FeedbackPolicy | None:
    """Return what workers hold feedback to; None where the endpoint takes none."""
    if not rules.enabled:
        return None
    asked = rules.consent
    return FeedbackPolicy(
        origins=rules.origins,
        token_s=rules.token_s,
        per_minute=rules.per_minute,
        corrections=rules.corrections,
        consent=None
        if asked is None
        else ConsentText(version=asked.version, text=asked.text, scope=asked.scope),
    )


def text_digest(text: str) -> str:
    """Return what tells one text of a consent from another: 16 hex digits of its SHA-256."""
    return hashlib.sha256(text.encode()).hexdigest()[:DIGEST_DIGITS]


def check_text(asked: ConsentText, known: Iterable[ConsentText], *, endpoint: str) -> None:
    """Refuse another text under a version that is known. Raises: ConsentTextChangedError."""
    if any(one.version == asked.version and one.text != asked.text for one in known):
        raise ConsentTextChangedError(
            f"The text of the consent that `{endpoint}` asks for has changed, and its version has "
            "not.",
            why=f"people were asked by another text of the version `{asked.version}`, so nobody "
            "could say what they agreed to",
            fix="give the new text a new `feedback.consent.version`",
        )


def author_of(*, key_id: str, subject: str) -> str:
    """Return who may replace a piece of feedback; `subject` is a keyed token, or empty.

    A browser has the token of one prediction, and whatever it says replaces what was said with it.
    A key may speak for many: each person is an author, and all whose consent is not there, who are
    not told from each other, are one.
    """
    if not key_id:
        return BROWSER
    return f"subject:{subject}" if subject else f"key:{key_id}"


def author_before(*, key_id: str, subject: str) -> str:
    """Return the author that somebody was to a key before they said who they are; empty for none.

    What that author said of the row is theirs, as far as anybody can tell, and must not count
    beside what they say now.
    """
    return author_of(key_id=key_id, subject="") if key_id and subject else ""


def feedback_id(said: Said) -> str:
    """Return what stays the same when an author says something else of the same row."""
    told = "\0".join((said.endpoint, said.prediction_id, str(said.row), said.author))
    return hashlib.sha256(told.encode()).hexdigest()[:DIGEST_DIGITS]


def source_of(name: str) -> str:
    """Return how a label says that it was the correction of this feedback."""
    return f"{SOURCE}{name}"


def is_newer(said: Said, kept: Feedback) -> bool:
    """Whether something was said after what is kept; the same is not."""
    return (said.at, said.entry) > (kept.at, kept.entry)


def closes(said: Said) -> bool:
    """Whether nothing more is to be taken of this author and row.

    Who sends again what somebody sent with the token of a prediction cannot be told from them, and
    would undo that they withdrew it.
    """
    return said.withdrawn and said.author == BROWSER


def newest_by_author(said: Iterable[Said]) -> list[Said]:
    """Return what each author said last of each row; that is over once it is closed."""
    ordered = sorted(said, key=lambda one: (closes(one), one.at, one.entry))
    return list({feedback_id(one): one for one in ordered}.values())


def answered_by(outcome: Outcome | None, said: Said) -> str:
    """Return which deployment gave the answer that somebody speaks of; empty for none."""
    if outcome is None or outcome.endpoint != said.endpoint:
        return ""
    given = any(said.row < len(values) for values in outcome.outputs.values())
    return outcome.deployment if given else ""


def decide_arrival(
    said: Said, *, corrections: Corrections, deployment: str, truth: str
) -> CorrectionDecision:
    """Return where a correction that has just come stands.

    `deployment` answered the prediction, or is empty where it has no record; `truth` is the source
    of a label that the row has from elsewhere, or empty.
    """
    if said.correction is None:
        return CorrectionDecision(state=CorrectionState.NONE, because="")
    ignored = _why_ignored(said, corrections=corrections, deployment=deployment)
    if ignored:
        return CorrectionDecision(state=CorrectionState.IGNORED, because=ignored)
    if truth or corrections is Corrections.REVIEW:
        known = f"another label is known, from {truth}: " if truth else ""
        because = f"{known}a person decides"
        return CorrectionDecision(state=CorrectionState.PENDING, because=because)
    because = "`feedback.corrections` is `label`, and the consent covers it"
    return CorrectionDecision(state=CorrectionState.ACCEPTED, because=because)


def _why_ignored(said: Said, *, corrections: Corrections, deployment: str) -> str:
    if said.consent is None or said.consent.scope is not Scope.LABEL:
        return "the consent does not cover labels"
    if corrections is Corrections.IGNORE:
        return "`feedback.corrections` is `ignore`"
    return "" if deployment else "the prediction has no record here"


def decide_move(one: Feedback, move: Move, *, by: str, because: str) -> CorrectionDecision:
    """Return where a correction stands after a person's decision.

    Raises: CorrectionMoveError.
    """
    state = MOVES[one.state].get(move)
    if state is None:
        stands = "there is no correction" if one.correction is None else f"it is {one.state}"
        why = f"{stands}: {one.because}" if one.because else stands
        raise CorrectionMoveError(
            f"You cannot {move} the correction of the feedback `{one.id}`.",
            why=why,
            fix=f"`servewell feedback list {one.endpoint} --pending` shows those that wait",
        )
    told = f": {because}" if because else ""
    return CorrectionDecision(state=state, because=f"{by} {move}ed it{told}")


def check_label(one: Feedback, *, labels: int) -> None:
    """Refuse to accept a correction that has become no label. Raises: CorrectionMoveError."""
    if one.state is CorrectionState.ACCEPTED and not labels:
        raise CorrectionMoveError(
            f"The correction of the feedback `{one.id}` cannot become a label.",
            why="the record of its prediction is gone: its retention has ended",
            fix="reject it; keep records longer with `records.retention_days`",
        )


def feedback_of(said: Said, decision: CorrectionDecision, *, deployment: str) -> Feedback:
    """Return what is kept of what was said."""
    consent = said.consent
    return Feedback(
        id=feedback_id(said),
        entry=said.entry,
        at=said.at,
        endpoint=said.endpoint,
        deployment=deployment,
        prediction_id=said.prediction_id,
        row=said.row,
        author=said.author,
        principal=said.principal,
        rating=said.rating,
        correction=said.correction,
        comment=said.comment,
        subject=said.subject,
        consent_version=consent.version if consent else "",
        consent_digest=text_digest(consent.text) if consent else "",
        consent_scope=consent.scope if consent else "",
        state=decision.state,
        because=decision.because,
    )
