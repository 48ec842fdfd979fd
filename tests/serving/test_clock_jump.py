"""A clock that is set forwards or back by hours: what a worker promises still holds."""

from pathlib import Path

import pytest

from servewell.core.reliability.quarantine import DEATHS_MAX
from servewell.serving.counters import Counters
from servewell.serving.crash_notes import CrashNotes
from servewell.serving.metrics import CONNECTIONS, heartbeat_series
from servewell.serving.siblings import Siblings
from serving.test_crash_notes import PACKAGE, died
from serving.test_recording import Entry, SetClock, names, recorder, segments

HOURS = 3_600.0
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
