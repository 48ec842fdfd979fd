"""Models that are loaded at their first request, and leave memory when nobody asks."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from servewell.core.catalog.endpoint import Deployment, Endpoint, EndpointPolicy
from servewell.core.catalog.model import Predictor
from servewell.core.catalog.signature import Datatype, Input, Output, Signature
from servewell.ports.predictors import PredictorHost
from servewell.serving.crash_notes import CrashNotes
from servewell.serving.package import Shelf, load_package
from servewell.serving.runtimes.model import ModelAbsentError
from servewell.serving.runtimes.on_demand import RELOAD_DELAYS_S
from serving.home import Home, onnx_bytes
from serving.predictors import asking, predictor
from serving.slow_model import SLOW as SLOW_MODEL
from serving.slow_model import slow_model, slow_request

pytestmark = pytest.mark.enable_socket

VERSIONS = 20
MODEL_BYTES = 20_000_000
IDLE_S = 1.0
LOAD_S = 0.8  # of the slow one
INFER = "/v2/models/flights/infer"
FOR_EVER = 10**8  # turns: half an hour
SIGNATURE = Signature(
    inputs=(Input(name="x", datatype=Datatype.INT64),),
    outputs=(Output(name="y", datatype=Datatype.FP32, row_shape=(1,)),),
)


def large(number: int) -> bytes:
    """Return a model of `MODEL_BYTES` that looks its answer up: `y = x + number`."""
    table = np.arange(MODEL_BYTES // 4, dtype="float32") + number
    constant = helper.make_tensor(
        "table", TensorProto.FLOAT, table.shape, table.tobytes(), raw=True
    )
    return onnx_bytes(SIGNATURE, [helper.make_node("Gather", ["table", "x"], ["y"])], [constant])


def memory_bytes(pid: int) -> int:
    """Return the memory that a process holds."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4_096


def ask(home: Home, key: str, version: int, **headers: str) -> tuple[int, object]:
    """Ask one version for `5 + version`."""
    tensor = {"name": "x", "shape": [1, 1], "datatype": "INT64", "data": [5]}
    path = f"/v2/models/many/versions/{version}/infer"
    reply = home.send("POST", path, key=key, body={"inputs": [tensor]}, headers=headers)
    return reply.status, reply.json["outputs"][0]["data"] if reply.status == 200 else reply.json


def test_twenty_versions_do_not_hold_twenty_models(home: Home) -> None:
    """Each answers right when it is asked, all at once too; idle, none is in memory."""
    key, grant = home.key()
    deployments = tuple(
        home.deployment(
            f"v{number}",
            large(number),
            signature=SIGNATURE,
            version=number,
            share_bp=10_000 if number == 1 else 0,
        )
        for number in range(1, VERSIONS + 1)
    )
    policy = EndpointPolicy(idle_s=IDLE_S)
    endpoint = Endpoint(name="many", workload="many", deployments=deployments, policy=policy)
    home.publish_endpoints((endpoint,), (grant,))
    with home.process() as worker:
        report = home.wait_for_snapshot()
        assert report.ready
        before = memory_bytes(worker.pid)
        about = home.send("GET", "/v2/models/many", key=key).json
        assert [one["name"] for one in about["inputs"]] == ["x"]
        assert home.send("GET", "/v2/models/many/ready", key=key).status == 200
        assert memory_bytes(worker.pid) - before < MODEL_BYTES
        with ThreadPoolExecutor(4) as callers:
            numbers = [*range(1, VERSIONS + 1)] * 2
            answers = list(callers.map(lambda number: ask(home, key, number), numbers))
        assert answers == [(200, [5.0 + number]) for number in numbers]
        end = time.monotonic() + 20
        while memory_bytes(worker.pid) - before > 3 * MODEL_BYTES:
            assert time.monotonic() < end, (memory_bytes(worker.pid) - before) / MODEL_BYTES
            time.sleep(0.1)
        assert ask(home, key, 7) == (200, [12.0])


SLOW = """
import time

class Predictor:
    def load(self, folder):
        time.sleep(LOAD_S)

    def predict(self, columns):
        return {"y": columns["x"]}
"""


@pytest.fixture
def lazy(home: Home) -> Iterator[tuple[Home, str]]:
    """A home with a predictor that takes a while to load, on demand."""
    key, grant = home.key()
    publish(home, predictor(home, SLOW.replace("LOAD_S", str(LOAD_S))))
    home.publish_endpoints(home.snapshot.endpoints, (grant,))
    with home.process():
        home.wait_for_snapshot()
        yield home, key


def publish(home: Home, deployment: Deployment) -> None:
    """Publish one deployment that is loaded on demand."""
    policy = EndpointPolicy(idle_s=IDLE_S)
    endpoint = Endpoint(name="code", workload="code", deployments=(deployment,), policy=policy)
    home.publish_endpoints((endpoint,), home.snapshot.grants)


