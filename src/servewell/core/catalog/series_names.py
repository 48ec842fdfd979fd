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
LOOKED: Final = "looked-until"  # all looks that have an objective were taken
COUNTED: Final = "counted-until"  # requests are in the figures of the endpoint
CORRECTED: Final = "corrected-from"  # start of the earliest figure that came late
EXPECTED: Final = "expected"  # what an anomaly is measured against
UNUSUAL: Final = "unusual"  # in robust standard deviations
MOVED: Final = "moved"  # of the level over days: the change as a share of what it was
MOVED_DAYS: Final = "moved-days"
OF_COLUMNS: Final = frozenset({SCORE, MISSING})  # as many as a model has columns
BESIDE: Final = frozenset({EXPECTED, UNUSUAL, MOVED, MOVED_DAYS})  # each of one figure

WORKERS: Final = "home/workers"
WORKERS_WANTED: Final = "home/workers-wanted"
MEMORY: Final = "home/memory-bytes"  # of all workers
QUEUE: Final = "home/queue"  # requests that wait
RECORDS_LOST: Final = "home/records-lost"  # since the workers' counters began
DISK_FREE: Final = "home/disk-free"  # share
STALE: Final = "home/stale-workers"  # that serve from an older snapshot than the newest
SERIES_LEFT_OUT: Final = "home/series-left-out"
COMPACTED: Final = "home/compacted-until"  # segments that no worker writes any more
PROFILED: Final = "home/counted-until"  # records are in profiles


def of_endpoint(endpoint: str, *words: str) -> str:
    """Return the name of a series of an endpoint."""
    return "/".join(("endpoint", endpoint, *words))


def words_of(name: str) -> str:
    """Return what a series of an endpoint is of, for a person."""
    return " of ".join(name.split("/", 2)[2].split("/", 1))


def is_vital(name: str) -> bool:
    """Whether a series is kept however many there are: health and objectives are told from it."""
    of, *words = name.split("/")
    if of != "endpoint":
        return of == "home"
    kinds = words[2:3] if words[1:2] and words[1] in BESIDE else words[1:2]
    return kinds != [] and kinds[0] not in OF_COLUMNS
