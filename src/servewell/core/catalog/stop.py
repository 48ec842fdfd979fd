"""An emergency stop: what an endpoint answers instead of its models, until it is lifted."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

EVERY: Final = "*"  # in the place of an endpoint: all that have no stop of their own


class StopMode(StrEnum):
    """What becomes of the requests."""

    REFUSE = "refuse"  # each gets 503
    FALLBACK = "fallback"  # one named deployment answers them all
    CONSTANT = "constant"  # each row gets the same outputs


Constant = str | float | int | bool


@dataclass(frozen=True, slots=True, kw_only=True)
class StopOrder:
    """What somebody ordered for one endpoint. It holds without the database and the control."""

    endpoint: str  # or EVERY
    mode: StopMode
    deployment: str = ""  # that answers, for `fallback`
    outputs: dict[str, Constant] = field(default_factory=dict)  # for `constant`
    because: str
    principal: str
    at: float  # seconds since the epoch, UTC


@dataclass(frozen=True, slots=True, kw_only=True)
class StopNote:
    """A stop that was ordered or lifted, and does not stand in the history yet."""

    endpoint: str
    order: StopOrder | None  # None where it was lifted
    because: str
    principal: str
    at: float  # seconds since the epoch, UTC


@dataclass(frozen=True, slots=True, kw_only=True)
class Stops:
    """All that is kept of stops: those in force, by endpoint, and what is yet to be told."""

    orders: tuple[StopOrder, ...] = ()
    notes: tuple[StopNote, ...] = ()  # oldest first
