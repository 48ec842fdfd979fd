"""A batch whose predictor ends: who caused it pays, and the others are answered."""

import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

import pytest

from servewell.core.catalog.endpoint import Endpoint, EndpointPolicy
from serving.home import Home, Reply
from serving.predictors import asking, predictor
from serving.real_worker import real_worker

pytestmark = pytest.mark.enable_socket

# It does what any row of a call asks for. A nap is told when it begins, and ends at a word.
SCRIPT = """
import os
import time
from pathlib import Path

import numpy as np

NAP_S, FOLDER = NAP_S_OF, Path(FOLDER_OF)


class Predictor:
    def load(self, folder):
        time.sleep(LOAD_S_OF)

    def predict(self, columns):
        if "exit" in columns["do"]:
            os._exit(3)
        while "loop" in columns["do"]:
            pass
        if "nap" in columns["do"]:
            self.nap()
        return {"y": columns["x"] * np.float32(2)}

    def nap(self):
        end = time.monotonic() + NAP_S
        (FOLDER / "napping").touch()
        while time.monotonic() < end and not (FOLDER / "woken").exists():
            time.sleep(0.01)
"""


def script_of(home: Home, *, load_s: float = 0.0, nap_s: float = 0.5) -> str:
    """Return the script, which takes so long to load, and at most so long for a nap."""
    facts = {"LOAD_S_OF": load_s, "NAP_S_OF": nap_s, "FOLDER_OF": str(home.folder)}
    script = SCRIPT
    for name, value in facts.items():
        script = script.replace(name, repr(value))
    return script


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """A home with one predictor."""

    home: Home
    key: str

    def ask(self, do: str, **headers: str) -> Reply:
        """Send one request of a row, or of several: `exit*5` has five of them."""
        verb, _, rows = do.partition("*")
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        body = asking(verb, int(rows or 1))
        return self.home.send(
            "POST", "/v2/models/code/infer", key=self.key, body=body, headers=named
        )

    def together(self, wishes: Sequence[str], **headers: str) -> list[Reply]:
        """Send requests while the model naps, so that they make one batch."""
        with ThreadPoolExecutor(1 + len(wishes)) as callers:
            callers.submit(self.ask, "nap")
            self.wait_for_nap()
            return list(callers.map(lambda do: self.ask(do, **headers), wishes))

    def wait_for_nap(self) -> None:
        """Return once the model naps."""
        napping, end = self.home.folder / "napping", time.monotonic() + 20
        while not napping.exists():
            assert time.monotonic() < end
            time.sleep(0.01)
        napping.unlink()

    def recovered(self) -> None:
        """Wait for the next process, where the last call of a batch ended one.

        Meanwhile callers are told when to come again.
        """
        end = time.monotonic() + 20
        while (reply := self.ask("answer")).status != 200:
            assert (reply.status, reply.json["code"]) == (503, "SW-360")
            assert int(reply.headers["retry-after"]) >= 1
            assert time.monotonic() < end
            time.sleep(0.02)


@contextmanager
def serving(home: Home, *, load_s: float = 0.0) -> Iterator[Site]:
    """Serve the predictor, whose calls may take a second."""
    key, grant = home.key()
    deployment = predictor(home, script_of(home, load_s=load_s), timeout_s=1.0)
    endpoint = Endpoint(name="code", workload="code", deployments=(deployment,))
    home.publish_endpoints((endpoint,), (grant,))
    with home.process():
        home.wait_for_snapshot()
        yield Site(home=home, key=key)


@pytest.mark.parametrize(
    ("do", "status", "code"), [("exit", 500, "SW-316"), ("loop", 504, "SW-361")]
)
def test_who_ends_the_process_pays_alone(home: Home, do: str, status: int, code: str) -> None:
    """The others of the batch get their answers, and the batch counts once against the version."""
    wishes = ["answer", "answer", do, "answer", "answer", "answer"]
    with serving(home) as site:
        for _ in range(2):
            replies = site.together(wishes)
            expected = [status if wish == do else 200 for wish in wishes]
            assert [one.status for one in replies] == expected
            assert replies[2].json["code"] == code
            assert replies[5].json["outputs"][0]["data"] == [3.0]
            site.recovered()
        report = home.report()
        assert report is not None
        assert report.quarantined == ()
        assert site.ask(do).status == status  # the third death


def test_who_cannot_wait_for_the_next_process_is_told_when_to_come(home: Home) -> None:
    """A process that takes long to load is not waited for until the time is over."""
    with serving(home, load_s=2.0) as site:
        replies = site.together(["answer", "exit", "answer"], servewell_timeout_ms="2000")
        assert [(one.status, one.json["code"]) for one in replies] == [(503, "SW-360")] * 3
        assert all(1 <= int(one.headers["retry-after"]) <= 4 for one in replies)


@pytest.mark.parametrize(("do", "status"), [("exit*5", 500), ("loop*5", 504)])
def test_no_row_is_blamed_for_a_process_that_ended(home: Home, do: str, status: int) -> None:
    """To find the row would end more processes; so none is named, and one death is one."""
    with serving(home) as site:
        reply = site.ask(do)
        assert reply.status == status
        assert "on row" not in reply.json["error"]
        site.recovered()


def test_a_retired_model_stays_while_its_requests_may_run(home: Home) -> None:
    """A call that began before a deploy is answered, however short a drain is."""
    key, grant = home.key()
    before, after = (
        predictor(home, script_of(home, nap_s=15.0), timeout_s=limit) for limit in (20.0, 21.0)
    )
    policy = EndpointPolicy(timeout_ms=20_000)
    for_before, for_after = (
        Endpoint(name="code", workload="code", deployments=(one,), policy=policy)
        for one in (before, after)
    )
    home.publish_endpoints((for_before,), (grant,))
    replies: list[Reply] = []
    with real_worker(home, drain_s=0.1):
        site = Site(home=home, key=key)
        call = threading.Thread(target=lambda: replies.append(site.ask("nap")))
        call.start()
        site.wait_for_nap()
        home.publish_endpoints((for_after,), (grant,))
        home.wait_for_snapshot()
        call.join(1.0)  # the drain is over long before
        assert call.is_alive()
        (home.folder / "woken").touch()
        call.join()
    assert [one.status for one in replies] == [200]
