"""Figures over time, kept in steps that grow with their age.

A sample stands for the points of a time. Of a count, such as requests, each point weighs 1 and the
total is the count of that time; of a share, such as that of missing values, each point weighs as
much as it had rows, so that the mean of any time is right however the rows fell.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

HOUR_S: Final = 3_600
DAY_S: Final = 86_400


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """How fine, and for how long."""

    step_s: int
    keep_s: int


# What came a day late still finds the points of its time as they were measured. Five weeks hold a
# month and the weekly season of three weeks; 400 days hold the same month of the year before.
LEVELS: Final = (
    Level(step_s=10, keep_s=2 * DAY_S),
    Level(step_s=300, keep_s=35 * DAY_S),
    Level(step_s=HOUR_S, keep_s=400 * DAY_S),
)
SERIES_MAX: Final = 2_000  # of columns, in one home


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesPoint:
    """One measured value. A later one of the same series and start takes its place."""

    name: str  # `endpoint/flights/requests`, `home/workers`
    start: int  # seconds since the epoch, UTC
    seconds: int  # that it was measured over
    value: float
    weight: float = 1.0  # above 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """The points of one series within a time."""

    start: int  # seconds since the epoch, UTC
    seconds: int
    weight: float
    total: float  # of the values, each times its weight
    least: float
    greatest: float

    @property
    def mean(self) -> float:
        """Return the mean by weight."""
        return self.total / self.weight


def cut(level: Level, *, now: float) -> int:
    """Return the first start that a level still keeps; always a full hour."""
    return int((now - level.keep_s) // HOUR_S * HOUR_S)


def sample_of(point: SeriesPoint, *, step_s: int) -> Sample:
    """Return a point as the sample of the step that it begins in."""
    return Sample(
        start=point.start // step_s * step_s,
        seconds=step_s,
        weight=point.weight,
        total=point.value * point.weight,
        least=point.value,
        greatest=point.value,
    )


def gathered(samples: Iterable[Sample], *, step_s: int) -> tuple[Sample, ...]:
    """Return samples in steps of at least `step_s`, by time; one that is longer stays as it is."""
    found: dict[tuple[int, int], Sample] = {}
    for one in samples:
        wide = max(step_s, one.seconds)
        place = (one.start // wide * wide, wide)
        found[place] = _joined(found.get(place), one, *place)
    return tuple(found[place] for place in sorted(found))


def _joined(before: Sample | None, one: Sample, start: int, seconds: int) -> Sample:
    return Sample(
        start=start,
        seconds=seconds,
        weight=one.weight + (before.weight if before else 0.0),
        total=one.total + (before.total if before else 0.0),
        least=min(one.least, before.least) if before else one.least,
        greatest=max(one.greatest, before.greatest) if before else one.greatest,
    )
