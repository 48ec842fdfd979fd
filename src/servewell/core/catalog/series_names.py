"""What the series of a home are called."""

from typing import Final

REQUESTS: Final = "requests"
FAILED: Final = "failed"
REFUSED: Final = "refused"
SLOW: Final = "slow"
LATENCY: Final = "latency-p95-ms"
SCORE: Final = "score"  # mean, one series for each score or numeric output
MISSING: Final = "missing"  # share, one series for each input
FAILED_BY: Final = "failed-by"  # one series for each deployment
LOOK: Final = "look"  # 1 where what was looked at was bad, else 0
EXPECTED: Final = "expected"  # what an anomaly is measured against
UNUSUAL: Final = "unusual"  # in robust standard deviations
MOVED: Final = "moved"  # of the level over days: the change as a share of what it was
MOVED_DAYS: Final = "moved-days"

WORKERS: Final = "home/workers"
WORKERS_WANTED: Final = "home/workers-wanted"
MEMORY: Final = "home/memory-bytes"  # of all workers
QUEUE: Final = "home/queue"  # requests that wait
RECORDS_LOST: Final = "home/records-lost"  # since the workers' counters began
DISK_FREE: Final = "home/disk-free"  # share
STALE: Final = "home/stale-workers"  # that serve from an older snapshot than the newest
SERIES_LEFT_OUT: Final = "home/series-left-out"


def of_endpoint(endpoint: str, *words: str) -> str:
    """Return the name of a series of an endpoint."""
    return "/".join(("endpoint", endpoint, *words))


def words_of(name: str) -> str:
    """Return what a series of an endpoint is of, for a person."""
    return " of ".join(name.split("/", 2)[2].split("/", 1))
