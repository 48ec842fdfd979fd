"""Reading what somebody sends as feedback: every fault by its field, and nothing without consent.

What lacks consent is dropped here, before anything is written anywhere.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from servewell.core.catalog.feedback import (
    RATINGS,
    Consent,
    ConsentText,
    FeedbackPolicy,
    Scope,
)
from servewell.core.catalog.label import Truth
from servewell.core.catalog.prediction_id import made_at
from servewell.core.operations.monitoring.feedback import text_digest

SUBJECT_CHARS_MAX: Final = 256
COMMENT_CHARS_MAX: Final = 2_000
CORRECTION_CHARS_MAX: Final = 500
ROW_MAX: Final = 1_000_000
NUMBER_MAX: Final = 1 << 53  # whole numbers up to here are the same everywhere
FIELDS: Final = ("prediction_id", "row", "rating", "correction", "comment", "consent", "subject")
OF_WITHDRAWAL: Final = ("prediction_id", "row", "subject")
OF_CONSENT: Final = ("given", "version", "scope", "digest")
COVERED: Final[dict[Scope, tuple[Scope, ...]]] = {
    Scope.REVIEW: (Scope.REVIEW,),
    Scope.LABEL: (Scope.REVIEW, Scope.LABEL),
}
NEEDS_CONSENT: Final = ("correction", "comment", "subject")


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldFault:
    """What is wrong with one field; no value of the caller is repeated."""

    field: str
    allowed: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """What was read of a request, without what lacks consent."""

    prediction_id: str
    row: int
    rating: str
    correction: Truth | None
    comment: str
    subject: str  # in clear: to be replaced by its token
    consent: Consent | None
    dropped: tuple[str, ...]  # fields that were sent, and lack consent


def faults_in(told: Mapping[str, object], policy: FeedbackPolicy) -> tuple[FieldFault, ...]:
    """Return everything that is wrong with a piece of feedback."""
    return tuple(_faults(told, policy))


def withdrawal_faults(told: Mapping[str, object]) -> tuple[FieldFault, ...]:
    """Return everything that is wrong with a request to withdraw."""
    return (*_unknown(told, OF_WITHDRAWAL), *_who(told))


def read(told: Mapping[str, object], policy: FeedbackPolicy) -> Read:
    """Return a piece of feedback that has no faults."""
    consent = _consent(told.get("consent"), policy.consent)
    sent = tuple(name for name in NEEDS_CONSENT if told.get(name) not in (None, ""))
    kept = told if consent else {}
    correction, row = kept.get("correction"), told.get("row")
    return Read(
        prediction_id=str(told["prediction_id"]),
        row=row if isinstance(row, int) else 0,
        rating=str(told["rating"]),
        correction=correction if isinstance(correction, str | int | float) else None,
        comment=str(kept.get("comment") or ""),
        subject=str(kept.get("subject") or ""),
        consent=consent,
        dropped=() if consent else sent,
    )


def _consent(given: object, asked: ConsentText | None) -> Consent | None:
    if asked is None or not isinstance(given, Mapping) or given.get("given") is not True:
        return None
    scope = Scope(given.get("scope") or asked.scope)
    return Consent(version=asked.version, text=asked.text, scope=scope)


def _faults(told: Mapping[str, object], policy: FeedbackPolicy) -> Iterator[FieldFault]:
    yield from _unknown(told, FIELDS)
    yield from _who(told)
    rating = told.get("rating")
    if isinstance(rating, bool) or not isinstance(rating, str | int) or str(rating) not in RATINGS:
        yield FieldFault(field="rating", allowed='"up", "down", or a whole number from 1 to 5')
    if not _is_correction(told.get("correction")):
        allowed = f"a finite number, a truth value, or a text of 1 to {CORRECTION_CHARS_MAX}"
        yield FieldFault(field="correction", allowed=f"{allowed} characters")
    comment = told.get("comment")
    if comment is not None and not _is_text(comment, COMMENT_CHARS_MAX):
        allowed = f"a text of at most {COMMENT_CHARS_MAX} characters"
        yield FieldFault(field="comment", allowed=allowed)
    yield from _consent_faults(told.get("consent"), policy.consent)


def _who(told: Mapping[str, object]) -> Iterator[FieldFault]:
    prediction_id, row, subject = (told.get(name) for name in OF_WITHDRAWAL)
    if not isinstance(prediction_id, str) or made_at(prediction_id) is None:
        allowed = "the `servewell-prediction-id` of an answer"
        yield FieldFault(field="prediction_id", allowed=allowed)
    if row is not None and not _is_row(row):
        allowed = f"the number of a row within its request, from 0 to {ROW_MAX:,}"
        yield FieldFault(field="row", allowed=allowed)
    if subject is not None and not _is_text(subject, SUBJECT_CHARS_MAX):
        allowed = f"a text of at most {SUBJECT_CHARS_MAX} characters"
        yield FieldFault(field="subject", allowed=allowed)


def _consent_faults(given: object, asked: ConsentText | None) -> Iterator[FieldFault]:
    if given is None:
        return
    if not isinstance(given, Mapping):
        names = ", ".join(f"`{one}`" for one in OF_CONSENT)
        yield FieldFault(field="consent", allowed=f"an object with {names}")
        return
    for fault in _unknown(given, OF_CONSENT):
        yield FieldFault(field=f"consent.{fault.field}", allowed=fault.allowed)
    if not isinstance(given.get("given"), bool):
        yield FieldFault(field="consent.given", allowed="true or false")
    if given.get("given") is True:
        yield from _given_faults(given, asked)


def _given_faults(given: Mapping[str, object], asked: ConsentText | None) -> Iterator[FieldFault]:
    if asked is None:
        yield FieldFault(field="consent.given", allowed="false: this endpoint asks for no consent")
        return
    if given.get("version") != asked.version:
        allowed = f"`{asked.version}`, the version of the text that is asked for now"
        yield FieldFault(field="consent.version", allowed=allowed)
    digest = text_digest(asked.text)
    if given.get("digest") not in (None, digest):
        allowed = f"`{digest}`, the digest of the text that is asked for now"
        yield FieldFault(field="consent.digest", allowed=allowed)
    scopes = [one.value for one in COVERED[asked.scope]]
    if given.get("scope") not in (None, *scopes):
        yield FieldFault(field="consent.scope", allowed=" or ".join(f"`{one}`" for one in scopes))


def _unknown(told: Mapping[str, object], known: tuple[str, ...]) -> Iterator[FieldFault]:
    if not set(told) <= set(known):
        names = ", ".join(f"`{one}`" for one in known)
        yield FieldFault(field="(another)", allowed=f"nothing: the fields are {names}")


def _is_text(value: object, most: int) -> bool:
    return isinstance(value, str) and len(value) <= most


def _is_row(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= ROW_MAX


def _is_correction(value: object) -> bool:
    match value:
        case None | bool():
            return True
        case str():
            return 0 < len(value) <= CORRECTION_CHARS_MAX
        case int():
            return abs(value) <= NUMBER_MAX
        case float():
            return math.isfinite(value)
        case _:
            return False
