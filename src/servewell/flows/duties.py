"""Do duties again and again, one after the other, until told to stop."""

from collections.abc import Callable, Mapping
from functools import wraps
from typing import Final

from servewell.flows.monitoring.troubles import Troubles
from servewell.flows.platform import Platform

WAIT_MIN_S: Final = 0.2  # what is due within it is done together
WAIT_MAX_S: Final = 1.0  # the clock may be set
UNCHANGED_MAX_S: Final = 60.0
UNSEEN: Final = object()  # differs from every token

Duty = Callable[[Platform], bool | None]  # True where there is more of it to do
Duties = Mapping[Duty, float]  # and the seconds from one time to the next


def repeat(
    duties: Duties,
    platform: Platform,
    *,
    stopping: Callable[[], bool],
    wait: Callable[[float], object],
    troubles: Troubles,
) -> None:
    """Do each duty when it is due; one that fails is noted, and done again when it is due again.

    `wait` returns after so many seconds, or where it is to stop.
    """
    due = dict.fromkeys(duties, 0.0)
    while not stopping():
        now = platform.clock.now()
        for duty, every_s in duties.items():
            if stopping():
                return
            if not 0 < due[duty] - now <= every_s:  # due, or the clock was set back
                _attempt(duty, platform, troubles)
                due[duty] = now + every_s
        left_s = min(due.values()) - platform.clock.now()
        wait(min(max(left_s, WAIT_MIN_S), WAIT_MAX_S))


def when_changed(
    duty: Duty,
    token: Callable[[Platform], object],
    *,
    at_least_s: float = UNCHANGED_MAX_S,
) -> Duty:
    """Return a duty that is done only where what it looks at has changed since it was done last.

    The token is taken before, so what changes meanwhile is seen the next time. It is done anyway
    where there was more of it to do, and `at_least_s` after the last time: it may depend on the
    clock, and another process may have begun the same and died over it.
    """
    done: object = UNSEEN
    at = 0.0

    @wraps(duty)
    def where_changed(platform: Platform) -> None:
        nonlocal done, at
        found, now = token(platform), platform.clock.now()
        if found != done or not 0 <= now - at < at_least_s:
            more = duty(platform)
            done, at = UNSEEN if more else found, now

    return where_changed


def _attempt(duty: Duty, platform: Platform, troubles: Troubles) -> None:
    name = duty.__name__.strip("_")
    try:
        duty(platform)
    except Exception as error:  # noqa: BLE001 - the fault of one duty ends no other
        troubles.failed(name, error, now=platform.clock.now())
    else:
        troubles.done(name)
