"""TLS: what is spoken, who is believed, and what happens to those who speak otherwise."""

import json
import os
import socket
import ssl
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from http.client import RemoteDisconnected
from pathlib import Path

import pytest
from cryptography import x509

from servewell.adapters.embedded.certificates import FileCertificates
from servewell.adapters.embedded.clock import SystemClock
from servewell.core.catalog.endpoint import EndpointPolicy
from servewell.core.catalog.key import Grant, Role
from servewell.core.catalog.tls import Clients, TlsFiles
from servewell.serving.peer import identity_in
from servewell.serving.tls import Tls
from serving.home import Home, flight_model, request
from serving.issued import Issued
from serving.real_worker import INFER, ask, caller, real_worker, tls_line, trusting

pytestmark = pytest.mark.enable_socket

BODY_MAX = 2_000_000
LIVE = b"GET /v2/health/live HTTP/1.1\r\nHost: x\r\n\r\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Secure:
    """A worker that speaks TLS and knows callers by their certificates."""

    home: Home
    files: TlsFiles
    callers: Issued  # the authority of their certificates
    key: str
    operating: Grant

    @property
    def trust(self) -> ssl.SSLContext:
        """What a caller without a certificate uses."""
        return trusting(self.files.authority)

    def showing(self, issued: Issued, name: str = "shown") -> ssl.SSLContext:
        """Return what a caller with a certificate uses."""
        return trusting(self.files.authority, issued.write(self.home.folder, name))


@pytest.fixture(scope="module")
def secure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secure]:
    """One worker for all tests that leave it as it is; two identities have rights."""
    home = Home(tmp_path_factory.mktemp("home"))
    made = FileCertificates(home.folder / "tls", clock=SystemClock())
    callers = Issued.authority("callers")
    (home.folder / "callers.pem").write_bytes(callers.pem)
    files = replace(
        made.own(()), client_ca=str(home.folder / "callers.pem"), clients=Clients.OPTIONAL
    )
    made.ensure(files)
    key, operating = home.key()
    _, known = home.key(Role.INVOKER, endpoints=("flights",))
    known = replace(
        known, certificate="spiffe://example.org/booking", digest="", principal="booking"
    )
    home.publish(
        home.deployment("blue", flight_model(2.0)),
        policy=EndpointPolicy(body_bytes_max=BODY_MAX),
        grants=(operating, known),
    )
    with real_worker(home, tls=files):
        yield Secure(home=home, files=files, callers=callers, key=key, operating=operating)
    home.close()


def test_a_careful_caller_is_answered(secure: Secure) -> None:
    """By address and by name, with the certificate checked, over one connection."""
    with caller(secure.home, secure.trust) as connection:
        assert [ask(connection, secure.key).status for _ in range(3)] == [200, 200, 200]
        assert connection.sock.version() == "TLSv1.3"


def test_it_tells_when_its_certificate_ends(secure: Secure) -> None:
    """The metrics have the moment, by worker, so that an alert can come before it."""
    shown = x509.load_pem_x509_certificate(Path(secure.files.certificate).read_bytes())
    wanted = f'expiry_timestamp_seconds{{worker="0"}} {shown.not_valid_after_utc.timestamp():.0f}'
    with caller(secure.home, secure.trust) as connection:
        for _ in range(50):  # it is told once a second
            told = ask(connection, secure.key, path="/metrics").body.decode()
            if wanted in told:
                return
            time.sleep(0.1)
    pytest.fail(told)


def test_curl_believes_it(secure: Secure) -> None:
    """The line that `up` shows works, also where curl would rather speak HTTP/2."""
    url = f"https://localhost:{secure.home.port}/v2/models/flights"
    words = ["curl", "-sS", "--cacert", secure.files.authority, url]
    done = subprocess.run(
        [*words, "-H", f"Authorization: Bearer {secure.key}"], capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["name"] == "flights"


def test_a_stranger_does_not_believe_it(secure: Secure) -> None:
    """Who trusts other authorities, or asks for another name, is warned by its own check."""
    with (
        caller(secure.home, ssl.create_default_context()) as connection,
        pytest.raises(ssl.SSLCertVerificationError),
    ):
        ask(connection)
    line = socket.create_connection(("127.0.0.1", secure.home.port))
    with line, pytest.raises(ssl.SSLCertVerificationError, match="mismatch"):
        secure.trust.wrap_socket(line, server_hostname="elsewhere.example")


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1])
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_old_versions_are_refused(secure: Secure, version: ssl.TLSVersion) -> None:
    """Nothing below TLS 1.2 is spoken."""
    context = secure.trust
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = context.maximum_version = version
    with pytest.raises(ssl.SSLError):
        tls_line(secure.home, context)


