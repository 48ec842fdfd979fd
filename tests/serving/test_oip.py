"""The Open Inference Protocol V2 over HTTP, in JSON, and the clients that speak it."""

import json
from datetime import UTC
from email.utils import parsedate_to_datetime

import pytest

from serving.conftest import Running
from serving.home import request

METADATA = {
    "name": "flights",
    "versions": ["1", "2"],
    "platform": "onnxruntime_onnx",
    "inputs": [
        {"name": "delay", "datatype": "FP32", "shape": [-1, 1]},
        {"name": "carrier", "datatype": "BYTES", "shape": [-1, 1]},
        {"name": "seats", "datatype": "INT64", "shape": [-1, 1]},
        {"name": "name", "datatype": "BYTES", "shape": [-1, 1]},
    ],
    "outputs": [
        {"name": "late", "datatype": "FP32", "shape": [-1, 1]},
        {"name": "echo", "datatype": "BYTES", "shape": [-1, 1]},
    ],
}

SERVER = {
    "name": "servewell",
    "version": "0.1.0",
    "extensions": [
        "binary_tensor_data", "classification", "model_configuration", "model_repository",
        "parameters",
    ],
}  # fmt: skip
CONFIG = {
    "name": "flights",
    "platform": "onnxruntime_onnx",
    "backend": "onnxruntime",
    "max_batch_size": 0,
    "input": [
        {"name": "delay", "data_type": "TYPE_FP32", "dims": [-1, 1]},
        {"name": "carrier", "data_type": "TYPE_STRING", "dims": [-1, 1]},
        {"name": "seats", "data_type": "TYPE_INT64", "dims": [-1, 1]},
        {"name": "name", "data_type": "TYPE_STRING", "dims": [-1, 1]},
    ],
    "output": [
        {"name": "late", "data_type": "TYPE_FP32", "dims": [-1, 1]},
        {"name": "echo", "data_type": "TYPE_STRING", "dims": [-1, 1]},
    ],
}


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/v2/health/live", {"live": True}),
        ("/v2/health/ready", {"ready": True}),
        ("/v2", SERVER),
        ("/v2/", SERVER),
        ("/v2/models/flights", METADATA),
        ("/v2/models/flights/versions/2", METADATA),
        ("/v2/models/fl%69ghts?verbose=1", METADATA),
        ("/v2/models/flights/config", CONFIG),
        ("/v2/models/flights/versions/1/config", CONFIG),
        ("/v2/models/flights/ready", {"name": "flights", "ready": True}),
        ("/v2/models/flights/versions/1/ready", {"name": "flights", "ready": True}),
    ],
)
def test_answers_what_the_protocol_reads(
    running: Running, path: str, expected: dict[str, object]
) -> None:
    """Health, metadata and readiness have the bodies of the protocol, without a redirect."""
    reply = running.home.send("GET", path, key=running.reader)
    assert (reply.status, reply.json) == (200, expected)
    assert reply.headers["content-type"] == "application/json"
    assert parsedate_to_datetime(reply.headers["date"]).tzinfo is UTC


def test_answers_a_prediction(running: Running) -> None:
    """An answer echoes the id and says which deployment, version and prediction it is."""
    reply = running.infer(request(2, delay=[1.5, None], carrier=["UA", "DL"]) | {"id": "mine"})
    found = reply.json
    prediction = reply.headers["servewell-prediction-id"]
    assert reply.status == 200
    assert found["model_name"] == "flights"
    assert found["model_version"] == reply.headers["servewell-model-version"] == "1"
    assert found["id"] == "mine"
    assert found["parameters"] == {"prediction_id": prediction, "deployment": "blue"}
    assert reply.headers["servewell-deployment"] == "blue"
    assert len(prediction) == 32
    assert found["outputs"] == [
        {"name": "late", "datatype": "FP32", "shape": [2, 1], "data": [13.0, None]},
        {"name": "echo", "datatype": "BYTES", "shape": [2, 1], "data": ["UA", "DL"]},
    ]


@pytest.mark.parametrize("shape", [[2], [2, 1]])
@pytest.mark.parametrize("nested", [False, True])
def test_takes_flat_and_nested_data(running: Running, shape: list[int], *, nested: bool) -> None:
    """Data may be one flat list or nested row by row, under either shape of a column."""
    body = request(2, delay=[[1.0], [2.0]] if nested else [1.0, 2.0])
    body["inputs"][0]["shape"] = shape
    assert running.infer(body).json["outputs"][0]["data"] == [12.0, 14.0]


def test_answers_only_the_outputs_asked_for(running: Running) -> None:
    """The list `outputs` selects, in the order of the model."""
    reply = running.infer(request() | {"outputs": [{"name": "echo"}]})
    assert [one["name"] for one in reply.json["outputs"]] == ["echo"]


def test_tolerates_parameters(running: Running) -> None:
    """Parameters that mean nothing here are no fault."""
    body = request() | {"parameters": {"sequence_id": 5, "mine": "x", "priority": 1}}
    body["inputs"][0]["parameters"] = {"content_type": "np"}
    reply = running.infer(body)
    assert reply.status == 200
    assert "inference-header-content-length" not in reply.headers


@pytest.mark.parametrize("content", ["application/json", "Application/JSON; charset=utf-8", ""])
def test_takes_json_by_any_name(running: Running, content: str) -> None:
    """A body without a type is JSON, and `Accept` decides nothing."""
    headers = {"Content_Type": content} if content else {}
    assert running.infer(**headers, Accept="text/html").status == 200


