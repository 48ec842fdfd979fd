"""A stable URL, and the deployments that answer under it."""

from dataclasses import dataclass
from typing import Final

from servewell.core.catalog.feedback import FeedbackPolicy
from servewell.core.catalog.limits import NO_LIMITS, Limits

BP_FULL: Final = 10_000  # basis points: 10 000 bp = 100 % of requests


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """One model version served under an endpoint."""

    name: str
    model: str
    version: int
    package: str  # digest of the package's manifest
    package_signature: str
    share_bp: int = 0  # its share of the endpoint's requests, 0..10 000
    quarantined: str = ""  # why no worker runs it any more; an explicit deploy ends that
    trial: int = 0  # how often it was deployed again after a quarantine
    withdrawn: str = ""  # who took its requests back, and why; empty where a newer one took them


@dataclass(frozen=True, slots=True, kw_only=True)
class Shadow:
    """A deployment that gets copies of live requests; nobody gets its answers."""

    deployment: str
    share_bp: int  # of the live requests, 0..10 000


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointPolicy:
    """What an endpoint holds its callers and its records to."""

    body_bytes_max: int = 1 << 20
    rows_max: int = 10_000  # in one request
    personal: tuple[str, ...] = ()  # inputs that are never written in clear
    refuse_unrecorded: bool = False  # answer 503 when the record cannot be written
    latency_objective_ms: float = 100.0  # within which a request that is taken is to be answered
    timeout_ms: int = 30_000  # after which a request is given up
    batch_rows_max: int = 128  # in one call of the model for several requests
    concurrency: int = 1  # calls of one model at once, in each worker
    queue_requests_max: int = 1_000  # that wait for one model, in each worker
    queue_bytes_max: int = 64 << 20  # of their bodies
    limits: Limits = NO_LIMITS  # of all callers together
    sticky: str = ""  # input, or `header:NAME`, whose value keeps a caller on one deployment
    idle_s: float | None = None  # a model loads on demand, and goes when idle so long
    feedback: FeedbackPolicy | None = None  # None where it takes none


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """A stable name with a traffic map.

    `past` holds the traffic maps that `rollback` returns to, newest last; each is a tuple of
    `(deployment, share_bp)`. The shares of `deployments` sum to 10 000, or there are none.
    """

    name: str
    workload: str
    deployments: tuple[Deployment, ...] = ()
    past: tuple[tuple[tuple[str, int], ...], ...] = ()
    policy: EndpointPolicy = EndpointPolicy()
    loaded: bool = True  # False where somebody unloaded it: no worker holds its models
    shadow: Shadow | None = None
    revision: int = 0  # of the state in which it was last changed

    @property
    def traffic(self) -> dict[str, int]:
        """Share of each deployment in basis points, those with none left out."""
        return {one.name: one.share_bp for one in self.deployments if one.share_bp}
