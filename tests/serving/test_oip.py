"""The Open Inference Protocol V2 over HTTP, in JSON, and the clients that speak it."""

import json
from datetime import UTC
from email.utils import parsedate_to_datetime

import numpy as np
import pytest
import tritonclient.http as triton

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


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/v2/health/live", {"live": True}),
        ("/v2/health/ready", {"ready": True}),
        ("/v2", {"name": "servewell", "version": "0.1.0", "extensions": []}),
        ("/v2/", {"name": "servewell", "version": "0.1.0", "extensions": []}),
        ("/v2/models/flights", METADATA),
        ("/v2/models/flights/versions/2", METADATA),
        ("/v2/models/fl%69ghts?verbose=1", METADATA),
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
    """Parameters that mean nothing here are no fault, nor is a wish for binary outputs."""
    body = request() | {"parameters": {"binary_data_output": True, "priority": 1}}
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
    """`/versions/N` is answered by the deployment that serves N, whatever the traffic."""
    path = f"/v2/models/flights/versions/{version}/infer"
    reply = running.home.send("POST", path, key=running.operator, body=request())
    assert reply.json["outputs"][0]["data"] == [late]
    assert reply.json["model_version"] == version


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
        "/", "/v1/models", "/v2/models", "/v2/models/", "/v2/models/flights/stats",
        "/v2/models/flights/config", "/v2/trace/setting", "/v2/logging",
        "/v2/systemsharedmemory/status", "/v2/repository/index", "/v2/health/alive",
        "/v2/models/flights/infer/", "//v2", "/v2/../metrics",
    ],
)  # fmt: skip
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_what_is_not_served_is_a_404_in_json(running: Running, path: str, method: str) -> None:
    """Extensions and unknown paths get the protocol's error, also with an empty body."""
    reply = running.home.send(method, path, key=running.operator)
    assert (reply.status, reply.json["code"]) == (404, "SW-304")


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
        ({"Inference_Header_Content_Length": "10"}, 400, "SW-314"),
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


def test_tritonclient_works_unmodified(running: Running) -> None:
    """NVIDIA's client reads health and metadata, and predicts with JSON inputs."""
    headers = {"Authorization": f"Bearer {running.operator}"}
    with triton.InferenceServerClient(f"127.0.0.1:{running.home.port}") as client:
        assert client.is_server_live()
        assert client.is_server_ready(headers=headers)
        assert client.is_model_ready("flights", headers=headers)
        assert client.get_server_metadata(headers=headers)["name"] == "servewell"
        assert client.get_model_metadata("flights", headers=headers) == METADATA
        inputs = [_triton_input(name, values) for name, values in _COLUMNS.items()]
        for outputs in (None, [triton.InferRequestedOutput("late", binary_data=False)]):
            answer = client.infer(
                "flights", inputs, outputs=outputs, request_id="7", headers=headers
            )
            assert answer.as_numpy("late").tolist() == [[14.0], [7.0]]
            assert answer.get_response()["id"] == "7"


def test_tritonclient_shows_our_errors(running: Running) -> None:
    """A refusal reaches the user of NVIDIA's client in words: binary inputs, a wrong input."""
    headers = {"Authorization": f"Bearer {running.operator}"}
    binary = triton.InferInput("delay", [1, 1], "FP32")
    binary.set_data_from_numpy(np.ones((1, 1), dtype=np.float32))
    plain = _triton_input("delay", np.ones((2, 1), dtype=np.float32))
    with triton.InferenceServerClient(f"127.0.0.1:{running.home.port}") as client:
        with pytest.raises(triton.InferenceServerException, match="binary_data=False"):
            client.infer("flights", [binary], headers=dict(headers))
        with pytest.raises(triton.InferenceServerException, match="Input `carrier`: found nothing"):
            client.infer("flights", [plain], headers=dict(headers))


_COLUMNS = {
    "delay": np.array([[2.0], [-1.5]], dtype=np.float32),
    "carrier": np.array([["AA"], ["UA"]], dtype=object),
    "seats": np.array([[10], [10]], dtype=np.int64),
    "name": np.array([["Ada"], [""]], dtype=object),
}


def _triton_input(name: str, values: "np.ndarray[tuple[int, ...], np.dtype[np.generic]]") -> object:
    kinds = {"f": "FP32", "O": "BYTES", "i": "INT64"}
    made = triton.InferInput(name, list(values.shape), kinds[values.dtype.kind])
    made.set_data_from_numpy(values, binary_data=False)
    return made


def test_an_answer_is_one_json_document(running: Running) -> None:
    """A number that is not finite is null: JSON has no NaN."""
    reply = running.infer(request(delay=[None]))
    assert b"NaN" not in reply.body
    assert json.loads(reply.body)["outputs"][0]["data"] == [None]
