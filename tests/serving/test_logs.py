"""The log of a worker: one event a line, with the ids, and never more than callers may cause."""

import json

import pytest

from servewell.core.catalog.workload import Telemetry
from servewell.serving.telemetry.logs import Log, bare_name
from serving.home import POISON, Home, request
from serving.watched import events, log_file, watched_worker

INFER = "/v2/models/flights/infer"
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


@pytest.mark.enable_socket
def test_what_happens_is_an_event(home: Home) -> None:
    """Start, snapshot, failures with their ids, drain and end: each is a line of JSON."""
    with watched_worker(home, Telemetry()) as key:
        parent = {"traceparent": f"00-{TRACE}-00f067aa0ba902b7-00"}
        body = request(seats=[POISON])
        failed = home.send("POST", INFER, key=key, body=body, headers=parent)
        home.send("POST", INFER, key=key, body=request())
        home.send("POST", INFER, key=key, body=b"{")
    told = {one["event"]: one for one in events(home)}
    assert {"snapshot_loaded", "started", "request_failed", "draining", "stopped"} <= told.keys()
    assert told["snapshot_loaded"]["deployments"] == ["flights/blue:1"]
    for one in told.values():
        assert one["level"] in ("info", "warning", "error")
        assert one["time"].endswith("Z")
        assert one["worker"] == 0
        assert one["message"]
    found = told["request_failed"]
    expected = {
        "prediction_id": failed.headers["servewell-prediction-id"],
        "trace_id": TRACE,
        "endpoint": "flights",
        "deployment": "blue",
        "version": "1",
        "protocol": "oip",
        "code": "SW-316",
        "status": 500,
        "rows": 1,
    }
    assert {name: found.get(name) for name in expected} == expected
    assert "request_slow" not in told


@pytest.mark.enable_socket
def test_slow_requests_are_told_of_seldom(home: Home) -> None:
    """Of many slow requests in a second one is told of, and those left out are counted."""
    with watched_worker(home, Telemetry(slow_ms=0)) as key:
        for _ in range(60):
            home.send("POST", INFER, key=key, body=request())
    slow = [one for one in events(home) if one["event"] == "request_slow"]
    assert 1 <= len(slow) < 30
    assert slow[0]["took_ms"] > 0
    assert sum(one.get("left_out", 0) for one in slow) + len(slow) <= 60


@pytest.mark.enable_socket
def test_a_person_may_ask_for_text(home: Home) -> None:
    """With `logs: text` the same stands there as plain lines."""
    with watched_worker(home, Telemetry(logs="text")):
        pass
    lines = log_file(home).read_text().splitlines()
    assert any(" info    started: The worker takes requests." in line for line in lines)
    assert all("worker=0" in line for line in lines)


def test_a_caller_causes_one_line_a_second(capsys: pytest.CaptureFixture[str]) -> None:
    """Of a thousand failures in a second one is told, and the next line counts the rest."""
    now = 0.0
    log = Log(lambda: now)
    for number in range(1_000):
        now = number / 1_000
        log.seldom("failure", f"Failure {number}.")
        log.seldom("another", "It has its own second.")
    assert len(capsys.readouterr().err.splitlines()) == 2
    now = 1.0
    log.seldom("failure", "Failure 1000.")
    now = 2.5
    log.seldom("failure", "Failure 1001.")
    told = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert [(one["message"], one.get("left_out")) for one in told] == [
        ("Failure 1000.", 999),
        ("Failure 1001.", None),
    ]


def test_a_clock_that_goes_back_ends_no_log(capsys: pytest.CaptureFixture[str]) -> None:
    """After a jump of the clock events are told as before."""
    now = 1_000.0
    log = Log(lambda: now)
    log.seldom("failure", "One.")
    now = 10.0
    log.seldom("failure", "Two.")
    assert len(capsys.readouterr().err.splitlines()) == 2


def test_a_fault_of_ours_names_its_place_alone(capsys: pytest.CaptureFixture[str]) -> None:
    """The words of an error that nobody foresaw may hold a value, so they are left out."""
    with pytest.raises(ValueError, match="planted value") as caught:
        int("planted value")
    Log().fault("failed", "It failed.", caught.value)
    assert bare_name(caught.value) == "ValueError"
    told = capsys.readouterr().err
    assert "planted" not in told
    found = json.loads(told)
    assert found["error"] == "ValueError"
    assert "test_logs.py" in found["places"][0]
    assert bare_name(RuntimeError("InvalidArgument")) == "InvalidArgument"


@pytest.mark.parametrize("as_json", [True, False])
def test_no_text_breaks_a_line(capsys: pytest.CaptureFixture[str], *, as_json: bool) -> None:
    """Line ends and escapes of a terminal are written out, never sent."""
    log = Log()
    log.begin(lambda: 1_700_000_000.5, as_json=as_json, worker=3)
    log.info("odd", message='a\n"b\x1b[31m', name="c\n\x1b[0m")
    written = capsys.readouterr().err
    assert written.count("\n") == 1
    assert "\x1b" not in written
    assert "2023-11-14T22:13:20.500Z" in written
