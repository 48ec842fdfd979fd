"""The scoring protocol of Azure Machine Learning: bodies, ids, and the endpoint's statuses."""

import json
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings

from servewell.serving.protocols.elements import Json
from serving.conftest import Running
from serving.home import Reply
from serving.rows_bodies import LATE, ROW, bodies, row

pytestmark = pytest.mark.enable_socket
VALUES = list(ROW.values())
BODY = {"data": [ROW]}
TABLE = {"columns": list(ROW), "index": [0], "data": [VALUES]}
PREDICTIONS = [{"late": LATE, "echo": "AA"}]


def score(running: Running, body: Json, *, path: str = "/score", **headers: str) -> Reply:
    """Send rows with the key of one endpoint."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return running.home.send("POST", path, key=running.invoker, body=content, headers=named)


@pytest.mark.parametrize(
    "body",
    [
        {"input_data": TABLE},
        {"input_data": [VALUES]},
        {"input_data": {name: [value] for name, value in ROW.items()}, "params": {}},
        {"data": [ROW]},
        {"inputs": [VALUES]},
    ],
)
@pytest.mark.parametrize("path", ["/score", "/endpoints/flights/score"])
def test_answers_a_plain_list(running: Running, body: dict[str, Json], path: str) -> None:
    """Each body of Azure's deployments is answered with the list of predictions alone."""
    reply = score(running, body, path=path)
    assert (reply.status, json.loads(reply.body)) == (200, PREDICTIONS)
    assert reply.headers["x-ms-run-function-failed"] == "False"
    assert float(reply.headers["x-ms-run-fn-exec-ms"]) > 0
    assert reply.headers["x-ms-server-version"] == "servewell/0.1.0"


@pytest.mark.parametrize(
    ("sent", "legacy", "client"),
    [
        ({}, None, None),
        ({"x_request_id": "theirs"}, None, None),
        ({"x_ms_request_id": "B"}, "B", "B"),
        ({"x_ms_client_request_id": "C"}, "C", "C"),
        ({"x_ms_request_id": "B", "x_ms_client_request_id": "C"}, "B", "C"),
        ({"x_ms_client_request_id": "a b!" + "c" * 60}, "ab" + "c" * 38, "ab" + "c" * 38),
    ],
)
def test_sends_ids_back(
    running: Running, sent: dict[str, str], legacy: str | None, client: str | None
) -> None:
    """The request's id is always new; the caller's come back as Azure's table of ids says."""
    reply = score(running, BODY, traceid="trace-1", **sent)
    request_id = reply.headers["x-request-id"]
    assert UUID(request_id)
    assert reply.headers["x-ms-request-id"] == (legacy or request_id)
    assert reply.headers.get("x-ms-client-request-id") == client
    assert reply.headers["traceid"] == "trace-1"


@pytest.mark.parametrize("name", ["x_request_id", "x_ms_request_id", "x_ms_client_request_id"])
def test_refuses_an_id_that_is_too_long(running: Running, name: str) -> None:
    """An id of 100 characters is taken, one of 101 is 431, on every path."""
    assert score(running, BODY, **{name: "a" * 100}).status == 200
    assert score(running, BODY, **{name: "a" * 101}).status == 431
    headers = {name.replace("_", "-"): "a" * 101}
    assert running.home.send("GET", "/", key=running.reader, headers=headers).status == 431


def test_keeps_the_callers_id_in_the_record(running: Running) -> None:
    """The record of a prediction has the client request id as its request id."""
    reply = score(running, BODY, x_ms_client_request_id="find-me-again")
    prediction = reply.headers["servewell-prediction-id"]
    assert prediction == reply.headers["x-request-id"].replace("-", "")
    found = [one for one in running.home.records(torn=True) if one.prediction_id == prediction]
    assert [one.request_id for one in found] == ["find-me-again"]


