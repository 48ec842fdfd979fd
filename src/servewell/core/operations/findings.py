"""Say of each measure of a rollout what the evidence shows.

Two questions are asked of each. Is the candidate shown worse than the stable one? The chance that
any of these answers is wrong, at any look, is below `alpha` of the plan: each measure has its part
(`PARTS`, which sum to 1), and what is anytime-valid holds for all looks. And is it shown not worse
by more than the margin? Promotion needs that of every measure, so a candidate beyond the margin of
even one is promoted with a chance of at most `alpha`, whatever the number of measures: the bound of
each may be wrong that often (an intersection-union test, Berger 1982).

What is shown to be within its margin is not worse, though it may be shown not to be equal either.
"""

import math
from typing import Final

from servewell.core.catalog.evidence import Contrast, Evidence, Tally
from servewell.core.catalog.judgement import Finding, Showing
from servewell.core.catalog.rollout import RolloutPlan
from servewell.core.operations.confidence_sequence import difference_interval, enough, estimate
from servewell.core.operations.distribution_shift import p_shifted
from servewell.core.operations.e_process import p_worse, ratio_interval, share_interval
from servewell.core.operations.observing import SLOW_SHARE

PARTS: Final = {
    "errors": 0.30,
    "timeouts": 0.10,
    "invalid outputs": 0.10,
    "slow answers": 0.10,
    "latency": 0.15,
    "score": 0.10,
    "loss": 0.10,
    "guard": 0.05,
}


def find(plan: RolloutPlan, evidence: Evidence) -> tuple[Finding, ...]:
    """Return what is shown of every measure, the most serious first."""
    margins = plan.margins
    failing = {"ratio": margins.error_ratio, "excess": margins.error_excess}
    slow = {"ratio": margins.slow_ratio, "excess": (margins.slow_ratio - 1) * SLOW_SHARE}
    found = [
        _of_tally("errors", evidence.errors, alpha=plan.alpha, allowed=failing),
        _of_tally("timeouts", evidence.timeouts, alpha=plan.alpha, allowed=failing),
        _of_tally("invalid outputs", evidence.invalid, alpha=plan.alpha, allowed=failing),
        _of_latency(plan, evidence.latency),
        _of_tally("slow answers", evidence.slow, alpha=plan.alpha, allowed=slow),
        _of_score(plan, evidence),
    ]
    if margins.loss > 0 or evidence.loss.windows:
        found.append(_of_loss(plan, evidence.loss))
    return tuple(found)


def _of_tally(measure: str, tally: Tally, *, alpha: float, allowed: dict[str, float]) -> Finding:
    if not all(tally.requests):
        return _nothing(measure, allowed["ratio"], unit="ratio of shares")
    low, high = ratio_interval(tally, alpha / 2)
    worst = share_interval(tally.requests[1], tally.events[1], alpha / 2)[1]
    excess = worst if high is None else worst * max(0.0, 1 - 1 / high)
    p = p_worse(tally)
    stable, candidate = (x / n for x, n in zip(tally.events, tally.requests, strict=True))
    by_ratio = high is not None and high < allowed["ratio"]
    by_excess = excess < allowed["excess"]
    if by_ratio or by_excess:
        showing, why = Showing.NOT_WORSE, _within(high, excess, allowed, by_ratio=by_ratio)
    elif p <= alpha * PARTS[measure]:
        showing, why = Showing.WORSE, f"so much more by chance has a probability below {p:.2g}"
    else:
        showing, why = Showing.UNCLEAR, _open(high, excess, allowed)
    return Finding(
        measure=measure,
        showing=showing,
        because=f"{candidate:.3%} of its requests against {stable:.3%}: {why}",
        stable=stable,
        candidate=candidate,
        low=low,
        high=high,
        margin=allowed["ratio"],
        unit="ratio of shares",
        requests=tally.requests,
    )


def _within(high: float | None, excess: float, allowed: dict[str, float], *, by_ratio: bool) -> str:
    if by_ratio:
        return f"at most {high:.2f} times as many, and {allowed['ratio']:g} times is allowed"
    return f"at most {excess:.3%} more of all, and {allowed['excess']:.3%} is allowed"


def _open(high: float | None, excess: float, allowed: dict[str, float]) -> str:
    times = "" if high is None else f"{high:.2f} times as many, or "
    return (
        f"it may still be {times}{excess:.3%} more of all; "
        f"{allowed['ratio']:g} times or {allowed['excess']:.3%} is allowed"
    )


def _of_latency(plan: RolloutPlan, contrast: Contrast) -> Finding:
    measure, margin = "latency", plan.margins.latency_ratio
    bounds = _bounds(contrast, alpha=plan.alpha, part=PARTS[measure])
    if bounds is None:
        return _too_few(measure, contrast, margin, unit="ratio of means")
    low, high = (math.exp(bound) for bound in bounds)
    ratio = math.exp(estimate(contrast))
    return Finding(
        measure=measure,
        showing=_showing(low - 1, high - margin),
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


def _showing(above_equal: float, above_margin: float) -> Showing:
    if above_margin < 0:
        return Showing.NOT_WORSE
    return Showing.WORSE if above_equal > 0 else Showing.UNCLEAR


def _of_score(plan: RolloutPlan, evidence: Evidence) -> Finding:
    shift, measure, margin = evidence.score, "score", plan.margins.score_psi
    required = any(evidence.scored)
    if shift.high is None:
        return _nothing(measure, margin, unit="PSI", required=required)
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


def _of_loss(plan: RolloutPlan, contrast: Contrast) -> Finding:
    measure, margin = "loss", plan.margins.loss
    required = margin > 0
    bounds = _bounds(contrast, alpha=plan.alpha, part=PARTS[measure])
    if bounds is None:
        return _too_few(measure, contrast, margin, unit="difference", required=required)
    low, high = bounds
    return Finding(
        measure=measure,
        showing=_showing(low, high - margin),
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
        because=f"there are {n[1]} values of the candidate and {n[0]} of the stable one, too few",
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
