"""Clients that people have, as they were heard: KServe's, CloudEvents', Azure's."""

import http.client
import json
import socket
from typing import Any

import pytest

from serving import recorded_clients as recorded
from serving.conftest import Running
from serving.home import Reply
from serving.http2_wire import Answered, Wire
from serving.rows_bodies import LATE

pytestmark = pytest.mark.enable_socket
EACH = {"late": LATE, "echo": "AA"}
OF_GREEN = [{"late": 16.0, "echo": "AA"}]


def heard(running: Running, sent: bytes) -> Reply:
    """Send what was recorded, with a key of this home, and read the answer."""
    with socket.create_connection(("127.0.0.1", running.home.port), timeout=20) as line:
        line.sendall(sent.replace(b"KEY", running.invoker.encode()))
        answer = http.client.HTTPResponse(line)
        answer.begin()
        names = {name.lower(): value for name, value in answer.getheaders()}
        return Reply(status=answer.status, headers=names, body=answer.read())


@pytest.mark.parametrize("sent", [recorded.KSERVE_V1, recorded.EVENT_BINARY, recorded.EVENT_OCTETS])
def test_answers_rows_of_kserve(running: Running, sent: bytes) -> None:
    """KServe's V1 client, and events of the CloudEvents SDK in headers, get predictions."""
    reply = heard(running, sent)
    assert (reply.status, reply.json["predictions"]) == (200, [EACH])
    assert reply.headers["content-type"] == "application/json"  # exactly: the client compares it
    assert ("ce-id" in reply.headers) == (b"ce-id" in sent)


def test_answers_a_structured_event(running: Running) -> None:
    """An event that the CloudEvents SDK wrote in JSON is answered with one that it can read."""
    reply = heard(running, recorded.EVENT_STRUCTURED)
    assert reply.headers["content-type"] == "application/cloudevents+json"
    assert {"specversion", "id", "source", "type"} <= reply.json.keys()
    assert reply.json["data"]["predictions"] == [EACH]


def test_tells_kserve_that_it_lives_and_is_ready(running: Running) -> None:
    """The V1 client reads `status` at the root, and `ready` of a model."""
    assert heard(running, recorded.KSERVE_V1_LIVE).json == {"status": "alive"}
    assert heard(running, recorded.KSERVE_V1_READY).json["ready"] is True


@pytest.mark.parametrize("sent", [recorded.KSERVE_V2_JSON, recorded.KSERVE_V2_BINARY])
def test_answers_tensors_of_kserve(running: Running, sent: bytes) -> None:
    """KServe's V2 client gets its tensor back in the form that it asked for, with its id."""
    reply = heard(running, sent)
    size = int(reply.headers.get("inference-header-content-length", len(reply.body)))
    told: dict[str, Any] = json.loads(reply.body[:size])
    late = told["outputs"][0]
    assert (reply.status, told["id"], late["name"]) == (200, "7", "late")
    if b"octet-stream" in sent:
        assert (reply.body[size:], late["parameters"]) == (b"\0\0\x60A", {"binary_data_size": 4})
    else:
        assert late["data"] == [LATE]


def test_answers_kserve_over_grpc(running: Running) -> None:
    """KServe's gRPC client gets its tensors raw, which is the only form that it reads."""
    with socket.create_connection(("127.0.0.1", running.home.port), timeout=20) as line:
        wire = Wire(write=lambda _: None, read=lambda: line.recv(65_536))
        wire.begin()
        call = wire.call("/inference.GRPCInferenceService/ModelInfer")
        wire.h2.end_stream(call)
        line.sendall(recorded.KSERVE_GRPC.replace(b"KEY", running.invoker.encode()))
        answered: Answered = wire.await_answer(call)
    assert answered.grpc_status == 0
    assert answered.body.endswith(b"2\x04\0\0\x60A2\x06\x02\0\0\0AA")


@pytest.mark.parametrize("sent", [recorded.AZURE_SDK, recorded.AZURE_DOCS])
def test_answers_azures_clients(running: Running, sent: bytes) -> None:
    """Azure's SDK, and the call that its documentation shows, reach the deployment they name."""
    reply = heard(running, sent)
    assert (reply.status, json.loads(reply.body)) == (200, OF_GREEN)
    asked = "5a2c1d9e-0000-4000-8000-0123456789ab" if b"X-Ms-Client" in sent else None
    assert reply.headers.get("x-ms-client-request-id") == asked
