"""Refuse what may get no traffic."""

from collections.abc import Mapping

from servewell.core.catalog.endpoint import Endpoint
from servewell.core.catalog.gate import GateReport, GateVerdict
from servewell.core.catalog.model import ModelVersion
from servewell.core.operations.clearance import ClearanceDecision, growing, not_compared_with
from servewell.core.operations.traffic import QuarantinedError
from servewell.errors import ServewellError
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


def kept_out(endpoint: str, report: GateReport, decision: ClearanceDecision) -> ServewellError:
    """Return the refusal of a version that is kept out: by the gates, or in quarantine."""
    if decision.quarantined:
        return QuarantinedError.of(endpoint, report.version, because=decision.quarantined)
    return GatesNotPassedError.of(report)


def require_not_failed(platform: Platform, endpoint: Endpoint, shares: Mapping[str, int]) -> None:
    """Refuse more requests for what its newest report fails, unless a person overruled that.

    To go back to a split of before needs no gate.

    Raises: GatesNotPassedError, StateUnavailableError.
    """
    for one in growing(endpoint, shares):
        report = platform.gates.latest(one.package)
        if report is not None and report.verdict is GateVerdict.FAIL and not report.lets_through:
            raise GatesNotPassedError.of(report)


def require_no_rollout(platform: Platform, endpoint: str) -> None:
    """Refuse an endpoint with a rollout that has not ended.

    Raises: RolloutBusyError, StateUnavailableError.
    """
    for one in platform.rollouts.list(endpoint, open_only=True):
        raise busy(endpoint, one.candidate_version)
