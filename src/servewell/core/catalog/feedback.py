"""What a person says of a prediction, and what an endpoint asks of whoever says it."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from servewell.core.catalog.label import Truth

GOOD: Final = ("up", "4", "5")
BAD: Final = ("down", "1", "2")
RATINGS: Final = ("up", "down", "1", "2", "3", "4", "5")
BROWSER: Final = "browser"  # author of what came with the token of its prediction
SOURCE: Final = "feedback "  # how the source of a label begins that was a correction


class Scope(StrEnum):
    """What a consent covers; the later covers the earlier too."""

    REVIEW = "review"  # people may read what was said, to judge the answers
    LABEL = "label"  # a correction may be kept as the truth of the prediction


class Corrections(StrEnum):
    """What becomes of a correction that its consent lets become a label."""

    LABEL = "label"
    REVIEW = "review"  # a person accepts or rejects it
    IGNORE = "ignore"


class CorrectionState(StrEnum):
    """Where a correction stands."""

    NONE = "none"  # nothing was corrected
    PENDING = "pending"
    ACCEPTED = "accepted"  # it is a label
    REJECTED = "rejected"
    IGNORED = "ignored"


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsentText:
    """What people are asked to agree to."""

    version: str
    text: str
    scope: Scope


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedbackPolicy:
    """What an endpoint takes as feedback. It travels in the snapshot."""

    origins: tuple[str, ...] = ()  # of the pages whose browsers may send it
    token_s: int = 3_600  # seconds that the token of a prediction is good
    per_minute: int = 600  # of one key, in each worker
    corrections: Corrections = Corrections.REVIEW
    consent: ConsentText | None = None  # None: nobody is asked, so ratings alone are kept


@dataclass(frozen=True, slots=True, kw_only=True)
class Consent:
    """The consent that was given."""

    version: str  # of the text
    text: str  # as it was shown
    scope: Scope


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What was said, as it may be written: what lacks consent is not in it any more."""

    entry: str  # 32 hex digits, of one request
    at: float  # seconds since the epoch, UTC
    endpoint: str
    prediction_id: str
    row: int  # within its request
    author: str  # who may replace it: see `author_of`
    principal: str  # of the key; empty where it came with a token
    rating: str = ""  # of `RATINGS`; empty where it is withdrawn
    withdrawn: bool = False  # whatever this author said of the row is to be erased
    correction: Truth | None = None
    comment: str = ""
    subject: str = ""  # a keyed token of the person
    consent: Consent | None = None
    replaces: str = ""  # another author that is the same person: see `author_of`


@dataclass(frozen=True, slots=True, kw_only=True)
class Feedback:
    """What one author says of one row of a prediction now."""

    id: str  # 16 hex digits, of endpoint, prediction, row and author: see `feedback_id`
    entry: str
    at: float  # seconds since the epoch, UTC
    endpoint: str
    deployment: str  # empty where no record of the prediction was found
    prediction_id: str
    row: int
    author: str
    principal: str
    rating: str
    correction: Truth | None
    comment: str
    subject: str
    consent_version: str  # empty where no consent was given, as the next two
    consent_digest: str
    consent_scope: str
    state: CorrectionState  # of the correction
    because: str  # why it stands there; empty where nothing was corrected

    @property
    def source(self) -> str:
        """How a label says that it was this correction."""
        return f"{SOURCE}{self.id}"


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedbackCount:
    """How often one deployment got one rating in one window."""

    deployment: str
    start: int  # of the window, seconds since the epoch, UTC
    rating: str
    total: int
    consented: int
    comments: int
    pending: int  # corrections that wait for a person
    accepted: int  # corrections that are labels
