"""Where the times of requests are counted: upper bounds of the buckets, in nanoseconds."""

from typing import Final

TIMES_NS: Final = tuple(
    int(step * decade)
    for decade in (100_000, 1_000_000, 10_000_000, 100_000_000, 1_000_000_000)
    for step in (1, 2.5, 5)
)
