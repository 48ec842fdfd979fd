"""Decide what becomes of a version that the gates have judged."""

from dataclasses import dataclass
from enum import StrEnum

from servewell.core.catalog.endpoint import Endpoint
from servewell.core.catalog.gate import GateReport, GateVerdict


class Clearance(StrEnum):
    """What a version may do next."""

    SERVE = "serve"  # the first one: nobody is served yet who could be hurt
    ROLL_OUT = "roll out"
    STAY = "stay"  # it is deployed already, with whatever share it was given since
    KEEP_OUT = "keep out"


@dataclass(frozen=True, slots=True, kw_only=True)
class ClearanceDecision:
    """What a version may do, and the sentence that says why."""

    clearance: Clearance
    because: str


def decide_clearance(endpoint: Endpoint | None, report: GateReport) -> ClearanceDecision:
    """Return whether a version may get traffic, given what the gates said of it.

    Where nothing serves yet, a version of which the gates cannot tell is let in: there is no user
    whom it could serve worse than before. It is never let in where a gate failed. One that is
    deployed already was given its share by a rollout or a person, and nothing takes that back here.
    """
    deployments = endpoint.deployments if endpoint else ()
    serving = [one for one in deployments if one.share_bp]
    if any(one.package == report.package for one in deployments):
        return ClearanceDecision(
            clearance=Clearance.STAY,
            because=f"{report.version} is deployed already; its share of the requests stays",
        )
    first_unsure = not serving and report.verdict is GateVerdict.CANNOT_TELL
    if not (report.lets_through or first_unsure):
        return ClearanceDecision(
            clearance=Clearance.KEEP_OUT,
            because=f"the gates do not let {report.version} through: {report.because}",
        )
    clearance = Clearance.ROLL_OUT if serving else Clearance.SERVE
    return ClearanceDecision(clearance=clearance, because=_words(report))


def _words(report: GateReport) -> str:
    if report.override is not None:
        return (
            f"{report.override.principal} let {report.version} through: {report.override.because}"
        )
    return f"the gates on {report.version}: {report.because}"
