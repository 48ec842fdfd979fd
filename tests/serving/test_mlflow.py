"""The protocol of the MLflow scoring server, and MLflow's own client."""

import json
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings

from servewell.serving.protocols.elements import Json
from serving.conftest import Running
from serving.home import Reply
from serving.rows_bodies import LATE, ROW, bodies, row

if TYPE_CHECKING:
    from mlflow.pyfunc.scoring_server.client import ScoringServerClient

pytestmark = pytest.mark.enable_socket
VALUES = list(ROW.values())


def invoke(
    running: Running, body: Json, *, path: str = "/invocations", media: str = "application/json"
) -> Reply:  # fmt: skip
    """Send rows with the key of one endpoint."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    headers = {"Content-Type": media}
    return running.home.send("POST", path, key=running.invoker, body=content, headers=headers)


@pytest.mark.parametrize(
    "body",
    [
        {"dataframe_split": {"columns": list(ROW), "index": [0], "data": [VALUES]}},
        {"dataframe_records": [ROW]},
        {"instances": [ROW]},
        {"inputs": [VALUES]},
        {"inputs": {name: [value] for name, value in ROW.items()}, "params": {"top": 1}},
        {"dataframe_records": [ROW], "params": None, "model": "read past"},
    ],
)
@pytest.mark.parametrize("path", ["/invocations", "/endpoints/flights/invocations"])
def test_answers_each_shape_of_body(running: Running, body: dict[str, Json], path: str) -> None:
    """Each of MLflow's bodies gives the predictions, as records where there are several outputs."""
    reply = invoke(running, body, path=path)
    assert reply.status == 200
    assert reply.json["predictions"] == [{"late": LATE, "echo": "AA"}]
    assert reply.json["prediction_id"] == reply.headers["servewell-prediction-id"]
    assert reply.json["deployment"] == reply.headers["servewell-deployment"] == "blue"


@pytest.mark.parametrize("media", ["text/csv", "text/csv; charset=utf-8", "TEXT/CSV;charset=UTF-8"])
def test_answers_csv(running: Running, media: str) -> None:
    """CSV as pandas writes it is read, with its index, and an empty cell is null."""
    frame = pd.DataFrame([ROW, row(delay=None, seats=3)])
    reply = invoke(running, frame.to_csv().encode(), media=media)
    assert [one["late"] for one in reply.json["predictions"]] == [LATE, None]


@pytest.mark.parametrize(
    "media",
    ["text/plain", "application/json; charset=latin-1", "application/json; boundary=x", "a/b"],
)
def test_refuses_other_forms_in_plain_text(running: Running, media: str) -> None:
    """Other types, charsets and parameters are 415, told in plain text as MLflow does."""
    reply = invoke(running, {"instances": [ROW]}, media=media)
    assert reply.status == 415
    assert reply.headers["content-type"].startswith("text/plain")
    assert b"application/json" in reply.body


@pytest.mark.parametrize(
    ("body", "code", "told"),
    [
        (b"{", "SW-312", "truncated"),
        ([ROW], "SW-312", "it is a list, and has to be an object"),
        ({}, "SW-312", "it has none of `dataframe_split`"),
        ({"instances": [ROW], "inputs": [ROW]}, "SW-312", "it has 2 of"),
        ({"instances": [ROW], "params": 1}, "SW-312", "`params` is a number"),
        ({"instances": [row(seats=-1)]}, "SW-313", "Input `seats`, row 0: found `-1`"),
        ({"dataframe_split": 5}, "SW-313", "allowed: a table"),
    ],
)
def test_tells_of_errors_as_mlflow_does(running: Running, body: Json, code: str, told: str) -> None:
    """A refusal has MLflow's error code and message, and our code."""
    reply = invoke(running, body)
    assert (reply.status, reply.json["error_code"], reply.json["code"]) == (
        400,
        "BAD_REQUEST",
        code,
    )
    assert told in reply.json["message"]


def test_tells_of_the_key_and_the_model(running: Running) -> None:
    """A stranger, a path that names no endpoint, and a model that fails have MLflow's codes."""
    send = running.home.send
    assert send("POST", "/invocations").json["error_code"] == "UNAUTHENTICATED"
    unnamed = send("POST", "/invocations", key=running.stranger, body={"instances": [ROW]})
    assert (unnamed.status, unnamed.json["error_code"]) == (404, "ENDPOINT_NOT_FOUND")
    foreign = "/endpoints/flights/invocations"
    denied = send("POST", foreign, key=running.stranger, body={"instances": [ROW]})
    assert (denied.status, denied.json["error_code"]) == (403, "PERMISSION_DENIED")
    failed = invoke(running, {"instances": [row(seats=1_000)]})
    assert (failed.status, failed.json["error_code"]) == (500, "INTERNAL_ERROR")


@pytest.mark.parametrize(
    ("path", "body"), [("/ping", b"\n"), ("/health", b"\n"), ("/version", b"0.1.0")]
)
def test_answers_what_a_probe_asks(running: Running, path: str, body: bytes) -> None:
    """Health and version answer at the root and under the endpoint."""
    for place in (path, f"/endpoints/flights{path}"):
        reply = running.home.send("GET", place, key=running.reader)
        assert (reply.status, reply.body) == (200, body)


@pytest.fixture
def client(
    running: Running, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> "ScoringServerClient":
    """MLflow's own client. It sends no header of ours; its key comes from a netrc file."""
    netrc = tmp_path / "netrc"
    netrc.write_text(f"machine 127.0.0.1 login key password {running.invoker}\n")
    monkeypatch.setenv("NETRC", str(netrc))
    with warnings.catch_warnings(action="ignore"):  # MLflow warns of its own types
        from mlflow.pyfunc.scoring_server.client import (  # noqa: PLC0415  (only inside that)
            ScoringServerClient,
        )
    return ScoringServerClient("127.0.0.1", running.home.port)


def test_mlflows_client_works_unmodified(client: "ScoringServerClient") -> None:
    """MLflow's client waits, asks the version, and sends a frame, an array and a list."""
    client.wait_server_ready(timeout=5)
    assert client.get_version() == "0.1.0"
    frame = pd.DataFrame([ROW, row(delay=np.nan, name=None)])
    answer = client.invoke(frame, params={"top": 1}).get_predictions()
    assert answer["late"].tolist()[0] == LATE
    assert np.isnan(answer["late"].tolist()[1])
    rows = np.array([VALUES], dtype=object)
    for sent in (rows, rows.tolist()):
        assert client.invoke(sent).get_predictions()["late"].tolist() == [LATE]


def test_mlflows_client_hears_what_is_wrong(client: "ScoringServerClient") -> None:
    """The message of a refusal reaches the caller of the client."""
    with pytest.raises(Exception, match=r"400, response: .*`seats`, row 0: found `-1`"):
        client.invoke(pd.DataFrame([row(seats=-1)]))


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=bodies)
def test_answers_anything_in_its_own_shape(running: Running, body: bytes) -> None:
    """Whatever is sent is answered with predictions, or refused in MLflow's words."""
    reply = invoke(running, body)
    assert reply.status in (200, 400)
    assert "predictions" in reply.json or {"error_code", "message", "code"} <= reply.json.keys()
