"""The contract of `Fleet`, with real processes."""

import math
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from servewell.adapters.embedded.clock import SystemClock
from servewell.adapters.embedded.fleet import (
    LOG_BYTES_MAX,
    FleetFiles,
    ProcessFleet,
    open_socket,
)
from servewell.adapters.embedded.processes import command_line, is_ours, processes_of
from servewell.adapters.embedded.secrets import FileSecrets
from servewell.adapters.embedded.signer import HomeSigner
from servewell.adapters.embedded.snapshots import FileSnapshots
from servewell.adapters.embedded.steering import steer_to_newest
from servewell.adapters.embedded.supervisor import Child, Supervisor
from servewell.ports.fleet import (
    Fleet,
    FleetPlan,
    NotServingError,
    PortTakenError,
    running_note,
)
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


@pytest.fixture
def supervisor(tmp_path: Path, plan: FleetPlan) -> Iterator[Supervisor]:
    """Return a supervisor without children, whose ticks the test makes."""
    home = tmp_path / "home"
    signer = HomeSigner(FileSecrets(home / "keys"))
    with socket.socket() as listener:
        yield Supervisor(
            files=FleetFiles(home),
            plan=plan,
            snapshots=FileSnapshots(home / "snapshot", reports=home / "run", signer=signer),
            listener=listener,
            orphans=(),
            started_at=1.0,
        )


def reaches(plan: FleetPlan) -> bool:
    """Whether anybody listens on the port of a plan."""
    with socket.socket() as line:
        return line.connect_ex((plan.host, plan.port)) == 0


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
    wait(lambda: not any(Path(f"/proc/{pid}").exists() for pid in pids))
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


def test_connections_are_steered_to_the_newest_listener(plan: FleetPlan) -> None:
    """Of two listeners on a port, the old one gets none any more, before it closes and after."""
    with open_socket(plan, shared=True) as old, open_socket(plan, shared=True) as new:
        new.settimeout(5)
        assert steer_to_newest(new)
        for _ in range(20):
            with socket.create_connection((plan.host, plan.port)):
                new.accept()[0].close()
        old.close()
        with socket.create_connection((plan.host, plan.port)):
            new.accept()[0].close()


def test_a_stranger_is_not_ours(tmp_path: Path) -> None:
    """A process that got the number of one of ours is left alone."""
    assert not is_ours(os.getpid(), "worker", tmp_path)
    assert not is_ours(2**22 + 1, "worker", tmp_path)


def test_processes_are_found_without_the_file(
    fleet: Fleet, plan: FleetPlan, tmp_path: Path
) -> None:
    """What a killed supervisor never wrote down is still seen, followed and stopped."""
    before = fleet.start(plan)
    assert before.supervisor is not None
    os.kill(before.supervisor, signal.SIGKILL)
    wait(lambda: fleet.state().supervisor is None)
    (tmp_path / "home" / "run" / "supervisor.json").unlink()
    assert fleet.state().workers == before.workers
    assert fleet.state().plan == plan
    after = fleet.start(plan)
    assert after.supervisor is not None
    assert set(after.workers) > set(before.workers)
    os.kill(after.supervisor, signal.SIGKILL)
    wait(lambda: fleet.state().supervisor is None)
    assert fleet.stop(20.0)
    assert processes_of(tmp_path / "home") == ()


def test_the_start_is_told_as_it_was(fleet: Fleet, plan: FleetPlan) -> None:
    """A worker that was replaced since does not change when the supervisor started."""
    started = fleet.start(plan)
    pid = started.workers[0]
    os.kill(pid, signal.SIGKILL)
    wait(lambda: fleet.state().workers.get(0, pid) != pid)
    assert fleet.state().started_at == started.started_at


