"""The contract of `Tracking`. What a server shows afterwards is in tests/flows/test_tracking.py."""

from pathlib import Path

import pytest

from ports.scripted_server import DROP, ScriptedServer, reply
from servewell.adapters.embedded.mlflow_server import MlflowServers
from servewell.core.catalog.run import RunState
from servewell.core.catalog.tracked import RunCopy
from servewell.ports.tracking import Tracking, TrackingFailedError

pytestmark = pytest.mark.enable_socket

COPY = RunCopy(
    run="1",
    workload="small",
    experiment="small",
    state=RunState.SUCCEEDED,
    started_at=1.0,
    ended_at=2.0,
)


@pytest.fixture(params=[pytest.param(MlflowServers, id="mlflow")])
def tracking(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Tracking:
    """Each adapter in turn; the client of MLflow asks once, where it would ask for minutes."""
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    made: Tracking = request.param()
    return made


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(DROP, id="hangs up"),
        pytest.param(reply(500, "it broke"), id="breaks"),
        pytest.param(
            reply(403, {"error_code": "PERMISSION_DENIED", "message": "no"}), id="forbids"
        ),
        pytest.param(reply(200, b"<html>"), id="speaks something else"),
    ],
)
def test_a_server_that_fails_is_told_from_our_faults(
    tracking: Tracking, answer: bytes, tmp_path: Path
) -> None:
    """Whatever it does instead, the caller gets one kind of error, with a next step."""
    with ScriptedServer([answer] * 20) as server:
        url = f"http://127.0.0.1:{server.port}"
        with pytest.raises(TrackingFailedError) as mirrored:
            tracking.mirror(url, COPY, {})
        with pytest.raises(TrackingFailedError):
            tracking.versions(url, "small")
        with pytest.raises(TrackingFailedError):
            tracking.fetch(url, "small", 1, to=tmp_path)
    assert mirrored.value.fix
    assert not mirrored.value.of_one


def test_what_a_server_does_not_take_is_no_fault_of_it(tracking: Tracking) -> None:
    """It may take other runs."""
    refusal = reply(400, {"error_code": "INVALID_PARAMETER_VALUE", "message": "too long"})
    with (
        ScriptedServer([refusal] * 20) as server,
        pytest.raises(TrackingFailedError, match="too long") as refused,
    ):
        tracking.mirror(f"http://127.0.0.1:{server.port}", COPY, {})
    assert refused.value.of_one


def test_a_server_that_is_not_there_is_an_error_of_it(tracking: Tracking) -> None:
    """Nobody listens on that port."""
    with ScriptedServer([]) as server:
        port = server.port
    with pytest.raises(TrackingFailedError):
        tracking.versions(f"http://127.0.0.1:{port}", "small")
