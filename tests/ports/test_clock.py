"""The contract of `Clock`."""

import time

import pytest

from servewell.adapters.embedded.clock import SystemClock
from servewell.ports.clock import Clock


@pytest.fixture(params=[pytest.param(SystemClock, id="embedded")])
def clock(request: pytest.FixtureRequest) -> Clock:
    """Each adapter in turn."""
    made: Clock = request.param()
    return made


def test_tells_the_seconds_since_the_epoch(clock: Clock) -> None:
    """The time is UTC in seconds, whatever the time zone of the machine."""
    before = time.clock_gettime(time.CLOCK_REALTIME)
    told = clock.now()
    after = time.clock_gettime(time.CLOCK_REALTIME)
    assert before <= told <= after


def test_waits_at_least_as_long_as_it_is_told(clock: Clock) -> None:
    """A wait is never cut short."""
    start = time.monotonic()
    clock.sleep(0.01)
    assert time.monotonic() - start >= 0.01
