"""Requests are counted while everything that an operator does to a service is done to it."""

import http.client
import json
import os
import signal
import threading
from collections import Counter
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Self

import pytest

from journeys.house import House, ask_over, eventually
from servewell.adapters.embedded.processes import processes_of

pytestmark = pytest.mark.enable_socket

CALLERS = 4
PAUSE_S = 0.02  # so that the callers leave the machine to those who serve
CALM = "calm"
ANSWERS_MIN = 20  # for each thing that is done


@dataclass(kw_only=True)
class Tally:
    """Callers that ask all the time; what they sent, and what came of it, by what was done."""

    house: House
    key: str
    event: str = CALM
    sent: Counter[str] = field(default_factory=Counter)
    answered: Counter[str] = field(default_factory=Counter)
    again: Counter[str] = field(default_factory=Counter)  # sent a second time
    lost: list[str] = field(default_factory=list)
    _stop: threading.Event = field(default_factory=threading.Event)
    _callers: list[threading.Thread] = field(default_factory=list)

    def __enter__(self) -> Self:
        self._callers = [threading.Thread(target=self._call) for _ in range(CALLERS)]
        for one in self._callers:
            one.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._stop.set()
        for one in self._callers:
            one.join()

    def during(self, event: str) -> None:
        """Begin to count for an event, and wait until callers have been answered in it."""
        self.event = event
        eventually(lambda: self.answered[event] >= ANSWERS_MIN, within_s=30)

    def _call(self) -> None:
        connection = self.house.connection()
        count = 0
        while not self._stop.is_set():
            event, count = self.event, count + 1
            self.sent[event] += 1
            failure = self._ask(connection)
            if failure:
                self.again[event] += 1
                failure = self._ask(connection)
            if failure:
                self.lost.append(f"{event}: {failure}")
            else:
                self.answered[event] += 1
            self._stop.wait(PAUSE_S)
            if count % 10 == 0:  # new connections are what a closed door would refuse
                connection.close()
        connection.close()

    def _ask(self, connection: http.client.HTTPSConnection) -> str:
        """Send one request; return what went wrong, or nothing."""
        try:
            status, answer = ask_over(connection, self.key, x=1.0, headers={})
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            return repr(error)
        return "" if status == HTTPStatus.OK else f"{status} {answer}"


@pytest.mark.timeout(240)
def test_no_request_is_lost(ready_house: House) -> None:
    """Nothing is lost, or sent twice, by a deploy, a rollback, scaling, a restart or a takeover.

    A worker that is killed takes with it at most what each caller had under way: a caller that
    asks once more loses nothing by that either.
    """
    key = ready_house.up()["key"]
    with Tally(house=ready_house, key=key) as tally:
        tally.during("deploy")
        ready_house.up_second()
        tally.during("traffic")
        ready_house.run("rollback", "small")
        tally.during("scale up")
        ready_house.run("scale", "--workers", "3")
        tally.during("scale down")
        ready_house.run("scale", "--workers", "2")
        tally.during("restart")
        _replaced(ready_house, signal.SIGTERM)
        tally.during("takeover")
        _taken_over(ready_house)
        tally.during("kill")
        _replaced(ready_house, signal.SIGKILL)
        tally.during(CALM)
    assert tally.lost == []
    assert tally.answered == tally.sent
    assert tally.again.pop("kill", 0) <= CALLERS
    assert not tally.again
    assert min(tally.answered.values()) >= ANSWERS_MIN
    records = ready_house.look("records", "small", "--limit", "1000000")
    assert len(records) >= tally.answered.total()


def _replaced(house: House, word: signal.Signals) -> None:
    """Send a signal to a worker, and wait until another is ready in its place."""
    index, before = max(_workers(house).items())
    os.kill(before, word)
    place = house.home / "run" / f"worker-{index}.json"

    def is_replaced() -> bool:
        report = json.loads(place.read_bytes())
        return bool(report["pid"] != before and report["ready"])

    eventually(is_replaced, within_s=60)


def _workers(house: House) -> dict[int, int]:
    """Return the workers that live, and their processes."""
    return {one.index: one.pid for one in processes_of(house.home) if one.index is not None}


def _taken_over(house: House) -> None:
    """Kill the supervisor, start another, and wait until the workers of the first have gone."""
    old = set(_workers(house).values())
    (supervisor,) = (one.pid for one in processes_of(house.home) if one.role == "supervisor")
    os.kill(supervisor, signal.SIGKILL)
    house.up()
    eventually(lambda: old.isdisjoint(_workers(house).values()), within_s=60)