def test_a_large_log_is_put_aside(fleet: Fleet, plan: FleetPlan, tmp_path: Path) -> None:
    """A process starts with an empty log, the one before is kept, and only one is listed."""
    logs = tmp_path / "home" / "logs"
    logs.mkdir(parents=True)
    for name in ("supervisor", "worker-0"):
        (logs / f"{name}.log.1").write_text("older")
        with (logs / f"{name}.log").open("wb") as log:
            log.truncate(LOG_BYTES_MAX + 1)
    fleet.start(plan)
    for name in ("supervisor", "worker-0"):
        assert (logs / f"{name}.log.1").stat().st_size == LOG_BYTES_MAX + 1
        assert (logs / f"{name}.log").stat().st_size < LOG_BYTES_MAX
    assert {path.name for path in fleet.logs()} == {"control.log", "supervisor.log", "worker-0.log"}


def test_the_number_of_workers_changes(fleet: Fleet, plan: FleetPlan) -> None:
    """More come beside those that run, and of too many the last go; a new supervisor knows it."""
    before = fleet.start(plan)
    fleet.scale(3)
    wait(lambda: set(fleet.state().workers) == {0, 1, 2})
    assert fleet.state().workers[0] == before.workers[0]
    assert fleet.state().supervisor == before.supervisor
    wait(lambda: (now := fleet.state().plan) is not None and now.workers == 3)
    fleet.scale(2)
    wait(lambda: set(fleet.state().workers) == {0, 1})
    assert before.supervisor is not None
    os.kill(before.supervisor, signal.SIGKILL)
    wait(lambda: fleet.state().supervisor is None)
    with pytest.raises(NotServingError):
        fleet.scale(1)


def test_a_lame_duck_takes_its_time(fleet: Fleet, plan: FleetPlan, tmp_path: Path) -> None:
    """The workers are there for the time of the plan, and then everything ends."""
    fleet.start(replace(plan, lame_duck_s=1.0))
    wait((tmp_path / "home" / "run" / "worker-0.json").exists)
    started = time.monotonic()
    assert fleet.stop(20.0, lame_duck=True)
    assert time.monotonic() - started > 1.0
    assert not reaches(plan)


@pytest.mark.parametrize("content", [None, b"", b"{}", b'{"host": 1}', b"\xff"])
def test_a_supervisor_without_a_plan_says_so(tmp_path: Path, content: bytes | None) -> None:
    """One line that names the file and the way out, whatever is wrong with it."""
    home = tmp_path / "home"
    (home / "run").mkdir(parents=True)
    if content is not None:
        (home / "run" / "plan.json").write_bytes(content)
    words = command_line("supervisor", home)
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "plan.json" in done.stderr
    assert "servewell up" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_supervisor_without_its_lock_says_so(tmp_path: Path) -> None:
    """A file where its folder has to be is the disk's fault, in words."""
    home = tmp_path / "home"
    home.mkdir()
    (home / "run").write_text("a file")
    words = command_line("supervisor", home)
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "SW-501" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_log_is_bounded_while_it_grows(fleet: Fleet, plan: FleetPlan, tmp_path: Path) -> None:
    """It is kept as the one before, and its writer goes on at the new beginning."""
    fleet.start(plan)
    log = tmp_path / "home" / "logs" / "supervisor.log"
    with log.open("ab") as writer:
        writer.write(b"x" * (LOG_BYTES_MAX + 1))
        wait(lambda: log.stat().st_size < LOG_BYTES_MAX)
        writer.write(b"after\n")
    assert log.with_name("supervisor.log.1").stat().st_size > LOG_BYTES_MAX
    assert log.read_bytes().count(b"after") == 1
    assert log.stat().st_size < 1_000


def test_what_the_disk_refuses_is_tried_again(
    supervisor: Supervisor, capfd: pytest.CaptureFixture[str]
) -> None:
    """The supervisor lives on without its log or its file, says so once, and then goes on."""
    files = supervisor.files
    child = Child(role="control", name="control")
    supervisor.control = child
    files.state.mkdir(parents=True)
    supervisor.tick()
    supervisor.tick()
    said = capfd.readouterr().err
    assert (said.count("control.log"), said.count("supervisor.json")) == (1, 1)
    files.state.rmdir()
    files.logs.mkdir()
    supervisor.tick()
    written = files.written()
    assert written is not None
    assert written.started_at == supervisor.started_at
    assert child.process is not None
    child.process.kill()
    child.process.wait()


