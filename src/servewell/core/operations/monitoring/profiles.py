"""Adding up window profiles, and which stored windows a look back takes.

Windows are kept in minutes, hours and days, each complete in itself: a record stands in one of
each. Minutes and hours are let go after a while, days last. A look back takes the finest windows
that are kept and begin within it, each record once, and of these as few and as large as it can.

Adding is associative and commutative: the order in which parts come changes no count. Of the
categories that the reference never saw a few are named, in windows of a minute alone: those with
the smallest digests, which is the same choice in whatever order windows are added.
"""

import hashlib
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Final

from servewell.core.catalog.profile import (
    MINUTE_S,
    Counts,
    ReferenceProfile,
    TrafficWindow,
    WindowProfile,
)

HOUR_S: Final = 3_600
DAY_S: Final = 86_400
LEVELS: Final = (MINUTE_S, HOUR_S, DAY_S)
KEPT_S: Final = {MINUTE_S: 2 * DAY_S, HOUR_S: 60 * DAY_S, DAY_S: 730 * DAY_S}
# A compaction that was killed is told again at the next start, which may be long after; so which
# parts were counted is known for so long before the last one.
PARTS_KEPT_S: Final = 7 * DAY_S
UNSEEN_NAMED: Final = 8  # of each column
DIGEST_BYTES: Final = 6  # so that a digest is an exact number everywhere, JSON included

Run = tuple[int, int, int]  # windows of so many seconds that start from, until


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """From when on the finer windows are kept; each a whole number of the next coarser ones."""

    minutes_from: int = 0  # seconds since the epoch, UTC
    hours_from: int = 0

    def has(self, seconds: int, start: int) -> bool:
        """Whether windows of that length are kept of that time."""
        if seconds == MINUTE_S:
            return start >= self.minutes_from
        return seconds == DAY_S or start >= self.hours_from


@dataclass(frozen=True, slots=True, kw_only=True)
class Steady:
    """Since when the clock has gone on without a leap; in seconds since the epoch, UTC."""

    since: float = 0.0
    seen: float = 0.0  # when that was last looked at, give or take an hour

    def at(self, now: float) -> "Steady":
        """Return the same at a later look; from then on where the clock leapt, or nobody looked."""
        if not -HOUR_S <= now - self.seen <= DAY_S:
            return Steady(since=now, seen=now)
        return replace(self, seen=now) if now - self.seen >= HOUR_S else self

    def may_forget(self, now: float) -> bool:
        """Whether the clock is to be believed that windows are past their time."""
        return now - self.since >= HOUR_S


def kept_at(now: float) -> Kept:
    """Return what is kept at a time, in seconds since the epoch."""
    return Kept(
        minutes_from=_floor(int(now) - KEPT_S[MINUTE_S], HOUR_S),
        hours_from=_floor(int(now) - KEPT_S[HOUR_S], DAY_S),
    )


def finite(reference: ReferenceProfile) -> ReferenceProfile:
    """Return the same with the largest number for an infinite one, which JSON cannot hold."""
    return replace(
        reference,
        bins=tuple(replace(one, edges=tuple(map(_clipped, one.edges))) for one in reference.bins),
        counts={
            name: {
                column: replace(one, total=_clipped(one.total), squares=_clipped(one.squares))
                for column, one in columns.items()
            }
            for name, columns in reference.counts.items()
        },
    )


def healed(kept: Kept, now: float) -> Kept:
    """Return what is kept from the next whole hour and day on, where a clock was ahead of that.

    What was counted meanwhile stands in the coarser windows.
    """
    hours_from = min(kept.hours_from, _ceil(now, DAY_S))
    minutes_from = max(min(kept.minutes_from, _ceil(now, HOUR_S)), hours_from)
    return Kept(minutes_from=minutes_from, hours_from=hours_from)


def category_digest(category: str) -> int:
    """Return the digest by which a category without a place of its own is known again."""
    data = category.encode("utf-8", "replace")
    return int.from_bytes(hashlib.blake2b(data, digest_size=DIGEST_BYTES).digest())


def finest_runs(since: float, until: float, kept: Kept, *, finest: int = MINUTE_S) -> list[Run]:
    """Return the windows that begin in [since, until): the finest kept, none shorter than asked."""
    bounds = (
        (DAY_S, -HOUR_S, kept.hours_from if finest < DAY_S else None),
        (HOUR_S, kept.hours_from, kept.minutes_from if finest < HOUR_S else None),
        (MINUTE_S, kept.minutes_from, None),
    )
    runs = []
    for seconds, first, last in bounds:
        start = max(_ceil(since, seconds), first)
        end = _ceil(until, seconds) if last is None else min(_ceil(until, seconds), last)
        if seconds >= finest and start < end:
            runs.append((seconds, start, end))
    return runs


