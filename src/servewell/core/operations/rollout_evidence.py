"""What the evidence of a rollout means to its next move."""

from dataclasses import dataclass
from typing import Final

from servewell.core.catalog.comparison import Comparison
from servewell.core.catalog.evidence import Evidence
from servewell.core.catalog.rollout import Rollout, RolloutPlan
from servewell.core.operations.e_process import share_interval
from servewell.core.operations.findings import PARTS

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


@dataclass(frozen=True, slots=True, kw_only=True)
class AloneWord:
    """What the failures of a candidate with all requests show: that it is worse, or may be."""

    worse: str = ""
    unsure: str = ""


def alone_word(plan: RolloutPlan, evidence: Evidence) -> AloneWord:
    """Return what the failures show since the candidate gets all requests.

    Its share is held, within the margins, to that of the stable one until then. Both are bounded at
    every look, with half of this measure's part of alpha each: it is worse where its lower bound is
    beyond what the upper bound of the stable one allows. Where that is not shown, and it fails more
    than was measured of the stable one, too little is known of that one.
    """
    (n, x), (requests, failed) = evidence.before, evidence.alone
    alpha = plan.alpha * PARTS["alone"] / 2
    low, _ = share_interval(requests, failed, alpha)
    _, high = share_interval(n, x, alpha)
    told = f"with all requests it failed on {failed:,} of {requests:,}, the stable one before "
    told += f"on {x:,} of {n:,}"
    if low > _allowed(plan, high):
        return AloneWord(worse=f"{told}: shown to be more than {_allowed(plan, high):.2%}")
    if low > _allowed(plan, x / n if n else 0.0):
        return AloneWord(unsure=f"{told}, which is too few to tell which of them is to blame")
    return AloneWord()


def _allowed(plan: RolloutPlan, share: float) -> float:
    return max(share * plan.margins.error_ratio, share + plan.margins.error_excess)


def gap_word(before: Rollout, after: Rollout) -> str:
    """Return which records were found missing in between, and why; an empty text for none."""
    old, new = before.comparison, after.comparison
    missing = new.missing - old.missing
    if not missing and new.gaps == old.gaps:
        return ""
    why = "; ".join(one for one in new.gaps if one not in old.gaps) or "as before"
    return f"{missing:,} records are missing ({why})" if missing else why


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
