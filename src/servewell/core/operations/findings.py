"""Say of each measure of a rollout what the evidence shows.

Two questions are asked of each. Is the candidate shown worse than the stable one? The chance that
any of these answers is wrong, at any look, is below `alpha` of the plan: each measure has its part
(`PARTS`, which sum to 1), and what is anytime-valid holds for all looks. And is it shown not worse
by more than the margin? Promotion needs that of every measure, so a candidate beyond the margin of
even one is promoted with a chance of at most `alpha`, whatever the number of measures: the bound of
each may be wrong that often (an intersection-union test, Berger 1982).

What is shown to be within its margin is not worse, though it may be shown not to be equal either,
unless of late it is beyond the margin: hours without a fault do not cover one that has begun.
Any shown excess of failures that is not shown to be within it counts against the candidate; a
difference of latency, outputs or loss only where it is also measured to be beyond the margin: two
versions are seldom alike in these, and the margin says what matters.
"""

import math
from dataclasses import dataclass, replace
from typing import Final

from servewell.core.catalog.evidence import Contrast, Evidence, Shift, Tally
from servewell.core.catalog.judgement import Finding, Showing
from servewell.core.catalog.rollout import RolloutPlan
from servewell.core.operations.confidence_sequence import (
    SAMPLES_MIN,
    WINDOWS_MIN,
    difference_interval,
    enough,
    estimate,
)
from servewell.core.operations.distribution_shift import FIRST_MIN, LOOK_MIN, p_shifted
from servewell.core.operations.e_process import p_worse, ratio_interval, share_interval
from servewell.core.operations.observing import SLOW_SHARE
from servewell.core.operations.still_missing import foreseen_times

PARTS: Final = {
    "errors": 0.45,
    "timeouts": 0.08,
    "invalid outputs": 0.08,
    "slow answers": 0.07,
    "latency": 0.10,
    "score": 0.07,
    "loss": 0.07,
    "guard": 0.03,
    "alone": 0.05,  # its failures when it has all requests, beside the stable one's before
}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Allowed:
    """How much more often something may happen to the candidate: either bound will do."""

    ratio: float  # of the shares, candidate to stable
    excess: float  # of all requests
    strict: bool  # whether any shown excess counts, or only one measured beyond the ratio


def find(plan: RolloutPlan, evidence: Evidence) -> tuple[Finding, ...]:
    """Return what is shown of every measure, failures first."""
    margins, alpha = plan.margins, plan.alpha
    failing = _Allowed(ratio=margins.error_ratio, excess=margins.error_excess, strict=True)
    slow = _Allowed(
        ratio=margins.slow_ratio, excess=(margins.slow_ratio - 1) * SLOW_SHARE, strict=False
    )
    found = [
        _of_tally("errors", evidence.errors, alpha=alpha, allowed=failing),
        _of_tally("timeouts", evidence.timeouts, alpha=alpha, allowed=failing),
        _of_tally("invalid outputs", evidence.invalid, alpha=alpha, allowed=failing),
        _of_latency(plan, evidence.latency),
        _of_tally("slow answers", evidence.slow, alpha=alpha, allowed=slow),
        _of_score(plan, evidence),
    ]
    if margins.loss > 0 or evidence.loss.windows:
        found.append(_of_loss(plan, evidence.loss))
    return tuple(found)


def _of_tally(measure: str, tally: Tally, *, alpha: float, allowed: _Allowed) -> Finding:
    if not all(tally.requests):
        return _nothing(measure, allowed.ratio, unit="ratio of shares")
    bounded = _bounded(measure, tally, alpha=alpha, allowed=allowed)
    stable, candidate = bounded.stable or 0.0, bounded.candidate or 0.0
    p = p_worse(tally)
    counted = p <= alpha * PARTS[measure]
    showing, why = bounded.showing, bounded.because
    beyond = allowed.strict or candidate > allowed.ratio * stable
    unshown = showing is not Showing.NOT_WORSE and beyond
    if counted and (unshown or _beyond_of_late(tally, allowed, alpha=alpha * PARTS[measure])):
        showing, why = Showing.WORSE, f"so much more has a chance below {p:.2g} if both are alike"
    return replace(
        bounded,
        showing=showing,
        because=f"{candidate:.3%} of its requests against {stable:.3%}: {why}",
    )


def _beyond_of_late(tally: Tally, allowed: _Allowed, *, alpha: float) -> bool:
    """Whether the candidate's share of late is shown to be beyond both margins."""
    (n, requests), (x, events) = tally.late_requests, tally.late_events
    stable = x / max(n, 1)
    low, _ = share_interval(requests, events, alpha)
    return low > max(stable * allowed.ratio, stable + allowed.excess)


def _bounded(measure: str, tally: Tally, *, alpha: float, allowed: _Allowed) -> Finding:
    """Return the bound that is within its margin, or will be first: of the ratio or the excess.

    Both bounds are of the same two intervals, each with half of alpha. The excess over what the
    stable one's share would give is share (1 - 1 / ratio) of the candidate's requests.
    """
    low, high = ratio_interval(tally, alpha / 2)
    worst = share_interval(tally.requests[1], tally.events[1], alpha / 2)[1]
    excess = worst if high is None else worst * max(0.0, 1 - 1 / high)
    stable, candidate = (x / n for x, n in zip(tally.events, tally.requests, strict=True))
    by_ratio = Finding(
        measure=measure,
        showing=Showing.NOT_WORSE if (high or math.inf) < allowed.ratio else Showing.UNCLEAR,
        because=f"at most {high or math.inf:.2f} times as many, {allowed.ratio:g} times is allowed",
        stable=stable,
        candidate=candidate,
        low=low,
        high=high,
        margin=allowed.ratio,
        unit="ratio of shares",
        requests=tally.requests,
    )
    by_excess = replace(
        by_ratio,
        showing=Showing.NOT_WORSE if excess < allowed.excess else Showing.UNCLEAR,
        because=f"at most {excess:.3%} more of all, {allowed.excess:.3%} is allowed",
        low=None,
        high=excess,
        margin=allowed.excess,
        unit="excess of shares",
    )
    return min(by_excess, by_ratio, key=foreseen_times)


