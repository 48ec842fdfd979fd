"""What a comparison says of a shadow, by what a rollout declared."""

import math
from typing import Final

from servewell.core.catalog.comparison import Comparison
from servewell.core.catalog.rollout import RolloutPlan

STRICT_Z: Final = 3.29  # one in two thousand, one-sided: it is looked at again and again
PLAIN_Z: Final = 1.96  # 95 %, two-sided
SOME: Final = 20  # rows or requests, before anything is said


def shadow_worse(plan: RolloutPlan, comparison: Comparison) -> str:
    """Return why the candidate may not go on to get traffic, or nothing.

    Before the end it is so when the disagreement, or the share of failures, is shown to be above
    what is allowed; at the end, when the disagreement is above it.
    """
    failed, asked = comparison.failed, comparison.failed + comparison.requests
    low, _ = interval(failed, asked, z=STRICT_Z)
    if asked >= SOME and low > plan.margins.error_excess:
        return f"it failed on {failed} of {asked} copies of requests that the live one answered"
    differing, rows = comparison.differing, comparison.rows
    low, _ = interval(differing, rows, z=STRICT_Z)
    complete = comparison.requests >= plan.shadow_requests
    share = comparison.disagreement or 0.0
    shown = low if not complete else share
    if rows >= SOME and shown > plan.disagreement_max:
        return (
            f"{share:.1%} of {rows:,} compared rows differ by more than {plan.difference_max:g}, "
            f"or have another label; {plan.disagreement_max:.1%} is allowed"
        )
    return ""


def shadow_missing(plan: RolloutPlan, comparison: Comparison) -> tuple[str, ...]:
    """Return what the comparison lacks before the candidate may get traffic."""
    lacks = plan.shadow_requests - comparison.requests
    if lacks <= 0:
        return ()
    return (f"{comparison.requests:,} of {plan.shadow_requests:,} copied requests are compared",)


def interval(hits: int, total: int, *, z: float = PLAIN_Z) -> tuple[float, float]:
    """Return Wilson's interval of a share, in 0..1; all of it where nothing was seen.

    Source: Wilson, "Probable inference, the law of succession, and statistical inference", 1927.
    """
    if not total:
        return 0.0, 1.0
    share = hits / total
    scale = 1 + z * z / total
    middle = (share + z * z / (2 * total)) / scale
    reach = z / scale * math.sqrt(share * (1 - share) / total + z * z / (4 * total * total))
    return max(0.0, middle - reach), min(1.0, middle + reach)
