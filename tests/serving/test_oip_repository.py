"""The model repository: what is there, and loading and unloading it."""

import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import tritonclient.http as triton

from servewell.adapters.embedded.clock import SystemClock
from servewell.adapters.embedded.errands import FileErrands
from servewell.core.catalog.endpoint import Endpoint
from servewell.core.catalog.key import Role
from servewell.ports.errands import Report
from serving.home import Home, flight_model, request

GUIDE = Path(__file__).parents[2] / "docs" / "guides" / "open-inference-protocol.md"
LOAD, UNLOAD = (f"/v2/repository/models/flights/{one}" for one in ("load", "unload"))


@dataclass(slots=True)
class Control:
    """Stands for the control process: does each errand by publishing what it asks for."""

    home: Home
    fault: str = ""
    acts: bool = True
    stopped: bool = False

    def run(self) -> None:
        """Do errands until stopped."""
        errands = FileErrands(self.home.folder / "run" / "errands")
        while not self.stopped:
            for one in errands.open(SystemClock().now()) if self.acts else ():
                if not self.fault:
                    self._publish(one.endpoint, loaded=one.loaded)
                errands.done(Report(id=one.id, fault=self.fault))
            time.sleep(0.01)

    def _publish(self, name: str, *, loaded: bool) -> None:
        endpoints = tuple(
            replace(one, loaded=loaded) if one.name == name else one
            for one in self.home.snapshot.endpoints
        )
        self.home.publish_endpoints(endpoints, self.home.snapshot.grants)


@dataclass(frozen=True, slots=True, kw_only=True)
class Repository:
    """A worker that serves `flights` and `other`, and what stands for its control process."""

    home: Home
    control: Control
    administrator: str
    limited: str  # an administrator of `other` alone
    operator: str


@pytest.fixture
def repository(home: Home) -> Iterator[Repository]:
    """Run a worker and a control."""
    administrator, administering = home.key(Role.ADMINISTRATOR)
    limited, limiting = home.key(Role.ADMINISTRATOR, endpoints=("other",))
    operator, operating = home.key()
    deployments = (
        home.deployment("blue", flight_model(2.0)),
        home.deployment("green", flight_model(3.0), version=2, share_bp=0),
    )
    endpoints = (
        Endpoint(name="flights", workload="flights", deployments=deployments),
        Endpoint(name="other", workload="other", deployments=deployments[:1]),
    )
    home.publish_endpoints(endpoints, (administering, limiting, operating))
    control = Control(home)
    thread = threading.Thread(target=control.run)
    with home.process():
        home.wait_for_snapshot()
        thread.start()
        yield Repository(
            home=home,
            control=control,
            administrator=administrator,
            limited=limited,
            operator=operator,
        )
        control.stopped = True
        thread.join()


def test_an_endpoint_is_unloaded_and_loaded_again(repository: Repository) -> None:
    """Once it is answered it is so: refused by a name of its own, and predicting again."""
    home, key = repository.home, repository.administrator
    assert home.send("POST", UNLOAD, key=key).status == 200
    path = "/v2/models/flights"
    for tail in ("/infer", "/versions/1/infer"):
        reply = home.send("POST", path + tail, key=key, body=request())
        assert (reply.status, reply.json["code"]) == (503, "SW-319")
        assert reply.headers["retry-after"] == "30"
        assert "load flights" in reply.json["error"]
    for tail in ("/ready", "/versions/1/ready"):
        reply = home.send("GET", path + tail, key=key)
        assert (reply.status, reply.json["ready"]) == (503, False)
    assert home.send("GET", path, key=key).json["code"] == "SW-319"
    assert home.send("GET", "/v2/health/ready", key=key).status == 200
    assert home.send("POST", UNLOAD, key=key).status == 200
    assert home.send("POST", LOAD, key=key, body={"parameters": {}}).status == 200
    assert home.send("POST", path + "/infer", key=key, body=request()).status == 200


