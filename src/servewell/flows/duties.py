"""Do duties again and again, one after the other, until told to stop."""

from collections.abc import Callable, Mapping
from functools import wraps
from typing import Final

from servewell.flows.monitoring.troubles import Troubles
from servewell.flows.platform import Platform

TICK_S: Final = 0.2  # a caller of a worker may wait for an errand
UNCHANGED_MAX_S: Final = 60.0
UNSEEN: Final = object()  # differs from every token

Duty = Callable[[Platform], None]
Duties = Mapping[Duty, float]  # and the seconds from one time to the next


def repeat(
    duties: Duties, platform: Platform, *, stopping: Callable[[], bool], troubles: Troubles
) -> None:
    """Do each duty when it is due; one that fails is noted, and done again when it is due again."""
    due = dict.fromkeys(duties, 0.0)
    while not stopping():
        now = platform.clock.now()
        for duty, every_s in duties.items():
            if stopping():
                return
            if not 0 < due[duty] - now <= every_s:  # due, or the clock was set back
                _attempt(duty, platform, troubles)
                due[duty] = now + every_s
        platform.clock.sleep(TICK_S)


def when_changed(duty: Duty, token: Callable[[Platform], object]) -> Duty:
    """Return a duty that is done only where what it looks at has changed since it was done last.

    The token is taken before, so what changes meanwhile is seen the next time. In any case it is
    done once a minute: another process may have begun the same and died over it.
    """
    done: object = UNSEEN
    at = 0.0

    @wraps(duty)
    def where_changed(platform: Platform) -> None:
        nonlocal done, at
        found, now = token(platform), platform.clock.now()
        if found != done or not 0 <= now - at < UNCHANGED_MAX_S:
            duty(platform)
            done, at = found, now

    return where_changed


def _attempt(duty: Duty, platform: Platform, troubles: Troubles) -> None:
    name = duty.__name__.strip("_")
    try:
        duty(platform)
    except Exception as error:  # noqa: BLE001 - the fault of one duty ends no other
        troubles.failed(name, error, now=platform.clock.now())
    else:
        troubles.done(name)
