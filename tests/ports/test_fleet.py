"""The contract of `Fleet`, with real processes."""

import os
import signal
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from servewell.adapters.embedded.clock import SystemClock
from servewell.adapters.embedded.fleet import ProcessFleet
from servewell.adapters.embedded.processes import is_ours
from servewell.ports.fleet import Fleet, FleetPlan, PortTakenError
from servewell.ports.storage import StorageError

pytestmark = pytest.mark.enable_socket


@pytest.fixture
def plan() -> FleetPlan:
    """Return a plan with one worker on a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    return FleetPlan(
        host="127.0.0.1",
        port=port,
        workers=1,
        drain_s=1.0,
        retention_days=1,
        record_bytes_max=1 << 30,
    )


@pytest.fixture(params=["embedded"])
def fleet(tmp_path: Path) -> Iterator[Fleet]:
    """Each adapter in turn; whatever still runs after the test is stopped."""
    made = ProcessFleet(tmp_path / "home", clock=SystemClock())
    yield made
    made.stop(20.0)


def wait(what: Callable[[], bool]) -> None:
    """Return once something holds."""
    end = time.monotonic() + 20
    while not what():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_one_supervisor_at_most(fleet: Fleet, plan: FleetPlan) -> None:
    """A second start finds the first, with its plan and its workers."""
    first = fleet.start(plan)
    assert first.plan == plan
    assert len(first.workers) == 1
    assert fleet.start(plan).supervisor == first.supervisor


def test_stop_ends_everything(fleet: Fleet, plan: FleetPlan) -> None:
    """No process is left, and stopping again finds nothing."""
    started = fleet.start(plan)
    assert fleet.stop(20.0)
    state = fleet.state()
    assert (state.supervisor, state.control, state.workers) == (None, None, {})
    pids = [started.supervisor, *started.workers.values()]
    assert not any(Path(f"/proc/{pid}").exists() for pid in pids)
    assert not fleet.stop(20.0)


def test_a_dead_worker_is_replaced(fleet: Fleet, plan: FleetPlan) -> None:
    """Another process takes its index."""
    pid = fleet.start(plan).workers[0]
    os.kill(pid, signal.SIGKILL)
    wait(lambda: fleet.state().workers.get(0, pid) != pid)


def test_a_dead_supervisor_is_replaced(fleet: Fleet, plan: FleetPlan) -> None:
    """Its workers live on, are found, and go once others are there."""
    before = fleet.start(plan)
    assert before.supervisor is not None
    os.kill(before.supervisor, signal.SIGKILL)
    wait(lambda: fleet.state().supervisor is None)
    assert fleet.state().workers == before.workers
    after = fleet.start(plan)
    assert after.supervisor not in (None, before.supervisor)
    assert set(after.workers.values()) > set(before.workers.values())
    wait(lambda: not Path(f"/proc/{before.control}").exists())
    wait(lambda: fleet.state().control not in (None, before.control))


def test_a_taken_port_is_refused(fleet: Fleet, plan: FleetPlan) -> None:
    """Nothing is started, and the error names the port."""
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        other.bind((plan.host, plan.port))
        other.listen()
        with pytest.raises(PortTakenError, match=str(plan.port)):
            fleet.start(plan)
    assert fleet.state().workers == {}


def test_an_unwritable_home_is_refused(tmp_path: Path, plan: FleetPlan) -> None:
    """The disk's fault is told as one."""
    (tmp_path / "home").write_text("a file")
    with pytest.raises(StorageError):
        ProcessFleet(tmp_path / "home", clock=SystemClock()).start(plan)


def test_a_stranger_is_not_ours(tmp_path: Path) -> None:
    """A process that got the number of one of ours is left alone."""
    assert not is_ours(os.getpid(), "worker", tmp_path)
    assert not is_ours(2**22 + 1, "worker", tmp_path)
