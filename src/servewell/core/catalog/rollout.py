"""The controlled change of traffic from one deployment to another."""

from dataclasses import dataclass, field
from enum import StrEnum

from servewell.core.catalog.comparison import Comparison
from servewell.core.catalog.evidence import Evidence
from servewell.core.catalog.judgement import Judgement


class Strategy(StrEnum):
    """How the traffic goes over."""

    ROLLING = "rolling"  # in equal steps, held only by hard guards
    BLUE_GREEN = "blue-green"  # all at once when it is ready and answers, then watched
    CANARY = "canary"  # in steps, judged
    SHADOW_THEN_CANARY = "shadow-then-canary"


class Stage(StrEnum):
    """Where a rollout stands."""

    PROPOSED = "proposed"  # waits for the approval of a person
    WAITING = "waiting"  # for a time at which changes are allowed
    WARMING = "warming"  # workers load the candidate
    SHADOWING = "shadowing"  # it gets copies
    SHIFTING = "shifting"  # it has a share
    WATCHING = "watching"  # it has all, and the other is kept warm
    HELD = "held"  # inconclusive, or paused: waits for a person
    PROMOTED = "promoted"
    ROLLED_BACK = "rolled-back"
    CANCELLED = "cancelled"


ENDED = frozenset({Stage.PROMOTED, Stage.ROLLED_BACK, Stage.CANCELLED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Margins:
    """By how much the candidate may be worse and still count as not worse."""

    error_ratio: float = 1.25  # of the shares of failed requests, candidate to stable
    error_excess: float = 0.005  # or this much more of all requests, absolute; either will do
    latency_ratio: float = 1.1  # of the geometric means
    slow_ratio: float = (
        1.5  # of the shares of requests slower than the stable one's 95th percentile
    )
    score_psi: float = 0.1  # largest bias-corrected PSI of the outputs that needs no look
    loss: float = 0.0  # of the mean loss by labels, absolute; 0 asks for none to be shown


@dataclass(frozen=True, slots=True, kw_only=True)
class RolloutPlan:
    """What was declared when the rollout began; it holds to the end."""

    strategy: Strategy = Strategy.CANARY
    steps_bp: tuple[int, ...] = (500, 2_500, 5_000)  # shares before the whole
    step_min_s: float = 60.0  # least at each share
    longest_s: float = 86_400.0  # of the whole rollout; then it is inconclusive
    watch_s: float = 600.0  # with all traffic, until the other is let go
    alpha: float = 0.05  # chance that an equal candidate is rolled back, over the whole rollout
    requests_min: int = 200  # of the candidate at least, before it may be promoted
    margins: Margins = Margins()
    shadow_bp: int = 1_000  # share of the live requests that is copied
    shadow_requests: int = 500  # compared, before the candidate gets a share
    disagreement_max: float = 0.1  # share of compared rows that may differ
    difference_max: float = 0.05  # a row differs when a number of its outputs does by more
    approval: str = "none"  # `none`, `start`, `promotion` or `both`
    not_during: tuple[str, ...] = ()  # like `Fri 16:00-24:00 Europe/Berlin`
    on_inconclusive: str = "hold"  # or `roll-back`


@dataclass(frozen=True, slots=True, kw_only=True)
class Approval:
    """A person's consent to one move."""

    principal: str
    because: str
    at: float  # seconds since the epoch, UTC
    of: Stage  # in which it was given


@dataclass(frozen=True, slots=True, kw_only=True)
class Rollout:
    """One rollout, as the state keeps it."""

    id: str
    endpoint: str
    candidate: str  # deployment
    candidate_version: str  # `model:number`
    stable: str
    stable_version: str
    plan: RolloutPlan
    stage: Stage
    step: int = 0  # index into `steps_bp`
    began_at: float  # seconds since the epoch, UTC
    stage_at: float  # when it came to this stage or step
    ended_at: float | None = None
    because: str  # of the last move
    principal: str  # who began it
    approvals: tuple[Approval, ...] = ()
    stage_s: float = 0.0  # at this stage and step, while somebody watched
    stage_requests: int = 0  # that the candidate had got when it came to this stage or step
    running_s: float = 0.0  # since the candidate was loaded or a person resumed, likewise
    looked_at: float  # when the facts were last looked at
    quiet_s: float = 0.0  # that no record came
    unread: bool = False  # more was recorded than the last look could take up
    memory_bytes: int = 0  # of the largest worker before the candidate was loaded; 0 for unknown
    unjudged: bool = False  # a person promoted it: only hard guards count from then on
    waits_for: tuple[str, ...] = ()  # what the next move needs
    evidence: Evidence = field(default_factory=Evidence)
    cursor: str = ""  # up to where the records were observed
    judgement: Judgement | None = None  # the last one
    comparison: Comparison = field(default_factory=Comparison)  # of the shadow
    revision: int = 0  # of this rollout: grows with each save

    @property
    def ended(self) -> bool:
        """Whether it never changes again."""
        return self.stage in ENDED
