"""The control process goes on, whatever one of its duties meets."""

import fcntl
import os
import resource
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from threading import Event, Thread
from typing import cast

import pytest

from flows.rollout_world import ByHand, HandClock
from servewell.adapters.embedded.background import NICENESS
from servewell.adapters.embedded.processes import command_line
from servewell.adapters.embedded.type_building import build_types
from servewell.core.catalog.known_workload import KnownWorkload
from servewell.core.catalog.workload import Artifact, Workload
from servewell.flows.control import run_control
from servewell.flows.duties import when_changed
from servewell.flows.monitoring.troubles import Troubles
from servewell.flows.platform import Platform
from servewell.ports.errands import Errand, Report


@contextmanager
def controlled(platform: Platform) -> Iterator[None]:
    """Run what the control process runs, until the block ends."""
    build_types()
    stop = Event()
    thread = Thread(target=run_control, args=(platform,), kwargs={"stopping": stop.is_set})
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def answered(platform: Platform, name: str) -> Report:
    """Give an errand, and return what came of it."""
    until = platform.clock.now() + 60
    errand = Errand(id=name, endpoint="none", loaded=True, principal="me", until=until)
    platform.errands.give(errand)
    found: list[Report] = []

    def reported() -> bool:
        report = platform.errands.report(name)
        found.extend([report] if report else [])
        return bool(found)

    wait(reported)
    return found[0]


def wait(what: Callable[[], bool]) -> None:
    """Return once something holds."""
    end = time.monotonic() + 10
    while not what():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_an_errand_waits_for_no_compaction(platform: Platform, tmp_path: Path) -> None:
    """While another process keeps the prediction log from being compacted, errands are done."""
    lock = tmp_path / "home" / "records" / "compaction.lock"
    lock.parent.mkdir(parents=True)
    with lock.open("wb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with controlled(platform):
            try:
                assert all("none" in answered(platform, name).fault for name in ("1", "2"))
                inode = f":{os.fstat(held.fileno()).st_ino} "
                waiting = Path("/proc/locks").read_text().splitlines()
                assert any("->" in line and inode in line for line in waiting)
            finally:
                fcntl.flock(held, fcntl.LOCK_UN)


def test_control_outlives_what_the_machine_refuses(
    platform: Platform, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where no more files can be opened it says so, and goes on when they can be again."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    said: list[str] = []

    def told() -> bool:
        said.append(capsys.readouterr().err)
        return "run_errands: OSError: [Errno 24]" in "".join(said)

    with controlled(platform):
        answered(platform, "1")
        resource.setrlimit(resource.RLIMIT_NOFILE, (0, before[1]))
        try:
            wait(told)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, before)
        assert "none" in answered(platform, "2").fault


def test_a_fault_that_nobody_foresaw_ends_nothing(
    platform: Platform, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A row that cannot be read fails the duties that read it: each says so once, others go on."""
    rain = Workload(workload="rain", artifact=Artifact(path="m.onnx"))
    platform.workloads.save(
        KnownWorkload(
            name="rain",
            folder=".",
            digest="",
            workload=rain,
            at=0.0,
            principal="me",
            scheduled_from=0.0,
        )
    )
    with closing(sqlite3.connect(tmp_path / "home" / "servewell.db")) as database:
        database.execute("UPDATE workload SET at = 'yesterday'")
        database.commit()
    said: list[str] = []

    def told() -> bool:
        said.append(capsys.readouterr().err)
        return "watch: " in "".join(said)

    with controlled(platform):
        wait(told)
        assert "none" in answered(platform, "1").fault
    assert "".join(said).count("retrain_due: ") == 1


def test_what_threads_read_at_once_is_learned_before(tmp_path: Path) -> None:
    """Else msgspec, of which two threads make the first use of a type, ends the process."""
    program = (
        "import sys, threading, msgspec;"
        "from servewell.adapters.embedded.type_building import build_types; build_types();"
        "sys.setswitchinterval(1e-5);"
        "from servewell.core.catalog.known_workload import KnownWorkload as kind;"
        "row = {'name': 'a', 'folder': '.', 'digest': '', 'at': 0.0, 'principal': 'p',"
        " 'workload': {'workload': 'a', 'artifact': {'path': 'x'}}, 'scheduled_from': 0.0};"
        "threads = [threading.Thread(target=msgspec.convert, args=(row, kind)) for _ in range(6)];"
        "[one.start() for one in threads]; [one.join() for one in threads]"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, check=False)
    assert done.returncode == 0


def test_a_duty_that_fails_is_said_once_and_is_a_signal_while_it_does(
    platform: Platform, capsys: pytest.CaptureFixture[str]
) -> None:
    """Again after ten minutes or when it is another fault; that it works again is said too."""
    troubles = Troubles()
    for after_s, words in ((0, "a"), (10, "a"), (599, "a"), (600, "a"), (610, "b")):
        troubles.failed("compact", ZeroDivisionError(words), now=1e9 + after_s)
        found = troubles.signals(platform, now=1e9)
        assert [one.subject for one in found] == ["duty compact"] * (after_s > 0)
    assert found[0].since == 1e9
    troubles.done("compact")
    troubles.done("compact")
    assert troubles.signals(platform, now=1e9) == ()
    assert capsys.readouterr().err.splitlines() == [
        *["compact: ZeroDivisionError: a"] * 2,
        "compact: ZeroDivisionError: b",
        "compact: it works again",
    ]


def test_a_duty_waits_until_what_it_looks_at_changes(platform: Platform) -> None:
    """It is done at once, then after a change, and once a minute; one that failed, again."""
    done: list[float] = []
    home = ByHand(platform, HandClock(at=1e9))
    seen = {"token": 1, "fails": 0}

    def duty(of: Platform) -> None:
        done.append(of.clock.now() - 1e9)
        if seen["fails"]:
            raise ZeroDivisionError

    gated = when_changed(duty, lambda _: seen["token"])
    for at, token, fails in (
        (0, 1, 0),
        (1, 1, 0),
        (2, 2, 0),
        (3, 3, 1),
        (4, 3, 0),
        (63, 3, 0),
        (64, 3, 0),
    ):
        home.clock.at, seen["token"], seen["fails"] = 1e9 + at, token, fails
        with suppress(ZeroDivisionError):
            gated(cast("Platform", home))
    assert done == [0, 2, 3, 4, 64]


def test_a_duty_of_which_there_is_more_waits_for_no_change(platform: Platform) -> None:
    """As a rollout under way, which depends on the clock and the traffic."""
    left = [True, True, False, False]
    gated = when_changed(lambda _: left.pop(0), lambda _: "the same")
    for _ in range(5):
        gated(platform)
    assert left == [False]


def test_only_what_nobody_waits_for_lets_others_go_first(tmp_path: Path) -> None:
    """The control process compacts in what time the workers leave; its other duties are as ever."""
    command = command_line("control", tmp_path / "home")
    with subprocess.Popen(command, start_new_session=True) as control:

        def by_thread() -> dict[int, int]:
            threads = [int(one.name) for one in Path(f"/proc/{control.pid}/task").iterdir()]
            return {one: os.getpriority(os.PRIO_PROCESS, one) for one in threads}

        try:
            wait(lambda: NICENESS in by_thread().values())
            assert by_thread()[control.pid] == 0
        finally:
            control.send_signal(signal.SIGTERM)
        assert control.wait() == 0
