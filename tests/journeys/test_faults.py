"""What breaks, and what goes on all the same."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from http import HTTPStatus

import pytest

from journeys.house import House, Load, eventually, kill

pytestmark = pytest.mark.enable_socket


def test_a_killed_worker_is_back_while_the_other_serves(ready_house: House) -> None:
    """A new worker serves within two seconds, and meanwhile every new connection is answered."""
    key = ready_house.up()["key"]
    before = ready_house.pids()
    kill(before["worker-0"])
    killed = time.monotonic()
    while time.monotonic() - killed < 2.0:
        assert ready_house.ask(key)[0] == HTTPStatus.OK
    after = ready_house.pids()
    assert after["worker-0"] != before["worker-0"]
    assert after["worker-1"] == before["worker-1"]
    workers = {one["worker"]: one for one in ready_house.json("status")["workers"]}
    assert workers[0]["ready"]


def test_workers_serve_with_everything_else_dead(ready_house: House) -> None:
    """Without supervisor, control process and database, requests are answered and recorded."""
    key = ready_house.up()["key"]
    pids = ready_house.pids()
    kill(pids["supervisor"])
    kill(pids["control"])
    (ready_house.home / "servewell.db").rename(ready_house.home / "gone")
    assert all(ready_house.ask(key)[0] == HTTPStatus.OK for _ in range(20))
    (ready_house.home / "gone").rename(ready_house.home / "servewell.db")
    assert len(ready_house.look("records", "small", "--limit", "100")) >= 20


def test_up_repairs_a_dead_supervisor_without_a_gap(ready_house: House) -> None:
    """New workers take over from those that outlived their supervisor; no request fails."""
    key = ready_house.up()["key"]
    before = ready_house.pids()
    kill(before["supervisor"])
    with Load(house=ready_house, key=key) as load:
        load.wait_answers(20)
        ready_house.up()
        load.wait_answers(20)
        eventually(lambda: not _alive(before["worker-0"]), within_s=30)
        eventually(lambda: not _alive(before["worker-1"]), within_s=30)
        eventually(lambda: not _alive(before["control"]), within_s=30)
        load.wait_answers(20)
    assert load.refused == []
    # A drained connection may be closed between two requests; the caller opens another.
    assert len(load.broken) <= load.callers
    after = ready_house.pids()
    assert set(after) >= {"supervisor", "control"}
    assert set(after.values()).isdisjoint(before.values())


def test_a_rollback_needs_no_control_process_and_drops_nothing(ready_house: House) -> None:
    """Under load, with the control process dead, it takes effect in under a second."""
    key = ready_house.up()["key"]
    ready_house.up_second()
    pids = ready_house.pids()
    kill(pids["supervisor"])
    kill(pids["control"])
    with Load(house=ready_house, key=key) as load:
        load.wait_answers(20)
        ready_house.run("rollback", "small")
        acknowledged = len(load.answers)
        load.wait_answers(50)
    late = load.answers[acknowledged + load.callers :]
    assert {answer["model_version"] for answer in late} == {"1"}
    assert load.refused == []
    assert load.broken == []


def test_no_acknowledged_request_is_lost(ready_house: House) -> None:
    """Workers are killed again and again under load: each answer's record is found, once."""
    key = ready_house.up()["key"]
    with Load(house=ready_house, key=key) as load:
        for round_ in range(6):
            load.wait_answers(50)
            kill(ready_house.pids()[f"worker-{round_ % 2}"])
        load.wait_answers(50)
    assert ready_house.look("records", "--usage")["lost"] == 0
    ready_house.run("down")
    answered = [one["parameters"]["prediction_id"] for one in load.answers]
    kept = [
        one["prediction_id"] for one in ready_house.look("records", "small", "--limit", "1000000")
    ]
    assert len(answered) > 300
    assert len(set(answered)) == len(answered)
    assert len(set(kept)) == len(kept)
    assert set(answered) <= set(kept)
    usage = ready_house.look("records", "--usage")
    assert usage["missing"] == 0
    assert usage["damaged_bytes"] == 0


def test_the_control_process_is_started_again(ready_house: House) -> None:
    """Its death stops change for a moment only."""
    ready_house.up()
    before = ready_house.pids()["control"]
    kill(before)
    eventually(lambda: ready_house.pids().get("control", before) != before, within_s=10)


