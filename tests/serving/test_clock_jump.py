"""A clock that is set forwards or back by hours: what a worker promises still holds."""

import time
from dataclasses import replace
from http.client import HTTPConnection
from pathlib import Path

import pytest

from servewell.core.catalog.key import Grant
from servewell.core.catalog.limits import Limits
from servewell.core.reliability.quarantine import DEATHS_MAX
from servewell.serving.counters import Counters
from servewell.serving.crash_notes import CrashNotes
from servewell.serving.metrics import CONNECTIONS, heartbeat_series
from servewell.serving.siblings import Siblings
from serving.home import Home, Reply, flight_model, request
from serving.real_worker import ask
from serving.stepped_worker import SteppedClock, stepped_worker
from serving.test_crash_notes import PACKAGE, died
from serving.test_recording import Entry, SetClock, names, recorder, segments
from serving.under_load import Callers

HOURS = 3_600.0
DAY = 24 * HOURS
QUOTA = 30
JUMPS = [6 * HOURS, -6 * HOURS]


@pytest.mark.parametrize("jump_s", JUMPS)
def test_a_failure_to_write_is_over_when_the_disk_is_well(tmp_path: Path, jump_s: float) -> None:
    """Records are not lost until the clock has caught up with the time of the last failure."""
    clock = SetClock(100 * HOURS)
    blocked = tmp_path / "live"
    blocked.write_text("a file where the folder should be")
    written = recorder(blocked, clock)
    assert not written.commit([Entry(name="a")])
    blocked.unlink()
    clock.at += jump_s
    assert written.commit([Entry(name="b")])
    written.close()
    assert [names(path) for path in segments(blocked)] == [["b"]]


@pytest.mark.parametrize("jump_s", JUMPS)
def test_a_segment_ends_in_its_time(tmp_path: Path, jump_s: float) -> None:
    """A segment is not kept open for hours because the clock says that it is young."""
    clock = SetClock(100 * HOURS)
    written = recorder(tmp_path, clock)
    written.commit([Entry(name="a")])
    clock.at += jump_s
    written.commit([Entry(name="b")])
    written.close()
    assert sorted(names(path) for path in segments(tmp_path)) == [["a"], ["b"]]


def test_a_worker_that_is_gone_is_not_waited_for(tmp_path: Path) -> None:
    """Nobody yields callers to one whose last sign of life lies hours ahead."""
    other = Counters(tmp_path / "counters-1")
    other.values[other.slot(CONNECTIONS)] = 5
    other.values[other.slot(heartbeat_series("1"))] = int(100 * HOURS)
    siblings = Siblings(tmp_path, own=tmp_path / "counters-0")
    assert siblings.fewest(100 * HOURS) == 5
    assert siblings.fewest(94 * HOURS) is None
    assert siblings.fewest(106 * HOURS) is None


@pytest.mark.parametrize("jump_s", JUMPS)
def test_deaths_before_a_jump_put_nothing_in_quarantine(tmp_path: Path, jump_s: float) -> None:
    """What died hours before or after is not of the same minute, whatever the clock was."""
    for _ in range(DEATHS_MAX - 1):
        died(tmp_path, PACKAGE, now=100 * HOURS)
    died(tmp_path, PACKAGE, now=100 * HOURS + jump_s)
    assert CrashNotes(tmp_path, 0, now=100 * HOURS + jump_s).blamed == {}


def asks(home: Home, key: str) -> Reply:
    """Send one request."""
    return home.send("POST", "/v2/models/flights/infer", key=key, body=request())


@pytest.mark.enable_socket
def test_a_worker_under_load_when_the_clock_is_set(home: Home) -> None:
    """Nobody is refused, no record lost; rates, quotas and the ends of keys stay what they are."""
    clock = SteppedClock(home.folder / "clock")
    clock.step(12 * HOURS - clock.now() % DAY)  # noon
    steady, granted = home.key()
    short, expiring = home.key(expires_at=clock.now() + HOURS)
    rated, rating = _limited(home, Limits(requests_per_s=20))
    counted, counting = _limited(home, Limits(requests_per_day=QUOTA))
    home.publish(
        home.deployment("blue", flight_model(2.0)), grants=(granted, expiring, rating, counting)
    )
    let, took, spells = 0, 0, []
    with stepped_worker(home, home.folder / "clock"):
        kept, began = HTTPConnection("127.0.0.1", home.port, timeout=20), time.monotonic()
        with Callers(home=home, key=steady, headers={"servewell-timeout-ms": "5000"}) as load:
            for jump_s, status in ((0, 200), (3 * HOURS, 401), (-8 * HOURS, 200), (2 * HOURS, 200)):
                clock.step(jump_s)
                spells.append(clock.now())
                load.wait(60)
                assert asks(home, short).status == ask(kept, short).status == status
                let += sum(asks(home, rated).status == 200 for _ in range(40))
                took += sum(asks(home, counted).status == 200 for _ in range(QUOTA // 3))
            lasted = time.monotonic() - began
            refused = asks(home, counted)
            load.wait(60)
        kept.close()
    load.assert_unharmed()
    assert 20 <= let <= 20 + 20 * lasted
    assert took == QUOTA
    assert (refused.status, refused.json["code"]) == (429, "SW-321")
    assert int(refused.headers["retry-after"]) == pytest.approx(DAY - spells[-1] % DAY, abs=60)
    records = {one.prediction_id: one for one in home.records()}
    assert {one.prediction_id for one in load.right} <= records.keys()
    for one in records.values():
        assert any(0 <= one.time_ns / 1e9 - spell < 60 for spell in spells)


def _limited(home: Home, limits: Limits) -> tuple[str, Grant]:
    key, grant = home.key()
    return key, replace(grant, limits=limits)