@pytest.mark.parametrize("ciphers", ["AES128-SHA", "ECDHE-ECDSA-AES128-SHA256", "NULL"])
def test_weak_ciphers_are_refused(secure: Secure, ciphers: str) -> None:
    """Of TLS 1.2, only what has forward secrecy and authenticated encryption is spoken."""
    context = secure.trust
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(f"{ciphers}:@SECLEVEL=0")
    with pytest.raises(ssl.SSLError):
        tls_line(secure.home, context)


@pytest.mark.parametrize(
    ("offered", "spoken"),
    [(["h2", "http/1.1"], "http/1.1"), (["h2"], "h2"), (["http/1.1"], "http/1.1"), ([], None)],
)
def test_the_protocol_is_agreed_on(secure: Secure, offered: list[str], spoken: str | None) -> None:
    """HTTP/1.1 for those who know it, HTTP/2 for those who know nothing else."""
    context = secure.trust
    if offered:
        context.set_alpn_protocols(offered)
    with tls_line(secure.home, context) as line:
        assert line.selected_alpn_protocol() == spoken


def test_requests_may_come_in_a_row(secure: Secure) -> None:
    """Requests that are sent at once are answered in their order."""
    with tls_line(secure.home, secure.trust) as line:
        line.sendall(LIVE * 5)
        assert read(line, lambda got: got.count(b"HTTP/1.1 200") == 5)


def test_large_bodies_pass(secure: Secure) -> None:
    """A megabyte of rows, which needs many TLS records, arrives whole."""
    with caller(secure.home, secure.trust) as connection:
        answer = ask(connection, secure.key, body=request(rows=9_000))
        assert answer.status == 200
        assert len(answer.json["outputs"][0]["data"]) == 9_000


def test_a_body_may_be_asked_for(secure: Secure) -> None:
    """`Expect: 100-continue` gets its word before the body, and then the answer."""
    body = json.dumps(request()).encode()
    head = (
        f"POST {INFER} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {secure.key}\r\n"
        f"Content-Length: {len(body)}\r\nExpect: 100-continue\r\n\r\n"
    )
    with tls_line(secure.home, secure.trust) as line:
        line.sendall(head.encode())
        assert read(line, lambda got: b"\r\n\r\n" in got).startswith(b"HTTP/1.1 100")
        line.sendall(body)
        assert read(line, lambda got: b"\r\n\r\n" in got).startswith(b"HTTP/1.1 200")


def test_a_refusal_reaches_who_still_sends(secure: Secure) -> None:
    """413 is read by a caller that has megabytes still to send, and then the line ends."""
    head = (
        f"POST {INFER} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {secure.key}\r\n"
        f"Content-Length: {BODY_MAX * 4}\r\n\r\n"
    )
    with tls_line(secure.home, secure.trust) as line:
        line.sendall(head.encode())
        line.sendall(b" " * BODY_MAX)
        got = read(line, lambda got: b"SW-302" in got)
        assert got.startswith(b"HTTP/1.1 413")
        assert line.recv(100) == b""


def test_the_end_is_said(secure: Secure) -> None:
    """After `Connection: close` the worker ends TLS at once, so that nobody waits."""
    with tls_line(secure.home, secure.trust) as line:
        line.sendall(LIVE.replace(b"Host", b"Connection: close\r\nHost"))
        started = time.monotonic()
        whole = read(line, lambda _: False)
        assert whole.startswith(b"HTTP/1.1 200")
        assert time.monotonic() - started < 1


