"""When people like the answers clearly less than they did.

The last day is compared with the four weeks before it, by the ratings of answers that were given:
whoever has a key could invent others. It is told when the intervals of both shares do not touch and
the fall is one that matters. This is looked at again and again, so the intervals are wide: with
99.99 % each, shares that are the same in truth come apart in one look with a probability of at most
2 in 100,000, summed exactly over the binomials for 30 to 400 ratings in the day, up to 28 times as
many before, and shares from 0.5 to 0.97.
"""

from collections.abc import Iterable, Sequence
from typing import Final

from servewell.core.catalog.feedback import BAD, GOOD, FeedbackCount
from servewell.core.catalog.signal import Points, Severity, Signal, SignalKind
from servewell.core.operations.wilson import interval

HOUR_S: Final = 3_600
DAY_S: Final = 24 * HOUR_S
BEFORE_DAYS: Final = 28
RATINGS_MIN: Final = 30  # good and bad, on each side
FALL_MIN: Final = 0.10  # of the share, 0..1
Z: Final = 3.89  # 99.99 %, two-sided


def first_looked_at(now: float) -> float:
    """Return since when ratings are looked at (epoch seconds)."""
    return now - (1 + BEFORE_DAYS) * DAY_S


def less_liked(endpoint: str, counts: Sequence[FeedbackCount], *, now: float) -> Signal | None:
    """Return the signal of an endpoint whose ratings of each hour these are; None for none."""
    counts = [one for one in counts if one.deployment]
    since = int((now - DAY_S) // HOUR_S) * HOUR_S
    good, total = _rated(one for one in counts if one.start >= since)
    good_before, total_before = _rated(one for one in counts if one.start < since)
    if min(total, total_before) < RATINGS_MIN:
        return None
    share, before = good / total, good_before / total_before
    low_before = interval(good_before, total_before, z=Z)[0]
    if interval(good, total, z=Z)[1] >= low_before or before - share < FALL_MIN:
        return None
    return Signal(
        kind=SignalKind.QUALITY,
        severity=Severity.TICKET,
        endpoint=endpoint,
        subject="feedback",
        since=float(since),
        what=f"{share:.0%} of {total:,} ratings of the last day are good; in the {BEFORE_DAYS} "
        f"days before it {before:.0%} of {total_before:,} were.",
        because=f"the intervals of both shares (Wilson, 99.99 %) do not touch, and the share fell "
        f"by {before - share:.0%}",
        value=share,
        bound=low_before,
        points=(_plot(counts, now=now, bound=low_before),),
        command=f"servewell feedback summary {endpoint} --by day",
        runbook="quality",
    )


def _plot(counts: Sequence[FeedbackCount], *, now: float, bound: float) -> Points:
    first = first_looked_at(now)
    starts = [first + day * DAY_S for day in range(1 + BEFORE_DAYS)]
    shares: list[float | None] = []
    for start in starts:
        good, total = _rated(one for one in counts if start <= one.start < start + DAY_S)
        shares.append(good / total if total else None)
    return Points(
        name="satisfied", unit="share", times=tuple(starts), values=tuple(shares), bound=bound
    )


def _rated(counts: Iterable[FeedbackCount]) -> tuple[int, int]:
    """Return how many ratings are good, and how many are good or bad."""
    known = list(counts)
    good = sum(one.total for one in known if one.rating in GOOD)
    return good, good + sum(one.total for one in known if one.rating in BAD)