def fewest_runs(since: float, until: float, kept: Kept) -> list[Run]:
    """Return the fewest windows that add up to those of `finest_runs`."""
    return list(chain.from_iterable(_coarser(run) for run in finest_runs(since, until, kept)))


def merged(windows: Sequence[WindowProfile]) -> WindowProfile:
    """Return what one deployment took and gave over all these times together.

    The windows are of one endpoint, deployment and package, and there is at least one.
    """
    first = windows[0]
    start = min(one.start for one in windows)
    return replace(
        first,
        start=start,
        seconds=max(one.start + one.seconds for one in windows) - start,
        rows=_summed(one.rows for one in windows),
        counts={
            name: _columns([one.counts[name] for one in windows if name in one.counts])
            for name in _names(one.counts for one in windows)
        },
    )


def merged_counts(counts: Sequence[Counts]) -> Counts:
    """Return the counts of one column over all rows together; there is at least one."""
    if len(counts) == 1:
        return counts[0]
    least = [one.least for one in counts if one.least is not None]
    greatest = [one.greatest for one in counts if one.greatest is not None]
    return Counts(
        places=tuple(map(sum, zip(*(one.places for one in counts), strict=True))),
        total=sum(one.total for one in counts),
        squares=sum(one.squares for one in counts),
        least=min(least) if least else None,
        greatest=max(greatest) if greatest else None,
        unseen=named_unseen(_summed(one.unseen for one in counts if one.unseen)),
    )


def unnamed(window: WindowProfile) -> WindowProfile:
    """Return the same counts, without naming a category that the reference never saw."""
    return replace(
        window,
        counts={
            name: {column: replace(one, unseen={}) for column, one in columns.items()}
            for name, columns in window.counts.items()
        },
    )


def named_unseen(unseen: dict[str, int]) -> dict[str, int]:
    """Return the few categories that are named, of all those that were never seen."""
    if len(unseen) <= UNSEEN_NAMED:
        return unseen
    return {name: unseen[name] for name in sorted(unseen, key=_by_digest)[:UNSEEN_NAMED]}


def merged_traffic(
    windows: Sequence[TrafficWindow],
    *,
    sketches: Callable[[Sequence[bytes]], bytes] = lambda _: b"",
) -> TrafficWindow:
    """Return the traffic of all these times together; there is at least one.

    `sketches` merges the sketches of the latency; without it the result has none.
    """
    start = min(one.start for one in windows)
    return replace(
        windows[0],
        start=start,
        seconds=max(one.start + one.seconds for one in windows) - start,
        requests=sum(one.requests for one in windows),
        failed=sum(one.failed for one in windows),
        refused=sum(one.refused for one in windows),
        slow=sum(one.slow for one in windows),
        late=sum(one.late for one in windows),
        skewed=sum(one.skewed for one in windows),
        repeated=sum(one.repeated for one in windows),
        lost=sum(one.lost for one in windows),
        damaged=sum(one.damaged for one in windows),
        codes=_summed(one.codes for one in windows),
        latency=sketches([one.latency for one in windows if one.latency]),
    )


def _columns(those: Sequence[dict[str, Counts]]) -> dict[str, Counts]:
    return {
        name: merged_counts([one[name] for one in those if name in one]) for name in _names(those)
    }


def _names(those: Iterable[Iterable[str]]) -> list[str]:
    return list(dict.fromkeys(chain.from_iterable(those)))


def _summed(those: Iterable[dict[str, int]]) -> dict[str, int]:
    sums: dict[str, int] = {}
    for one in those:
        for name, number in one.items():
            sums[name] = sums.get(name, 0) + number
    return sums


def _by_digest(category: str) -> tuple[int, str]:
    return category_digest(category), category


def _coarser(run: Run) -> Iterator[Run]:
    """Yield the same time in the largest windows that fit."""
    seconds, start, end = run
    larger = next((one for one in LEVELS if one > seconds), None)
    first, last = (_ceil(start, larger), _floor(end, larger)) if larger else (end, end)
    if larger is None or first >= last:
        yield run
        return
    yield from ((seconds, start, first),) if start < first else ()
    yield from _coarser((larger, first, last))
    yield from ((seconds, last, end),) if last < end else ()


def _clipped(number: float) -> float:
    return max(-sys.float_info.max, min(sys.float_info.max, number))


def _floor(time: float, seconds: int) -> int:
    return int(time // seconds) * seconds


def _ceil(time: float, seconds: int) -> int:
    return -int(-time // seconds) * seconds
