"""Releasing by hand: import, deploy, split, roll back; and what a dry run leaves alone."""

import signal
import time
from http import HTTPStatus
from typing import Any

import pytest

from journeys.house import House, Load, eventually, kill

pytestmark = pytest.mark.enable_socket

SHARES_SUM = 10_000  # basis points
OLD = "1"
NEW = "2"
STATE = "servewell.db-wal"  # written where the state is kept
PUBLISHED = "snapshot/current"  # written where the workers are told


def test_an_imported_version_gets_a_tenth_of_the_traffic(ready_house: House) -> None:
    """Import, a dry run that changes nothing, then nine in ten to the old and one to the new."""
    key = ready_house.up()["key"]
    imported = ready_house.json("models", "import", _second(ready_house), "--name", "small")
    assert imported["version"] == "small:2"
    assert [one["number"] for one in ready_house.look("models", "list")] == [1, 2]
    words = ("deploy", "small", "small:2", "--share", "10%", "--because", "trained on May")
    assert "servewell gates run small:2" in ready_house.run(*words, check=False).stderr
    ready_house.let_through("small:2")

    before = _state(ready_house)
    foreseen = ready_house.json(*words, "--dry-run")
    assert foreseen["carried_out"] is False
    assert foreseen["traffic"] == {"v1": 9_000, "v2": 1_000}
    assert _state(ready_house) == before
    assert "would be" in ready_house.run(*words, "--dry-run").stdout

    done = ready_house.json(*words)
    assert done["carried_out"] is True
    assert done["behind"] == []
    assert _traffic(ready_house) == {"v1": 9_000, "v2": 1_000}
    served = [ready_house.ask(key) for _ in range(150)]  # all from v1: once in 7 million runs
    assert {status for status, _ in served} == {HTTPStatus.OK}
    versions = [answer["model_version"] for _, answer in served]
    assert 0 < versions.count(NEW) < versions.count(OLD)

    shown = ready_house.run("endpoints", "show", "small").stdout
    assert "rollback to  `v1` 100 %" in shown
    last = ready_house.look("history", "small")[-1]
    assert (last["principal"] or "nobody") in ready_house.run("history", "small").stdout
    assert last["kind"] == "deployed"
    assert last["because"].startswith("trained on May: small:2 gets 10 % of the requests")
    assert last["versions"] == {"v1": "small:1", "v2": "small:2"}
    assert last["traffic"] == {"v1": 9_000, "v2": 1_000}


def test_a_dry_run_changes_nothing(ready_house: House) -> None:
    """Each command that changes something says what it would do, ends with 0, and does nothing."""
    ready_house.up()
    ready_house.up_second()
    made = ready_house.json("keys", "create", "site")
    ready_house.let_through("small:1")
    before = _state(ready_house)
    third = ready_house.folder / "third.onnx"
    third.write_bytes((ready_house.folder / "second.onnx").read_bytes())
    for words in (
        ("traffic", "small", "v1=50%", "v2=50%"),
        ("rollback", "small"),
        ("deploy", "small", "small:1", "--share", "20%"),
        ("rollouts", "start", "small", "small:1"),
        ("keys", "create", "somebody"),
        ("keys", "rotate", made["id"]),
        ("keys", "revoke", made["id"]),
        ("down",),
        ("up", str(ready_house.folder), "--set", "artifact.path=third.onnx"),
        ("models", "import", str(third), "--name", "another"),
    ):
        told = ready_house.run(*words, "--dry-run")
        assert (told.stdout + told.stderr).strip(), words
        assert made["key"] not in told.stdout + told.stderr
    assert _state(ready_house) == before
    assert ready_house.ask(made["key"])[0] == HTTPStatus.OK


@pytest.mark.timeout(180)
def test_a_killed_deploy_is_settled_by_the_next(ready_house: House) -> None:
    """Whenever `deploy` is killed, every request has one deployment to go to; again settles it."""
    key = ready_house.up()["key"]
    ready_house.run("models", "import", _second(ready_house), "--name", "small")
    ready_house.let_through("small:2")
    left: list[str] = []
    for turn, moment in enumerate(("", STATE, PUBLISHED, STATE, PUBLISHED)):
        share = 1_000 + 100 * turn
        words = ("deploy", "small", "small:2", "--share", f"{share}bp")
        revision = ready_house.look("history")[-1]["revision"]
        _kill_at(ready_house, moment, words)
        saved = ready_house.look("history")[-1]["revision"] > revision
        left.append(f"{moment or 'start'}: {'saved' if saved else 'not saved'}")
        assert sum(_traffic(ready_house).values()) == SHARES_SUM
        assert ready_house.ask(key)[0] == HTTPStatus.OK
        assert ready_house.json(*words)["behind"] == []
        assert _traffic(ready_house) == {"v1": SHARES_SUM - share, "v2": share}
        pinned = ready_house.ask(key, **{"servewell-deployment": "v2"})
        assert pinned[1]["model_version"] == NEW
    revisions = [one["revision"] for one in ready_house.look("history")]
    assert revisions == list(range(1, len(revisions) + 1))
    assert f"{PUBLISHED}: saved" in left, left


def test_a_rollback_is_over_within_a_second(ready_house: House) -> None:
    """Under load, the old answers end less than a second after the command; none is refused."""
    key = ready_house.up()["key"]
    ready_house.up_second()
    with Load(house=ready_house, key=key, answers=_Stamped()) as load:
        load.wait_answers(50)
        assert load.answers[-1]["model_version"] == NEW
        ready_house.run("rollback", "small")
        returned = time.monotonic()
        eventually(lambda: time.monotonic() - returned > 2, within_s=5)
    last = max(one["at"] for one in load.answers if one["model_version"] == NEW)
    assert last - returned < 1.0
    assert any(one["at"] > returned + 1.0 for one in load.answers)
    assert load.refused == []
    assert load.broken == []


class _Stamped(list[dict[str, Any]]):
    """Answers, each with the moment at which it came."""

    def append(self, answer: dict[str, Any]) -> None:
        """Keep an answer as one that came now."""
        super().append({**answer, "at": time.monotonic()})


def _kill_at(house: House, moment: str, words: tuple[str, ...]) -> None:
    """Kill a command as soon as a file of the home changes, or after a tenth of a second."""
    before = _written(house, moment)
    process = house.start(*words)
    if not moment:
        time.sleep(0.1)
    while moment and process.poll() is None and _written(house, moment) == before:
        pass  # what comes next takes milliseconds: no time to sleep
    kill(process.pid)
    assert process.wait() == -signal.SIGKILL, "it ended before it was killed"


def _written(house: House, name: str) -> tuple[int, int]:
    found = (house.home / name).stat()
    return found.st_mtime_ns, found.st_ino


def _second(house: House) -> str:
    return str(house.folder / "second.onnx")


def _traffic(house: House) -> dict[str, int]:
    endpoint = house.look("endpoints", "show", "small")
    return {one["name"]: one["share_bp"] for one in endpoint["deployments"] if one["share_bp"]}


def _state(house: House) -> dict[str, Any]:
    """Return all that a command could have changed."""
    looks = (("history",), ("keys", "list"), ("models", "list"), ("endpoints", "list"))
    return {" ".join(words): house.look(*words) for words in looks} | house.pids()