def test_a_port_in_use_is_a_clear_error(ready_house: House) -> None:
    """Nothing is started beside another program, and the next step is said."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", ready_house.port))
        taken.listen()
        failed = ready_house.run("up", str(ready_house.folder), "--detach", check=False)
    assert failed.returncode == 7
    assert "SW-503" in failed.stderr
    assert f"Port {ready_house.port}" in failed.stderr
    assert ready_house.pids() == {}
    repaired = ready_house.up()
    assert repaired["answer"]["deployment"] == "v1"
    assert ready_house.ask(repaired["key"])[0] == HTTPStatus.OK


def test_two_homes_do_not_share_a_port(ready_house: House) -> None:
    """A second home is refused, although the kernel would let its workers join."""
    ready_house.up()
    other = House(
        home=ready_house.home.with_name("other"), folder=ready_house.folder, port=ready_house.port
    )
    failed = other.run("up", str(other.folder), "--detach", check=False)
    assert failed.returncode == 7
    assert "SW-503" in failed.stderr


def test_a_corrupt_snapshot_stops_no_worker(ready_house: House) -> None:
    """Running workers keep what they serve, new ones take the snapshot before, `up` repairs."""
    key = ready_house.up()["key"]
    ready_house.run("keys", "create", "somebody")  # so that the snapshot before knows the first key
    current = ready_house.home / "snapshot" / "current"
    data = bytearray(current.read_bytes())
    data[-10] ^= 0xFF
    current.write_bytes(data)
    kill(ready_house.pids()["worker-0"])
    eventually(lambda: len(ready_house.pids()) == 4, within_s=10)
    assert all(ready_house.ask(key)[0] == HTTPStatus.OK for _ in range(20))
    doctor = ready_house.run("doctor", check=False)
    assert "SW-507" in doctor.stdout + doctor.stderr
    ready_house.up()
    assert ready_house.run("doctor").returncode == 0


def test_a_corrupt_database_is_named_and_serving_goes_on(ready_house: House) -> None:
    """Change is refused with the cause; workers and the log do not care."""
    key = ready_house.up()["key"]
    for file in ready_house.home.glob("servewell.db*"):
        file.write_bytes(b"this is no database" * 100)
    failed = ready_house.run("rollback", "small", check=False)
    assert failed.returncode == 7
    assert "SW-502" in failed.stderr
    assert "Traceback" not in failed.stderr
    assert ready_house.ask(key)[0] == HTTPStatus.OK


def test_a_corrupt_segment_hides_no_other_record(ready_house: House) -> None:
    """What can be read is read, what cannot is set aside and told."""
    key = ready_house.up()["key"]
    first = ready_house.ask(key)[1]["parameters"]["prediction_id"]
    ready_house.run("down")
    broken = ready_house.home / "records" / "live" / "w9-1-1.segment"
    broken.write_bytes(b"\x10\x00\x00\x00rubbish that is no frame at all")
    second = ready_house.up()
    eventually(lambda: not broken.exists(), within_s=20)
    kept = {one["prediction_id"] for one in ready_house.look("records", "small")}
    assert {first, second["answer"]["prediction_id"]} <= kept
    assert list((ready_house.home / "records" / "quarantine").iterdir())


def test_an_unwritable_home_is_a_clear_error(ready_house: House) -> None:
    """A file where the folder should be, and a path below it, are named."""
    ready_house.home.parent.joinpath("home").write_text("a file")
    failed = ready_house.run("up", str(ready_house.folder), "--detach", check=False)
    assert failed.returncode == 7
    assert "a file stands where a folder must be" in failed.stderr
    assert "Traceback" not in failed.stderr


def test_a_full_disk_is_a_clear_error_and_serving_goes_on(ready_house: House) -> None:
    """A process that may write no more says so; what serves keeps serving."""
    key = ready_house.up()["key"]
    limited = (
        "import resource, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000));"
        "from servewell.wiring import main; sys.argv[0] = 'servewell'; main()"
    )
    words = ["up", str(ready_house.folder), "--detach", "--set", ready_house.second]
    failed = subprocess.run(
        [sys.executable, "-c", limited, *words, "--home", str(ready_house.home)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        # What measures the tests' coverage cannot write either, and says so in its own way.
        env={name: value for name, value in os.environ.items() if "COVERAGE" not in name},
    )
    assert failed.returncode == 7, failed.stderr
    assert "Traceback" not in failed.stderr
    assert ready_house.ask(key)[1]["model_version"] == "1"


def test_kill_in_the_middle_of_a_rollback_keeps_traffic_whole(ready_house: House) -> None:
    """However far it came, traffic is the old or the new, and a repeated command settles it."""
    key = ready_house.up()["key"]
    ready_house.up_second()
    for delay_s in (0.1, 0.2, 0.3, 0.4, 0.5, 0.6):
        process = ready_house.start("traffic", "small", "v1=30%", "v2=70%")
        time.sleep(delay_s)
        kill(process.pid)
        process.wait()
        assert ready_house.ask(key)[0] == HTTPStatus.OK
        shares = [
            one["share_bp"] for one in ready_house.look("endpoints", "show", "small")["deployments"]
        ]
        assert sum(shares) == 10_000
        process = ready_house.start("traffic", "small", "v2=100%")
        process.wait()
    ready_house.run("rollback", "small", "--to", "v1")
    assert ready_house.ask(key)[1]["model_version"] == "1"


def test_a_frozen_control_process_is_no_obstacle(ready_house: House) -> None:
    """A control process that hangs keeps nobody from changing traffic."""
    key = ready_house.up()["key"]
    ready_house.up_second()
    control = ready_house.pids()["control"]
    os.kill(control, signal.SIGSTOP)
    try:
        assert json.loads(ready_house.run("rollback", "small", "--json").stdout)["behind"] == []
        assert ready_house.ask(key)[1]["model_version"] == "1"
    finally:
        os.kill(control, signal.SIGCONT)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
