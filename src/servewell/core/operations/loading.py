"""Decide whether the workers hold the models of an endpoint in memory."""

from dataclasses import dataclass, replace

from servewell.core.catalog.change import ChangeKind
from servewell.core.catalog.endpoint import Endpoint


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadingDecision:
    """The endpoint as it is to become, and the sentence that says why."""

    endpoint: Endpoint
    kind: ChangeKind
    because: str

    def changes(self, before: Endpoint) -> bool:
        """Whether carrying it out would change anything."""
        return self.endpoint != before


def decide_loading(endpoint: Endpoint, *, loaded: bool) -> LoadingDecision:
    """Return the endpoint with its models loaded, or unloaded; traffic and keys stay as they are.

    An unloaded endpoint refuses every request until it is loaded again.
    """
    served = ", ".join(f"`{one.name}`" for one in endpoint.deployments) or "no deployment yet"
    because = (
        f"workers load {served}" if loaded else f"workers let go of {served} and answer nothing"
    )
    return LoadingDecision(
        endpoint=replace(endpoint, loaded=loaded),
        kind=ChangeKind.LOADED if loaded else ChangeKind.UNLOADED,
        because=because,
    )
