"""Emergency stops: what a worker answers while one is in force."""

import json
import time
from collections.abc import Callable

import pytest
import tritonclient.grpc as grpc_client

from servewell.adapters.embedded.signer import HomeSigner
from servewell.adapters.embedded.stops import FileStops
from servewell.core.catalog.key import Role
from servewell.core.catalog.stop import EVERY, StopMode, StopOrder
from servewell.core.operations.stopping import stops_digest
from servewell.ports.storage import StorageError
from servewell.serving.stopping import KnownStops
from serving.home import Home, Reply, flight_model, request
from serving.test_grpc import inputs

pytestmark = [pytest.mark.enable_socket, pytest.mark.alone]

INFER = "/v2/models/flights/infer"
WITHIN_S = 0.9
JSON_BODY = {"content-type": "application/json"}


def serving(home: Home) -> tuple[str, str]:
    """Publish `blue` (factor 2, all traffic) and `green` (factor 3); return two keys.

    The first is an operator's, the second an administrator's.
    """
    operator, operating = home.key()
    administrator, administering = home.key(Role.ADMINISTRATOR)
    home.publish(
        home.deployment("blue", flight_model(2.0)),
        home.deployment("green", flight_model(3.0), version=2, share_bp=0),
        grants=(operating, administering),
    )
    return operator, administrator


def stops(home: Home) -> FileStops:
    """Return the stops of a home."""
    return FileStops(home.folder / "stops", signer=HomeSigner(home.secrets))


def order(mode: StopMode = StopMode.REFUSE, **more: object) -> StopOrder:
    """Return an order for `flights`."""
    fixed = {"endpoint": "flights", "because": "it answers nonsense", "principal": "Ada", "at": 1.0}
    return StopOrder(mode=mode, **{**fixed, **more})  # type: ignore[arg-type]


def soon(home: Home, key: str, met: Callable[[Reply], bool]) -> tuple[Reply, float]:
    """Ask until the answer is as it should be; return it, and after how many seconds it was."""
    began = time.monotonic()
    while time.monotonic() - began < 10:
        reply = home.send("POST", INFER, key=key, body=request())
        if met(reply):
            return reply, time.monotonic() - began
        time.sleep(0.005)
    raise AssertionError(reply)


def until_obeyed(home: Home) -> None:
    """Wait until the worker says that it obeys the stops that are in force."""
    digest = stops_digest(stops(home).current())
    end = time.monotonic() + WITHIN_S
    while (report := home.report()) is None or report.stops != digest:
        assert time.monotonic() < end
        time.sleep(0.005)


def test_a_stop_refuses_at_once_and_until_it_is_lifted(home: Home) -> None:
    """In less than a second each request gets 503, which tells no caller why."""
    key, _ = serving(home)
    with home.process():
        home.wait_for_snapshot()
        assert home.send("POST", INFER, key=key, body=request()).status == 200
        stops(home).put(order())
        reply, took_s = soon(home, key, lambda one: one.status == 503)
        assert took_s < WITHIN_S
        until_obeyed(home)
        assert reply.json["code"] == "SW-371"
        assert "retry-after" not in reply.headers
        assert b"nonsense" not in reply.body
        assert home.send("GET", "/v2/models/flights/ready", key=key).status == 503
        assert home.send("GET", "/v2/health/ready", key=key).status == 200
        stops(home).lift("flights", because="mended", principal="Ada", at=2.0)
        _, took_s = soon(home, key, lambda one: one.status == 200)
        assert took_s < WITHIN_S
    codes = {(one.status, one.code) for one in home.records()}
    assert codes == {(200, ""), (503, "SW-371")}


def test_another_deployment_answers_every_request(home: Home) -> None:
    """Also those that ask for another one; one that is not loaded refuses, and says so."""
    key, _ = serving(home)
    with home.process():
        home.wait_for_snapshot()
        stops(home).put(order(StopMode.FALLBACK, deployment="green"))
        reply, _ = soon(home, key, lambda one: one.headers["servewell-deployment"] == "green")
        assert reply.json["outputs"][0]["data"] == [16.0]
        pinned = {"servewell-deployment": "blue"}
        asked = home.send("POST", INFER, key=key, body=request(), headers=pinned)
        assert asked.headers["servewell-deployment"] == "green"
        wrong = home.send("POST", INFER, key=key, body=request(carrier=["XX"]))
        assert (wrong.status, wrong.json["code"]) == (400, "SW-313")
        stops(home).put(order(StopMode.FALLBACK, deployment="gone"))
        reply, _ = soon(home, key, lambda one: one.status == 503)
        assert reply.json["code"] == "SW-372"
        report = home.wait_for_snapshot(fault=True)
        assert "`gone` is not loaded" in report.fault
    answered = [one for one in home.records() if one.status == 200]
    assert {(one.deployment, one.code) for one in answered[-2:]} == {("green", "SW-371")}
    stopped = [one for one in home.records() if one.role == "stopped"]
    assert {(one.status, one.code) for one in stopped} == {
        (200, "SW-371"), (400, "SW-313"), (503, "SW-372"),
    }  # fmt: skip
    assert {one.deployment for one in home.records() if not one.role} == {"blue"}


