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
    return (
        *phrases,
        *(
            _phrase(one)
            for one in findings
            if one.required and one.showing is not Showing.NOT_WORSE
        ),
    )


def _requests(number: int) -> str:
    return "request" if number == 1 else "requests"


def _phrase(finding: Finding) -> str:
    if finding.showing is Showing.NO_DATA:
        return f"{finding.measure}: {finding.because}"
    more = _foreseen(finding)
    if more is None:
        return f"{finding.measure}: {finding.because}"
    return f"{finding.measure}: about {more:,} more {_requests(more)} of the candidate"


def _foreseen(finding: Finding) -> int | None:
    """Return how many more the interval needs to fall within the margin, if all goes on like this.

    Its width goes with the root of the number. None where it would never, or nobody knows.
    """
    value = _centre(finding)
    if value is None or finding.high is None or finding.margin is None:
        return None
    gap = finding.margin - value
    if gap <= 0:
        return None
    times = ((finding.high - value) / gap) ** 2
    if not 1 < times < _MOST:
        return None
    return math.ceil(finding.requests[1] * (times - 1))


def _centre(finding: Finding) -> float | None:
    if finding.unit in ("difference", "PSI"):
        return (finding.candidate or 0.0) - (finding.stable or 0.0)
    if not finding.stable or finding.candidate is None:
        return None
    return finding.candidate / finding.stable
