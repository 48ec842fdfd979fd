"""Refuse what may get no traffic."""

from servewell.core.catalog.endpoint import Endpoint
from servewell.core.catalog.model import ModelVersion
from servewell.core.operations.clearance import not_compared_with
from servewell.flows.platform import Platform
from servewell.ports.gates import GatesNotPassedError
from servewell.ports.rollouts import busy


def require_let_through(
    platform: Platform, version: ModelVersion, *, beside: Endpoint | None = None
) -> None:
    """Refuse a version whose newest report does not let it through, or that has none.

    Where it is to take requests from what an endpoint serves, it must have been judged `beside` it.

    Raises: GatesNotPassedError, StateUnavailableError.
    """
    report = platform.gates.latest(version.package)
    if report is None:
        raise GatesNotPassedError.never_judged(version.name)
    if not report.lets_through:
        raise GatesNotPassedError.of(report)
    champion = not_compared_with(beside, report)
    if champion:
        raise GatesNotPassedError.champion_changed(report, champion)


def require_no_rollout(platform: Platform, endpoint: str) -> None:
    """Refuse an endpoint with a rollout that has not ended.

    Raises: RolloutBusyError, StateUnavailableError.
    """
    for one in platform.rollouts.list(endpoint, open_only=True):
        raise busy(endpoint, one.candidate_version)
