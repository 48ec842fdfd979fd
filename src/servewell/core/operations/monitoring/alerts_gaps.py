"""Times in which nobody looked: they count for no condition, and what is found is told at once."""

from dataclasses import replace
from typing import Final

from servewell.core.catalog.alert import OPEN, Alert, Look
from servewell.core.operations.monitoring.alerts_moves import HOLD_S
from servewell.core.operations.monitoring.alerts_notices import WAIT_S

GAP_S: Final = 300.0  # without a look: what was not seen meanwhile says nothing
SETTLES_S: Final = 60.0  # after such a gap, in which what came of it is gathered
# After such a gap, in which what it set off may have held for its time, and waited for others.
FOLLOWS_S: Final = max(HOLD_S.values()) + 2 * max(WAIT_S.values())


def missed_s(look: Look, now: float, gap_s: float) -> float:
    """Return for how long nobody looked, or by how much the clock was set back; else 0."""
    passed = now - look.at
    return passed if look.at and not 0 <= passed <= gap_s else 0.0


def uncounted_s(look: Look, missed: float, gap_s: float) -> float:
    """Return how much of the time in which nobody looked counts for no condition.

    All of it; but where one such time follows the other, looks are that slow: then `gap_s` of each
    count, or no condition would ever hold for its time.
    """
    slow = look.missed_from is not None and look.summed_until - look.at > FOLLOWS_S - 1
    return missed - gap_s if slow and missed > 0 else missed


def looked(look: Look, now: float, missed: float) -> Look:
    """Return this look, `missed` seconds in which nobody looked after the last one."""
    if missed <= 0:  # the clock may have been set back by so much
        settles_at, until = look.settles_at + missed, look.summed_until + missed
        return replace(look, at=now, settles_at=settles_at, summed_until=until)
    after = replace(look, at=now, summed_until=now + FOLLOWS_S)
    if look.missed_from is not None:  # it settles when it was to: what came of it must be told
        return after
    return replace(after, missed_from=look.at, settles_at=now + SETTLES_S)


def shifted(alert: Alert, uncounted: float) -> Alert:
    """Return an alert as if so many seconds had not been."""
    if not uncounted or alert.state not in OPEN:
        return alert
    return replace(
        alert,
        seen_at=alert.seen_at + uncounted,
        gone_at=alert.gone_at and alert.gone_at + uncounted,
        escalate_at=alert.escalate_at and alert.escalate_at + uncounted,
        tell_at=alert.tell_at and alert.tell_at + uncounted,
        eased_at=alert.eased_at and alert.eased_at + uncounted,
    )
