"""What the evidence of a rollout means to its next move."""

from dataclasses import dataclass
from typing import Final

from servewell.core.catalog.comparison import Comparison
from servewell.core.catalog.evidence import Evidence
from servewell.core.catalog.rollout import Rollout, RolloutPlan
from servewell.core.operations.e_process import share_interval

KEEP_EVERY_S: Final = 2.0  # what was observed, where nothing moves
KEEP_EVERY: Final = 1_000  # requests: what was not kept is read again at the next look
FAILING_MIN: Final = 20  # copies, all of which fail, that need no more to be compared


@dataclass(frozen=True, slots=True, kw_only=True)
class ShadowWord:
    """What a shadow has shown: that it is worse, or what is missing, or nothing against it."""

    worse: str = ""
    missing: tuple[str, ...] = ()


def shadow_word(plan: RolloutPlan, comparison: Comparison) -> ShadowWord:
    """Return what a shadow has shown.

    It is judged once, when as many copies as declared were compared: a bound that is looked at on
    the way would be passed by chance too often. A shadow that answers nothing is told at once.

    Units:  shares in 0..1 of the compared rows, and of the copies.
    Raises: nothing.
    """
    failed, copies = comparison.failed, comparison.requests + comparison.failed
    if failed >= FAILING_MIN and not comparison.requests:
        return ShadowWord(worse=f"it failed on all of its first {failed} copies")
    if copies < plan.shadow_requests:
        return ShadowWord(missing=(f"{plan.shadow_requests - copies} compared copies more",))
    allowed = plan.margins.error_excess
    if failed > allowed * copies:
        codes = ", ".join(sorted(comparison.failures))
        return ShadowWord(
            worse=f"it failed on {failed} of {copies:,} copies that the stable one answered "
            f"({codes}); {allowed:.2%} is allowed"
        )
    share = comparison.disagreement
    if share is None:
        return ShadowWord(worse="its answers have no output in common with the stable one's")
    if share > plan.disagreement_max:
        return ShadowWord(
            worse=f"{share:.1%} of {comparison.rows:,} compared rows differ by more than "
            f"{plan.difference_max:g} or in a label; {plan.disagreement_max:.1%} may"
        )
    return ShadowWord()


def failing_alone(plan: RolloutPlan, evidence: Evidence) -> str:
    """Return why the candidate is taken back that gets all requests, or an empty text.

    Its share of failures is held to that of the stable one while both were compared, within the
    margins; where they never were, to the absolute margin. The interval holds at every look.
    """
    requests, failed = evidence.alone
    stable = evidence.failed[0] / evidence.requests[0] if evidence.requests[0] else 0.0
    allowed = max(stable * plan.margins.error_ratio, stable + plan.margins.error_excess)
    low, _ = share_interval(requests, failed, plan.alpha)
    if low <= allowed:
        return ""
    return (
        f"with all requests it failed on {failed:,} of {requests:,}, shown to be more than "
        f"{allowed:.2%}"
    )


def news(before: Rollout, after: Rollout) -> bool:
    """Whether any request was observed in between."""
    return (
        before.evidence.requests != after.evidence.requests
        or before.evidence.alone != after.evidence.alone
        or before.comparison.newest_ns != after.comparison.newest_ns
    )


def worth_keeping(before: Rollout, after: Rollout) -> bool:
    """Whether what was observed since it was read is to be kept now, though nothing moves."""
    old, new = (
        sum(one.evidence.requests) + one.evidence.alone[0] + one.comparison.requests
        for one in (before, after)
    )
    waited_s = abs(after.looked_at - before.looked_at)
    return waited_s >= KEEP_EVERY_S or new - old >= KEEP_EVERY
