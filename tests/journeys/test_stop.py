"""An emergency stop, with everything dead that it must not need."""

import socket
import time
from dataclasses import replace
from http import HTTPStatus

import pytest

from journeys.house import House, eventually, kill

pytestmark = pytest.mark.enable_socket

WITHIN_S = 1.0  # in which a stop is to be in force in all workers


def without_database(house: House) -> House:
    """Return the same house for commands that cannot reach their database."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    url = f"postgresql+psycopg://nobody:x@127.0.0.1:{port}/none"
    return replace(house, environment={"SERVEWELL_DATABASE_URL": url})


def told(house: House) -> list[str]:
    """Return what the history says of stops."""
    changes = house.look("history", "small")
    return [one["kind"] for one in changes if one["kind"] in ("stopped", "resumed")]


def test_a_stop_needs_neither_database_nor_control(ready_house: House) -> None:
    """With both gone it holds in every worker in under a second; the history hears of it later."""
    key = ready_house.up()["key"]
    pids = ready_house.pids()
    kill(pids["supervisor"])
    kill(pids["control"])
    offline = without_database(ready_house)
    done = offline.run("stop", "small", "--because", "it harms somebody")
    ended = time.monotonic()
    assert "stopped: every request is refused" in done.stdout
    assert "the control process does it later" in done.stderr
    while ready_house.ask(key)[0] != HTTPStatus.SERVICE_UNAVAILABLE:
        assert time.monotonic() - ended < WITHIN_S
    time.sleep(max(0.0, ended + WITHIN_S - time.monotonic()))
    answers = {ready_house.ask(key)[0] for _ in range(20)}  # each on a connection of its own
    assert answers == {HTTPStatus.SERVICE_UNAVAILABLE}
    assert "it harms somebody" in offline.run("status").stdout
    wrong = offline.run("stop", "small", "--fallback", "v9", "--because", "x", check=False)
    assert "SW-226" in wrong.stderr
    wrong = offline.run("stop", "small", "--constant", "no=1", "--because", "x", check=False)
    assert "SW-155" in wrong.stderr
    offline.run("stop", "small", "--fallback", "v1", "--because", "it was good")
    eventually(lambda: ready_house.ask(key)[0] == HTTPStatus.OK, within_s=1)
    assert told(ready_house) == []
    ready_house.up()  # with its database again, and a control process
    eventually(lambda: told(ready_house) == ["stopped", "stopped"], within_s=10)
    ready_house.run("resume", "small", "--because", "mended")
    assert told(ready_house) == ["stopped", "stopped", "resumed"]
