"""A predictor may do what it likes: its own request pays, and nobody else."""

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from servewell.core.catalog.endpoint import Endpoint
from servewell.core.reliability.quarantine import DEATHS_MAX
from serving.home import Home, Reply, flight_model, request
from serving.predictors import asking, predictor

pytestmark = pytest.mark.enable_socket

ENDS = ("exit", "die", "loop", "leak", "hog", "fork", "noise", "leave")
MISTAKES = ("number", "listed", "renamed", "retyped", "fewer", "wider", "objects")


@dataclass(kw_only=True)
class Faulty:
    """A home with an endpoint for each fault, and callers of a model in ONNX beside them."""

    home: Home
    key: str
    answered: int = 0
    refused: list[Reply] = field(default_factory=list)
    stop: threading.Event = field(default_factory=threading.Event)

    def ask(self, endpoint: str, do: str, **headers: str) -> Reply:
        """Ask the predictor of an endpoint to do something."""
        path = f"/v2/models/{endpoint}/infer"
        return self.home.send("POST", path, key=self.key, body=asking(do), headers=headers)

    def recovered(self, endpoint: str) -> None:
        """Wait until the endpoint answers again; meanwhile it says when to come back."""
        end = time.monotonic() + 20
        while (reply := self.ask(endpoint, "answer")).status != 200:
            assert reply.status == 503, reply.body
            assert reply.json["code"] == "SW-360"
            assert int(reply.headers["retry-after"]) >= 1
            assert time.monotonic() < end
            time.sleep(0.02)
        assert reply.json["outputs"][0]["data"] == [3.0]

    def call(self) -> None:
        """Ask the model in ONNX again and again."""
        while not self.stop.is_set():
            reply = self.home.send("POST", "/v2/models/flights/infer", key=self.key, body=request())
            if reply.status == 200:
                self.answered += 1
            else:
                self.refused.append(reply)
            self.stop.wait(0.005)


@pytest.fixture(scope="module")
def _faulty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Faulty]:
    home = Home(tmp_path_factory.mktemp("home"))
    key, grant = home.key()
    onnx = Endpoint(
        name="flights",
        workload="flights",
        deployments=(home.deployment("blue", flight_model(2.0)),),
    )
    # The bounds differ, so that each has a package, and so a process, of its own.
    others = [
        Endpoint(
            name=name,
            workload=name,
            deployments=(predictor(home, timeout_s=1 + place / 1_000),),
        )
        for place, name in enumerate((*ENDS, "mistaken", "patient"))
    ]
    home.publish_endpoints((onnx, *others), (grant,))
    with home.process():
        home.wait_for_snapshot()
        faulty = Faulty(home=home, key=key)
        caller = threading.Thread(target=faulty.call)
        caller.start()
        yield faulty
        faulty.stop.set()
        caller.join()
    home.close()
    assert list((home.folder / "run" / "predictors").iterdir()) == []


@pytest.fixture
def faulty(socket_enabled: None, _faulty: Faulty) -> Iterator[Faulty]:
    """The home that the tests share; the model beside the predictors has to go on answering."""
    del socket_enabled
    before = _faulty.answered
    yield _faulty
    end = time.monotonic() + 5
    while _faulty.answered == before and time.monotonic() < end:
        time.sleep(0.01)
    assert _faulty.answered > before
    assert _faulty.refused == []


@pytest.mark.parametrize("do", ["exit", "die", "noise"])
def test_a_process_that_is_lost_costs_its_request_alone(faulty: Faulty, do: str) -> None:
    """A crash, or rubbish on the line, is a 500 for who asked, and the process comes again."""
    reply = faulty.ask(do, do)
    assert (reply.status, reply.json["code"]) == (500, "SW-316")
    assert "Traceback" not in reply.body.decode()
    faulty.recovered(do)


def test_a_loop_ends_with_its_time(faulty: Faulty) -> None:
    """A call that takes longer than its process has is a 504, and the process is killed."""
    started = time.monotonic()
    reply = faulty.ask("loop", "loop")
    assert reply.status == 504, reply.body
    assert time.monotonic() - started < 3
    faulty.recovered("loop")


def test_a_caller_in_a_hurry_costs_the_process_nothing(faulty: Faulty) -> None:
    """Who allows less time than the call takes gets a 504, and the next caller an answer."""
    pids = processes(faulty.home)
    reply = faulty.ask("patient", "nap", **{"servewell-timeout-ms": "100"})
    assert reply.status == 504
    reply = faulty.ask("patient", "answer")
    assert (reply.status, reply.json["outputs"][0]["data"]) == (200, [3.0])
    assert pids & processes(faulty.home) == pids


