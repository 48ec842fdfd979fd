"""Times of the week at which nothing is to change: `Fri 16:00-24:00 Europe/Berlin`."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from re import compile as pattern
from typing import Final
from zoneinfo import ZoneInfo

from servewell.core.catalog.cron import zone_fault

DAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
MINUTES: Final = 60  # of an hour
DAY_MINUTES: Final = 24 * MINUTES
SHAPELESS: Final = "it is not like `Fri 16:00-24:00 Europe/Berlin`"
WRITTEN: Final = pattern(r"(\S+) +(\d{1,2}):(\d\d)-(\d{1,2}):(\d\d)(?: +(\S+))?")


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeWindow:
    """A part of some days of the week, in local time; `until` is exclusive."""

    days: frozenset[int]  # 0 is Monday
    start: int  # minutes since midnight
    until: int
    zone: str


def read_window(text: str) -> ChangeWindow | str:
    """Return a window, or what is wrong with its text."""
    found = WRITTEN.fullmatch(text.strip())
    if found is None:
        return SHAPELESS
    written, *times, zone = found.groups()
    hour, minute, last_hour, last_minute = (int(one) for one in times)
    start, until = hour * MINUTES + minute, last_hour * MINUTES + last_minute
    days = _days(written)
    if not days:
        return f"`{written}` is no day: it is one of {', '.join(DAYS)}, some of them, or daily"
    if max(minute, last_minute) >= MINUTES or not start < until <= DAY_MINUTES:
        return "its hours do not go from one time of a day to a later one, 24:00 at most"
    if fault := zone_fault(zone or "UTC"):
        return f"`{zone}`: {fault}"
    return ChangeWindow(days=days, start=start, until=until, zone=zone or "UTC")


def window_at(windows: Iterable[str], now: float) -> str:
    """Return the first of these windows that is open at `now` (seconds since the epoch), or ''.

    What cannot be read is never open: it was refused when it was declared.
    """
    for text in windows:
        window = read_window(text)
        if isinstance(window, ChangeWindow) and _open(window, now):
            return text
    return ""


def _open(window: ChangeWindow, now: float) -> bool:
    local = datetime.fromtimestamp(now, ZoneInfo(window.zone))
    minute = local.hour * MINUTES + local.minute
    return local.weekday() in window.days and window.start <= minute < window.until


def _days(written: str) -> frozenset[int]:
    """Return the days of `Fri`, `Sat-Sun`, `Mon,Wed-Thu` or `daily`; none for anything else."""
    if written.lower() == "daily":
        return frozenset(range(len(DAYS)))
    days: set[int] = set()
    for part in written.split(","):
        first, _, last = part.partition("-")
        names = [one.capitalize() for one in (first, last or first)]
        if any(one not in DAYS for one in names):
            return frozenset()
        low, high = (DAYS.index(one) for one in names)
        days |= {day % len(DAYS) for day in range(low, high + 1 + len(DAYS) * (high < low))}
    return frozenset(days)
