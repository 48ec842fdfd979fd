"""The end of a worker: nobody who asks in time is left without an answer."""

import json
import signal
import socket
import ssl
import subprocess
import threading
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Self

import pytest

from servewell.adapters.embedded.certificates import FileCertificates
from servewell.adapters.embedded.clock import SystemClock
from servewell.core.catalog.endpoint import Endpoint
from servewell.core.catalog.tls import TlsFiles
from serving.home import Home, flight_model, request
from serving.predictors import asking, predictor
from serving.real_worker import INFER, real_worker, trusting
from serving.watched import wait_until

pytestmark = [pytest.mark.enable_socket, pytest.mark.alone]

LAME_DUCK_S = 1.5


@dataclass(slots=True, kw_only=True)
class Site:
    """A home that serves, and how its callers connect."""

    home: Home
    key: str
    tls: TlsFiles | None
    context: ssl.SSLContext | None = field(init=False)

    def __post_init__(self) -> None:
        self.context = trusting(self.tls.authority) if self.tls else None

    def line(self) -> socket.socket:
        """Return a new line."""
        plain = socket.create_connection(("127.0.0.1", self.home.port), timeout=20)
        if self.context is None:
            return plain
        return self.context.wrap_socket(plain, server_hostname="127.0.0.1")

    def post(self, body: bytes) -> bytes:
        """Return the head of an inference request."""
        return (
            f"POST {INFER} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {self.key}\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        ).encode()

    def get(self, path: str) -> bytes:
        """Return a request for a page."""
        head = f"GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {self.key}\r\n\r\n"
        return head.encode()

    def answer(self, line: socket.socket, request: bytes) -> tuple[int, dict[str, str]]:
        """Send a request; return the status and headers of the answer."""
        line.sendall(request)
        return read_answer(line)


@pytest.fixture
def site(home: Home) -> Site:
    """A home with one endpoint, over TLS."""
    return made_site(home, encrypted=True)


def made_site(home: Home, *, encrypted: bool) -> Site:
    """Publish one endpoint."""
    key, grant = home.key()
    home.publish(home.deployment("blue", flight_model(2.0)), grants=(grant,))
    files = None
    if encrypted:
        made = FileCertificates(home.folder / "tls", clock=SystemClock())
        files = made.own(())
        made.ensure(files)
    return Site(home=home, key=key, tls=files)


def read_answer(line: socket.socket) -> tuple[int, dict[str, str]]:
    """Read one answer to its end."""
    got = b""
    while b"\r\n\r\n" not in got:
        piece = line.recv(65_536)
        assert piece, f"the line ended after {got!r}"
        got += piece
    head, _, body = got.partition(b"\r\n\r\n")
    first, *rest = head.decode().split("\r\n")
    headers = dict(one.lower().split(": ", 1) for one in rest)
    while len(body) < int(headers["content-length"]):
        body += line.recv(65_536)
    return int(first.split()[1]), headers


@pytest.mark.parametrize("encrypted", ["tls", ""])
def test_a_lame_duck_serves_and_says_that_it_goes(home: Home, encrypted: str) -> None:
    """Not ready at once, it answers old callers and new ones, tells each to close, then ends."""
    site = made_site(home, encrypted=bool(encrypted))
    body = json.dumps(request()).encode()
    with (
        real_worker(site.home, tls=site.tls, lame_duck_s=LAME_DUCK_S) as process,
        site.line() as idle,
        site.line() as begun,
    ):
        assert site.answer(idle, site.get("/v2/health/ready"))[0] == 200
        begun.sendall(site.post(body) + body[:10])
        assert site.answer(idle, site.get("/v2"))[1].get("connection") is None
        process.send_signal(signal.SIGTERM)
        told = time.monotonic()
        with site.line() as first:
            while site.answer(first, site.get("/v2/health/live"))[1].get("connection") is None:
                assert time.monotonic() < told + LAME_DUCK_S
        for path, status in (
            ("/v2/health/ready", 503),
            ("/v2/models/flights/ready", 503),
            ("/v2/health/live", 200),
            ("/v2/models/flights", 200),
        ):
            with site.line() as new:
                found, headers = site.answer(new, site.get(path))
            assert (path, found, headers["connection"]) == (path, status, "close")
        with site.line() as new:
            assert site.answer(new, site.post(body) + body)[0] == 200
        while (report := site.home.report()) is None or report.ready:
            assert time.monotonic() < told + LAME_DUCK_S
        assert site.answer(idle, site.post(body) + body)[0] == 200
        begun.sendall(body[10:])
        assert read_answer(begun)[0] == 200
        assert process.wait(20) == 0
        assert LAME_DUCK_S - 0.1 < time.monotonic() - told < LAME_DUCK_S + 3


def test_a_second_word_cuts_it_short(site: Site) -> None:
    """SIGINT closes the door of a lame duck at once."""
    with real_worker(site.home, tls=site.tls, lame_duck_s=60) as process:
        process.send_signal(signal.SIGTERM)
        end = time.monotonic() + 10
        while (report := site.home.report()) is None or report.ready:
            assert time.monotonic() < end
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 0


def test_the_door_closes_at_once_where_others_go_on(site: Site) -> None:
    """After SIGINT it ends what it began, and new callers are its sibling's."""
    body = json.dumps(request()).encode()
    with (
        real_worker(site.home, index=0, tls=site.tls, lame_duck_s=60) as going,
        site.line() as begun,
    ):
        site.answer(begun, site.get("/v2"))
        begun.sendall(site.post(body) + body[:10])
        with real_worker(site.home, index=1, tls=site.tls):
            going.send_signal(signal.SIGINT)
            for _ in range(20):
                with site.line() as new:
                    assert site.answer(new, site.post(body) + body)[0] == 200
            begun.sendall(body[10:])
            status, headers = read_answer(begun)
            assert (status, headers["connection"]) == (200, "close")
            assert going.wait(10) == 0


def test_silent_callers_do_not_hold_it(site: Site) -> None:
    """Lines on which nothing comes, not even a handshake, are closed after a moment."""
    with real_worker(site.home, tls=site.tls, drain_s=30) as process:
        silent = socket.create_connection(("127.0.0.1", site.home.port))
        with silent, site.line() as idle:
            site.answer(idle, site.get("/v2"))
            process.send_signal(signal.SIGINT)
            started = time.monotonic()
            assert process.wait(20) == 0
            assert time.monotonic() - started < 6


def test_a_predictor_that_loops_does_not_hold_it(home: Home) -> None:
    """A call that would go on for minutes ends with the drain, and its record is whole."""
    key, grant = home.key()
    deployment = predictor(home, timeout_s=600.0)
    endpoint = Endpoint(name="flights", workload="flights", deployments=(deployment,))
    home.publish_endpoints((endpoint,), (grant,))
    site = Site(home=home, key=key, tls=None)
    body = json.dumps(asking("loop")).encode()
    with real_worker(home, drain_s=1.0) as process, site.line() as line:
        line.sendall(site.post(body) + body)
        wait_until(lambda: "servewell_requests_in_flight 1" in metrics(site))
        process.send_signal(signal.SIGINT)
        told = time.monotonic()
        assert process.wait(20) == 0
        assert time.monotonic() - told < 4
    [record] = home.records()
    assert record.status != 200


def metrics(site: Site) -> str:
    """Return what the worker counts."""
    return site.home.send("GET", "/metrics", key=site.key).body.decode()


@dataclass(slots=True, kw_only=True)
class Crowd:
    """Callers that ask again and again, over lines that they keep as long as they may."""

    site: Site
    answered: int = 0
    lost: list[str] = field(default_factory=list)
    _stop: threading.Event = field(default_factory=threading.Event)
    _callers: list[threading.Thread] = field(default_factory=list)

    def __enter__(self) -> Self:
        self._callers = [threading.Thread(target=self._call) for _ in range(4)]
        for one in self._callers:
            one.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._stop.set()
        for one in self._callers:
            one.join()

    def _call(self) -> None:
        while not self._stop.is_set():
            try:
                with self.site.line() as line:
                    self._ask(line)
            except (OSError, AssertionError) as error:
                self.lost.append(repr(error))

    def _ask(self, line: socket.socket) -> None:
        body = json.dumps(request()).encode()
        for _ in range(50):
            status, headers = self.site.answer(line, self.site.post(body) + body)
            assert status == 200
            self.answered += 1
            if self._stop.is_set() or headers.get("connection") == "close":
                return


def test_rolling_through_all_workers_loses_nothing(site: Site) -> None:
    """Each of two workers is replaced in turn under load, by either word; no request is lost."""
    with ExitStack() as workers:

        def start(index: int) -> subprocess.Popen[bytes]:
            started = real_worker(site.home, index=index, tls=site.tls, lame_duck_s=0.2)
            return workers.enter_context(started)

        running = [start(0), start(1)]
        with Crowd(site=site) as crowd:
            for index, word in ((0, signal.SIGINT), (1, signal.SIGTERM)):
                running[index].send_signal(word)
                assert running[index].wait(20) == 0
                running[index] = start(index)
    assert crowd.lost == []
    assert crowd.answered > 100
