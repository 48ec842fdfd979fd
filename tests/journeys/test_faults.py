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


def test_a_killed_worker_is_back_while_the_other_serves(house: House) -> None:
    """A new worker serves within two seconds, and meanwhile every new connection is answered."""
    key = house.up()["key"]
    before = house.pids()
    kill(before["worker-0"])
    killed = time.monotonic()
    while time.monotonic() - killed < 2.0:
        assert house.ask(key)[0] == HTTPStatus.OK
    after = house.pids()
    assert after["worker-0"] != before["worker-0"]
    assert after["worker-1"] == before["worker-1"]
    workers = {one["worker"]: one for one in house.json("status")["workers"]}
    assert workers[0]["ready"]


def test_workers_serve_with_everything_else_dead(house: House) -> None:
    """Without supervisor, control process and database, requests are answered and recorded."""
    key = house.up()["key"]
    pids = house.pids()
    kill(pids["supervisor"])
    kill(pids["control"])
    (house.home / "servewell.db").rename(house.home / "gone")
    assert all(house.ask(key)[0] == HTTPStatus.OK for _ in range(20))
    (house.home / "gone").rename(house.home / "servewell.db")
    assert len(house.json("records", "small", "--limit", "100")) >= 20


def test_up_repairs_a_dead_supervisor_without_a_gap(house: House) -> None:
    """New workers take over from those that outlived their supervisor; no request fails."""
    key = house.up()["key"]
    before = house.pids()
    kill(before["supervisor"])
    with Load(house=house, key=key) as load:
        load.wait_answers(20)
        house.up()
        load.wait_answers(20)
        eventually(lambda: not _alive(before["worker-0"]), within_s=30)
        eventually(lambda: not _alive(before["worker-1"]), within_s=30)
        load.wait_answers(20)
    assert load.refused == []
    # A drained connection may be closed between two requests; the caller opens another.
    assert len(load.broken) <= load.callers
    assert set(house.pids().values()).isdisjoint(before.values())


def test_a_rollback_needs_no_control_process_and_drops_nothing(house: House) -> None:
    """Under load, with the control process dead, it takes effect in under a second."""
    key = house.up()["key"]
    house.up("--set", "train.parameters.strength=0.5")
    pids = house.pids()
    kill(pids["supervisor"])
    kill(pids["control"])
    with Load(house=house, key=key) as load:
        load.wait_answers(20)
        house.run("rollback", "small")
        acknowledged = len(load.answers)
        load.wait_answers(50)
    late = load.answers[acknowledged + load.callers :]
    assert {answer["model_version"] for answer in late} == {"1"}
    assert load.refused == []
    assert load.broken == []


def test_no_acknowledged_request_is_lost(house: House) -> None:
    """Workers are killed again and again under load: each answer's record is found, once."""
    key = house.up()["key"]
    with Load(house=house, key=key) as load:
        for round_ in range(6):
            load.wait_answers(50)
            kill(house.pids()[f"worker-{round_ % 2}"])
        load.wait_answers(50)
    house.run("down")
    answered = [one["parameters"]["prediction_id"] for one in load.answers]
    kept = [one["prediction_id"] for one in house.json("records", "small", "--limit", "1000000")]
    assert len(answered) > 300
    assert len(set(answered)) == len(answered)
    assert len(set(kept)) == len(kept)
    assert set(answered) <= set(kept)
    usage = house.json("records", "--usage")
    assert usage["missing"] == 0
    assert usage["damaged_bytes"] == 0


def test_the_control_process_is_started_again(house: House) -> None:
    """Its death stops change for a moment only."""
    house.up()
    before = house.pids()["control"]
    kill(before)
    eventually(lambda: house.pids().get("control", before) != before, within_s=10)


