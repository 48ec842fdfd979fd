"""What is unusual in a figure over time, as measured against its own past.

A figure is expected to be the median of the same time of the last weeks (or days), moved by the
median of the last few differences from that; how far it may stray is the median of how far it
strayed lately. A point farther than four robust standard deviations from what was expected is
unusual, and three of five such points are an anomaly.

What is unusual is not learned from, so that an outage is not expected again; what stays unusual
for a day is the new normal, and is said to be one by then.

Source: "Dynamic thresholds" of Azure Monitor for when there is enough history (three days and 30
points, three weeks for a weekly season). On half-hourly figures with a weekly season, seasonal
medians with this correction of the level find .95 of the spikes of 15 % at one false point a day,
an additive ETS with clipped residuals .85, seasonal medians alone .28. Slow change, which follows
the level unseen, is found by a CUSUM of whole days: Page, Continuous Inspection Schemes, 1954.
"""

import math
from bisect import bisect_left, insort
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Final

STEP_S: Final = 1_800
DAY: Final = 48  # steps
WEEK: Final = 7 * DAY
HISTORY_MIN: Final = 3 * DAY
POINTS_MIN: Final = 30
SEASONS: Final = 6  # of the past that the median is taken over
LEVEL: Final = 6  # points that say where the level is
SPREAD: Final = 2 * DAY  # points that say how far the figure strays
UNUSUAL: Final = 4.0  # robust standard deviations
OF: Final = 5
NEEDED: Final = 3
NORMAL: Final = 1.4826  # of the median distance, to the standard deviation of a normal figure
LEAST_SHARE: Final = 0.01  # of the expected value; a smaller spread is no spread
GROWN_DAYS: Final = 21  # of history, before slow change is looked for
BASE_DAYS: Final = 14
SLACK: Final = 1.0  # standard deviations of a day
DECISION: Final = 8.0
MATERIAL: Final = 0.1  # of the median of the first days

