"""One request, and everything that is known of it."""

from dataclasses import dataclass, field
from typing import Any

from servewell.core.catalog.change import Change
from servewell.core.catalog.feedback import Feedback
from servewell.core.catalog.label import Label
from servewell.core.catalog.model import ModelVersion
from servewell.core.catalog.run import Run

Record = dict[str, Any]  # a prediction record by names, as `Records.read` gives it


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who asked."""

    principal: str
    key_id: str
    role: str = ""  # of the key; empty where it is known no more
    state: str = ""  # of the key now: `good`, `expired`, `revoked`, `unknown`


@dataclass(frozen=True, slots=True, kw_only=True)
class EvidenceIn:
    """A rollout or experiment that ran when the request came."""

    kind: str  # `rollout` or `experiment`
    id: str
    side: str  # `candidate`, `stable`, `first` or `second`; empty for another deployment
    counts: bool  # whether the request counts in it
    stands: str  # how it ended, or where it stands
    because: str  # why the request counts, or does not


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where the deployment that answered came from."""

    version: ModelVersion
    run: Run | None  # None where it is kept no more
    change: Change | None  # that gave the traffic its map when the request came


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestTrace:
    """One request through every stage."""

    found_by: str  # `prediction id`, `trace id` or `request id`
    others: tuple[str, ...] = ()  # prediction ids of other requests with the same id
    live: Record | None  # what its caller got; None where only a shadow's record is left
    shadows: tuple[Record, ...] = ()
    caller: Caller
    origin: Origin | None = None  # None where no model answered, or its version is unknown
    labels: tuple[Label, ...] = ()  # by row, the last one of each holds
    feedback: tuple[Feedback, ...] = ()
    evidence: tuple[EvidenceIn, ...] = field(default=())

    @property
    def record(self) -> Record:
        """The live record, or the shadow's where that is all there is."""
        return self.live if self.live is not None else self.shadows[0]