def test_a_caller_may_go_at_any_time(secure: Secure) -> None:
    """Half a handshake, half a request, an end of TLS: the worker serves on."""
    for sent in (b"", b"\x16\x03\x01\x02", b"\x16\x03\x01\x00\x05hello"):
        with socket.create_connection(("127.0.0.1", secure.home.port)) as line:
            line.sendall(sent)
    with tls_line(secure.home, secure.trust) as line:
        line.sendall(LIVE[:20])
    with tls_line(secure.home, secure.trust) as line:
        line.sendall(LIVE)
        with suppress(ssl.SSLError):  # the answer may come after the end
            line.unwrap()
    with caller(secure.home, secure.trust) as connection:
        assert ask(connection, secure.key).status == 200


@pytest.mark.parametrize("garbage", [b"\x00" * 64, os.urandom(512), b"SSH-2.0-x\r\n", b"\x16" * 99])
def test_garbage_ends_the_line(secure: Secure, garbage: bytes) -> None:
    """What is no handshake gets no answer but an alert, and no time."""
    with socket.create_connection(("127.0.0.1", secure.home.port), timeout=5) as line:
        line.sendall(garbage)
        line.shutdown(socket.SHUT_WR)
        started = time.monotonic()
        with suppress(ConnectionResetError):
            while line.recv(1_000):
                pass
        assert time.monotonic() - started < 2


def test_plain_http_is_told_to_speak_https(secure: Secure) -> None:
    """A request in plain HTTP gets one plain answer that says so, whoever asks."""
    answer = secure.home.send("GET", "/v2/health/live")
    assert (answer.status, answer.json["code"]) == (400, "SW-367")
    assert "https://" in answer.json["error"]


def test_a_certificate_stands_for_a_key(secure: Secure) -> None:
    """Its identity has the rights that it was given, and no others, and is the principal."""
    known = secure.callers.client(common="x", uri="spiffe://example.org/booking", dns="a.example")
    with caller(secure.home, secure.showing(known)) as connection:
        answer = ask(connection)
        assert answer.status == 200
        assert ask(connection, path="/metrics").status == 403
        prediction = answer.headers["servewell-prediction-id"]
        (record,) = [one for one in secure.home.records() if one.prediction_id == prediction]
        assert record.principal == "booking"


def test_a_key_that_is_sent_along_decides(secure: Secure) -> None:
    """A good key is its owner's; a bad one is refused, whatever the certificate may do."""
    known = secure.callers.client(uri="spiffe://example.org/booking")
    with caller(secure.home, secure.showing(known)) as connection:
        assert ask(connection, secure.key, path="/metrics").status == 200
        assert ask(connection, "sw_nonsense").json["code"] == "SW-306"


def test_a_certificate_without_rights_is_refused(secure: Secure) -> None:
    """A good certificate of an identity that nobody knows gives nothing, and a key still does."""
    for unknown in (
        secure.callers.client(uri="spiffe://example.org/other"),
        secure.callers.client(common="spiffe://example.org/booking"),
        secure.callers.client(dns="booking.example.org"),
    ):
        with caller(secure.home, secure.showing(unknown)) as connection:
            assert ask(connection).status == 401
            assert ask(connection, secure.key).status == 200


def test_a_bad_certificate_gets_no_connection(secure: Secure) -> None:
    """One of another authority, one that has ended and one made for a server are refused."""
    stranger = Issued.authority("callers").client(uri="spiffe://example.org/booking")
    ended = secure.callers.client(uri="spiffe://example.org/booking", seconds=-60)
    server = secure.callers.server("booking.example.org")
    for one in (stranger, ended, server):
        with (
            caller(secure.home, secure.showing(one)) as connection,
            pytest.raises((ssl.SSLError, ConnectionError, RemoteDisconnected)),
        ):
            ask(connection, secure.key)


def test_a_certificate_ends_on_an_open_connection(secure: Secure) -> None:
    """Once it has ended, the connection gives nothing more, with a key or without."""
    short = secure.callers.client(uri="spiffe://example.org/booking", seconds=2.5)
    with caller(secure.home, secure.showing(short)) as connection:
        assert ask(connection).status == 200
        end = short.certificate.not_valid_after_utc.timestamp()
        time.sleep(max(0.0, end - SystemClock().now()) + 0.05)
        assert ask(connection).json["code"] == "SW-365"
        assert ask(connection, secure.key).json["code"] == "SW-365"


