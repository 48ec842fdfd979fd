"""One line of the history: who changed what, and why."""

from dataclasses import dataclass, field
from enum import StrEnum


class ChangeKind(StrEnum):
    """What was done."""

    ENDPOINT_CREATED = "endpoint-created"
    DEPLOYED = "deployed"
    TRAFFIC_SET = "traffic-set"
    ROLLED_BACK = "rolled-back"
    QUARANTINED = "quarantined"
    POLICY_SET = "policy-set"
    LOADED = "loaded"
    UNLOADED = "unloaded"
    SCALED = "scaled"
    STOPPED = "stopped"
    RESUMED = "resumed"
    ROLLOUT_STARTED = "rollout-started"
    ROLLOUT_MOVED = "rollout-moved"
    ROLLOUT_ENDED = "rollout-ended"
    SHADOW_STARTED = "shadow-started"
    SHADOW_STOPPED = "shadow-stopped"
    GATES_RUN = "gates-run"
    GATES_OVERRIDDEN = "gates-overridden"
    RETRAINING = "retraining"
    EXPERIMENT = "experiment"
    DATASET = "dataset"
    SIGNAL = "signal"
    ALERT = "alert"
    FEEDBACK = "feedback"
    LABELS = "labels"
    WORKLOAD = "workload"
    KEY_CREATED = "key-created"
    KEY_ROTATED = "key-rotated"
    KEY_REVOKED = "key-revoked"


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One acknowledged change of the state. `revision` numbers all changes, without a gap."""

    revision: int = 0  # given by the store
    at: float  # seconds since the epoch, UTC
    principal: str  # who
    kind: ChangeKind
    subject: str  # endpoint, key id, or `workers`
    because: str  # the decision's sentence
    traffic: dict[str, int] | None = None  # of the endpoint after the change, in basis points
    versions: dict[str, str] = field(default_factory=dict)  # deployment -> `model:number` of it
