"""Traces: which requests are told of, what is told, and that a bad collector costs nothing."""

import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from servewell.core.catalog.workload import Telemetry
from servewell.serving.counters import Counters, read_counters
from servewell.serving.metrics import SPANS_DROPPED, WorkerMeter, series
from servewell.serving.telemetry.export import QUEUED_MAX, Exporter
from servewell.serving.telemetry.request_facts import RequestFacts
from servewell.serving.telemetry.trace_context import Parent, parent_of, state_of, trace_id_of
from servewell.serving.telemetry.watch import Watch
from serving.home import POISON, Home, Reply, request
from serving.watched import (
    attributes,
    collecting,
    events,
    log_file,
    wait_until,
    watched_worker,
)

INFER = "/v2/models/flights/infer"
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
SPAN = "00f067aa0ba902b7"
SECRETS = ("planted-token", "Planted Name", "planted-state-key", "PLANTED-PATH", "planted-id")
NEVER_SLOW = 60_000.0


def infer(home: Home, key: str, flags: str = "", **columns: list[object]) -> Reply:
    """Send one request, as a part of a trace where `flags` say whether it is sampled."""
    headers = {"traceparent": f"00-{TRACE}-{SPAN}-{flags}"} if flags else {}
    return home.send("POST", INFER, key=key, body=request(**columns), headers=headers)


def dropped(home: Home, reason: str) -> int:
    """Return how many spans the worker counts as lost."""
    found = read_counters(home.folder / "run" / "counters-0")
    return found[series(SPANS_DROPPED, reason=reason)]


@pytest.mark.enable_socket
def test_a_sampled_request_has_a_span(home: Home) -> None:
    """It continues the caller's trace, has the stages as children, and is told to the caller."""
    with collecting() as collector:
        telemetry = Telemetry(otlp_endpoint=collector.url, sample_ratio=0, slow_ms=NEVER_SLOW)
        secret = {"OTEL_EXPORTER_OTLP_HEADERS": "x-token=planted%2Dtoken,x-more=1"}
        before = time.time_ns()
        with watched_worker(home, telemetry, environment=secret) as key:
            reply = infer(home, key, "01")
            assert "traceresponse" not in infer(home, key, "00").headers
            assert "traceresponse" not in infer(home, key).headers
            wait_until(collector.spans)
    [server] = collector.servers()
    assert (server.trace_id.hex(), server.parent_span_id.hex()) == (TRACE, SPAN)
    assert reply.headers["traceresponse"] == f"00-{TRACE}-{server.span_id.hex()}-01"
    assert server.name == "POST /v2/models/{endpoint}/infer"
    assert before < server.start_time_unix_nano < server.end_time_unix_nano < time.time_ns()
    assert attributes(list(server.attributes)) == {
        "http.request.method": "POST",
        "http.response.status_code": 200,
        "http.route": "/v2/models/{endpoint}/infer",
        "servewell.protocol": "oip",
        "servewell.endpoint": "flights",
        "servewell.deployment": "blue",
        "servewell.model.version": "1",
        "servewell.prediction_id": reply.headers["servewell-prediction-id"],
        "servewell.rows": 1,
        "servewell.batch.rows": 1,
    }
    children = [one for one in collector.spans() if one is not server and one.parent_span_id != b""]
    names = [one.name for one in children if one.kind == Span.SPAN_KIND_INTERNAL]
    assert set(names) >= {"authenticate", "decode", "infer", "encode", "record", "write"}
    for one in children[1:]:
        assert one.parent_span_id == server.span_id
        assert server.start_time_unix_nano <= one.start_time_unix_nano < one.end_time_unix_nano
        assert one.end_time_unix_nano <= server.end_time_unix_nano
    assert collector.headers[0]["path"] == "/v1/traces"
    assert collector.headers[0]["x-token"] == "planted-token"
    assert collector.headers[0]["content-type"] == "application/x-protobuf"
    [resource] = ExportTraceServiceRequest.FromString(collector.bodies[0]).resource_spans
    assert attributes(list(resource.resource.attributes))["service.name"] == "servewell"


@pytest.mark.enable_socket
def test_failed_requests_have_spans(home: Home) -> None:
    """What failed has a span whatever was sampled; what was refused, or went well, has none."""
    with collecting() as collector:
        telemetry = Telemetry(otlp_endpoint=collector.url, sample_ratio=0, slow_ms=NEVER_SLOW)
        with watched_worker(home, telemetry) as key:
            infer(home, key)
            failed = infer(home, key, seats=[POISON])
            refused = home.send("POST", INFER, key=key, body=b"{")
            infer(home, key, "00", seats=[POISON])
            home.send("GET", "/v2/health/ready", key=key)
            wait_until(lambda: len(collector.servers()) == 2)
    assert (failed.status, refused.status) == (500, 400)
    assert "traceresponse" not in failed.headers
    first, second = collector.servers()
    told = attributes(list(first.attributes))
    assert first.status.code == Status.STATUS_CODE_ERROR
    assert told["servewell.error.code"] == told["error.type"] == failed.json["code"] == "SW-316"
    identifier = failed.headers["servewell-prediction-id"]
    assert first.trace_id.hex() == told["servewell.prediction_id"] == identifier
    assert not first.parent_span_id
    assert second.trace_id.hex() == TRACE


