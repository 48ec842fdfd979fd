"""ADWIN: a window over a stream of losses that grows while they are alike, and is cut where not.

The window is kept as an exponential histogram: buckets of 1, 2, 4 … values, at most `BUCKETS` of
each size, each with its sum and its sum of squared deviations. A stream of a million values takes
about a hundred buckets. At every cut the older part is dropped, and what was found is told. The
paper drops its oldest bucket until no cut is left; here all of it before the clearest cut goes at
once, so that a change is told once and the window behind it holds the new losses alone.

Source: Bifet and Gavaldà, "Learning from time-changing data with adaptive windowing", SDM 2007,
section 4 (ADWIN2); the bound is theorem 3.1's with the variance of the window.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from functools import reduce
from typing import Final

from servewell.core.catalog.loss_watch import Adwin, Bucket, Cut

DELTA: Final = 0.002  # chance of a cut at a look at a stream that does not change
BUCKETS: Final = 5  # of one size
EVERY: Final = 32  # values between two looks
LEAST: Final = 5  # values on each side of a cut


def watched(
    state: Adwin, values: Iterable[tuple[float, float]], *, delta: float = DELTA
) -> tuple[Adwin, tuple[Cut, ...]]:
    """Return the state with more values, and the changes that were found on the way.

    Units: each value is a time and a loss in 0..1; what lies outside is clipped.
    """
    buckets = list(state.buckets)
    since_look, seen = state.since_look, state.seen
    cuts: list[Cut] = []
    for at, value in values:
        clipped = min(max(value, 0.0), 1.0)
        buckets.append(Bucket(count=1, total=clipped, deviations=0.0, first_at=at))
        _compress(buckets)
        seen += 1
        since_look += 1
        if since_look >= EVERY:
            since_look = 0
            cuts += _cut(buckets, found_at=at, delta=delta)
    return Adwin(buckets=tuple(buckets), since_look=since_look, seen=seen), tuple(cuts)


def _compress(buckets: list[Bucket]) -> None:
    """Join the two oldest buckets of each size of which there are too many."""
    end = len(buckets)
    size = 1
    while True:
        start = end
        while start and buckets[start - 1].count == size:
            start -= 1
        if end - start <= BUCKETS:
            return
        buckets[start : start + 2] = [_pair(buckets[start], buckets[start + 1])]
        end = start + 1
        size *= 2


def _pair(older: Bucket, newer: Bucket) -> Bucket:
    """Return two buckets as one; the deviations add up as in Chan et al., 1979."""
    count = older.count + newer.count
    between = (older.mean - newer.mean) ** 2 * older.count * newer.count / count
    return Bucket(
        count=count,
        total=older.total + newer.total,
        deviations=older.deviations + newer.deviations + between,
        first_at=older.first_at,
    )


def _joined(buckets: Sequence[Bucket]) -> Bucket:
    """Return all of these buckets, of which there is one at least, as one."""
    return reduce(_pair, buckets)


def _cut(buckets: list[Bucket], *, found_at: float, delta: float) -> Iterator[Cut]:
    """Drop what lies before the clearest change, again until there is none, and tell of each."""
    while (place := _clearest(buckets, delta=delta)) is not None:
        before, now = _joined(buckets[:place]), _joined(buckets[place:])
        yield Cut(
            at=now.first_at, found_at=found_at, before=before.mean, now=now.mean, values=now.count
        )
        del buckets[:place]


def _clearest(buckets: list[Bucket], *, delta: float) -> int | None:
    """Return where the means of both sides differ most beyond the bound, None where nowhere."""
    whole = _joined(buckets)
    if whole.count < 2 * LEAST:
        return None
    spread = whole.deviations / whole.count
    logarithm = math.log(2 * math.log(whole.count) / delta)
    clearest, excess = None, 0.0
    count, total = 0, 0.0
    for place, one in enumerate(buckets[:-1], 1):
        count, total = count + one.count, total + one.total
        rest = whole.count - count
        if min(count, rest) < LEAST:
            continue
        apart = abs(total / count - (whole.total - total) / rest)
        over = apart - _bound(spread, 1 / count + 1 / rest, logarithm)
        if over > excess:
            clearest, excess = place, over
    return clearest


def _bound(spread: float, inverse: float, logarithm: float) -> float:
    """Return how far two means may lie apart by chance; `inverse` is 1/m, of both sizes."""
    return math.sqrt(2 * inverse * spread * logarithm) + 2 / 3 * inverse * logarithm
