"""Decide what becomes of a version that the gates have judged."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from servewell.core.catalog.endpoint import Deployment, Endpoint
from servewell.core.catalog.gate import GateReport, GateRow, GateVerdict
from servewell.core.catalog.workload_gates import SECURITY


class Clearance(StrEnum):
    """What a version may do next."""

    SERVE = "serve"  # the first one: nobody is served yet who could be hurt
    ROLL_OUT = "roll out"
    STAY = "stay"  # it serves already, or a person or a rollout took its requests back
    KEEP_OUT = "keep out"


@dataclass(frozen=True, slots=True, kw_only=True)
class ClearanceDecision:
    """What a version may do, and the sentence that says why."""

    clearance: Clearance
    because: str
    quarantined: str = ""  # why no worker runs it, where that keeps it out


def decide_clearance(endpoint: Endpoint | None, report: GateReport) -> ClearanceDecision:
    """Return whether a version may get traffic, given what the gates said of it.

    Where nothing serves yet, a version of which the gates cannot tell is let in: there is no user
    whom it could serve worse than before. It is never let in where a gate failed, nor where the
    measuring itself did: nothing is known of such a version. One that has requests was given them
    by a rollout or a person, and one whose requests were taken back has none for a reason: nothing
    undoes that here. One that a newer version replaced may come back as any other.
    """
    serving = [one for one in endpoint.deployments if one.share_bp] if endpoint else []
    if endpoint is not None and (settled := _settled(endpoint, report)):
        return settled
    unsure = report.verdict is GateVerdict.CANNOT_TELL and report.measured
    first_unsure = unsure and not serving
    if not (report.lets_through or first_unsure):
        return ClearanceDecision(
            clearance=Clearance.KEEP_OUT,
            because=f"the gates do not let {report.version} through: {report.because}",
        )
    clearance = Clearance.ROLL_OUT if serving else Clearance.SERVE
    return ClearanceDecision(clearance=clearance, because=_words(report))


def _settled(endpoint: Endpoint, report: GateReport) -> ClearanceDecision | None:
    """Return what was decided of a version already that is deployed; None where that is open."""
    version = report.version
    for one in endpoint.deployments:
        if one.package != report.package:
            continue
        if one.share_bp:
            return _stays(f"{version} is deployed already; its share of the requests stays")
        if one.quarantined:
            return ClearanceDecision(
                clearance=Clearance.KEEP_OUT,
                because=f"{version} is in quarantine as `{one.name}`: {one.quarantined}",
                quarantined=one.quarantined,
            )
        if endpoint.shadow is not None and endpoint.shadow.deployment == one.name:
            return _stays(f"{version} gets copies of the requests as `{one.name}`, and goes on so")
        if one.withdrawn:
            begin = f"`servewell rollouts start {endpoint.name} {version}` begins again"
            return _stays(f"{version} has no requests: {one.withdrawn}; {begin}")
    return None


def _stays(because: str) -> ClearanceDecision:
    return ClearanceDecision(clearance=Clearance.STAY, because=because)


def growing(endpoint: Endpoint, shares: Mapping[str, int]) -> tuple[Deployment, ...]:
    """Return the deployments that are to get more; none where that is a split of before."""
    if any(dict(past) == shares for past in endpoint.past):
        return ()
    return tuple(one for one in endpoint.deployments if shares.get(one.name, 0) > one.share_bp)


def serves_most(endpoint: Endpoint | None) -> Deployment | None:
    """Return the deployment with the largest share of the requests; None where none has any."""
    serving = [one for one in endpoint.deployments if one.share_bp] if endpoint else []
    return max(serving, key=lambda one: one.share_bp, default=None)


def not_compared_with(endpoint: Endpoint | None, report: GateReport) -> str:
    """Return what serves most now where a report says nothing of that; else an empty text.

    A report says how a version does beside the champion of its time. It is enough where a person
    gave a word for the version, or where the version itself serves most.
    """
    most = serves_most(endpoint)
    if most is None or report.override is not None or most.package == report.package:
        return ""
    name = _name(most)
    return "" if report.champion == name else name


def still_counts(
    report: GateReport, *, endpoint: Endpoint | None, champion: str | None, rules: str
) -> bool:
    """Whether a report need not be made again: by the same rules, against the same champion.

    One whose measuring failed is made again, unless a person gave a word on it. The report on a
    version that gets requests is of the time before it did, and stays.
    """
    serving = [one for one in endpoint.deployments if one.share_bp] if endpoint else []
    if any(one.package == report.package for one in serving):
        return True
    same = (report.champion, report.rules) == (champion, rules)
    return same and (report.measured or report.override is not None)


def newcomers(endpoint: Endpoint, shares: Mapping[str, int]) -> tuple[Deployment, ...]:
    """Return the deployments that are to get requests, have none, and had none of late."""
    known = {name for past in endpoint.past for name, share_bp in past if share_bp}
    return tuple(
        one
        for one in endpoint.deployments
        if shares.get(one.name) and not one.share_bp and one.name not in known
    )


def why_only_a_look(
    *, champion: str | None, serving: str | None, folder: str, remembered: str
) -> str:
    """Return why a report that is asked for by hand does not count; an empty text where it does.

    Else who asks could choose a weak champion, or lenient gates. `serving` is what a version is
    compared with by itself; `remembered` is where its workload was last brought up, if it was.
    """
    if champion != serving:
        other = f"{serving} serves most" if serving else "nothing else serves"
        return f"it was judged {f'against {champion}' if champion else 'by itself'}, and {other}"
    if remembered not in ("", folder):
        return f"its workload was last brought up in {remembered}, and not in {folder}"
    return ""


def security_rows(report: GateReport) -> tuple[GateRow, ...]:
    """Return the rows on what the package is made of, and by whom."""
    return tuple(one for one in report.rows if one.group == SECURITY)


def is_safe(report: GateReport) -> bool:
    """Whether a package was scanned, and nothing was found."""
    rows = security_rows(report)
    return bool(rows) and all(one.verdict is GateVerdict.PASS for one in rows)


def _name(one: Deployment) -> str:
    return f"{one.model}:{one.version}"


def _words(report: GateReport) -> str:
    if report.override is not None:
        return (
            f"{report.override.principal} let {report.version} through: {report.override.because}"
        )
    return f"the gates on {report.version}: {report.because}"
