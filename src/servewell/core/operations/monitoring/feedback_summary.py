"""What people thought of the answers: by deployment, whole and by window."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from servewell.core.catalog.feedback import BAD, GOOD, FeedbackCount
from servewell.core.operations.wilson import interval


@dataclass(frozen=True, slots=True, kw_only=True)
class Opinion:
    """What was thought of the answers of one deployment in some time."""

    deployment: str  # empty for ratings of no known answer
    start: int | None  # of the window, seconds since the epoch, UTC; None for the whole time
    ratings: dict[str, int]  # how often each was given
    total: int
    good: int  # thumbs up, 4 and 5
    bad: int  # thumbs down, 1 and 2; a 3 is neither
    satisfied: float | None  # good of good and bad, 0..1; None where there is none of either
    low: float  # its interval of 95 % (Wilson), 0..1
    high: float
    consent: float  # share of those who gave theirs, 0..1
    comments: int
    pending: int  # corrections that wait for a person
    accepted: int  # corrections that are labels


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedbackSummary:
    """What was thought of the answers of one endpoint."""

    endpoint: str
    since: float  # seconds since the epoch, UTC
    deployments: tuple[Opinion, ...]  # over the whole time, by name
    windows: tuple[Opinion, ...]  # oldest first, then by deployment


def summarised(endpoint: str, counts: Sequence[FeedbackCount], *, since: float) -> FeedbackSummary:
    """Return the summary of what was counted since a time (epoch seconds)."""
    names = sorted({one.deployment for one in counts})
    windows = sorted({(one.start, one.deployment) for one in counts})
    return FeedbackSummary(
        endpoint=endpoint,
        since=since,
        deployments=tuple(
            _opinion(name, None, [one for one in counts if one.deployment == name])
            for name in names
        ),
        windows=tuple(
            _opinion(name, start, [one for one in counts if (one.start, one.deployment) == at])
            for at in windows
            for start, name in (at,)
        ),
    )


def _opinion(deployment: str, start: int | None, counts: Sequence[FeedbackCount]) -> Opinion:
    ratings: dict[str, int] = {}
    for one in counts:
        ratings[one.rating] = ratings.get(one.rating, 0) + one.total
    total = sum(ratings.values())
    good, bad = _of(ratings, GOOD), _of(ratings, BAD)
    low, high = interval(good, good + bad)
    return Opinion(
        deployment=deployment,
        start=start,
        ratings=ratings,
        total=total,
        good=good,
        bad=bad,
        satisfied=good / (good + bad) if good + bad else None,
        low=low,
        high=high,
        consent=sum(one.consented for one in counts) / total,
        comments=sum(one.comments for one in counts),
        pending=sum(one.pending for one in counts),
        accepted=sum(one.accepted for one in counts),
    )


def _of(ratings: dict[str, int], names: Iterable[str]) -> int:
    return sum(ratings.get(one, 0) for one in names)