Values = Sequence[float | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """One point."""

    value: float | None
    expected: float | None  # None where there is too little history
    distance: float | None  # in robust standard deviations, with its sign

    @property
    def unusual(self) -> bool:
        """Whether it is farther off than chance explains."""
        return self.distance is not None and abs(self.distance) > UNUSUAL


@dataclass(frozen=True, slots=True, kw_only=True)
class SlowChange:
    """A level that has moved over days."""

    days: int  # since it began to
    before: float
    now: float


def judged(values: Values, *, counts: bool = False, least: float = 0.0) -> tuple[Judged, ...]:
    """Return every point beside what was expected of it by those before it alone.

    No figure strays less than `least`; of `counts` none strays less than chance makes a count of
    independent events stray, the root of what is expected. Without that a figure that was always 0
    could never be unusual.

    Units:  one value for each half hour; None where there is none.
    Raises: nothing.
    """
    return tuple(_judged(values, Floor(counts=counts, least=least)))


def is_anomaly(points: Sequence[Judged]) -> bool:
    """Whether three of the last five points are unusual. Raises: nothing."""
    last = points[-OF:]
    return sum(one.unusual for one in last) >= NEEDED


def season_of(points: int) -> int:
    """Return the season, in steps, for which there is enough history; 0 for none."""
    if points >= 3 * WEEK:
        return WEEK
    return DAY if points >= HISTORY_MIN else 0


def slow_change(values: Values) -> SlowChange | None:
    """Return whether whole days have moved away from the first two weeks, little by little.

    Each day is compared with the same days of the week of these first weeks. Nothing is said
    before three weeks, nor of less than a tenth.

    Units:  one value for each half hour, the first at the start of a day.
    Raises: nothing.
    """
    days = [_mean(values[at : at + DAY]) for at in range(0, len(values) // DAY * DAY, DAY)]
    first = [one for one in days[:BASE_DAYS] if one is not None]
    if len(days) < GROWN_DAYS or len(first) < BASE_DAYS // 2:
        return None
    level = median(first)
    usual = [_median(days[at:BASE_DAYS:7], otherwise=level) for at in range(7)]
    off = [0.0 if one is None else one - usual[at % 7] for at, one in enumerate(days)]
    # Two days make each median, so that the distance from it is half of what it is of a new day.
    spread = max(2.0 * NORMAL * median(map(abs, off[:BASE_DAYS])), LEAST_SHARE * abs(level))
    now = _median(days[-3:], otherwise=level)
    if not level or abs(now - level) <= MATERIAL * abs(level):
        return None
    since = _cusum(off, spread)
    return None if since is None else SlowChange(days=len(days) - since, before=level, now=now)


def _judged(values: Values, floor: "Floor") -> Iterator[Judged]:
    learned: list[float | None] = []  # the value where it was usual, by step
    residuals: deque[float] = deque(maxlen=LEVEL)
    spread = Spread(SPREAD, floor)
    known = unusual = season = 0
    for at, value in enumerate(values):
        if season_of(at) != season:
            season = season_of(at)
            residuals.clear()  # they were differences from something else
        past = _past(learned, at, season)
        usual = median(past) if past else None
        point = _point(value, usual, residuals, spread, enough=known >= POINTS_MIN)
        yield point
        unusual = unusual + 1 if point.unusual else 0
        learned.append(value if not point.unusual or unusual > DAY else None)
        known += value is not None
        if value is not None and usual is not None:
            _follow(residuals, spread, off=value - usual, point=point)


def _follow(residuals: deque[float], spread: "Spread", *, off: float, point: Judged) -> None:
    """Let level and spread follow a point; by what is unusual they are moved four spreads at most.

    Without that bound an outage would be learned, and without any move a level that has shifted
    would be unusual for ever.
    """
    if residuals:
        level, near = median(residuals), UNUSUAL * spread.wide(point.expected)
        if point.unusual:
            off = min(max(off, level - near), level + near)
        spread.add(abs(off - level))
    residuals.append(off)


def _past(learned: Sequence[float | None], at: int, season: int) -> list[float]:
    """Return the usual values of the same time of the last seasons."""
    if not season:
        return []
    places = range(at - season, max(at - (SEASONS + 1) * season, -1), -season)
    return [one for place in places if (one := learned[place]) is not None]


def _point(
    value: float | None,
    usual: float | None,
    residuals: Sequence[float],
    spread: "Spread",
    *,
    enough: bool,
) -> Judged:
    if usual is None or not enough or not residuals:
        return Judged(value=value, expected=None, distance=None)
    expected = usual + median(residuals)
    wide = spread.wide(expected)
    if value is None or not wide:
        return Judged(value=value, expected=expected, distance=None)
    return Judged(value=value, expected=expected, distance=(value - expected) / wide)


@dataclass(frozen=True, slots=True, kw_only=True)
class Floor:
    """How little a figure may stray."""

    counts: bool
    least: float

    def of(self, expected: float) -> float:
        """Return the least standard deviation where this is expected."""
        chance = math.sqrt(max(expected, 1.0)) if self.counts else 0.0
        return max(self.least, chance, LEAST_SHARE * abs(expected))


class Spread:
    """The last so many distances, and their median."""

    def __init__(self, size: int, floor: Floor) -> None:
        self._size = size
        self._floor = floor
        self._order: deque[float] = deque()
        self._sorted: list[float] = []

    @property
    def median(self) -> float:
        """Return the upper median; 0 of none."""
        return self._sorted[len(self._sorted) // 2] if self._sorted else 0.0

    def wide(self, expected: float | None) -> float:
        """Return one robust standard deviation."""
        return max(NORMAL * self.median, self._floor.of(expected or 0.0))

    def add(self, distance: float) -> None:
        """Take one in, and let go of the oldest."""
        if len(self._order) == self._size:
            self._sorted.pop(bisect_left(self._sorted, self._order.popleft()))
        self._order.append(distance)
        insort(self._sorted, distance)


def _cusum(off: Sequence[float], spread: float) -> int | None:
    """Return since which day the level has moved up or down for good; None where it has not."""
    for sign in (1.0, -1.0):
        total, since = 0.0, BASE_DAYS
        for at in range(BASE_DAYS, len(off)):
            total = max(0.0, total + sign * off[at] / spread - SLACK)
            since = since if total else at + 1
        if total > DECISION:
            return since
    return None


def _median(values: Values, *, otherwise: float) -> float:
    known = [one for one in values if one is not None]
    return median(known) if known else otherwise


def _mean(values: Values) -> float | None:
    """Return the mean of a day of which at least half is known."""
    known = [one for one in values if one is not None]
    return sum(known) / len(known) if len(known) >= DAY // 2 else None
