"""Times by a cron expression in a time zone.

What `cronsim` does at a change to and from summer time is what Debian's cron does, each moment
once: a time that is left out counts at the moment of the change, and one that comes twice the
first time. A rule with a star for its minutes or hours goes by the time that really passes.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError

ANY_DAY: Final = datetime(2024, 1, 1, tzinfo=UTC)  # from which an expression is tried


def moments(expression: str, zone: str, *, after: float) -> Iterator[float]:
    """Yield the times that an expression means, rising, in seconds since the epoch, UTC.

    Raises: CronSimError, ZoneInfoNotFoundError; neither for what `cron_fault` and `zone_fault`
    have nothing against.
    """
    last = after
    # Within the hour that comes twice, the next one may be a moment of the hour's first time.
    for found in CronSim(expression, datetime.fromtimestamp(after, ZoneInfo(zone))):
        moment = found.timestamp()
        if moment > last:
            last = moment
            yield moment


def cron_fault(expression: str) -> str:
    """Return what is wrong with an expression; empty where nothing is."""
    try:
        next(CronSim(expression, ANY_DAY))
    except CronSimError as error:
        return str(error)
    except StopIteration:
        return "a time that never comes"
    return ""


def zone_fault(zone: str) -> str:
    """Return what is wrong with the name of a time zone; empty where nothing is."""
    try:
        ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return "no time zone of that name"
    return ""
