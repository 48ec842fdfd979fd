"""A shadow that a person started, without a rollout."""

from dataclasses import dataclass, field

from servewell.core.catalog.comparison import Comparison


@dataclass(frozen=True, slots=True, kw_only=True)
class ShadowRun:
    """One shadow of an endpoint, as the state keeps it: the last one, ended or not."""

    endpoint: str
    deployment: str
    version: str  # `model:number`
    share_bp: int  # of the live requests, 1..10 000
    difference_max: float  # a row differs when a number of its outputs does by more
    began_at: float  # seconds since the epoch, UTC
    ended_at: float | None = None
    because: str
    principal: str  # who began it
    cursor: str = ""  # up to where the records were observed
    comparison: Comparison = field(default_factory=Comparison)
    revision: int = 0  # of this shadow: grows with each save
