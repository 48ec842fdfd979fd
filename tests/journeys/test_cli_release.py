"""Releasing by hand: import, deploy, split, roll back; and what a dry run leaves alone."""

import time
from http import HTTPStatus
from typing import Any

import pytest

from journeys.house import House, Load, eventually, kill

pytestmark = pytest.mark.enable_socket

SHARES_SUM = 10_000  # basis points
OLD = "1"
NEW = "2"


def test_an_imported_version_gets_a_tenth_of_the_traffic(ready_house: House) -> None:
    """Import, a dry run that changes nothing, then nine in ten to the old and one to the new."""
    key = ready_house.up()["key"]
    imported = ready_house.json("models", "import", _second(ready_house), "--name", "small")
    assert imported["version"] == "small:2"
    assert [one["number"] for one in ready_house.json("models", "list")] == [1, 2]
    words = ("deploy", "small", "small:2", "--share", "10%", "--because", "trained on May")

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
    last = ready_house.json("history", "small")[-1]
    assert last["principal"]
    assert last["principal"] in ready_house.run("history", "small").stdout
    assert last["kind"] == "deployed"
    assert last["because"].startswith("trained on May: small:2 gets 10 % of the requests")
    assert last["versions"] == {"v1": "small:1", "v2": "small:2"}
    assert last["traffic"] == {"v1": 9_000, "v2": 1_000}


def test_a_dry_run_changes_nothing(ready_house: House) -> None:
    """Each command that changes something says what it would do, ends with 0, and does nothing."""
    ready_house.up()
    ready_house.up_second()
    made = ready_house.json("keys", "create", "site")
    before = _state(ready_house)
    third = ready_house.folder / "third.onnx"
    third.write_bytes((ready_house.folder / "second.onnx").read_bytes())
    for words in (
        ("traffic", "small", "v1=50%", "v2=50%"),
        ("rollback", "small"),
        ("deploy", "small", "small:1", "--share", "20%"),
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
    for turn, delay_s in enumerate((0.1, 0.2, 0.3, 0.4, 0.5, 0.7)):
        share = 1_000 + 100 * turn
        words = ("deploy", "small", "small:2", "--share", f"{share}bp")
        process = ready_house.start(*words)
        time.sleep(delay_s)
        kill(process.pid)
        process.wait()
        assert sum(_traffic(ready_house).values()) == SHARES_SUM
        assert ready_house.ask(key)[0] == HTTPStatus.OK
        assert ready_house.json(*words)["behind"] == []
        assert _traffic(ready_house) == {"v1": SHARES_SUM - share, "v2": share}
        pinned = ready_house.ask(key, **{"servewell-deployment": "v2"})
        assert pinned[1]["model_version"] == NEW
    revisions = [one["revision"] for one in ready_house.json("history")]
    assert revisions == list(range(1, len(revisions) + 1))


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


def _second(house: House) -> str:
    return str(house.folder / "second.onnx")


def _traffic(house: House) -> dict[str, int]:
    endpoint = house.json("endpoints", "show", "small")
    return {one["name"]: one["share_bp"] for one in endpoint["deployments"] if one["share_bp"]}


def _state(house: House) -> dict[str, Any]:
    """Return all that a command could have changed."""
    looks = (("history",), ("keys", "list"), ("models", "list"), ("endpoints", "list"))
    return {" ".join(words): house.json(*words) for words in looks} | house.pids()
