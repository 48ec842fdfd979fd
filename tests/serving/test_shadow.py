"""A candidate that gets copies of live requests, and whose answers nobody gets."""

import re
import time
from collections.abc import Callable
from dataclasses import replace

import pytest
from onnx import TensorProto, helper

from servewell.core.catalog.endpoint import BP_FULL, Deployment, Endpoint, EndpointPolicy, Shadow
from servewell.core.catalog.key import Role
from servewell.core.catalog.prediction_record import PredictionRecord
from servewell.core.catalog.signature import Datatype, Input
from servewell.core.operations.routing import is_copied
from servewell.serving.crash_notes import mark_of
from servewell.serving.shadowing import QUEUE_REQUESTS_MAX
from serving.home import FLIGHT, POISON, Home, flight_model, onnx_bytes, request
from serving.slow_model import SLOW, slow_model, slow_request

pytestmark = pytest.mark.enable_socket

INFER = "/v2/models/flights/infer"


def publish(
    home: Home,
    *deployments: Deployment,
    share_bp: int = BP_FULL,
    policy: EndpointPolicy | None = None,
    role: Role = Role.OPERATOR,
) -> str:
    """Publish an endpoint with a shadow, `candidate`; return a key of it."""
    key, grant = home.key(role)
    endpoint = Endpoint(
        name="flights",
        workload="flights",
        deployments=deployments,
        policy=policy or EndpointPolicy(),
        shadow=Shadow(deployment="candidate", share_bp=share_bp),
    )
    home.publish_endpoints((endpoint,), (grant,))
    return key


def copies(home: Home, key: str) -> dict[str, int]:
    """Return what became of the copies, as it is counted."""
    page = home.send("GET", "/metrics", key=key).body.decode()
    found = re.findall(r"servewell_shadow_copies_total\{.*outcome=\"(\w+)\"\} (\d+)", page)
    offered = re.findall(r"servewell_shadow_offered_total\{.*\} (\d+)", page)
    return {name: int(count) for name, count in found} | {"offered": sum(map(int, offered))}


def shadows(home: Home) -> list[PredictionRecord]:
    """Return the records of copies."""
    return [one for one in home.records(torn=True) if one.role == "shadow"]


def wait_for(found: Callable[[], bool]) -> None:
    """Wait until something is so."""
    for _ in range(500):
        if found():
            return
        time.sleep(0.01)
    raise AssertionError("it did not come about in time")


def test_copies_go_to_the_candidate_and_its_answers_to_the_records_alone(home: Home) -> None:
    """Callers get the live answer; the record of the copy has the id of the live one."""
    live = home.deployment("live", flight_model(2.0))
    candidate = home.deployment("candidate", flight_model(3.0), version=2, share_bp=0)
    key = publish(home, live, candidate)
    with home.process():
        home.wait_for_snapshot()
        replies = [home.send("POST", INFER, key=key, body=request()) for _ in range(5)]
        wait_for(lambda: len(shadows(home)) == 5)
        for path, headers in (
            (INFER, {"servewell-deployment": "candidate"}),
            ("/v2/models/flights/versions/2/infer", {}),
        ):
            refused = home.send("POST", path, key=key, body=request(), headers=headers)
            assert (refused.status, refused.json["code"]) == (403, "SW-308")
    assert {one.headers["servewell-deployment"] for one in replies} == {"live"}
    answers = [one for one in home.records() if not one.role]
    copies = shadows(home)
    assert {one.prediction_id for one in copies} == {one.prediction_id for one in answers}
    assert {one.deployment for one in copies} == {"candidate"}
    assert [one.outputs for one in copies] == [[[16.0], ["AA"]]] * 5
    assert [one.inputs for one in copies] == [[]] * 5
    assert {one.status for one in copies} == {200}
    assert all(one.stages_us[3] > 0 for one in copies)


def test_the_copies_are_those_that_their_ids_say(home: Home) -> None:
    """Of a share, anybody finds out later which were copied; each is counted."""
    live = home.deployment("live", flight_model(2.0))
    candidate = home.deployment("candidate", flight_model(3.0), version=2, share_bp=0)
    key = publish(home, live, candidate, share_bp=4_000, role=Role.ADMINISTRATOR)
    with home.process():
        home.wait_for_snapshot()
        for _ in range(40):
            home.send("POST", INFER, key=key, body=request())
        pinned = {"servewell-deployment": "candidate"}
        asked = home.send("POST", INFER, key=key, body=request(), headers=pinned)
        assert asked.status == 200
        home.send("POST", INFER, key=key, body=request(seats=[POISON]))  # it fails: no answer
        answered = [one for one in home.records(torn=True) if one.deployment == "live"]
        expected = {
            one.prediction_id
            for one in answered
            if one.status == 200 and is_copied(one.prediction_id, 4_000)
        }
        wait_for(lambda: len(shadows(home)) == len(expected))
        counted = copies(home, key)
    assert {one.prediction_id for one in shadows(home)} == expected
    assert 0 < len(expected) < 40
    assert (counted["offered"], counted["answered"]) == (len(expected), len(expected))
    assert sum(counted.values()) == 2 * len(expected)


