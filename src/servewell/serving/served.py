"""Deployments and endpoints as a worker serves them."""

from collections.abc import Iterable
from dataclasses import dataclass

from servewell.core.catalog.endpoint import Deployment, Endpoint, EndpointPolicy, Shadow
from servewell.core.catalog.prediction_record import RecordSchema
from servewell.core.catalog.signature import Datatype, Input
from servewell.core.catalog.stop import StopOrder
from servewell.core.operations.routing import choose, choose_sticky
from servewell.serving.metrics import DeploymentMeter
from servewell.serving.package import Package
from servewell.serving.sticky import Sticky, sticky_by


class Served:
    """One loaded deployment of one endpoint, with what is worked out once for all requests."""

    __slots__ = (
        "copied_to", "endpoint", "feedback_s", "has_personal", "head", "is_shadow", "meter",
        "model", "name", "package", "personal", "policy", "proof", "schema", "share_bp",
        "signature", "version",
    )  # fmt: skip

    def __init__(
        self,
        endpoint: Endpoint,
        deployment: Deployment,
        *,
        package: Package,
        meter: DeploymentMeter,
    ) -> None:
        self.copied_to: CopiedTo | None = None  # who gets copies of its requests
        shadow = endpoint.shadow.deployment if endpoint.shadow else ""
        self.is_shadow = deployment.name == shadow and not deployment.share_bp  # and nothing else
        self.endpoint = endpoint.name
        self.name = deployment.name
        self.version = str(deployment.version)
        self.share_bp = deployment.share_bp
        self.model = f"{deployment.model}:{deployment.version}"
        self.policy = endpoint.policy
        feedback = endpoint.policy.feedback
        self.feedback_s = feedback.token_s if feedback else 0  # that its tokens are good
        self.proof = (deployment.package, deployment.package_signature)
        self.package = package
        self.meter = meter
        self.signature = package.signature
        inputs = package.signature.inputs
        self.personal = tuple(one.personal or one.name in self.policy.personal for one in inputs)
        self.has_personal = any(self.personal)
        self.schema = RecordSchema(
            package=package.digest,
            inputs=tuple(
                (one.name, one.datatype.value, one.row_shape, personal)
                for one, personal in zip(inputs, self.personal, strict=True)
            ),
            outputs=tuple(
                (one.name, one.datatype.value, one.row_shape) for one in package.signature.outputs
            ),
        )
        self.head = b"servewell-deployment: %b\r\nservewell-model-version: %b\r\n" % (
            self.name.encode(),
            self.version.encode(),
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CopiedTo:
    """A candidate that gets copies of the requests that one deployment answers."""

    candidate: Served
    share_bp: int  # of those requests
    places: tuple[int, ...]  # of the candidate's inputs among those of the deployment
    lacks: str  # why the candidate cannot run on them, or nothing


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Stopped:
    """An emergency stop, as a worker carries it out."""

    order: StopOrder | None = None  # None where no order can be read
    served: Served | None = None  # who answers every request; None where none does
    lacks: str = ""  # why nobody does who should


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ServedEndpoint:
    """One endpoint with those of its deployments that are loaded."""

    name: str
    policy: EndpointPolicy
    deployments: dict[str, Served]
    traffic: tuple[tuple[str, int], ...]
    loaded: bool = True  # False where somebody unloaded it
    only: Served | None = None  # which gets all the traffic
    stopped: "Stopped | None" = None  # what holds instead of the traffic
    awaited: bool = False  # nothing of it has been loaded yet: it is here for its stop alone
    sticky: Sticky | None = None  # where several deployments share the requests of sticky callers

    def chosen(self, draw: int) -> Served | None:
        """Return the deployment that answers one request, or None where none can."""
        name = choose(self.traffic, draw)
        return None if name is None else self.deployments[name]

    def of_version(self, version: str) -> Served | None:
        """Return the deployment that serves a version: of several, the one with most traffic."""
        serving = [one for one in self.deployments.values() if one.version == version]
        return max(serving, key=lambda one: one.share_bp, default=None)

    def chosen_for(self, value: bytes) -> Served | None:
        """Return the deployment that answers whoever sends this value, or None where none can."""
        name = choose_sticky(self.traffic, value, salt=self.name)
        return None if name is None else self.deployments[name]

    @property
    def main(self) -> Served | None:
        """Return the deployment with most traffic."""
        return max(self.deployments.values(), key=lambda one: one.share_bp, default=None)

    @property
    def ready(self) -> bool:
        """Whether a deployment with traffic is loaded."""
        return bool(self.traffic)

    @property
    def running(self) -> list[Served]:
        """Return what answers here, or may."""
        own = list(self.deployments.values())
        instead = self.stopped.served if self.stopped else None
        return own if instead is None or instead in own else [*own, instead]

    @property
    def answers(self) -> bool:
        """Whether a request is answered: by its models, or as a stop wants it."""
        return self.ready if self.stopped is None else self.stopped.served is not None

    @property
    def versions(self) -> list[str]:
        """Return the versions that are live, oldest first."""
        return [str(one) for one in sorted({int(one.version) for one in self.deployments.values()})]


def served_endpoint(endpoint: Endpoint, loaded: Iterable[Served]) -> ServedEndpoint:
    """Return an endpoint with its loaded deployments."""
    deployments = {one.name: one for one in loaded}
    _copy(deployments, endpoint.shadow)
    chosen = [one for one in deployments.values() if one.share_bp]
    main = max(chosen, key=lambda one: one.share_bp) if len(chosen) > 1 else None
    return ServedEndpoint(
        name=endpoint.name,
        policy=endpoint.policy,
        loaded=endpoint.loaded,
        only=chosen[0] if len(chosen) == 1 else None,
        sticky=sticky_by(endpoint.policy.sticky, main.signature) if main else None,
        deployments=deployments,
        traffic=tuple((one.name, one.share_bp) for one in chosen),
    )


def _copy(deployments: dict[str, Served], shadow: Shadow | None) -> None:
    """Have every other deployment's requests copied to the shadow, where it is loaded."""
    candidate = deployments.get(shadow.deployment) if shadow else None
    if shadow is None or candidate is None or not shadow.share_bp:
        return
    for one in deployments.values():
        if one is not candidate:
            one.copied_to = _copied_to(candidate, one, shadow.share_bp)


def _copied_to(candidate: Served, live: Served, share_bp: int) -> CopiedTo:
    known = {one.name: (place, one) for place, one in enumerate(live.signature.inputs)}
    found = [(one, known.get(one.name)) for one in candidate.signature.inputs]
    lacking = [one for one, there in found if there is None or not _fits(there[1], one)]
    return CopiedTo(
        candidate=candidate,
        share_bp=share_bp,
        places=tuple(there[0] for _, there in found if there is not None),
        lacks=_lacks(lacking),
    )


def _fits(given: Input, taken: Input) -> bool:
    """Whether the values of one input can be read as another: numbers as numbers, texts as texts.

    What is optional to callers now and not to the candidate is found out by each copy itself.
    """
    return _sort(given) == _sort(taken) and given.row_shape == taken.row_shape


def _sort(one: Input) -> str:
    plain = one.datatype in (Datatype.BYTES, Datatype.BOOL)
    return one.datatype.value if plain else "number"


def _lacks(inputs: list[Input]) -> str:
    told = ", ".join(f"`{one.name}` ({one.datatype.value})" for one in inputs)
    return f"the candidate takes {told}, which the live requests do not hold like that" * bool(told)
