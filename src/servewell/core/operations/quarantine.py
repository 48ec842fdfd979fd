"""Decide where the traffic of a version goes that workers run no more."""

from dataclasses import replace

from servewell.core.catalog.change import ChangeKind
from servewell.core.catalog.endpoint import BP_FULL, Endpoint
from servewell.core.operations.traffic import (
    TrafficDecision,
    TrafficMap,
    describe,
    retired,
    scale,
    with_shares,
)


def decide_withdrawal(
    endpoint: Endpoint, package: str, *, trial: int, because: str
) -> TrafficDecision:
    """Return the endpoint with a package in quarantine, and its traffic on what was good before.

    The other deployments that serve take the traffic, in their present proportions; where none
    does, the newest earlier split that names nothing in quarantine; else the newest deployment
    that is not. Where there is none, the traffic stays, and is refused until something is
    deployed. An earlier split that names the package is forgotten: no rollback returns to it.

    Units:  shares in basis points.
    Raises: nothing. An endpoint without such a deployment, or with an older or newer trial of it,
    comes back as it is.
    """
    marked = replace(
        endpoint,
        deployments=tuple(
            replace(one, quarantined=because)
            if (one.package, one.trial) == (package, trial) and not one.quarantined
            else one
            for one in endpoint.deployments
        ),
    )
    if marked == endpoint:
        return TrafficDecision(endpoint=endpoint, kind=ChangeKind.QUARANTINED, because="")
    good = [one.name for one in marked.deployments if not one.quarantined]
    past = tuple(one for one in endpoint.past if all(name in good for name, _ in one))
    shares = _shares(endpoint, good, past)
    if past and dict(past[-1]) == shares:
        past = past[:-1]
    moved = with_shares(replace(marked, past=past), shares)
    names = [one.name for one in marked.deployments if one.package == package]
    return TrafficDecision(
        endpoint=retired(moved),
        kind=ChangeKind.QUARANTINED,
        because=f"`{names[-1]}` is in quarantine because {because}; "
        f"the requests go to {describe(shares)}",
    )


def _shares(endpoint: Endpoint, good: list[str], past: tuple[TrafficMap, ...]) -> dict[str, int]:
    serving = {name: share for name, share in endpoint.traffic.items() if name in good}
    if serving:
        return scale(serving, BP_FULL)
    if past:
        return dict(past[-1])
    return {good[-1]: BP_FULL} if good else endpoint.traffic