def test_a_leak_is_stopped_between_two_calls(faulty: Faulty) -> None:
    """A process that holds too much answers, and is replaced after its call: no request is lost."""
    statuses = set()
    for _ in range(8):
        statuses.add(faulty.ask("leak", "leak").status)
        faulty.recovered("leak")
    assert 500 not in statuses


def test_what_is_replaced_for_its_memory_has_not_died(home: Home) -> None:
    """A version that leaks is replaced again and again, and never put in quarantine."""
    key, grant = home.key()
    deployment = predictor(home, memory_bytes_max=1 << 28)
    endpoint = Endpoint(name="leak", workload="leak", deployments=(deployment,))
    home.publish_endpoints((endpoint,), (grant,))
    with home.process():
        home.wait_for_snapshot()
        leaking, seen = Faulty(home=home, key=key), set[int]()
        while len(seen) < DEATHS_MAX + 2:
            seen |= processes(home)
            assert leaking.ask("leak", "leak").status in (200, 503)
            leaking.recovered("leak")
        report = home.report()
        assert report is not None
        assert report.quarantined == ()


def test_a_call_gets_no_more_memory_than_it_may(faulty: Faulty) -> None:
    """One call that wants gigabytes fails by itself, and so does no other."""
    reply = faulty.ask("hog", "hog")
    assert (reply.status, reply.json["code"]) == (500, "SW-316")
    assert faulty.ask("hog", "answer").status == 200


@pytest.mark.parametrize("do", MISTAKES)
def test_an_answer_of_another_form_is_refused(faulty: Faulty, do: str) -> None:
    """What is not of the signature is a 500 for its request, whatever it is."""
    reply = faulty.ask("mistaken", do)
    assert (reply.status, reply.json["code"]) == (500, "SW-316")
    assert faulty.ask("mistaken", "answer").status == 200


def test_an_error_tells_no_value(faulty: Faulty) -> None:
    """What the predictor raises is named to the caller; its words stand in the log alone."""
    reply = faulty.ask("mistaken", "fail")
    assert (reply.status, reply.json["code"]) == (500, "SW-316")
    assert "ValueError" in reply.json["error"]
    assert "42" not in reply.json["error"].replace(reply.json.get("prediction_id", ""), "")


def test_an_exit_is_an_error_like_another(faulty: Faulty) -> None:
    """`sys.exit` ends the call, and not the process."""
    assert faulty.ask("leave", "leave").status == 500
    assert faulty.ask("leave", "answer").status == 200


def test_what_is_printed_reaches_the_log_alone(faulty: Faulty) -> None:
    """Prints and writes to standard output disturb no answer, and are kept."""
    reply = faulty.ask("mistaken", "talk")
    assert (reply.status, reply.json["outputs"][0]["data"]) == (200, [3.0])
    log = faulty.home.folder / "logs" / "predictor-code-1-worker-0.log"
    end = time.monotonic() + 10
    while not log.exists() or "straight to it" not in log.read_text():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_what_it_starts_goes_with_it(faulty: Faulty) -> None:
    """A process that the predictor left behind ends with the predictor's own."""
    assert faulty.ask("fork", "fork").status == 200
    assert len(left_behind(faulty.home)) == 1
    assert faulty.ask("fork", "exit").status == 500
    faulty.recovered("fork")
    assert left_behind(faulty.home) == set()


def test_nothing_of_the_home_is_in_its_reach(home: Home) -> None:
    """It gets no descriptor but its own, and no variable that could be a secret."""
    script = """
import os
import numpy as np

class Predictor:
    def load(self, folder):
        pass

    def predict(self, columns):
        links = {os.readlink(f"/proc/self/fd/{one}").split(":")[0] for one in range(3, 40)
                 if os.path.lexists(f"/proc/self/fd/{one}")}
        names = {one for one in os.environ if "SERVEWELL" in one or "TOKEN" in one}
        assert links <= {"socket", "pipe"}, links
        assert not names, names
        return {"y": columns["x"]}
"""
    key, grant = home.key()
    endpoint = Endpoint(name="code", workload="code", deployments=(predictor(home, script),))
    home.publish_endpoints((endpoint,), (grant,))
    with home.process():
        report = home.wait_for_snapshot()
        assert report.ready, report.fault
        reply = home.send("POST", "/v2/models/code/infer", key=key, body=asking())
        assert reply.status == 200, reply.body


