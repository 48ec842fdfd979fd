"""Judge a rollout on all the evidence so far, at any moment, without losing the guarantee.

A candidate is rolled back when it is shown worse in one measure, and promoted when it is shown not
worse, within the margins, in every measure that is required. Neither follows from silence: without
traffic the judge waits and says what it lacks.
"""

import math

from servewell.core.catalog.evidence import Evidence
from servewell.core.catalog.judgement import (
    Batch,
    Finding,
    GuardFacts,
    Judgement,
    Showing,
    Verdict,
)
from servewell.core.catalog.rollout import RolloutPlan
from servewell.core.operations import observing
from servewell.core.operations.findings import PARTS, find
from servewell.core.operations.still_missing import still_missing

FAILED_MIN = 5  # requests in a row


def observe(evidence: Evidence, batch: Batch, plan: RolloutPlan) -> Evidence:
    """Return the evidence with one batch more; it stays a few hundred numbers."""
    return observing.observe(evidence, batch, alpha=plan.alpha)


def judge(plan: RolloutPlan, evidence: Evidence) -> Judgement:
    """Return what is to be done, with a finding for every measure.

    Raises: nothing.
    """
    findings = find(plan, evidence)
    guard = all_failing(plan, evidence)
    if guard:
        return Judgement(verdict=Verdict.ROLL_BACK, because=guard, findings=findings)
    worse = [one for one in findings if one.showing is Showing.WORSE]
    if worse:
        return Judgement(verdict=Verdict.ROLL_BACK, because=_of(worse), findings=findings)
    missing = still_missing(plan, evidence, findings)
    if missing:
        return Judgement(
            verdict=Verdict.WAIT,
            because=f"not shown yet; missing: {'; '.join(missing)}",
            findings=findings,
            missing=missing,
        )
    return Judgement(
        verdict=Verdict.PROMOTE,
        because=f"after {evidence.requests[1]:,} requests of the candidate it is shown not worse, "
        f"within the margins, in {', '.join(one.measure for one in findings if one.required)}",
        findings=findings,
    )


def _of(worse: list[Finding]) -> str:
    return "shown worse: " + "; ".join(f"{one.measure}: {one.because}" for one in worse)


def all_failing(plan: RolloutPlan, evidence: Evidence) -> str:
    """Return why the candidate is taken back at once, or nothing.

    It fails without one success while the stable one does not. At the stable one's own share of
    failures a run of k has the chance share^k; a run may begin at any of the requests so far, the
    i-th of which is allowed 1 / i^2, so that all runs together are rarer than the part of alpha.
    The share is the larger of the whole time's and of that since the run began.
    """
    run = evidence.run
    if run.failed < FAILED_MIN:
        return ""
    share = max(
        (run.stable_failed + 1) / (run.stable_requests + 2),
        (evidence.failed[0] + 1) / (evidence.requests[0] + 2),
    )
    requests = evidence.requests[1] + evidence.alone[0]
    allowed = math.log(2 / (plan.alpha * PARTS["guard"])) + 2 * math.log(requests)
    if run.failed * -math.log(share) < allowed:
        return ""
    return (
        f"all of its last {run.failed} requests failed, and {run.stable_failed} of "
        f"{run.stable_requests} of the stable one's in the same time"
    )


def hard_guard(facts: GuardFacts) -> str:
    """Return why the candidate is taken back whatever the statistics say, or nothing.

    A worker holds all that it serves. The candidate is blamed for too much of it where most of
    the excess came since it was loaded.
    """
    return _too_much(facts) if facts.memory_bytes_before and _is_its_own(facts) else ""


def crowded(facts: GuardFacts) -> str:
    """Return why no share may grow though the candidate is not to blame, or nothing."""
    return "" if hard_guard(facts) else _too_much(facts)


def _is_its_own(facts: GuardFacts) -> bool:
    excess = facts.memory_bytes - facts.memory_bytes_max
    return facts.memory_bytes - facts.memory_bytes_before > excess / 2


def _too_much(facts: GuardFacts) -> str:
    if not facts.memory_bytes > facts.memory_bytes_max > 0:
        return ""
    before = facts.memory_bytes_before
    known = f", {before / 1e6:,.0f} MB before the candidate was loaded" if before else ""
    return (
        f"a worker takes {facts.memory_bytes / 1e6:,.0f} MB of memory{known}; "
        f"{facts.memory_bytes_max / 1e6:,.0f} MB is allowed"
    )
