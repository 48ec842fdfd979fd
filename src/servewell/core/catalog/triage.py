"""What kind of trouble a deployment is in, and what helps."""

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """What happened."""

    NONE = "nothing"
    HARMLESS_SHIFT = "harmless input shift"
    COVARIATE_SHIFT = "covariate shift with expected loss"
    CONCEPT_DRIFT = "concept drift proven by labels"
    BROKEN_FEED = "broken feed"
    SKEW = "train-serving skew"
    UNKNOWN = "cannot tell"


class Remedy(StrEnum):
    """What helps."""

    NOTHING = "nothing"
    RETRAIN = "retrain"
    FIX_FEED = "fix the feed"
    ROLL_BACK = "roll back"
    WAIT = "wait for more rows"


@dataclass(frozen=True, slots=True, kw_only=True)
class Triage:
    """The verdict on one deployment."""

    endpoint: str
    deployment: str
    kind: Kind
    remedy: Remedy
    columns: tuple[str, ...] = ()  # that are to blame
    since: float  # seconds since the epoch, UTC
    because: str
    refused: str = ""  # why many requests are refused for their inputs; empty where few are