def test_pins_a_deployment(running: Running) -> None:
    """`azureml-model-deployment` asks one deployment, whatever the traffic says."""
    reply = score(running, BODY, azureml_model_deployment="green")
    assert json.loads(reply.body)[0]["late"] == 16.0
    unknown = score(running, BODY, azureml_model_deployment="red")
    assert (unknown.status, unknown.json["code"]) == (404, "SW-310")


def test_calls_a_failed_model_424(running: Running) -> None:
    """Where the model fails, the endpoint of Azure says 424 and what the model's status was."""
    reply = score(running, {"data": [row(seats=1_000)]})
    assert (reply.status, reply.json["code"]) == (424, "SW-316")
    assert reply.headers["x-ms-run-function-failed"] == "True"
    assert reply.headers["ms-azureml-model-error-statuscode"] == "500"
    assert reply.headers["ms-azureml-model-error-reason"] == "Internal Server Error"


def test_calls_a_request_that_is_late_408(running: Running) -> None:
    """A request whose time is over before it can be answered is 408."""
    rows = [VALUES] * 5_000  # to read them takes longer than that
    reply = score(running, {"data": rows}, servewell_timeout_ms="1")
    assert (reply.status, reply.json["code"]) == (408, "SW-323")


@pytest.mark.parametrize("path", ["/", "/endpoints/flights/"])
def test_is_healthy(running: Running, path: str) -> None:
    """The probe of Azure is answered in plain text."""
    reply = running.home.send("GET", path, key=running.reader)
    assert (reply.status, reply.body) == (200, b"Healthy")
    assert UUID(reply.headers["x-request-id"])


def test_allows_no_origin(running: Running) -> None:
    """A browser that asks first is answered, and told of no origin that may read."""
    headers = {"Origin": "https://elsewhere.example", "Access-Control-Request-Method": "POST"}
    reply = running.home.send("OPTIONS", "/score", key=running.invoker, headers=headers)
    assert (reply.status, reply.body) == (200, b"")
    assert not [name for name in reply.headers if name.startswith("access-control")]


def test_reads_the_body_of_a_get(running: Running) -> None:
    """`/score` takes GET with a body, refuses one without, and takes no other method."""
    send = running.home.send
    assert send("GET", "/score", key=running.invoker, body=BODY).status == 200
    assert send("GET", "/score", key=running.invoker).json["code"] == "SW-312"
    refused = send("DELETE", "/score", key=running.invoker)
    assert (refused.status, refused.headers["allow"]) == (405, "POST, GET, OPTIONS")


@pytest.mark.parametrize(
    ("body", "status", "told"),
    [
        (b"", 400, "The body is no inference request."),
        ({"rows": []}, 400, "it has none of `input_data`, `data`, `inputs`"),
        ({"data": [row(carrier="XX")]}, 400, "Input `carrier`, row 0: found the text `XX`"),
        (
            {"input_data": {"columns": ["delay"], "data": [[1]]}},
            400,
            "Input `seats`: found nothing",
        ),
    ],
)
def test_tells_of_errors_as_azure_does(
    running: Running, body: Json, status: int, told: str
) -> None:
    """A refusal is a message, and tells programs the code."""
    reply = score(running, body)
    assert reply.status == status
    assert told in reply.json["message"]
    assert reply.headers["x-ms-run-function-failed"] == "False"


def test_refuses_other_forms_and_strangers(running: Running) -> None:
    """Other types are 415, and a request without a key is 401 with a new id all the same."""
    assert score(running, BODY, Content_Type="text/csv").status == 415
    reply = running.home.send("POST", "/score", body=BODY)
    assert (reply.status, reply.json["code"]) == (401, "SW-306")
    assert UUID(reply.headers["x-request-id"])


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=bodies)
def test_answers_anything_in_its_own_shape(running: Running, body: bytes) -> None:
    """Whatever is sent is answered with predictions or refused in Azure's shape."""
    reply = score(running, body)
    assert reply.status in (200, 400)
    answer = json.loads(reply.body)
    assert isinstance(answer, list) or {"message", "code"} <= answer.keys()