def infer(home: Home, key: str, **headers: str) -> tuple[int, str]:
    """Ask the predictor; return the status, and the code of an error."""
    path = "/v2/models/code/infer"
    reply = home.send("POST", path, key=key, body=asking(), headers=headers)
    return reply.status, reply.json.get("code", "")


def test_first_requests_wait_for_the_model(lazy: tuple[Home, str]) -> None:
    """All of them are answered, none gets a 400 or a 503, and it is loaded once."""
    home, key = lazy
    with ThreadPoolExecutor(8) as callers:
        answers = list(callers.map(lambda _: infer(home, key), range(8)))
    assert answers == [(200, "")] * 8
    assert len(list((home.folder / "run" / "predictors").iterdir())) == 1


def test_who_cannot_wait_is_told_so(lazy: tuple[Home, str]) -> None:
    """A request whose time is over before the model is there gets a 504; the next is answered."""
    home, key = lazy
    assert infer(home, key, **{"servewell-timeout-ms": "100"})[0] == 504
    assert infer(home, key) == (200, "")


def test_what_cannot_be_loaded_is_told_at_the_request(home: Home) -> None:
    """Where the package is damaged the endpoint is up, and says why it does not answer."""
    key, grant = home.key()
    deployment = replace(predictor(home, "raise RuntimeError('not today')"))
    publish(home, deployment)
    home.publish_endpoints(home.snapshot.endpoints, (grant,))
    with home.process():
        assert home.wait_for_snapshot().ready
        assert infer(home, key) == (503, "SW-362")
        assert infer(home, key) == (503, "SW-362")


def test_a_failure_to_load_is_not_repeated_at_each_request(home: Home) -> None:
    """Until the time that `Retry-After` names nothing is tried, and then it is."""
    key, grant = home.key()
    attempts = home.folder / "attempts"
    script = f"open({str(attempts)!r}, 'a').write('1')\nraise RuntimeError('not today')"
    publish(home, predictor(home, script))
    home.publish_endpoints(home.snapshot.endpoints, (grant,))
    with home.process():
        home.wait_for_snapshot()
        path, waits = "/v2/models/code/infer", []
        end = time.monotonic() + 20
        while not attempts.exists() or len(attempts.read_text()) < 3:
            reply = home.send("POST", path, key=key, body=asking())
            assert (reply.status, reply.json["code"]) == (503, "SW-362")
            waits.append(int(reply.headers["retry-after"]))
            assert time.monotonic() < end
        assert len(waits) > 10
        assert set(waits) <= {1, 2, 5}
        assert waits[-1] == RELOAD_DELAYS_S[2]


def test_whatever_goes_wrong_in_loading_is_told(home: Home) -> None:
    """Also what nobody foresaw, so that it is a 503 with its reason."""

    class Broken:
        def open(self, archive: Path, predictor: Predictor, *, log: str) -> PredictorHost:
            del archive, predictor, log
            raise RuntimeError("no such thing")

    parts = home.parts()
    (home.folder / "run").mkdir()
    shelf = Shelf(
        blobs=parts.blobs,
        signer=parts.signer,
        predictors=Broken(),
        notes=CrashNotes(home.folder / "run", 0, now=parts.clock.now()),
        worker=0,
    )
    model = load_package(predictor(home), shelf, idle_s=1.0).model
    with pytest.raises(ModelAbsentError, match="RuntimeError"):
        model.run({}, model.outputs)


def test_a_late_call_of_a_model_in_onnx_is_ended(home: Home) -> None:
    """The caller is told at its deadline, and the model is free again for the next one."""
    key, grant = home.key()
    policy = EndpointPolicy(idle_s=60.0, latency_objective_ms=60_000.0)
    deployment = home.deployment("blue", slow_model(), signature=SLOW_MODEL)
    home.publish(deployment, policy=policy, grants=(grant,))

    def ask(turns: int, **headers: str) -> int:
        body = slow_request([1.0], turns)
        return home.send("POST", INFER, key=key, body=body, headers=headers).status

    with home.process():
        home.wait_for_snapshot()
        assert ask(1) == 200
        assert ask(FOR_EVER, **{"servewell-timeout-ms": "300"}) == 504
        assert ask(1, **{"servewell-timeout-ms": "5000"}) == 200


def test_the_time_of_loading_is_not_taken_for_that_of_the_model(lazy: tuple[Home, str]) -> None:
    """What is learned after the first request is what the model takes."""
    home, key = lazy
    assert infer(home, key) == (200, "")
    name, end = 'servewell_model_call_seconds{endpoint="code"', time.monotonic() + 10
    while True:
        lines = home.send("GET", "/metrics", key=key).body.decode().splitlines()
        found = [float(one.rpartition(" ")[2]) for one in lines if one.startswith(name)]
        if sum(found) > 0:
            break
        assert time.monotonic() < end
        time.sleep(0.05)
    assert sum(found) < LOAD_S / 2


def test_the_models_are_as_large_as_they_say() -> None:
    """The bound above means something only for models of that size."""
    assert len(onnx.load_from_string(large(1)).graph.initializer[0].raw_data) == MODEL_BYTES