def serving(supervisor: Supervisor) -> Child:
    """Plan a worker of a supervisor, and return it when it runs."""
    supervisor.listener.bind((supervisor.plan.host, supervisor.plan.port))
    supervisor.listener.listen()
    plan = msgspec.json.encode(supervisor.plan).decode()
    arguments = ("0", str(supervisor.listener.fileno()), plan)
    child = supervisor.workers[0] = Child(role="worker", name="worker-0", arguments=arguments)
    supervisor.files.logs.mkdir(parents=True)
    supervisor.files.run.mkdir(parents=True)
    supervisor.tick()
    assert child.process is not None
    return child


def test_a_worker_that_hangs_is_replaced(
    supervisor: Supervisor, capfd: pytest.CaptureFixture[str]
) -> None:
    """One that gives signs of life is left alone; one that gives no more is killed and replaced."""
    supervisor.hung_s = 3.0
    child = serving(supervisor)
    first = child.process
    assert first is not None

    def beats() -> bool:
        supervisor.tick()
        return child.beaten_at is not None

    wait(beats)
    end = time.monotonic() + supervisor.hung_s + 1
    while time.monotonic() < end:
        supervisor.tick()
        time.sleep(0.1)
    assert child.process is first
    first.send_signal(signal.SIGSTOP)

    def replaced() -> bool:
        supervisor.tick()
        return child.process not in (None, first)

    wait(replaced)
    assert f"worker-0 {first.pid} hangs" in capfd.readouterr().err
    wait(beats)
    assert child.process is not None
    child.process.kill()
    child.process.wait()


@pytest.mark.parametrize(
    ("number", "blamed"), [(signal.SIGSEGV, True), (signal.SIGABRT, True), (signal.SIGKILL, False)]
)
def test_a_killed_worker_blames_no_model(
    supervisor: Supervisor, number: signal.Signals, *, blamed: bool
) -> None:
    """The notes of what ran are kept for the next one only where it may be what ended it."""
    child = Child(role="worker", name="worker-0", arguments=("0",))
    supervisor.workers[0] = child
    supervisor.files.logs.mkdir(parents=True)
    supervisor.files.run.mkdir(parents=True)
    child.process = subprocess.Popen(["sleep", "60"])
    note = supervisor.files.run / running_note(0)
    note.write_bytes(b"what runs")
    child.process.send_signal(number)
    child.process.wait()
    supervisor.tick()
    assert child.process is not None  # the next one; it says how it is called, and ends
    child.process.kill()
    child.process.wait()
    assert note.exists() == blamed


def test_workers_are_kept_until_others_are_ready(
    fleet: Fleet, plan: FleetPlan, supervisor: Supervisor, capfd: pytest.CaptureFixture[str]
) -> None:
    """However long the new ones take, those of a dead supervisor serve; the log says why, once."""
    before = fleet.start(plan)
    assert before.supervisor is not None
    os.kill(before.supervisor, signal.SIGKILL)
    wait(lambda: fleet.state().supervisor is None)
    found = processes_of(supervisor.files.home)
    orphans = supervisor.orphans = tuple(one for one in found if one.role == "worker")
    never = Child(role="worker", name="worker-1", restart_at=math.inf)
    supervisor.workers[1] = never
    supervisor.tick()
    supervisor.tick()
    assert supervisor.orphans == orphans
    assert supervisor.relieved_at is None
    assert capfd.readouterr().err.count("worker-1 (not ready yet)") == 1
    supervisor.workers.clear()

    def have_gone() -> bool:
        supervisor.tick()
        return fleet.state().workers == {}

    wait(have_gone)