@pytest.mark.enable_socket
@pytest.mark.parametrize(("ratio", "slow_ms"), [(1.0, NEVER_SLOW), (0.0, 0.0)])
def test_samples_and_slow_requests_have_spans(home: Home, ratio: float, slow_ms: float) -> None:
    """With a share of 1 each request is told of, and each that is slow; none is lost at the end."""
    with collecting() as collector:
        telemetry = Telemetry(otlp_endpoint=collector.url, sample_ratio=ratio, slow_ms=slow_ms)
        with watched_worker(home, telemetry) as key:
            replies = [infer(home, key) for _ in range(20)]
    told = [attributes(list(one.attributes)) for one in collector.servers()]
    sent = [one.headers["servewell-prediction-id"] for one in replies]
    assert [one["servewell.prediction_id"] for one in told] == sent
    assert ("traceresponse" in replies[0].headers) == (ratio == 1.0)
    found = read_counters(home.folder / "run" / "counters-0")
    assert found["servewell_spans_exported_total"] == 20


@pytest.mark.enable_socket
@pytest.mark.parametrize("fault", ["dead", "hanging", "failing"])
def test_a_bad_collector_costs_nothing(home: Home, fault: str) -> None:
    """Whatever the collector does, requests are answered as ever, and what is lost is counted."""
    with collecting(500 if fault == "failing" else 200, hangs=fault == "hanging") as collector:
        url = "http://127.0.0.1:9" if fault == "dead" else collector.url
        telemetry = Telemetry(otlp_endpoint=url, sample_ratio=1.0, slow_ms=NEVER_SLOW)
        with watched_worker(home, telemetry) as key:
            infer(home, key)
            if fault != "dead":
                wait_until(lambda: collector.bodies)
            took = []
            for _ in range(30):
                began = time.monotonic()
                assert infer(home, key).status == 200
                took.append(time.monotonic() - began)
            if fault != "hanging":
                wait_until(lambda: dropped(home, "rejected" if fault == "failing" else "sink"))
    assert sorted(took)[15] < 0.2
    lost = {reason: dropped(home, reason) for reason in ("queue", "sink", "rejected", "exit")}
    assert sum(lost.values()) >= 31
    assert lost["exit" if fault == "hanging" else {"dead": "sink"}.get(fault, "rejected")]
    if fault != "hanging":
        assert "spans_lost" in [one["event"] for one in events(home)]


@pytest.mark.enable_socket
def test_a_full_queue_is_counted(tmp_path: Path) -> None:
    """While the collector hangs the queue holds so many and no more; the end does not wait."""
    facts = RequestFacts(
        trace_id=TRACE, span_id=SPAN, parent_id="", state="", method="POST", route="/",
        protocol="oip", endpoint="e", deployment="d", version="1", prediction_id=TRACE, status=200,
        code="", rows=1, batch_rows=1, start=1, end=2, stages=(),
    )  # fmt: skip
    meter = WorkerMeter(Counters(tmp_path / "counters-0"), 0)
    with collecting(hangs=True) as collector:
        exporter = Exporter(collector.url, meter=meter, worker=0)
        taken = 0
        while exporter.admits():
            exporter.put(facts)
            taken += 1
        assert not exporter.admits()
        began = time.monotonic()
        exporter.close()
        assert time.monotonic() - began < 4
    found = read_counters(tmp_path / "counters-0")
    assert taken == QUEUED_MAX
    assert found[series(SPANS_DROPPED, reason="queue")] == 2
    assert found[series(SPANS_DROPPED, reason="exit")] == QUEUED_MAX


@pytest.mark.enable_socket
def test_no_secret_reaches_a_sink(home: Home) -> None:
    """Keys, values, ids, paths and the collector's own token are in no span, log line or metric."""
    with collecting() as collector:
        telemetry = Telemetry(otlp_endpoint=collector.url, sample_ratio=1.0, slow_ms=0.0)
        secret = {"OTEL_EXPORTER_OTLP_HEADERS": "x-token=planted-token"}
        with watched_worker(home, telemetry, environment=secret) as key:
            name = [SECRETS[1]]
            infer(home, key, "01", name=name)
            infer(home, key, "01", name=name, seats=[POISON])
            infer(home, key, "01", name=name, carrier=["Planted Name"])
            body = {"id": SECRETS[4], **request(name=name)}
            headers = {"x-request-id": SECRETS[4]}
            home.send("POST", f"{INFER}?q={SECRETS[3]}", key=key, body=body, headers=headers)
            home.send("POST", f"/v2/models/{SECRETS[3]}/infer", key=key, body=body)
            home.send("POST", f"/{SECRETS[3]}", key=key, body=body)
            home.send("POST", INFER, key=f"sw_{'A' * 11}_{SECRETS[2]}", body=body)
            text = home.send("GET", "/metrics", key=key).body
    spans = b"".join(one.SerializeToString() for one in collector.spans())
    assert len(collector.servers()) == 6
    for sink in (spans, log_file(home).read_bytes(), text):
        for one in (*SECRETS, key, key[3:14]):
            assert one.encode() not in sink, one


