"""Faults while callers of another model keep asking: none of them notices."""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from servewell.core.catalog.endpoint import Endpoint
from servewell.core.catalog.workload import Telemetry
from servewell.serving.counters import read_counters
from serving.home import Home, Reply, flight_model, request
from serving.predictors import SCRIPT, asking, predictor
from serving.test_predictor import processes
from serving.under_load import Callers, most_s, wait_for
from serving.watched import collecting, watched_worker

pytestmark = pytest.mark.enable_socket

LATE_S = 0.5  # no answer of the other model takes longer, on a machine with much else to do
NOT_A_NUMBER = """
    def nothing(self, doubled):
        return {"y": doubled * np.float32("nan")}

    def many(self, doubled):
        return {"y": np.repeat(doubled, 1_000_000)}
"""


@pytest.fixture
def faulty(home: Home, socket_enabled: None) -> Iterator[Callable[[str], Reply]]:
    """Ask a predictor to do something, while callers of a model beside it keep asking."""
    del socket_enabled
    key, grant = home.key()
    onnx = Endpoint(
        name="flights", workload="flights", deployments=(home.deployment("blue", flight_model(2)),)
    )
    code = predictor(home, SCRIPT + NOT_A_NUMBER, timeout_s=0.5, memory_bytes_max=1 << 28)
    home.publish_endpoints(
        (onnx, Endpoint(name="code", workload="code", deployments=(code,))), (grant,)
    )

    def ask(do: str) -> Reply:
        return home.send("POST", "/v2/models/code/infer", key=key, body=asking(do))

    with home.process():
        home.wait_for_snapshot()
        with Callers(home=home, key=key, callers=2) as load:
            calm = load.wait(100)
            yield ask
            after = load.wait(50)
    load.assert_unharmed()
    during = load.right[len(calm) : -len(after)]
    assert most_s(during or after) < max(LATE_S, 5 * most_s(calm))


def recovered(ask: Callable[[str], Reply]) -> None:
    """Wait until the predictor answers; meanwhile it says when to come again."""

    def answers() -> bool:
        reply = ask("answer")
        assert reply.status == 200 or (reply.status, reply.json["code"]) == (503, "SW-360")
        return reply.status == 200

    wait_for(answers)


@pytest.mark.parametrize(
    ("do", "status"),
    [("die", 500), ("loop", 504), ("noise", 500), ("many", 500)],
)
def test_a_predictor_that_misbehaves(faulty: Callable[[str], Reply], do: str, status: int) -> None:
    """It crashes, loops, or answers rubbish: its own caller alone is told."""
    reply = faulty(do)
    assert reply.status == status, reply.body
    assert "Traceback" not in reply.body.decode()
    recovered(faulty)


def test_a_predictor_that_leaks(faulty: Callable[[str], Reply]) -> None:
    """It is replaced between its calls, again and again, and each call that it took is answered."""
    for _ in range(8):
        assert faulty("leak").status in (200, 503)
        recovered(faulty)


def test_a_predictor_that_answers_no_number(faulty: Callable[[str], Reply]) -> None:
    """What is not a number is answered as what JSON has for it, and is no fault."""
    reply = faulty("nothing")
    assert (reply.status, reply.json["outputs"][0]["data"]) == (200, [None])


def test_a_predictor_that_is_killed(faulty: Callable[[str], Reply], home: Home) -> None:
    """A signal from outside ends a call under way, and costs its caller that call."""
    replies: list[Reply] = []
    caller = threading.Thread(target=lambda: replies.append(faulty("nap")))
    caller.start()
    time.sleep(0.2)  # it naps for twice as long
    for pid in processes(home):
        os.kill(pid, signal.SIGKILL)
    caller.join()
    assert [one.status for one in replies] == [500]
    recovered(faulty)


@pytest.mark.parametrize("fault", ["dead", "hanging"])
def test_a_sink_that_takes_nothing(home: Home, fault: str) -> None:
    """Spans of every request go to a collector that is dead, or never answers: nobody waits."""
    with collecting(hangs=True) as collector:
        url = "http://127.0.0.1:9" if fault == "dead" else collector.url
        telemetry = Telemetry(otlp_endpoint=url, sample_ratio=1.0)
        with watched_worker(home, telemetry) as key, Callers(home=home, key=key) as load:
            load.wait(400)
    load.assert_unharmed()
    assert most_s(load.right) < LATE_S


def test_a_model_that_is_corrupt(home: Home) -> None:
    """A version whose file is damaged takes no traffic from the one before; a good one does."""
    key, grant = home.key()
    good = home.deployment("blue", flight_model(2.0))
    home.publish(good, grants=(grant,))
    before = set((home.folder / "blobs").rglob("*"))
    bad = home.deployment("blue", flight_model(3.0), version=2)
    for blob in set((home.folder / "blobs").rglob("*")) - before:
        if blob.is_file() and blob.name != bad.package:
            blob.chmod(0o600)
            blob.write_bytes(blob.read_bytes()[:-1] + b"?")
    with home.process():
        home.wait_for_snapshot()
        with Callers(home=home, key=key) as load:
            load.wait(50)
            home.publish(bad)
            report = home.wait_for_snapshot(fault=True)
            load.wait(50)
            home.publish(good)
            wait_for(lambda: (told := home.report()) and told.snapshot == 3 and not told.fault)
            load.wait(50)
    load.assert_unharmed()
    assert "does not match" in report.fault


def test_a_disk_that_is_full(home: Home) -> None:
    """Requests are answered as ever; each record is there, or counted as lost."""
    key, grant = home.key()
    home.publish(home.deployment("blue", flight_model(2.0)), grants=(grant,))
    body = request(2_000, carrier=["AA"] * 2_000, name=["x" * 20] * 2_000)
    fillers = 60
    with home.process(0, str(4 << 20)):
        home.wait_for_snapshot()
        with Callers(home=home, key=key) as load:
            for _ in range(fillers):
                path = "/v2/models/flights/infer"
                assert home.send("POST", path, key=key, body=body).status == 200
            load.wait(50)
    load.assert_unharmed()
    lost = read_counters(home.folder / "run" / "counters-0")["servewell_records_lost_total"]
    assert lost > 0
    assert len(home.records()) + lost == len(load.right) + fillers
