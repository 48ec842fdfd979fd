"""Real receivers of alerts: an HTTP server that answers as a test says, and a mail server."""

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from typing import Any

import msgspec
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, Envelope, LoginPassword, Session

from journeys.house import free_port
from servewell.core.catalog.alert import Alert, AlertState, Notice, Reason
from servewell.core.catalog.signal import Distributions, Points, Severity, Signal, SignalKind

T0 = 1_800_000_000.0


@dataclass(slots=True)
class Taken:
    """One request that a receiver got."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def value(self) -> Any:  # noqa: ANN401 - whatever JSON holds
        """Return the body as JSON."""
        return msgspec.json.decode(self.body)


@dataclass(slots=True)
class Hook:
    """A server of webhooks. It answers `status`, with `headers`, once `go` is set."""

    port: int = 0
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    answer: bytes = b"ok"
    go: Event = field(default_factory=Event)
    taken: list[Taken] = field(default_factory=list)
    came: Event = field(default_factory=Event)

    @property
    def url(self) -> str:
        """Return where it listens."""
        return f"http://127.0.0.1:{self.port}"


@contextmanager
def hook(trust: ssl.SSLContext | None = None) -> Iterator[Hook]:
    """Give a server of webhooks on a free port."""
    made = Hook()
    made.go.set()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            headers = {name.lower(): text for name, text in self.headers.items()}
            made.taken.append(Taken(self.path, headers, body))
            made.came.set()
            made.go.wait()
            self.send_response(made.status)
            for name, text in made.headers.items():
                self.send_header(name, text)
            self.send_header("Content-Length", str(len(made.answer)))
            self.end_headers()
            self.wfile.write(made.answer)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    if trust is not None:
        server.socket = trust.wrap_socket(server.socket, server_side=True)
    made.port = server.server_address[1]
    thread = Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield made
    finally:
        made.go.set()
        server.shutdown()
        thread.join()
        server.server_close()


@dataclass(slots=True)
class Post:
    """A mail server, and what it took."""

    port: int = 0
    mails: list[bytes] = field(default_factory=list)
    logins: list[tuple[bytes, bytes]] = field(default_factory=list)
    refuses: str = ""
    unknown: set[str] = field(default_factory=set)
    farewell: str = ""


@contextmanager
def post_office(trust: ssl.SSLContext | None = None, *, login: bool = False) -> Iterator[Post]:
    """Give a mail server; with `trust` it offers STARTTLS, with `login` it wants a password."""
    made = Post(port=free_port())

    class Handler:
        async def handle_RCPT(  # noqa: N802 - as the library calls it
            self, _: object, __: Session, envelope: Envelope, address: str, ___: object
        ) -> str:
            if address in made.unknown:
                return "550 gone"
            envelope.rcpt_tos.append(address)
            return "250 taken"

        async def handle_QUIT(self, _: object, __: Session, ___: Envelope) -> str:  # noqa: N802 - as the library calls it
            return made.farewell or "221 bye"

        async def handle_DATA(self, _: object, __: Session, envelope: Envelope) -> str:  # noqa: N802 - as the library calls it
            if made.refuses:
                return made.refuses
            made.mails.append(envelope.original_content or b"")
            return "250 taken"

    def authenticate(*parts: Any) -> AuthResult:  # noqa: ANN401 - as the library calls it
        data = parts[-1]
        assert isinstance(data, LoginPassword)
        made.logins.append((data.login, data.password))
        return AuthResult(success=data.password == b"correct horse")

    controller = Controller(
        Handler(),
        hostname="127.0.0.1",
        port=made.port,
        tls_context=trust,
        require_starttls=trust is not None,
        auth_required=login,
        authenticator=authenticate if login else None,
    )
    controller.start()
    try:
        yield made
    finally:
        controller.stop()


def notice(**changed: Any) -> Notice:  # noqa: ANN401 - the fields of an alert
    """Return a notice of one alert with evidence, of which some fields are as a test says."""
    signal = Signal(
        kind=SignalKind.LATENCY,
        severity=Severity.PAGE,
        endpoint="flights",
        deployment="v2",
        since=T0 - 600,
        what="The slowest of 100 requests take <300 ms> & more.",
        because="300 ms against an objective of 100 ms",
        points=(
            Points(name="p99", unit="ms", times=(T0 - 60, T0), values=(90.0, 300.0), bound=100.0),
        ),
        distributions=(
            Distributions(
                column="temp", bins=("< 0", "0 .. 10"), before=(0.5, 0.5), now=(0.1, 0.9)
            ),
        ),
        command="servewell rollback flights",
        runbook="error-budget",
    )
    alert = Alert(
        **{
            "id": 7,
            "key": signal.key,
            "state": AlertState.FIRING,
            "severity": Severity.PAGE,
            "signal": signal,
            "seen_at": T0 - 30,
            "tell": Reason.FIRED,
            **changed,
        }
    )
    return Notice(
        group="flights",
        reason=alert.tell or Reason.RESOLVED,
        severity=alert.severity,
        at=T0,
        alerts=(alert,),
        folded={signal.key: ("Requests are unusually few.",)},
    )