def test_the_same_outputs_answer_every_row_in_every_protocol(home: Home) -> None:
    """JSON and binary tensors, KServe, MLflow, Azure and gRPC all carry the constant, n times."""
    key, _ = serving(home)
    with home.process():
        home.wait_for_snapshot()
        stops(home).put(order(StopMode.CONSTANT, outputs={"late": 0.25, "echo": "none"}))
        reply, _ = soon(
            home, key, lambda one: one.headers.get("servewell-deployment") == "(constant)"
        )
        told = {one["name"]: one["data"] for one in reply.json["outputs"]}
        assert told == {"late": [0.25], "echo": ["none"]}
        row = {"delay": 2.0, "carrier": "AA", "seats": 1, "name": None}
        rows = {"instances": [row] * 3}
        for path in ("/v1/models/flights:predict", "/endpoints/flights/invocations"):
            answer = home.send("POST", path, key=key, body=rows, headers=JSON_BODY)
            assert answer.json["predictions"] == [{"late": 0.25, "echo": "none"}] * 3
        columns = {"columns": list(row), "data": [list(row.values())] * 2}
        path = "/endpoints/flights/score"
        answer = home.send("POST", path, key=key, body={"input_data": columns}, headers=JSON_BODY)
        assert answer.status == 200
        assert b"0.25" in answer.body
        with grpc_client.InferenceServerClient(f"127.0.0.1:{home.port}") as client:
            metadata = {"authorization": f"Bearer {key}"}
            outcome = client.infer("flights", inputs(2), headers=metadata)
            assert outcome.as_numpy("late").tolist() == [[0.25], [0.25]]
        wrong = home.send("POST", INFER, key=key, body=request(carrier=["XX"]))
        assert (wrong.status, wrong.json["code"]) == (400, "SW-313")
    last = home.records()[-2]
    assert (last.deployment, last.model, last.code, last.status) == (
        "(constant)", "", "SW-371", 200,
    )  # fmt: skip
    assert last.outputs == [[0.25, 0.25], ["none", "none"]]


def test_a_stop_survives_a_restart_and_damage(home: Home) -> None:
    """A new worker obeys it before its first answer; of a damaged file it takes no chance."""
    key, _ = serving(home)
    stops(home).put(order())
    place = home.folder / "stops" / "orders"
    with home.process():
        home.wait_for_snapshot()
        assert home.send("POST", INFER, key=key, body=request()).json["code"] == "SW-371"
        whole = place.read_bytes()
        place.write_bytes(whole[:-3])
        report = home.wait_for_snapshot(fault=True)
        assert "emergency stops cannot be trusted" in report.fault
        assert home.send("POST", INFER, key=key, body=request()).json["code"] == "SW-371"
        stops(home).put(order(endpoint="another"))
        until_obeyed(home)
        assert home.send("POST", INFER, key=key, body=request()).json["code"] == "SW-371"
        stops(home).lift(EVERY, because="found out", principal="Ada", at=2.0)
        soon(home, key, lambda one: one.status == 200)
        place.write_bytes(whole[:-3])
    with home.process():
        home.wait_for_snapshot(fault=True)
        assert home.send("POST", INFER, key=key, body=request()).json["code"] == "SW-371"
        place.unlink()
        soon(home, key, lambda one: one.status == 200)


def test_an_administrator_orders_it_of_a_worker(home: Home) -> None:
    """It is checked, takes effect before it is answered, and is nobody else's right."""
    key, administrator = serving(home)

    def post(path: str, body: object, key: str = administrator) -> Reply:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        return home.send("POST", f"/endpoints/flights/{path}", key=key, body=content)

    stop = {"because": "it answers nonsense"}
    with home.process():
        home.wait_for_snapshot()
        assert post("stop", stop, key).status == 403
        for wrong in (
            b"{",
            b"\xff",
            {},
            {"because": " "},
            stop | {"other": 1},
            stop | {"fallback": "gone"},
            stop | {"constant": {"late": "x", "more": 1}},
            stop | {"constant": {"late": 1.0, "echo": ""}, "fallback": "green"},
        ):
            refused = post("stop", wrong)
            assert (refused.status, refused.json["code"]) == (400, "SW-373")
        assert home.send("POST", INFER, key=key, body=request()).status == 200
        done = post("stop", stop | {"constant": {"late": 1, "echo": ""}})
        assert done.status == 200
        assert (done.json["mode"], done.json["in_force_here"]) == ("constant", True)
        answer = home.send("POST", INFER, key=key, body=request())
        assert answer.headers["servewell-deployment"] == "(constant)"
        assert post("stop", stop | {"fallback": "green"}).json["deployment"] == "green"
        answer = home.send("POST", INFER, key=key, body=request())
        assert answer.headers["servewell-deployment"] == "green"
        [kept] = stops(home).current()
        assert kept.principal == "administrator-of-*"
        lifted = post("resume", b"")
        assert lifted.json == {
            "endpoint": "flights", "stopped": False, "carried_out": True, "in_force_here": True,
        }  # fmt: skip
        answer = home.send("POST", INFER, key=key, body=request())
        assert answer.headers["servewell-deployment"] == "blue"
        assert post("resume", {"because": "again"}).json["carried_out"] is False
        assert post("resume", {"why": "again"}).status == 400
    assert [one.order is None for one in stops(home).untold()] == [False, False, True]


class FailingStops(FileStops):
    """The stops of a home, on a disk that fails when told to."""

    fails = True

    def current(self) -> tuple[StopOrder, ...]:
        """See `Stops.current`."""
        if self.fails:
            raise StorageError("The disk fails.", why="it does", fix="wait")
        return super().current()


def test_what_could_not_be_read_is_read_again(home: Home) -> None:
    """A disk that failed once hides no order for good, though nothing changed since."""
    stops(home).put(order())
    failing = FailingStops(home.folder / "stops", signer=HomeSigner(home.secrets))
    known = KnownStops(failing)
    known.read()
    assert (known.orders, known.fault, known.changed) == (None, "The disk fails. it does.", False)
    failing.fails = False
    end = time.monotonic() + 3
    while not known.changed:
        assert time.monotonic() < end
        time.sleep(0.02)
    known.read()
    assert (known.orders, known.fault, known.changed) == ((order(),), "", False)