def _of_latency(plan: RolloutPlan, contrast: Contrast) -> Finding:
    measure, margin = "latency", plan.margins.latency_ratio
    bounds = _bounds(contrast, alpha=plan.alpha, part=PARTS[measure])
    if bounds is None:
        return _too_few(measure, contrast, margin, unit="ratio of means")
    low, high = (math.exp(bound) for bound in bounds)
    ratio = math.exp(estimate(contrast))
    return Finding(
        measure=measure,
        showing=_showing(low=low - 1, middle=ratio - 1, high=high - 1, margin=margin - 1),
        because=f"its answers take {ratio:.3f} times as long, "
        f"between {low:.3f} and {high:.3f}; {margin:g} is allowed",
        stable=math.exp(contrast.stable.mean),
        candidate=math.exp(contrast.candidate.mean),
        low=low,
        high=high,
        margin=margin,
        unit="ratio of means",
        requests=(contrast.stable.n, contrast.candidate.n),
    )


def _bounds(contrast: Contrast, *, alpha: float, part: float) -> tuple[float, float] | None:
    """Return the lower bound that may convict and the upper that may acquit."""
    convicting = difference_interval(contrast, alpha * part)
    acquitting = difference_interval(contrast, alpha)
    return (convicting[0], acquitting[1]) if convicting and acquitting else None


def _showing(*, low: float, middle: float, high: float, margin: float) -> Showing:
    if high < margin:
        return Showing.NOT_WORSE
    return Showing.WORSE if low > 0 and middle > margin else Showing.UNCLEAR


def _of_score(plan: RolloutPlan, evidence: Evidence) -> Finding:
    shift, measure, margin = evidence.score, "score", plan.margins.score_psi
    required = any(evidence.scored)
    if shift.high is None:
        return replace(
            _nothing(measure, margin, unit="PSI", required=required), because=_unbinned(shift)
        )
    p = p_shifted(shift)
    if shift.high < margin:
        showing = Showing.NOT_WORSE
    elif p <= plan.alpha * PARTS[measure] and shift.size >= margin:
        showing = Showing.WORSE
    else:
        showing = Showing.UNCLEAR
    return Finding(
        measure=measure,
        showing=showing,
        because=f"its outputs are shifted by a PSI of {shift.size:.3f}, between {shift.low:.3f} "
        f"and {shift.high:.3f}; {margin:g} is allowed",
        stable=0.0,
        candidate=shift.size,
        low=shift.low,
        high=shift.high,
        margin=margin,
        unit="PSI",
        requests=(sum(shift.stable), sum(shift.candidate)),
        required=required,
    )


def _unbinned(shift: Shift) -> str:
    if not shift.edges:
        return f"{FIRST_MIN - len(shift.first):,} more outputs of the stable one make the bins"
    few = LOOK_MIN - min(sum(shift.stable), sum(shift.candidate))
    return f"{max(few, 1):,} more outputs are needed to compare"


def _of_loss(plan: RolloutPlan, contrast: Contrast) -> Finding:
    measure, margin = "loss", plan.margins.loss
    required = margin > 0
    bounds = _bounds(contrast, alpha=plan.alpha, part=PARTS[measure])
    if bounds is None:
        return _too_few(measure, contrast, margin, unit="difference", required=required)
    low, high = bounds
    return Finding(
        measure=measure,
        showing=_showing(low=low, middle=estimate(contrast), high=high, margin=margin),
        because=f"its loss is {estimate(contrast):+.4g}, between {low:+.4g} and {high:+.4g}; "
        + (f"{margin:+.4g} is allowed" if required else "no margin is declared"),
        stable=contrast.stable.mean,
        candidate=contrast.candidate.mean,
        low=low,
        high=high,
        margin=margin,
        unit="difference",
        requests=(contrast.stable.n, contrast.candidate.n),
        required=required,
    )


def _too_few(
    measure: str, contrast: Contrast, margin: float, *, unit: str, required: bool = True
) -> Finding:
    if not contrast.windows or enough(contrast):
        return _nothing(measure, margin, unit=unit, required=required)
    n = contrast.stable.n, contrast.candidate.n
    return Finding(
        measure=measure,
        showing=Showing.NO_DATA,
        because=f"there are {n[1]} values of the candidate and {n[0]} of the stable one in "
        f"{contrast.windows} looks; {SAMPLES_MIN} of each in {WINDOWS_MIN} are needed",
        margin=margin,
        unit=unit,
        requests=n,
        required=required,
    )


def _nothing(measure: str, margin: float, *, unit: str, required: bool = True) -> Finding:
    return Finding(
        measure=measure,
        showing=Showing.NO_DATA,
        because="nothing that could be compared was seen yet",
        margin=margin,
        unit=unit,
        required=required,
    )