def test_a_candidate_with_other_inputs_runs_on_those_that_are_there(home: Home) -> None:
    """One that takes less is answered; one that takes more fails, with a reason that says what."""
    fewer = replace(FLIGHT, inputs=(FLIGHT.inputs[2],), outputs=FLIGHT.outputs[:1])
    nodes = [helper.make_node("Cast", ["seats"], ["late"], to=TensorProto.FLOAT)]
    more = replace(fewer, inputs=(*fewer.inputs, Input(name="gate", datatype=Datatype.BYTES)))
    ignored = [*nodes, helper.make_node("Identity", ["gate"], ["unused"])]
    live = home.deployment("live", flight_model(2.0))
    small = home.deployment(
        "candidate", onnx_bytes(fewer, nodes, []), signature=fewer, version=2, share_bp=0
    )
    large = home.deployment(
        "candidate", onnx_bytes(more, ignored, []), signature=more, version=3, share_bp=0
    )
    key = publish(home, live, small)
    with home.process():
        home.wait_for_snapshot()
        home.send("POST", INFER, key=key, body=request(2, seats=[4, 5]))
        wait_for(lambda: len(shadows(home)) == 1)
        key = publish(home, live, large)
        home.wait_for_snapshot()
        assert home.send("POST", INFER, key=key, body=request()).status == 200
        wait_for(lambda: len(shadows(home)) == 2)
    first, second = shadows(home)
    assert (first.status, first.outputs, first.rows) == (200, [[4.0, 5.0]], 2)
    assert (second.status, second.code, second.outputs) == (500, "SW-370", [])
    assert "`gate` (BYTES)" in second.reason


def test_a_candidate_that_cannot_be_loaded_leaves_the_endpoint_ready(home: Home) -> None:
    """It is told why there are no copies; nobody else notices."""
    live = home.deployment("live", flight_model(2.0))
    key = publish(home, live, home.deployment("candidate", b"no model", version=2, share_bp=0))
    with home.process():
        report = home.wait_for_snapshot(fault=True)
        home.wait_for_snapshot()
        assert home.send("GET", "/v2/health/ready", key=key).status == 200
        assert home.send("POST", INFER, key=key, body=request()).status == 200
    assert "`candidate`" in report.fault
    assert report.memory_bytes > 1 << 20
    assert shadows(home) == []


def slow_home(home: Home, policy: EndpointPolicy) -> tuple[str, Deployment]:
    """Publish a model that is quick and a shadow that takes as long as its rows ask for."""
    nodes = [
        helper.make_node("Mul", ["x", "two"], ["y"]),
        helper.make_node("Identity", ["turns"], ["rows"]),
    ]
    two = [helper.make_tensor("two", TensorProto.FLOAT, [1], [2.0])]
    live = home.deployment("live", onnx_bytes(SLOW, nodes, two), signature=SLOW)
    candidate = home.deployment("candidate", slow_model(), signature=SLOW, version=2, share_bp=0)
    return publish(home, live, candidate, policy=policy), candidate


def test_what_a_slow_candidate_cannot_take_is_dropped_and_counted(home: Home) -> None:
    """Live answers stay quick, the line for copies is bounded, and the worker ends at once."""
    key, candidate = slow_home(home, EndpointPolicy(timeout_ms=60_000))
    running = home.folder / "run" / "running-0"
    with home.process():
        home.wait_for_snapshot()
        endless = slow_request([1.0], 10_000_000)
        assert home.send("POST", INFER, key=key, body=endless).status == 200
        mark = mark_of(candidate.package).to_bytes(8, "little")
        wait_for(lambda: mark in running.read_bytes())  # so a crash is known to be its doing
        began = time.monotonic()
        sent = QUEUE_REQUESTS_MAX + 5
        for _ in range(sent):
            assert home.send("POST", INFER, key=key, body=endless).status == 200
        assert time.monotonic() - began < 10
        counted = copies(home, key)
        assert counted["offered"] == sent + 1
        assert counted["full"] == 5
        ended = time.monotonic()
    assert time.monotonic() - ended < 5


def test_a_copy_has_as_long_as_a_live_request(home: Home) -> None:
    """One that takes longer is ended, and recorded as too late; the next is answered."""
    key, _ = slow_home(home, EndpointPolicy(timeout_ms=200))
    with home.process():
        home.wait_for_snapshot()
        home.send("POST", INFER, key=key, body=slow_request([1.0], 10_000_000))
        wait_for(lambda: len(shadows(home)) == 1)

        def answered() -> bool:
            home.send("POST", INFER, key=key, body=slow_request([1.0], 1))
            return any(one.status == 200 for one in shadows(home))

        wait_for(answered)
    late = shadows(home)[0]
    assert (late.status, late.code, late.outputs) == (504, "SW-323", [])