def test_what_cannot_be_run_is_told_and_hurts_nobody(home: Home) -> None:
    """A missing environment, a damaged package and a script that fails are faults of their own."""
    key, grant = home.key()
    onnx = Endpoint(
        name="flights", workload="flights", deployments=(home.deployment("blue", flight_model(2)),)
    )
    absent = predictor(home, environment="ab" * 32)
    damaged = predictor(home, timeout_s=2.0)
    failing = predictor(home, "raise RuntimeError('not today')")
    broken = [
        Endpoint(name=name, workload=name, deployments=(one,))
        for name, one in (("absent", absent), ("damaged", damaged), ("failing", failing))
    ]
    blob = next(
        path
        for path in (home.folder / "blobs").rglob("*")
        if path.is_file() and path.name == damaged.package
    )
    blob.chmod(0o600)
    blob.write_bytes(blob.read_bytes()[:-1] + b" ")
    home.publish_endpoints((onnx, *broken), (grant,))
    with home.process():
        report = home.wait_for_snapshot(fault=True)
        assert not report.ready
        for words in ("its environment", "does not match", "not today"):
            assert words in report.fault
        assert home.send("POST", "/v2/models/flights/infer", key=key, body=request()).status == 200
        for one in broken:
            path = f"/v2/models/{one.name}/infer"
            reply = home.send("POST", path, key=key, body=asking())
            assert (reply.status, reply.json["code"]) == (503, "SW-315")


def test_a_version_that_keeps_ending_its_process_is_refused(home: Home) -> None:
    """After three deaths the worker says so, and the others of the endpoint take the traffic."""
    key, grant = home.key()
    bad = replace(predictor(home), name="bad", share_bp=5_000)
    good = replace(predictor(home, timeout_s=9.0), name="good", version=2, share_bp=5_000)
    endpoint = Endpoint(name="code", workload="code", deployments=(good, bad))
    home.publish_endpoints((endpoint,), (grant,))

    def ask(do: str, to: str) -> Reply:
        headers = {"servewell-deployment": to}
        return home.send("POST", "/v2/models/code/infer", key=key, body=asking(do), headers=headers)

    with home.process():
        home.wait_for_snapshot()
        deaths, end = 0, time.monotonic() + 30
        while not (report := home.report()) or not report.quarantined:
            deaths += ask("exit", "bad").status == 500
            assert time.monotonic() < end
            time.sleep(0.02)
        assert deaths == 3
        [one] = report.quarantined
        assert (one.package, one.trial) == (bad.package, 0)
        assert "3 times within 60 s" in one.because
        for _ in range(10):
            reply = home.send("POST", "/v2/models/code/infer", key=key, body=asking())
            assert (reply.status, reply.headers["servewell-deployment"]) == (200, "good")
        again = replace(endpoint, deployments=(good, replace(bad, trial=1)))
        home.publish_endpoints((again,), (grant,))
        home.wait_for_snapshot()
        assert ask("answer", "bad").status == 200


def test_it_ends_with_its_worker(home: Home) -> None:
    """A worker that is killed takes its predictors and what they started with it."""
    key, grant = home.key()
    endpoint = Endpoint(name="code", workload="code", deployments=(predictor(home),))
    home.publish_endpoints((endpoint,), (grant,))
    with home.process() as worker:
        home.wait_for_snapshot()
        assert (
            home.send("POST", "/v2/models/code/infer", key=key, body=asking("fork")).status == 200
        )
        assert len(processes(home)) == 2
        worker.kill()
        worker.wait()
        end = time.monotonic() + 5
        while processes(home):
            assert time.monotonic() < end
            time.sleep(0.01)


def processes(home: Home) -> set[int]:
    """Return the processes that work in the folders of a home's predictors."""
    place, found = home.folder / "run" / "predictors", set()
    for one in Path("/proc").glob("[0-9]*/cwd"):
        try:
            if one.readlink().is_relative_to(place) and b"Z" not in state(one):
                found.add(int(one.parent.name))
        except OSError:
            continue
    return found


def left_behind(home: Home) -> set[int]:
    """Return those of them that a predictor has started."""
    return {
        pid
        for pid in processes(home)
        if b"left behind" in Path(f"/proc/{pid}/cmdline").read_bytes()
    }


def state(cwd: Path) -> bytes:
    """Return the state of a process: `R`, `S`, `Z` and so on."""
    return (cwd.parent / "stat").read_bytes().rpartition(b")")[2].split()[0]
