"""Change traffic by hand: only to what the gates let through, and beside no rollout.

`flows/release.py` holds the acts themselves, for the flows that have asked already.
"""

from collections.abc import Mapping

from servewell.core.catalog.endpoint import BP_FULL
from servewell.core.operations.clearance import newcomers
from servewell.core.operations.rollout_moves import Order
from servewell.flows import release
from servewell.flows.clearance import require_let_through, require_no_rollout, require_not_failed
from servewell.flows.environments import Progress
from servewell.flows.platform import Platform
from servewell.flows.release import Released
from servewell.flows.rollouts import Advanced, give_order


def deploy(  # noqa: PLR0913 - the words of the command, each optional
    platform: Platform,
    endpoint: str,
    *,
    model: str,
    number: int | None = None,
    name: str = "",
    share_bp: int = BP_FULL,
    because: str = "",
    dry_run: bool = False,
    progress: Progress = lambda words: None,  # noqa: ARG005 - nobody listens
) -> Released:
    """Serve a model version that the gates let through.

    Raises: RolloutBusyError, GatesNotPassedError, and as `release.deploy`.
    """
    before = platform.endpoints.get(endpoint)
    require_no_rollout(platform, endpoint)
    require_let_through(platform, platform.registry.get(model, number), beside=before)
    return release.deploy(
        platform,
        endpoint,
        model=model,
        number=number,
        name=name,
        share_bp=share_bp,
        because=because,
        dry_run=dry_run,
        progress=progress,
    )


def set_traffic(
    platform: Platform,
    endpoint: str,
    shares: Mapping[str, int],
    *,
    because: str = "",
    dry_run: bool = False,
) -> Released:
    """Give the deployments of an endpoint these shares; what gets its first must be let through.

    Raises: RolloutBusyError, GatesNotPassedError, and as `release.set_traffic`.
    """
    require_no_rollout(platform, endpoint)
    before = platform.endpoints.get(endpoint)
    for one in newcomers(before, shares):
        version = platform.registry.get(one.model, one.version)
        require_let_through(platform, version, beside=before)
    require_not_failed(platform, before, shares)
    return release.set_traffic(platform, endpoint, shares, because=because, dry_run=dry_run)


def roll_back(  # noqa: PLR0913 - the words of the command, each optional
    platform: Platform,
    endpoint: str,
    *,
    to: str = "",
    because: str = "",
    quarantine: bool = False,
    dry_run: bool = False,
) -> Released | Advanced:
    """End the rollout of an endpoint and give all requests back; without one, take back a change.

    Raises: GatesNotPassedError, and as `release.roll_back` and `give_order`.
    """
    order = Order.QUARANTINE if quarantine else Order.ROLL_BACK
    for one in platform.rollouts.list(endpoint, open_only=True):
        if to in ("", one.stable):
            return give_order(platform, endpoint, order, because=because, dry_run=dry_run)
        require_no_rollout(platform, endpoint)
    if to:
        require_not_failed(platform, platform.endpoints.get(endpoint), {to: BP_FULL})
    return release.roll_back(platform, endpoint, to=to, because=because, dry_run=dry_run)
