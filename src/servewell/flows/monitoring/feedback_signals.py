"""What ratings say to those who watch."""

from servewell.core.catalog.signal import Signal
from servewell.core.operations.monitoring.feedback_signals import (
    HOUR_S,
    first_looked_at,
    less_liked,
)
from servewell.flows.platform import Platform


def feedback_signals(platform: Platform, *, now: float) -> tuple[Signal, ...]:
    """Return the endpoints whose answers are clearly less liked than they were.

    Raises: StateUnavailableError.
    """
    asked = [one.name for one in platform.endpoints.list() if one.policy.feedback is not None]
    since = first_looked_at(now)
    found = [
        less_liked(name, platform.feedback.counts(name, since=since, window_s=HOUR_S), now=now)
        for name in asked
    ]
    return tuple(one for one in found if one is not None)