def test_a_port_in_use_is_a_clear_error(house: House) -> None:
    """Nothing is started beside another program, and the next step is said."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", house.port))
        taken.listen()
        failed = house.run("up", str(house.folder), "--detach", check=False)
    assert failed.returncode == 7
    assert "SW-503" in failed.stderr
    assert f"Port {house.port}" in failed.stderr
    assert house.pids() == {}
    assert house.up()["answer"]["deployment"] == "v1"


def test_two_homes_do_not_share_a_port(house: House) -> None:
    """A second home is refused, although the kernel would let its workers join."""
    house.up()
    other = House(home=house.home.with_name("other"), folder=house.folder, port=house.port)
    failed = other.run("up", str(other.folder), "--detach", check=False)
    assert failed.returncode == 7
    assert "SW-503" in failed.stderr


def test_a_corrupt_snapshot_stops_no_worker(house: House) -> None:
    """Running workers keep what they serve, new ones take the snapshot before, `up` repairs."""
    key = house.up()["key"]
    current = house.home / "snapshot" / "current"
    data = bytearray(current.read_bytes())
    data[-10] ^= 0xFF
    current.write_bytes(data)
    kill(house.pids()["worker-0"])
    eventually(lambda: len(house.pids()) == 4, within_s=10)
    assert all(house.ask(key)[0] == HTTPStatus.OK for _ in range(20))
    doctor = house.run("doctor", check=False)
    assert "SW-507" in doctor.stdout + doctor.stderr
    house.up()
    assert house.run("doctor").returncode == 0


def test_a_corrupt_database_is_named_and_serving_goes_on(house: House) -> None:
    """Change is refused with the cause; workers and the log do not care."""
    key = house.up()["key"]
    for file in house.home.glob("servewell.db*"):
        file.write_bytes(b"this is no database" * 100)
    failed = house.run("rollback", "small", check=False)
    assert failed.returncode == 7
    assert "SW-502" in failed.stderr
    assert "Traceback" not in failed.stderr
    assert house.ask(key)[0] == HTTPStatus.OK


def test_a_corrupt_segment_hides_no_other_record(house: House) -> None:
    """What can be read is read, what cannot is set aside and told."""
    key = house.up()["key"]
    first = house.ask(key)[1]["parameters"]["prediction_id"]
    house.run("down")
    broken = house.home / "records" / "live" / "w9-1-1.segment"
    broken.write_bytes(b"\x10\x00\x00\x00rubbish that is no frame at all")
    second = house.up()
    eventually(lambda: not broken.exists(), within_s=20)
    kept = {one["prediction_id"] for one in house.json("records", "small")}
    assert {first, second["answer"]["prediction_id"]} <= kept
    assert list((house.home / "records" / "quarantine").iterdir())


def test_an_unwritable_home_is_a_clear_error(house: House) -> None:
    """A file where the folder should be, and a path below it, are named."""
    house.home.parent.joinpath("home").write_text("a file")
    failed = house.run("up", str(house.folder), "--detach", check=False)
    assert failed.returncode == 7
    assert "SW-501" in failed.stderr
    assert "Traceback" not in failed.stderr


def test_a_full_disk_is_a_clear_error_and_serving_goes_on(house: House) -> None:
    """A process that may write no more says so; what serves keeps serving."""
    key = house.up()["key"]
    limited = (
        "import resource, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000));"
        "from servewell.wiring import main; sys.argv[0] = 'servewell'; main()"
    )
    words = ["up", str(house.folder), "--detach", "--set", "train.parameters.strength=0.1"]
    failed = subprocess.run(
        [sys.executable, "-c", limited, *words, "--home", str(house.home)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert failed.returncode == 7, failed.stderr
    assert "Traceback" not in failed.stderr
    assert house.ask(key)[1]["model_version"] == "1"


def test_kill_in_the_middle_of_a_rollback_keeps_traffic_whole(house: House) -> None:
    """However far it came, traffic is the old or the new, and a repeated command settles it."""
    key = house.up()["key"]
    house.up("--set", "train.parameters.strength=0.5")
    for delay_s in (0.1, 0.2, 0.3, 0.4, 0.5, 0.6):
        process = house.start("traffic", "small", "v1=30%", "v2=70%")
        time.sleep(delay_s)
        kill(process.pid)
        process.wait()
        assert house.ask(key)[0] == HTTPStatus.OK
        shares = [
            one["share_bp"] for one in house.json("endpoints", "show", "small")["deployments"]
        ]
        assert sum(shares) == 10_000
        process = house.start("traffic", "small", "v2=100%")
        process.wait()
    house.run("rollback", "small", "--to", "v1")
    assert house.ask(key)[1]["model_version"] == "1"


def test_a_frozen_control_process_is_no_obstacle(house: House) -> None:
    """A control process that hangs keeps nobody from changing traffic."""
    key = house.up()["key"]
    house.up("--set", "train.parameters.strength=0.5")
    control = house.pids()["control"]
    os.kill(control, signal.SIGSTOP)
    try:
        assert json.loads(house.run("rollback", "small", "--json").stdout)["behind"] == []
        assert house.ask(key)[1]["model_version"] == "1"
    finally:
        os.kill(control, signal.SIGCONT)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
