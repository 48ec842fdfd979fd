"""Callers that stay with one deployment while the traffic is split."""

import http.client
import json
from contextlib import ExitStack

import pytest
import tritonclient.grpc as grpc_client

from servewell.core.catalog.endpoint import EndpointPolicy
from servewell.core.operations.routing import choose_sticky
from serving.home import Home, flight_model, request
from serving.slow_model import SLOW, slow_model, slow_request
from serving.test_grpc import inputs

pytestmark = pytest.mark.enable_socket

INFER = "/v2/models/flights/infer"
FOR_EVER = 10**8  # turns: half an hour


def publish(home: Home, sticky: str, new_bp: int) -> str:
    """Publish two deployments, `live` and `new`, of which the second has this share."""
    key, grant = home.key()
    home.publish(
        home.deployment("live", flight_model(2.0), share_bp=10_000 - new_bp),
        home.deployment("new", flight_model(3.0), version=2, share_bp=new_bp),
        policy=EndpointPolicy(sticky=sticky),
        grants=(grant,),
    )
    return key


def by_header(home: Home, key: str, callers: int = 40) -> dict[str, str]:
    """Return who answered each of some callers, each asked thrice on a shared connection."""
    found: dict[str, str] = {}
    line = http.client.HTTPConnection("127.0.0.1", home.port, timeout=20)
    for number in [*range(callers)] * 3:
        headers = {"Authorization": f"Bearer {key}", "X-User-Id": f"user-{number}"}
        line.request("POST", INFER, json.dumps(request()), headers)
        answer = line.getresponse()
        answer.read()
        served = answer.headers["servewell-deployment"]
        assert found.setdefault(f"user-{number}", served) == served
    line.close()
    return found


def test_the_same_header_stays_and_a_larger_share_only_draws_to_it(home: Home) -> None:
    """Callers are answered as the rule says, from the moment on at which it is served."""
    key = publish(home, "", 2_000)
    with home.process():
        home.wait_for_snapshot()
        headers = {"X-User-Id": "user-1"}
        drawn = {
            home.send("POST", INFER, key=key, body=request(), headers=headers).headers[
                "servewell-deployment"
            ]
            for _ in range(60)
        }
        assert drawn == {"live", "new"}
        before: dict[str, str] = {}
        for new_bp in (2_000, 6_000):
            key = publish(home, "header:x-USER-id", new_bp)
            home.wait_for_snapshot()
            after = by_header(home, key)
            shares = [("live", 10_000 - new_bp), ("new", new_bp)]
            assert after == {
                name: choose_sticky(shares, name.encode(), salt="flights") for name in after
            }
            assert all(after[name] == "new" for name, one in before.items() if one == "new")
            before = after
        asked = [home.send("POST", INFER, key=key, body=request()) for _ in range(3)]
        assert {one.status for one in asked} == {200}
        with grpc_client.InferenceServerClient(f"127.0.0.1:{home.port}") as client:
            for name in list(after)[:5]:
                metadata = {"authorization": f"Bearer {key}", "x-user-id": name}
                answer = client.infer("flights", inputs(), headers=metadata).get_response()
                assert {"1": "live", "2": "new"}[answer.model_version] == after[name]
        pinned = {"X-User-Id": "user-1", "servewell-deployment": "live"}
        reply = home.send("POST", INFER, key=key, body=request(), headers=pinned)
        assert reply.headers["servewell-deployment"] == "live"


def test_the_same_value_of_an_input_stays_in_every_protocol(home: Home) -> None:
    """Its first row counts; a request without the value is drawn, and a bad one is refused."""
    key = publish(home, "seats", 5_000)
    shares = [("live", 5_000), ("new", 5_000)]
    with home.process():
        home.wait_for_snapshot()
        for seats in range(12):
            expected = choose_sticky(shares, str(seats).encode(), salt="flights")
            reply = home.send("POST", INFER, key=key, body=request(2, seats=[seats, 7]))
            row = {"delay": 1.0, "carrier": "AA", "seats": seats, "name": None}
            other = home.send(
                "POST",
                "/v1/models/flights:predict",
                key=key,
                body={"instances": [row]},
                headers={"content-type": "application/json"},
            )
            assert reply.headers["servewell-deployment"] == expected
            assert other.json["deployment"] == expected
        wrong = home.send("POST", INFER, key=key, body=request(carrier=["XX"]))
        assert (wrong.status, wrong.json["code"]) == (400, "SW-313")
        key = publish(home, "name", 5_000)
        home.wait_for_snapshot()
        drawn = {
            home.send("POST", INFER, key=key, body=request(name=[None])).headers[
                "servewell-deployment"
            ]
            for _ in range(40)
        }
        assert drawn == {"live", "new"}
        publish(home, "gone", 5_000)
        report = home.wait_for_snapshot(fault=True)
        assert "the model has no input `gone`" in report.fault


def test_what_nobody_can_answer_in_time_is_refused_before_it_is_read(home: Home) -> None:
    """Where both are overloaded, so is a caller that stays by an input, whatever its rows are."""
    key, grant = home.key()
    home.publish(
        *(
            home.deployment(name, slow_model(), signature=SLOW, version=number, share_bp=5_000)
            for number, name in enumerate(("live", "new"), 1)
        ),
        policy=EndpointPolicy(sticky="x", queue_requests_max=1, timeout_ms=60_000),
        grants=(grant,),
    )
    headers = {"Authorization": f"Bearer {key}"}
    with home.process(), ExitStack() as lines:
        home.wait_for_snapshot()

        def occupy(number: int) -> None:
            line = http.client.HTTPConnection("127.0.0.1", home.port, timeout=20)
            lines.callback(line.close)
            line.request("POST", INFER, json.dumps(slow_request([number], FOR_EVER)), headers)

        def unread() -> int:
            return home.send("POST", INFER, key=key, body={"inputs": []}).status

        assert unread() == 400
        for number in range(200):
            occupy(number)
            if unread() == 503:
                return
    raise AssertionError("it was read each time")