def test_callers_may_have_to_show_one(home: Home) -> None:
    """`required`: nobody connects without a certificate."""
    authority = Issued.authority()
    (home.folder / "ca.pem").write_bytes(authority.pem)
    server = authority.server("127.0.0.1").write(home.folder, "server")
    files = TlsFiles(
        certificate=server[0],
        key=server[1],
        client_ca=str(home.folder / "ca.pem"),
        clients=Clients.REQUIRED,
    )
    shown = authority.client().write(home.folder, "client")
    with real_worker(home, tls=files):
        with (
            caller(home, trusting(home.folder / "ca.pem")) as careless,
            pytest.raises((ssl.SSLError, ConnectionError, RemoteDisconnected)),
        ):
            ask(careless, path="/v2/health/live")
        with caller(home, trusting(home.folder / "ca.pem", shown)) as careful:
            assert ask(careful, path="/v2/health/live").status == 200


def test_each_file_is_looked_at(home: Home) -> None:
    """Whichever is replaced, the certificate or an authority of callers, is read again."""
    authority = Issued.authority()
    certificate, key = authority.server("127.0.0.1").write(home.folder, "server")
    cas = [home.folder / "callers.pem", home.folder / "operators.pem"]
    for one in cas:
        one.write_bytes(authority.pem)
    files = TlsFiles(
        certificate=certificate,
        key=key,
        client_ca=str(cas[0]),
        operator_ca=str(cas[1]),
        clients=Clients.OPTIONAL,
    )
    tls = Tls(files, now=SystemClock().now())
    for path in (Path(certificate), *cas):
        path.write_bytes(path.read_bytes() + b"\n")
        assert [tls.refresh(SystemClock().now()) for _ in range(3)] == [False, True, False], path
        assert tls.fault == ""


def test_a_new_certificate_is_taken_up(home: Home) -> None:
    """New connections get it, open ones go on; a broken one is told of, and the old one stays."""
    first, second = Issued.authority("first"), Issued.authority("second")
    for name, one in (("first", first), ("second", second)):
        (home.folder / f"{name}-ca.pem").write_bytes(one.pem)
    certificate, key = first.server("127.0.0.1").write(home.folder, "server")
    before, after = (trusting(home.folder / f"{name}-ca.pem") for name in ("first", "second"))
    with (
        real_worker(home, tls=TlsFiles(certificate=certificate, key=key)),
        caller(home, before) as old,
    ):
        assert ask(old, path="/v2/health/live").status == 200
        Path(certificate).write_bytes(second.server("127.0.0.1").pem)  # without its key
        wait_for(lambda: "that of another certificate" in fault_of(home))
        with caller(home, before) as other:
            assert ask(other, path="/v2/health/live").status == 200
        second.server("127.0.0.1").write(home.folder, "server")
        wait_for(lambda: not fault_of(home))
        with caller(home, after) as new:
            assert [ask(one, path="/v2/health/live").status for one in (old, new)] == [200, 200]


@pytest.mark.parametrize(
    ("certificate", "identity"),
    [
        ({}, ""),
        ({"subject": ((("commonName", "a"),),)}, "a"),
        ({"subject": ((("commonName", "spiffe://a/b"),),)}, ""),
        ({"subject": ((("commonName", "a"),),), "subjectAltName": (("DNS", "d"),)}, "d"),
        ({"subjectAltName": (("DNS", "d"), ("URI", "u://x"))}, "u://x"),
        ({"subjectAltName": (("URI", "u://x"), ("URI", "spiffe://a/b"))}, "spiffe://a/b"),
        ({"subjectAltName": (("IP Address", "10.0.0.1"),)}, ""),
    ],
)
def test_one_name_stands_for_the_holder(certificate: dict[str, object], identity: str) -> None:
    """A SPIFFE id, else a URI, else a DNS name, else a common name that looks like no URI."""
    assert identity_in(certificate) == identity


def read(line: ssl.SSLSocket, enough: Callable[[bytes], bool]) -> bytes:
    """Return what comes until it is enough, or the line ends."""
    got = b""
    while not enough(got):
        piece = line.recv(65_536)
        if not piece:
            break
        got += piece
    return got


def fault_of(home: Home) -> str:
    """Return what the worker reports to be wrong."""
    report = home.report()
    return report.fault if report else "no report"


def wait_for(what: Callable[[], bool]) -> None:
    """Return once it is true."""
    end = time.monotonic() + 10
    while not what():
        assert time.monotonic() < end
        time.sleep(0.02)
