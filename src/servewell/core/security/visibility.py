"""Which endpoints' records a principal may see."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from servewell.core.catalog.key import EVERY_ENDPOINT, RIGHTS, Grant, Right


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """What somebody may see, and why."""

    endpoints: tuple[str, ...] | None  # None for all, also requests that reached none
    because: str

    def shows(self, endpoint: str) -> bool:
        """Whether the records of an endpoint may be seen."""
        return self.endpoints is None or endpoint in self.endpoints


EVERYTHING_SEEN: Final = Sight(endpoints=None, because="the operator of this machine sees all")


def visible_to(principal: str, *, operator: str, grants: Iterable[Grant]) -> Sight:
    """Return what a principal may see of the prediction log.

    The operator of the machine, who can read its files, sees all. Anybody else sees the endpoints
    that a key of theirs lets them observe.
    """
    if principal == operator:
        return EVERYTHING_SEEN
    own = [
        one for one in grants if one.principal == principal and Right.OBSERVE in RIGHTS[one.role]
    ]
    named = {endpoint for grant in own for endpoint in grant.endpoints}
    if EVERY_ENDPOINT in named:
        return Sight(endpoints=None, because=f"a key of {principal} observes every endpoint")
    because = f"keys of {principal} observe {', '.join(sorted(named)) or 'no endpoint'}"
    return Sight(endpoints=tuple(sorted(named)), because=because)
