"""The KServe V1 protocol, and CloudEvents in it."""

import base64
import json
from datetime import datetime

import pytest
from hypothesis import HealthCheck, given, settings

from servewell.core.catalog.key import Role
from servewell.serving.protocols.elements import Json
from serving.conftest import Running
from serving.home import Home, Reply, flight_model
from serving.rows_bodies import LATE, ROW, bodies, row

pytestmark = pytest.mark.enable_socket
BODY = {"instances": [ROW]}
EVENT = {"specversion": "1.0", "id": "mine-7", "source": "tests", "type": "a.request"}
STRUCTURED = "application/cloudevents+json"


def predict(
    running: Running, body: Json, *, verb: str = "predict", headers: dict[str, str] | None = None
) -> Reply:  # fmt: skip
    """Send rows to the flight model."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    path = f"/v1/models/flights:{verb}"
    return running.home.send("POST", path, key=running.invoker, body=content, headers=headers)


@pytest.mark.parametrize(
    "body",
    [
        {"instances": [ROW]},
        {"instances": [list(ROW.values())]},
        {"inputs": [ROW]},
        {"inputs": {name: [value] for name, value in ROW.items()}},
        {"instances": [ROW], "signature_name": "read past"},
    ],
)
def test_answers_rows(running: Running, body: dict[str, Json]) -> None:
    """Rows under either key give one prediction each."""
    reply = predict(running, body)
    assert (reply.status, reply.json["predictions"]) == (200, [{"late": LATE, "echo": "AA"}])


def test_lists_the_endpoints_that_the_key_reaches(running: Running) -> None:
    """A key sees its own endpoints, and whether one is ready."""
    send = running.home.send
    assert send("GET", "/v1/models", key=running.invoker).json == {"models": ["flights"]}
    assert send("GET", "/v1/models", key=running.stranger).json == {"models": []}
    ready = send("GET", "/v1/models/flights", key=running.invoker)
    assert (ready.status, ready.json) == (200, {"name": "flights", "ready": True})
    assert send("GET", "/v1/models/other", key=running.operator).status == 404


def test_says_503_of_a_model_that_is_not_ready(home: Home) -> None:
    """KServe's client waits for a 200 and takes a 503 for not yet."""
    key, grant = home.key(Role.INVOKER, endpoints=("flights",))
    home.publish(home.deployment("blue", flight_model(2.0), share_bp=0), grants=(grant,))
    with home.process():
        home.wait_for_snapshot()
        reply = home.send("GET", "/v1/models/flights", key=key)
    assert (reply.status, reply.json["code"]) == (503, "SW-315")
    assert int(reply.headers["retry-after"]) > 0


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/endpoints/flights/v1/models/flights", 200),
        ("/endpoints/flights/v2/models/flights", 200),
        ("/endpoints/other/v1/models/flights", 404),
        ("/endpoints/flights/v1/models", 404),
        ("/endpoints/flights/v2/health/live", 404),
        ("/endpoints/flights/endpoints/flights/ping", 404),
        ("/endpoints/flights/metrics", 404),
        ("/endpoints//ping", 404),
        ("/endpoints/flights", 404),
    ],
)
def test_stands_under_the_endpoint_too(running: Running, path: str, status: int) -> None:
    """Paths of one endpoint stand under its own prefix, and those of the whole worker do not."""
    assert running.home.send("GET", path, key=running.operator).status == status


def test_offers_no_explanations(running: Running) -> None:
    """`:explain` is answered with 501 and what to do instead."""
    reply = predict(running, BODY, verb="explain")
    assert (reply.status, reply.json["code"]) == (501, "SW-355")
    assert predict(running, BODY, verb="train").status == 404


def test_answers_a_binary_event_with_one(running: Running) -> None:
    """An event in headers is answered with an event in headers, of KServe's type and source."""
    headers = {f"ce-{name}": value for name, value in EVENT.items()}
    reply = predict(running, BODY, headers=headers)
    assert reply.json["predictions"] == [{"late": LATE, "echo": "AA"}]
    assert reply.headers["content-type"] == "application/json"
    assert reply.headers["ce-specversion"] == "1.0"
    assert reply.headers["ce-id"] == reply.headers["servewell-prediction-id"]
    assert reply.headers["ce-type"] == "io.kserve.inference.response"
    assert reply.headers["ce-source"] == "io.kserve.inference.flights"
    assert datetime.fromisoformat(reply.headers["ce-time"]).tzinfo is not None


@pytest.mark.parametrize(
    "data",
    [{"data": BODY}, {"data_base64": base64.b64encode(json.dumps(BODY).encode()).decode()}],
)
def test_answers_a_structured_event_with_one(running: Running, data: dict[str, Json]) -> None:
    """An event in JSON, its data as JSON or in base64, is answered with an event in JSON."""
    reply = predict(running, EVENT | data, headers={"Content-Type": STRUCTURED})
    assert reply.headers["content-type"] == STRUCTURED
    assert reply.json["data"]["predictions"] == [{"late": LATE, "echo": "AA"}]
    assert reply.json["id"] == reply.headers["servewell-prediction-id"]
    assert (reply.json["specversion"], reply.json["type"]) == (
        "1.0",
        "io.kserve.inference.response",
    )


@pytest.mark.parametrize(
    ("event", "told"),
    [
        ({"data": BODY}, "the event has no `specversion`"),
        (EVENT | {"specversion": "0.3", "data": BODY}, "the event is not of version 1.0"),
        (EVENT | {"id": "", "data": BODY}, "the event has no `id`"),
        (EVENT, "it is null, and has to be an object"),
        (EVENT | {"data_base64": "?"}, "its `data_base64` is no base64"),
        (EVENT | {"data_base64": 5}, "its `data_base64` is no base64"),
        (EVENT | {"data": {"instances": [row(seats=-1)]}}, "Input `seats`, row 0: found `-1`"),
    ],
)
def test_refuses_what_is_no_event(running: Running, event: dict[str, Json], told: str) -> None:
    """An event that is none is refused in the shape of the protocol."""
    reply = predict(running, event, headers={"Content-Type": STRUCTURED})
    assert reply.status == 400
    assert told in reply.json["error"]


@pytest.mark.parametrize("media", ["text/csv", "application/cloudevents-batch+json"])
def test_refuses_other_forms(running: Running, media: str) -> None:
    """Other types, a batch of events among them, are 415."""
    reply = predict(running, BODY, headers={"Content-Type": media})
    assert (reply.status, reply.json["code"]) == (415, "SW-311")


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=bodies)
def test_answers_anything_in_its_own_shape(running: Running, body: bytes) -> None:
    """Whatever is sent is answered with predictions or refused in the protocol's shape."""
    for headers in ({}, {"Content-Type": STRUCTURED}):
        reply = predict(running, body, headers=headers)
        assert reply.status in (200, 400)
        assert "predictions" in reply.json or {"error", "code"} <= reply.json.keys()