def test_without_the_extra_no_spans_are_made(tmp_path: Path) -> None:
    """A worker without OpenTelemetry says so, and serves."""
    script = f"""
import sys
sys.modules["opentelemetry"] = None
from pathlib import Path
from servewell.core.catalog.workload import Telemetry
from servewell.serving.counters import Counters
from servewell.serving.metrics import WorkerMeter
from servewell.serving.telemetry.watch import open_watch
meter = WorkerMeter(Counters(Path({str(tmp_path)!r}) / "counters-0"), 0)
open_watch(Telemetry(otlp_endpoint="http://127.0.0.1:9"), meter=meter, worker=0).close()
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert '"event": "spans_off"' in done.stderr


def test_without_the_extra_no_fleet_starts() -> None:
    """Whoever asks for spans is told what to install before anything is started."""
    script = """
import sys
sys.modules["opentelemetry"] = None
from servewell.adapters.embedded.fleet import refuse_missing_telemetry
from servewell.core.catalog.workload import Telemetry
from servewell.ports.fleet import FleetPlan, TelemetryMissingError
plan = dict(host="", port=1, workers=1, drain_s=1, retention_days=1, record_bytes_max=1)
refuse_missing_telemetry(FleetPlan(**plan))
try:
    refuse_missing_telemetry(FleetPlan(**plan, telemetry=Telemetry(otlp_endpoint="http://x")))
except TelemetryMissingError as error:
    print(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert "SW-135" in done.stdout


@pytest.mark.parametrize("share", [0.01, 0.2, 0.7, 1.0])
def test_the_share_is_kept(share: float) -> None:
    """Of many requests without a trace, the share that was asked for is sampled."""
    watch = Watch(Telemetry(sample_ratio=share), None)
    gaps = [watch.gap() for _ in range(4_000)]
    assert sum(gaps) / len(gaps) + 1 == pytest.approx(1 / share, rel=0.1)


@given(
    st.from_regex(r"\A[0-9a-f]{32}\Z"),
    st.from_regex(r"\A[0-9a-f]{16}\Z"),
    st.integers(0, 255),
)
def test_a_valid_parent_is_read(trace_id: str, span_id: str, flags: int) -> None:
    """All that the recommendation calls valid is read, and ids of zeros are not."""
    header = f"00-{trace_id}-{span_id}-{flags:02x}".encode()
    valid = int(trace_id, 16) and int(span_id, 16)
    assert parent_of(header) == (Parent(trace_id, span_id, bool(flags & 1)) if valid else None)


@pytest.mark.parametrize(
    ("header", "valid"),
    [
        (f"00-{TRACE}-{SPAN}-01", True),
        (f"00-{TRACE}-{SPAN}-01-more", False),
        (f"01-{TRACE}-{SPAN}-01-more", True),
        (f"01-{TRACE}-{SPAN}-01more", False),
        (f"cc-{TRACE}-{SPAN}-01", True),
        (f"ff-{TRACE}-{SPAN}-01", False),
        (f"00-{TRACE.upper()}-{SPAN}-01", False),
        (f"00-{TRACE}-{SPAN}", False),
        (f"00-{TRACE}-{SPAN}-1", False),
        (f"0-{TRACE}-{SPAN}-01", False),
        (f" 00-{TRACE}-{SPAN}-01", False),
        (f"00-{TRACE}-{SPAN}-01\n", False),
        ("", False),
    ],
)
def test_only_valid_parents_count(header: str, *, valid: bool) -> None:
    """What is not valid by W3C Trace Context is as if it were not there."""
    assert (parent_of(header.encode()) is not None) is valid
    ours = "0" * 31 + "1"
    assert trace_id_of({b"traceparent": header.encode()}, ours) == (TRACE if valid else ours)


@given(st.binary(max_size=80))
def test_any_header_is_read(header: bytes) -> None:
    """No header makes an error, and what is taken over is printable."""
    found = parent_of(header)
    assert found is None or re.fullmatch("[0-9a-f]{32}", found.trace_id)
    assert state_of({b"tracestate": header}).isprintable()
    trace = trace_id_of({b"traceparent": header, b"traceid": header}, TRACE)
    assert re.fullmatch("[0-9a-f]{32}", trace)
