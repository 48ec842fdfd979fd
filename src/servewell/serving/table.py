"""Everything that a worker serves, made from one snapshot and swapped as a whole."""

from dataclasses import dataclass, field

from servewell.core.catalog.key import Grant
from servewell.serving.protocols.dialect import Route
from servewell.serving.served import ServedEndpoint


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Table:
    """What is served, and to whom."""

    version: int = 0  # of the snapshot; 0 for none
    endpoints: dict[str, ServedEndpoint] = field(default_factory=dict)
    grants: dict[str, Grant] = field(default_factory=dict)
    routes: dict[bytes, Route] = field(default_factory=dict)  # of paths that were asked for
    complete: bool = False  # whether every deployment with a share is loaded

    @property
    def ready(self) -> bool:
        """Whether there is an endpoint, and each can answer that nobody unloaded or stopped."""
        return bool(self.endpoints) and all(
            one.ready or not one.loaded or one.stopped for one in self.endpoints.values()
        )