def test_the_index_tells_what_a_key_reaches(repository: Repository) -> None:
    """Versions and states, of all or of what is ready; with an empty body too."""
    home, key = repository.home, repository.administrator
    home.send("POST", UNLOAD, key=key)
    unloaded = {"name": "flights", "version": "", "state": "UNAVAILABLE", "reason": "unloaded"}
    other = {"name": "other", "version": "1", "state": "READY", "reason": ""}
    index = "/v2/repository/index"
    assert home.send("POST", index, key=key).json == [unloaded, other]
    assert home.send("POST", index, key=key, body={"ready": True}).json == [other]
    assert home.send("POST", index, key=repository.limited, body={}).json == [other]
    for body in (b"{", b"[]", b'{"ready": 1}', b"\xff"):
        reply = home.send("POST", index, key=key, body=body)
        assert (reply.status, reply.json["code"]) == (400, "SW-312")


def test_only_administrators_change_what_is_loaded(repository: Repository) -> None:
    """An operator, and an administrator of something else, are refused and change nothing."""
    home = repository.home
    for path in (LOAD, UNLOAD):
        for key in (repository.operator, repository.limited):
            reply = home.send("POST", path, key=key)
            assert (reply.status, reply.json["code"]) == (403, "SW-308")
        assert home.send("POST", path).status == 401
        assert home.send("GET", path, key=repository.administrator).status == 405
    assert home.send("POST", "/v2/repository/index", key=repository.operator).status == 403
    path = "/v2/models/flights/infer"
    assert home.send("POST", path, key=repository.operator, body=request()).status == 200


def test_what_is_not_done_is_told(repository: Repository) -> None:
    """A fault of the control process, and one that does not act, are a 503 with the reason."""
    home, key = repository.home, repository.administrator
    repository.control.fault = "The state cannot be reached. It is away."
    reply = home.send("POST", UNLOAD, key=key)
    assert (reply.status, reply.json["code"]) == (503, "SW-325")
    assert "It is away" in reply.json["error"]
    assert reply.json["error"].count("is not unloaded") == 1
    repository.control.acts = False
    others = threading.Thread(target=lambda: home.send("POST", LOAD, key=key))
    others.start()
    started = time.monotonic()
    path = "/v2/models/flights/infer"
    assert home.send("POST", path, key=key, body=request()).status == 200
    assert time.monotonic() - started < 3, "a request waited for the errand of another"
    reply = home.send("POST", UNLOAD, key=key)
    others.join()
    assert (reply.status, reply.json["code"]) == (503, "SW-325")
    assert "retry-after" in reply.headers
    assert "control process" in reply.json["error"]
    assert list((home.folder / "run" / "errands").iterdir()) == []


def test_an_endpoint_that_is_not_there_is_a_404(repository: Repository) -> None:
    """Its name is asked for before anything is tried."""
    path = "/v2/repository/models/nothing/load"
    reply = repository.home.send("POST", path, key=repository.administrator)
    assert (reply.status, reply.json["code"]) == (404, "SW-309")


def test_nvidias_client_loads_and_unloads(repository: Repository) -> None:
    """`tritonclient` reads the index, unloads and loads; a model cannot be sent along."""
    headers = {"Authorization": f"Bearer {repository.administrator}"}
    with triton.InferenceServerClient(f"127.0.0.1:{repository.home.port}") as client:
        client.unload_model("flights", headers=dict(headers))
        assert not client.is_model_ready("flights", headers=dict(headers))
        index = client.get_model_repository_index(headers=dict(headers))
        assert [one["state"] for one in index] == ["UNAVAILABLE", "READY"]
        client.load_model("flights", headers=dict(headers))
        assert client.is_model_ready("flights", headers=dict(headers))
        with pytest.raises(triton.InferenceServerException, match="sent along"):
            client.load_model("flights", headers=dict(headers), config="{}")


def test_the_guide_holds(repository: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the guide shows in Python runs as it stands, at another address."""
    monkeypatch.setenv("SERVEWELL_KEY", repository.operator)
    monkeypatch.setenv("ADMINISTRATOR_KEY", repository.administrator)
    blocks = re.findall(r"```python\n(.*?)```", GUIDE.read_text(), re.DOTALL)
    address = f"127.0.0.1:{repository.home.port}"
    program = "\n".join(blocks).replace("127.0.0.1:8080", address)
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "[205.]" in done.stdout
    assert "READY" in done.stdout
