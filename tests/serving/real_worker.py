"""The worker as the supervisor starts it, and callers who speak TLS to it."""

import http.client
import json
import signal
import socket
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from servewell.adapters.embedded.processes import command_line
from servewell.core.catalog.tls import TlsFiles
from servewell.ports.fleet import FleetPlan
from serving.home import Home, Reply, request

INFER = "/v2/models/flights/infer"


@contextmanager
def real_worker(  # noqa: PLR0913  (what a plan may say)
    home: Home,
    *,
    index: int = 0,
    tls: TlsFiles | None = None,
    lame_duck_s: float = 0.0,
    drain_s: float = 5.0,
    connections_max: int = 4_096,
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a worker until the block ends, ready when it begins."""
    plan = FleetPlan(
        host="127.0.0.1",
        port=home.port,
        workers=1,
        drain_s=drain_s,
        lame_duck_s=lame_duck_s,
        connections_max=connections_max,
        tls=tls,
        retention_days=1,
        record_bytes_max=1 << 30,
    )
    (home.folder / "run" / f"worker-{index}.json").unlink(missing_ok=True)
    written = msgspec.json.encode(plan).decode()
    words = (str(index), str(home.listener.fileno()), written)
    process = subprocess.Popen(
        command_line("worker", home.folder, *words),
        pass_fds=[home.listener.fileno()],
        stderr=subprocess.PIPE,
    )
    try:
        home.wait_for_snapshot(index=index)
        yield process
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=20)


def trusting(authority: str | Path, identity: tuple[str, str] | None = None) -> ssl.SSLContext:
    """Return what a careful caller uses: it trusts one authority, and may show a certificate."""
    context = ssl.create_default_context(cafile=authority)
    if identity is not None:
        context.load_cert_chain(*identity)
    return context


@contextmanager
def caller(home: Home, context: ssl.SSLContext) -> Iterator[http.client.HTTPSConnection]:
    """Give a connection that is opened at its first request."""
    made = http.client.HTTPSConnection("127.0.0.1", home.port, timeout=20, context=context)
    try:
        yield made
    finally:
        made.close()


def ask(
    connection: http.client.HTTPConnection,
    key: str | None = None,
    *,
    path: str = INFER,
    body: dict[str, Any] | None = None,
) -> Reply:
    """Send one request over a connection that stays open; a page is read where no body goes."""
    headers = {} if key is None else {"Authorization": f"Bearer {key}"}
    content = json.dumps(request() if body is None else body) if path == INFER else None
    connection.request("POST" if content else "GET", path, content, headers)
    answer = connection.getresponse()
    names = {name.lower(): value for name, value in answer.getheaders()}
    return Reply(status=answer.status, headers=names, body=answer.read())


def tls_line(home: Home, context: ssl.SSLContext) -> ssl.SSLSocket:
    """Return a bare line over TLS."""
    line = socket.create_connection(("127.0.0.1", home.port), timeout=20)
    return context.wrap_socket(line, server_hostname="127.0.0.1")
