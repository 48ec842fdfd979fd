"""The main job, as a person meets it: one command, and again, and down."""

import json
import signal
import subprocess
import time
from http import HTTPStatus
from pathlib import Path

import pytest

from journeys.house import House, eventually, kill

pytestmark = pytest.mark.enable_socket


def test_one_command_serves_a_model_that_was_proved(house: House) -> None:
    """From nothing to a signed version, a key, two workers, and a real answer."""
    done = house.up()
    assert done["version"] == "small:1"
    assert done["equivalence"]["rows"] > 0
    assert done["equivalence"]["largest_difference"] <= done["equivalence"]["tolerance"]
    assert done["metrics"]["accuracy"] > 0.8
    assert done["answer"]["deployment"] == "v1"
    assert len(done["workers"]) == 2
    status, answer = house.ask(done["key"])
    assert status == HTTPStatus.OK
    assert answer["model_version"] == "1"
    assert house.ask("wrong")[0] == HTTPStatus.UNAUTHORIZED
    records = house.json("records", "small")
    assert answer["parameters"]["prediction_id"] in {one["prediction_id"] for one in records}


def test_again_it_resumes(house: House) -> None:
    """Nothing is retrained, no key is made, and traffic that a person set stays."""
    first = house.up()
    house.up_second()
    house.run("rollback", "small")
    again = house.up_second()
    assert again["key"] is None
    assert again["version"] == "small:2"
    assert house.look("endpoints", "show", "small")["deployments"][0]["share_bp"] == 10_000
    assert len(house.look("models", "list")) == 2
    assert house.ask(first["key"])[1]["model_version"] == "1"
    house.run("down")
    assert house.up()["key"] is None
    assert house.ask(first["key"])[0] == HTTPStatus.OK


def test_lineage_says_where_a_version_came_from(house: House) -> None:
    """Data, code, parameters, environment and metrics are kept with the version."""
    house.up()
    version = house.look("models", "show", "small:1")
    lineage = version["manifest"]["lineage"]
    assert lineage["dataset"] == "small:1"
    assert lineage["parameters"] == {"strength": 1.0}
    assert lineage["source"] == "train.py"
    assert all(len(lineage[key]) == 64 for key in ("dataset_digest", "environment_digest"))
    signature = {one["name"]: one for one in version["manifest"]["signature"]["inputs"]}
    assert signature["colour"]["categories"] == ["blue", "green", "red"]
    assert signature["x"]["minimum_seen"] == -10
    assert signature["x"]["maximum"] == 100
    assert house.run("logs", "--run", lineage["run"]).returncode == 0


def test_a_rollback_takes_effect_at_once(ready_house: House) -> None:
    """The next request after the command is answered by the version before."""
    key = ready_house.up()["key"]
    ready_house.up_second()
    assert ready_house.ask(key)[1]["model_version"] == "2"
    ready_house.run("rollback", "small", "--because", "it was better before")
    assert ready_house.ask(key)[1]["model_version"] == "1"
    history = ready_house.look("history", "small")
    assert history[-1]["because"].startswith("it was better before: rolled back from `v2`")
    pinned = ready_house.ask(key, **{"servewell-deployment": "v2"})
    assert pinned[1]["model_version"] == "2"


def test_two_versions_share_the_traffic(ready_house: House) -> None:
    """Requests are split as declared, and each answer says who gave it."""
    key = ready_house.up()["key"]
    ready_house.up_second()
    ready_house.run("traffic", "small", "v1=50%", "v2=50%")
    served = [ready_house.ask(key)[1]["parameters"]["deployment"] for _ in range(60)]
    assert 10 < served.count("v1") < 50
    assert set(served) == {"v1", "v2"}


def test_keys_change_without_a_restart(ready_house: House) -> None:
    """A new key opens at once, a revoked one closes at once, and a rotated one overlaps."""
    ready_house.up()
    pids = ready_house.pids()
    made = ready_house.json("keys", "create", "site", "--endpoint", "small")
    assert ready_house.ask(made["key"])[0] == HTTPStatus.OK
    rotated = ready_house.json("keys", "rotate", made["id"], "--overlap", "1h")
    assert ready_house.ask(made["key"])[0] == ready_house.ask(rotated["key"])[0] == HTTPStatus.OK
    ready_house.run("keys", "revoke", rotated["id"])
    assert ready_house.ask(rotated["key"])[0] == HTTPStatus.UNAUTHORIZED
    reader = ready_house.json("keys", "create", "dashboard", "--role", "reader")
    assert ready_house.ask(reader["key"])[0] == HTTPStatus.FORBIDDEN
    assert ready_house.pids() == pids


def test_ctrl_c_drains_and_stops(ready_house: House) -> None:
    """In the foreground the command stays; Ctrl-C ends everything that it started."""
    process = subprocess.Popen(
        ready_house.command("up", str(ready_house.folder)),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    eventually(
        lambda: "supervisor" in ready_house.pids() and len(ready_house.pids()) == 4, within_s=60
    )
    assert process.stdout is not None
    while b"Ctrl-C" not in process.stdout.readline():
        assert process.poll() is None
    pids = ready_house.pids()
    process.send_signal(signal.SIGINT)
    _, words = process.communicate(timeout=30)
    assert process.returncode == 0, words
    assert b"stopped" in words
    assert all(not Path(f"/proc/{pid}").exists() for pid in pids.values())


def test_ctrl_c_before_the_end_leaves_nothing_running(ready_house: House) -> None:
    """What the command had started when it was told to stop is stopped."""
    process = ready_house.start("up", str(ready_house.folder))
    eventually((ready_house.home / "run" / "supervisor.json").exists, within_s=60)
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=30) in (0, 130)
    assert ready_house.pids() == {}


def test_down_stops_and_says_when_nothing_ran(ready_house: House) -> None:
    """Both are success: the state asked for is reached."""
    ready_house.up()
    assert ready_house.json("down")["stopped"] is True
    assert ready_house.json("down")["stopped"] is False
    assert ready_house.pids() == {}


@pytest.mark.timeout(240)
def test_a_killed_up_is_repaired_by_the_next(house: House) -> None:
    """Whenever `up` is killed, `up` again ends with a served version and a key that is shown.

    A kill between keeping a version and its run may make that version a second time.
    """
    for delay_s in (0.3, 0.8, 1.5, 2.5, 3.5, 4.5, 5.5):
        process = house.start("up", str(house.folder), "--detach")
        time.sleep(delay_s)
        kill(process.pid)
        process.wait()
    done = house.up()
    assert done["answer"]["deployment"] == "v1"
    assert [one["number"] for one in house.look("models", "list")] in ([1], [1, 2])
    endpoint = house.look("endpoints", "show", "small")
    assert sum(one["share_bp"] for one in endpoint["deployments"]) == 10_000
    key = done["key"] or house.json("keys", "create", "somebody")["key"]  # killed while showing it
    assert house.ask(key)[0] == HTTPStatus.OK


def test_a_failed_training_changes_nothing_that_serves(house: House) -> None:
    """The version before goes on serving, and the failure says where and what next."""
    key = house.up()["key"]
    script = house.folder / "train.py"
    script.write_text(script.read_text().replace("model = ", 'raise RuntimeError("no rain")\n    '))
    failed = house.run("up", str(house.folder), "--detach", "--json", check=False)
    assert failed.returncode == 6
    error = json.loads(failed.stderr.strip().splitlines()[-1])
    assert error["code"] == "SW-401"
    assert "no rain" in error["because"]
    assert "Traceback" not in failed.stderr
    assert house.ask(key)[1]["model_version"] == "1"
