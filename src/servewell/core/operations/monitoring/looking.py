"""Which windows a verdict on drift looks at.

Windows are laid on the clock (a whole number of them since the epoch, UTC), so that each is judged
once however often somebody looks. Without a declared length it is the shortest of an hour, six
hours, a day and a week whose newest two hold rows enough.
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
SEASON_DAYS: Final = 7
ENOUGH: Final = 2  # windows with rows enough that choose a length

Windows = Sequence[WindowProfile]


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What was counted of one version under one deployment, oldest first."""

    minutes: Windows = ()  # only where a declared window is no whole number of hours
    hours: Windows = ()
    days: Windows = ()

    def newest(self, count: int, *, seconds: int, now: float) -> list[WindowProfile]:
        """Return those of the last so many windows of that length by now that hold anything."""
        if seconds % HOUR_S:
            return _laid(self.minutes, count, seconds=seconds, now=now)
        of_days = seconds > DAY_S and seconds % DAY_S == 0
        return _laid(self.days if of_days else self.hours, count, seconds=seconds, now=now)


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
    for seconds in LENGTHS_S:
        newest = seen.newest(ENOUGH, seconds=seconds, now=now)
        fewest = min((one.rows.get("", 0) for one in newest), default=0)
        if len(newest) == ENOUGH and needed is not None and fewest >= needed:
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
    """Return the newest complete windows of that length, oldest first, with what explains them."""
    newest = seen.newest(LOOKS, seconds=seconds, now=now)
    if not rules.seasons or seconds >= DAY_S:
        return tuple(Look(window=one) for one in newest)
    began = min((one.start for one in seen.hours), default=0)
    return tuple(
        Look(
            window=one,
            seasons=tuple(_seasons(one, seen)),
            young=one.start - began < DAY_S,
        )
        for one in newest
    )


def _seasons(window: WindowProfile, seen: Seen) -> list[Season]:
    """Return the same hours of the days before, with each of those days."""
    days = {one.start: one for one in seen.days}
    found = []
    for back in range(1, SEASON_DAYS + 1):
        start = window.start - back * DAY_S
        until = start + window.seconds
        same = [one for one in seen.hours if one.start < until and one.start + HOUR_S > start]
        day = days.get(start // DAY_S * DAY_S)
        if same and day is not None:
            found.append(Season(hours=merged(same), day=day))
    return found


def _laid(windows: Windows, count: int, *, seconds: int, now: float) -> list[WindowProfile]:
    end = int(now // seconds) * seconds
    parts: dict[int, list[WindowProfile]] = {}
    for one in windows:
        if end - count * seconds <= one.start and one.start + one.seconds <= end:
            parts.setdefault(one.start // seconds * seconds, []).append(one)
    # of a window parts may have had no rows
    return [replace(merged(parts[start]), start=start, seconds=seconds) for start in sorted(parts)]
