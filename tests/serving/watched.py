"""Workers whose telling is looked at: the process as the supervisor starts it, and a collector."""

import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import msgspec
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from servewell.adapters.embedded.processes import command_line
from servewell.core.catalog.workload import Telemetry
from servewell.ports.fleet import FleetPlan
from serving.home import Home, flight_model


@dataclass(slots=True)
class Collector:
    """A receiver of OTLP over HTTP on a free port."""

    status: int = 200
    bodies: list[bytes] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    url: str = ""
    hangs: threading.Event = field(default_factory=threading.Event)  # not set: it never answers

    def spans(self) -> list[Span]:
        """Return every span received."""
        return [
            span
            for body in self.bodies
            for resource in ExportTraceServiceRequest.FromString(body).resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]

    def servers(self) -> list[Span]:
        """Return the spans of whole requests."""
        return [one for one in self.spans() if one.kind == Span.SPAN_KIND_SERVER]


@contextmanager
def collecting(
    status: int = 200, *, hangs: bool = False, reply: bytes = b""
) -> Iterator[Collector]:
    """Give a collector that answers with a status and a reply, or never."""
    collector = Collector(status)
    if not hangs:
        collector.hangs.set()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            collector.headers.append({"path": self.path, **dict(self.headers.items())})
            collector.bodies.append(body)
            collector.hangs.wait(30)
            self.send_response(collector.status)
            self.send_header("content-length", str(len(reply)))
            self.end_headers()
            self.wfile.write(reply)

        def log_message(self, *words: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    collector.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield collector
    finally:
        collector.hangs.set()
        server.shutdown()
        thread.join()
        server.server_close()


def attributes(found: list[KeyValue]) -> dict[str, Any]:
    """Return attributes as plain values."""
    return {one.key: getattr(one.value, str(one.value.WhichOneof("value"))) for one in found}


@contextmanager
def watched_worker(
    home: Home, telemetry: Telemetry, *, environment: dict[str, str] | None = None
) -> Iterator[str]:
    """Run a worker that serves `flights` until the block ends; give an operator's key."""
    key, grant = home.key()
    home.publish(home.deployment("blue", flight_model(2.0)), grants=(grant,))
    plan = FleetPlan(
        host="127.0.0.1",
        port=home.port,
        workers=1,
        drain_s=5.0,
        retention_days=1,
        record_bytes_max=1 << 30,
        telemetry=telemetry,
    )
    words = ("0", str(home.listener.fileno()), msgspec.json.encode(plan).decode())
    with log_file(home).open("ab") as log:
        process = subprocess.Popen(
            command_line("worker", home.folder, *words),
            pass_fds=[home.listener.fileno()],
            stdout=log,
            stderr=log,
            env={**os.environ, **(environment or {})},
        )
    try:
        home.wait_for_snapshot()
        yield key
    finally:
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 0


def log_file(home: Home) -> Path:
    """Return where the worker writes its log."""
    return home.folder / "worker-0.log"


def events(home: Home) -> list[dict[str, Any]]:
    """Return what the worker wrote; every line has to be an object."""
    return [json.loads(line) for line in log_file(home).read_text().splitlines()]


def wait_until(true: Callable[[], object]) -> None:
    """Wait until something is so, at most ten seconds."""
    for _ in range(500):
        if true():
            return
        time.sleep(0.02)
    raise AssertionError("it did not come")
