"""An emergency stop: what an endpoint answers instead of its models, until it is lifted."""

from dataclasses import dataclass, field
from enum import StrEnum


class StopMode(StrEnum):
    """What becomes of the requests."""

    REFUSE = "refuse"  # each gets 503
    FALLBACK = "fallback"  # one named deployment answers them all
    CONSTANT = "constant"  # each row gets the same outputs


@dataclass(frozen=True, slots=True, kw_only=True)
class StopOrder:
    """What somebody ordered for one endpoint. It holds without the database and the control."""

    endpoint: str
    mode: StopMode
    deployment: str = ""  # that answers, for `fallback`
    outputs: dict[str, str | float | int | bool] = field(default_factory=dict)  # for `constant`
    because: str
    principal: str
    at: float  # seconds since the epoch, UTC
