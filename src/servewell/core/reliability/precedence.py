"""Who goes first: classes of priority, without leaving anybody waiting for ever."""

from collections.abc import Sequence
from typing import Final

from servewell.core.catalog.limits import Priority

ORDER: Final = (Priority.HIGH, Priority.NORMAL, Priority.LOW)
RANKS: Final = {one: rank for rank, one in enumerate(ORDER)}  # 0 goes first
NORMAL: Final = RANKS[Priority.NORMAL]

# Nanoseconds by which a class is taken to have come later than it did. So a request goes before
# one of a higher class that came so much later, and none waits for ever.
HANDICAPS_NS: Final = (0, 500_000_000, 2_000_000_000)


def rank_of(most: Priority, wish: Priority) -> int:
    """Return the rank of a request: its wish, but no better than `most`, what its key may have."""
    return max(RANKS[most], RANKS[wish])


def next_rank(heads_ns: Sequence[int | None]) -> int | None:
    """Return the rank whose oldest request is next; `heads_ns` says when each came, if any did.

    Source: virtual arrival times, as in "earliest deadline first": each class has a fixed slack.
    """
    due = [
        (came + handicap, rank)
        for rank, (came, handicap) in enumerate(zip(heads_ns, HANDICAPS_NS, strict=True))
        if came is not None
    ]
    return min(due)[1] if due else None
