"""The contract of `SideProcesses`."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from journeys.house import eventually, stop_everything
from servewell.adapters.embedded.side_processes import LOGS_KEPT, LocalSideProcesses
from servewell.ports.side_processes import ProcessNotStartedError, SideProcesses


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    """Give a folder for a home, and leave nothing of it running."""
    yield tmp_path / "home"
    stop_everything(tmp_path / "home")


@pytest.fixture(params=[pytest.param(LocalSideProcesses, id="local")])
def processes(request: pytest.FixtureRequest, home: Path) -> SideProcesses:
    """Each adapter in turn."""
    made: SideProcesses = request.param(home)
    return made


def test_a_process_is_found_by_its_name_and_ended(processes: SideProcesses, home: Path) -> None:
    """By whoever looks, in a session of its own; another name is another process."""
    assert processes.age_s("control") is None
    pid = processes.start("control", words=("whatever",))
    assert os.getsid(pid) == pid
    assert processes.find("control") == pid
    assert LocalSideProcesses(home).find("control") == pid
    age_s = processes.age_s("control")
    assert age_s is not None
    assert 0 <= age_s < 60
    assert str(home) in processes.place
    assert processes.find("control", "7") is None
    processes.end("control")
    eventually(lambda: processes.find("control") is None, within_s=10)
    processes.end("control")  # once more is no fault


def test_a_process_that_ends_leaves_its_words(processes: SideProcesses) -> None:
    """In a log of its own; old logs go."""
    for number in range(LOGS_KEPT + 5):
        log = processes.log("retraining", str(number))
        log.parent.mkdir(parents=True, exist_ok=True)
        log.touch()
    processes.start("retraining", "999", words=("1",))  # there is no such retraining
    eventually(lambda: processes.find("retraining", "999") is None, within_s=20)
    log = processes.log("retraining", "999")
    assert "SW-251" in log.read_text()
    assert "SW-251" in processes.last_words("retraining", "999")
    assert len(list(log.parent.glob("retraining-*.log"))) == LOGS_KEPT


def test_a_process_that_cannot_be_started_is_told(tmp_path: Path) -> None:
    """Where a file stands in the place of the home."""
    (tmp_path / "file").touch()
    with pytest.raises(ProcessNotStartedError, match="retraining 1"):
        LocalSideProcesses(tmp_path / "file").start("retraining", "1")