@pytest.mark.parametrize(
    ("version", "late"), [("1", 14.0), ("2", 16.0)], ids=["version 1", "version 2"]
)
def test_a_version_in_the_path_pins_its_deployment(
    running: Running, version: str, late: float
) -> None:
    """`/versions/N` is answered by the deployment that serves N, whatever the traffic.

    The record says that the traffic did not choose it.
    """
    path = f"/v2/models/flights/versions/{version}/infer"
    reply = running.home.send("POST", path, key=running.operator, body=request())
    assert reply.json["outputs"][0]["data"] == [late]
    assert reply.json["model_version"] == version
    roles = {one.prediction_id: one.role for one in running.home.records(torn=True)}
    assert roles[reply.headers["servewell-prediction-id"]] == "pinned"


def test_an_unknown_version_is_named_with_those_that_are_live(running: Running) -> None:
    """A version that is not served is a 404 that lists the versions."""
    for tail in ("", "/ready", "/infer"):
        path = f"/v2/models/flights/versions/9{tail}"
        method = "POST" if tail == "/infer" else "GET"
        reply = running.home.send(method, path, key=running.operator, body=request())
        assert (reply.status, reply.json["code"]) == (404, "SW-310")
        assert "1, 2" in reply.json["error"]


@pytest.mark.parametrize(
    "path",
    [
        "/v2/models", "/v2/models/", "/v2/models/flights/states", "/v2/repository/indices",
        "/v2/repository/models/flights/reload", "/v2/health/alive", "/v2/models/flights/infer/",
        "//v2", "/v2/../metrics", "/v2/models/flights/versions/1/stats/x",
    ],
)  # fmt: skip
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_what_is_not_served_is_a_404_in_json(running: Running, path: str, method: str) -> None:
    """Unknown paths get the protocol's error, also with an empty body."""
    reply = running.home.send(method, path, key=running.operator)
    assert (reply.status, reply.json["code"]) == (404, "SW-304")


@pytest.mark.parametrize(
    "path",
    [
        "/v2/models/flights/stats", "/v2/models/flights/versions/1/stats", "/v2/models/stats",
        "/v2/models/flights/trace/setting", "/v2/trace/setting", "/v2/logging",
        "/v2/systemsharedmemory/status", "/v2/systemsharedmemory/region/mine/register",
        "/v2/cudasharedmemory/unregister",
    ],
)  # fmt: skip
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_what_is_not_offered_is_a_501_that_says_so(
    running: Running, path: str, method: str
) -> None:
    """Extensions of Triton that its clients know get a plain answer."""
    reply = running.home.send(method, path, key=running.operator)
    assert (reply.status, reply.json["code"]) == (501, "SW-326")
    assert "GET /v2" in reply.json["error"]


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", "/v2/models/flights/infer", "POST"),
        ("DELETE", "/v2/models/flights", "GET"),
        ("POST", "/v2/health/ready", "GET"),
        ("HEAD", "/v2/health/live", "GET"),
        ("OPTIONS", "/metrics", "GET"),
    ],
)
def test_a_wrong_method_is_a_405_that_names_the_right_one(
    running: Running, method: str, path: str, allowed: str
) -> None:
    """The header `Allow` says what the path takes; an answer to HEAD has no body."""
    reply = running.home.send(method, path, key=running.operator)
    assert (reply.status, reply.headers["allow"]) == (405, allowed)
    assert (reply.body == b"") == (method == "HEAD")


@pytest.mark.parametrize(
    ("headers", "status", "code"),
    [
        ({"Inference_Header_Content_Length": "10"}, 400, "SW-312"),
        ({"Inference_Header_Content_Length": "x"}, 400, "SW-314"),
        ({"Inference_Header_Content_Length": "2", "Content_Type": "text/csv"}, 415, "SW-311"),
        ({"Content_Encoding": "br"}, 415, "SW-311"),
        ({"Content_Type": "application/octet-stream"}, 415, "SW-311"),
        ({"Content_Type": "text/csv"}, 415, "SW-311"),
    ],
)
def test_other_content_is_refused_by_name(
    running: Running, headers: dict[str, str], status: int, code: str
) -> None:
    """What is not plain JSON is refused, and the answer says what is taken."""
    reply = running.infer(**headers)
    assert (reply.status, reply.json["code"]) == (status, code)
    if status == 415:
        assert reply.headers["accept"] == "application/json"
        assert reply.headers["accept-encoding"] == "gzip, deflate"


@pytest.mark.parametrize(
    "body",
    [
        b"", b"{", b"[]", b"null", b'"x"', b"{}", b'{"inputs": {}}', b'{"inputs": [1]}',
        b'{"inputs": [{}]}', b'{"inputs": [{"name": 1}]}', b'{"inputs": [], "outputs": [1]}',
        b'{"inputs": [], "id": 5}', b'{"inputs": NaN}', b'{"inputs": [1e999]}', b"[" * 100_000,
        b'{"id": "\xff"}', b"\xff\xfe{}", b"1" * 5_000, b'{"inputs": [], "outputs": 7}',
    ],
)  # fmt: skip
def test_a_body_that_is_no_request_is_a_400(running: Running, body: bytes) -> None:
    """Malformed JSON, other JSON and what JSON cannot say are refused with a reason."""
    reply = running.infer(body)
    assert reply.status == 400
    assert reply.json["code"] in ("SW-312", "SW-313")
    assert set(reply.json) >= {"error", "code"}


def test_an_answer_is_one_json_document(running: Running) -> None:
    """A number that is not finite is null: JSON has no NaN."""
    reply = running.infer(request(delay=[None]))
    assert b"NaN" not in reply.body
    assert json.loads(reply.body)["outputs"][0]["data"] == [None]
