"""Which windows a verdict on drift looks at.

Windows are laid on the clock (a whole number of them since the epoch, UTC), so that each is judged
once however often somebody looks. Without a declared length it is the shortest of an hour, six
hours, a day and a week of which two hold rows enough, of as many as are looked back upon. Of
windows shorter than a day these are the ones of two days: a verdict by hours stays one in the
night, and where all rows come once a day there are two such windows whenever somebody looks.

What breaks a feed is not left to wait for the end of a window: what was counted since the last
whole one is looked at for that alone, in windows of the next shorter length.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from servewell.core.catalog.profile import ReferenceProfile, WindowProfile
from servewell.core.catalog.workload_monitoring import DriftRules
from servewell.core.operations.monitoring.drift import Look, Season
from servewell.core.operations.monitoring.profiles import DAY_S, HOUR_S, merged
from servewell.core.operations.monitoring.two_samples import rows_needed

WEEK_S: Final = 7 * DAY_S
LENGTHS_S: Final = (HOUR_S, 6 * HOUR_S, DAY_S, WEEK_S)
LOOKS: Final = 6  # windows back from the newest
LOOKED_S: Final = 2 * DAY_S  # back at least, where a window is an hour or longer
SEASON_DAYS: Final = 7
ENOUGH: Final = 2  # windows with rows enough that choose a length

Windows = Sequence[WindowProfile]


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What was counted of one version under one deployment, oldest first."""

    minutes: Windows = ()  # only where a declared window is no whole number of hours
    hours: Windows = ()
    days: Windows = ()

    @property
    def until(self) -> float | None:
        """Return the end of the last hour or day in which anything was counted, None of none."""
        return max((one.start + one.seconds for one in self.hours or self.days), default=None)

    def newest(self, *, seconds: int, now: float) -> list[WindowProfile]:
        """Return those of the newest whole windows of that length by now that hold anything."""
        count = max(LOOKS, LOOKED_S // seconds) if seconds >= HOUR_S else LOOKS
        if seconds % HOUR_S:
            return _laid(self.minutes, count, seconds=seconds, now=now)
        of_days = seconds > DAY_S and seconds % DAY_S == 0
        return _laid(self.days if of_days else self.hours, count, seconds=seconds, now=now)

    def open(self, *, seconds: int, now: float) -> list[WindowProfile]:
        """Return what was counted since the last whole window, in ones of the next shorter length.

        The one before them is among them, so that what broke late in a window stays told of.
        The hour that is not over is left out, so that the same hours of other days compare. Of a
        window of an hour or less, or of no whole number of them, there is nothing: it is over soon.
        """
        shorter = [one for one in LENGTHS_S if one < seconds and not seconds % one]
        if not shorter:
            return []
        step = shorter[-1]
        first, last = int(now // seconds) * seconds - step, int(now // HOUR_S) * HOUR_S
        starts = range(first, last, step)
        found = [_within(self.hours, start, min(start + step, last)) for start in starts]
        return [one for one in found if one is not None]


def is_quiet(seen: Seen, *, seconds: int, now: float) -> bool:
    """Whether nothing was counted for two windows, and two days: a verdict is of another time."""
    return seen.until is not None and now - seen.until > 2 * max(seconds, DAY_S)


def minutes_from(rules: DriftRules, *, now: float) -> float:
    """Return from when on minutes are needed; now where they are not."""
    seconds = rules.window_length_s or HOUR_S
    return now - (LOOKS + 1) * seconds if seconds % HOUR_S else now


def hours_from(rules: DriftRules, *, now: float) -> float:
    """Return from when on hours are needed."""
    return now - max((SEASON_DAYS + 2) * DAY_S, (LOOKS + 1) * (rules.window_length_s or HOUR_S))


def days_from(rules: DriftRules, *, now: float) -> float:
    """Return from when on days are needed."""
    return now - (LOOKS + 1) * max(WEEK_S, rules.window_length_s or WEEK_S)


def window_length(reference: ReferenceProfile, seen: Seen, *, rules: DriftRules, now: float) -> int:
    """Return the seconds of a window: as declared, or the fewest that hold rows enough."""
    if rules.window_length_s is not None:
        return rules.window_length_s
    needed = _needed(reference, rules)
    if needed is None:
        return WEEK_S
    for seconds in LENGTHS_S:
        held = [one.rows.get("", 0) for one in seen.newest(seconds=seconds, now=now)]
        if sum(rows >= needed for rows in held) >= ENOUGH:
            return seconds
    return WEEK_S


def _needed(reference: ReferenceProfile, rules: DriftRules) -> int | None:
    """Return of how many rows any column's index would be found; None of a small reference."""
    chance = rules.false_share / max(sum(map(len, reference.counts.values())), 1)
    found = [
        rows_needed(one.places, index=rules.index, chance=chance)
        for one in reference.counts.get("", {}).values()
    ]
    return max((one for one in found if one is not None), default=None)


def looks_of(seen: Seen, *, seconds: int, rules: DriftRules, now: float) -> tuple[Look, ...]:
    """Return the newest whole windows of that length, oldest first, with what explains them.

    Behind them comes what was counted since, as open looks; nothing where no window is over yet.
    """
    whole = seen.newest(seconds=seconds, now=now)
    seasonal = rules.seasons and seconds < DAY_S
    began = min((one.start for one in seen.hours), default=0)
    looks = [
        Look(
            window=one,
            seasons=_seasons(one, seen) if seasonal else (),
            young=seasonal and one.start - began < DAY_S,
        )
        for one in whole
    ]
    # a part of a day is no day, whatever is declared of seasons
    since = seen.open(seconds=seconds, now=now) if whole else []
    return (*looks, *(Look(window=one, seasons=_seasons(one, seen), open=True) for one in since))


def _seasons(window: WindowProfile, seen: Seen) -> tuple[Season, ...]:
    """Return the same hours of the days before, with each of those days."""
    days = {one.start: one for one in seen.days}
    found = []
    for back in range(1, SEASON_DAYS + 1):
        start = window.start - back * DAY_S
        same = _within(seen.hours, start, start + window.seconds)
        day = days.get(start // DAY_S * DAY_S)
        if same is not None and day is not None:
            found.append(Season(hours=same, day=day))
    return tuple(found)


def _within(hours: Windows, start: float, until: float) -> WindowProfile | None:
    """Return what was counted in the hours that lie in [start, until) in part, as that time's."""
    found = [one for one in hours if one.start < until and one.start + one.seconds > start]
    if not found:
        return None
    return replace(merged(found), start=int(start), seconds=int(until - start))


def _laid(windows: Windows, count: int, *, seconds: int, now: float) -> list[WindowProfile]:
    end = int(now // seconds) * seconds
    parts: dict[int, list[WindowProfile]] = {}
    for one in windows:
        if end - count * seconds <= one.start and one.start + one.seconds <= end:
            parts.setdefault(one.start // seconds * seconds, []).append(one)
    # of a window parts may have had no rows
    return [replace(merged(parts[start]), start=start, seconds=seconds) for start in sorted(parts)]
