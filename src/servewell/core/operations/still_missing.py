"""Say in numbers what promotion still waits for."""

import math

from servewell.core.catalog.evidence import Evidence
from servewell.core.catalog.judgement import Finding, Showing
from servewell.core.catalog.rollout import RolloutPlan

_MOST = 1_000  # times what there is: further than that nothing can be foreseen


def still_missing(
    plan: RolloutPlan, evidence: Evidence, findings: tuple[Finding, ...]
) -> tuple[str, ...]:
    """Return one phrase for each thing; nothing when all that is required is shown."""
    stable, candidate = evidence.requests
    few = plan.requests_min - candidate
    phrases = [f"{few:,} more {_requests(few)} of the candidate"] if few > 0 else []
    if not stable:
        phrases.append("any request of the stable one, to compare with")
    unshown = [one for one in findings if one.required and one.showing is not Showing.NOT_WORSE]
    if evidence.unlike and any(one.measure == "loss" for one in unshown):
        phrases.append(
            f"labels of one measure: the two are not measured alike, {evidence.unlike:,} labels "
            f"are not told by {evidence.loss_measure}"
        )
    return (*phrases, *map(_phrase, unshown))


def _requests(number: int) -> str:
    return "request" if number == 1 else "requests"


def _phrase(finding: Finding) -> str:
    times = foreseen_times(finding)
    if not 1 < times < _MOST:
        return f"{finding.measure}: {finding.because}"
    more = math.ceil(finding.requests[1] * (times - 1))
    return f"{finding.measure}: about {more:,} more {_requests(more)} of the candidate"


def foreseen_times(finding: Finding) -> float:
    """Return how often all that was seen is needed until the bound is within its margin.

    At most 1 where it is; infinity where it never would be, if all goes on as it is. The width of
    an interval goes with the root of the number, and with the number itself where nothing happened.
    """
    middle = _middle(finding)
    if middle is None or finding.high is None or finding.margin is None:
        return math.inf
    gap = finding.margin - middle
    if gap <= 0:
        return math.inf
    return ((finding.high - middle) / gap) ** (2 if finding.candidate else 1)


def _middle(finding: Finding) -> float | None:
    """Return the estimate of what the margin bounds."""
    if finding.candidate is None or finding.stable is None:
        return None
    if not finding.unit.startswith("ratio"):
        return finding.candidate - finding.stable
    return finding.candidate / finding.stable if finding.stable else None
