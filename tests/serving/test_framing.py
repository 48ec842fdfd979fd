"""Framing: whatever the pieces in which bytes come, the same requests and answers."""

import asyncio
import socket
from collections.abc import Callable
from itertools import pairwise
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from servewell.serving.answers import http_answer
from servewell.serving.connection import PIPELINED_MAX, Connection
from servewell.serving.exchange import Exchange
from servewell.serving.heads import Heads
from servewell.serving.refusals import STATUS
from servewell.serving.requests import (
    BODY_S,
    HEAD_BYTES_MAX,
    HEAD_S,
    IDLE_S,
    LINGER_S,
    STUCK_S,
)
from serving.conftest import Running

BODY_MAX: Final = 1_000
HOST: Final = b"Host: x\r\n"


class Line(asyncio.Transport):
    """A transport in memory: what was written, and whether it still reads and is open."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.reading = True
        self.ended = False
        self.closed = False

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Take the limits; the tests say when the buffer is full."""
        del high, low

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Keep what is written."""
        assert not self.ended
        self.written += bytes(data)

    def write_eof(self) -> None:
        """End the writing half."""
        self.ended = True

    def close(self) -> None:
        """Close both halves."""
        self.closed = True

    abort = close

    def is_closing(self) -> bool:
        """Whether it is closed."""
        return self.closed

    def pause_reading(self) -> None:
        """Stop."""
        self.reading = False

    def resume_reading(self) -> None:
        """Go on."""
        self.reading = True


class Echo:
    """`Requests` that answer with what they understood; at once, or when they are let."""

    def __init__(self, *, at_once: bool = True) -> None:
        self.at_once = at_once
        self.submitted: list[Exchange] = []

    def open(self, exchange: Exchange) -> None:
        """Let everything in."""

    def know(self, exchange: Exchange) -> None:
        """Let everybody in."""

    def body_bytes_max(self, exchange: Exchange) -> int:
        """Return the same for all."""
        del exchange
        return BODY_MAX

    more_headers = frozenset[bytes]()

    def body_bytes_most(self) -> int:
        """Return the same for all."""
        return BODY_MAX

    def submit(self, exchange: Exchange, body: bytes) -> None:
        """Answer `METHOD URL BODY`, or the error."""
        if exchange.error is not None:
            error = exchange.error
            status, headers, told = exchange.dialect.refuse(exchange, error, STATUS[error.code])
            headers += error.headers
        else:
            status, headers = 200, b""
            told = b" ".join((exchange.method.encode(), exchange.url, body))
        exchange.body = http_answer(status, headers, told, close=exchange.close, bodiless=False)
        self.submitted.append(exchange)
        if self.at_once:
            self.answer(exchange)

    def answer(self, exchange: Exchange) -> None:
        """Let one answer go."""
        exchange.answer = exchange.body
        exchange.caller.flush()


def connected(echo: Echo | None = None) -> tuple[Connection, Line]:
    """Return a connection and its line."""
    connection, line = Connection(echo or Echo(), Heads(), ended=lambda _: None), Line()
    connection.connection_made(line)
    return connection, line


def post(body: bytes, *, path: bytes = b"/a", head: bytes = HOST) -> bytes:
    """Return a request with a length."""
    return b"POST %b HTTP/1.1\r\n%bContent-Length: %d\r\n\r\n%b" % (path, head, len(body), body)


def chunked(*pieces: bytes, path: bytes = b"/c") -> bytes:
    """Return a request in chunks."""
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces)
    return b"PUT %b HTTP/1.1\r\n%bTransfer-Encoding: chunked\r\n\r\n%b0\r\n\r\n" % (
        path, HOST, chunks,
    )  # fmt: skip


REFUSED: Final = {
    b"\x00\x01\x02\r\n\r\n": 405,
    b"GET /a\r\n\r\n": 400,
    b"GET /a HTTP/9.9\r\nHost: x\r\n\r\n": 400,
    b"GET /a HTTP/1.1\r\n\r\n": 400,
    b"GET /a HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n": 400,
    b"GET /a HTTP/1.1\r\nHost : x\r\n\r\n": 400,
    b"GET /a HTTP/1.1\r\nHost: x\r\n folded: y\r\n\r\n": 400,
    b"GET /a HTTP/1.1\nHost: x\n\n": 400,
    b"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n": 400,
    b"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab": 400,
    b"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999999\r\n\r\n": 400,
    b"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n": 400,
    b"POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n": 400,
    b"POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n": 400,
    b"POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n": 400,
    b"POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n": 400,
    b"POST /a HTTP/1.1\r\nHost: x\r\nAuthorization: a\r\nAuthorization: b\r\n\r\n": 400,
    b"CONNECT x:1 HTTP/1.1\r\nHost: x\r\n\r\n": 405,
    b"BREW /a HTTP/1.1\r\nHost: x\r\n\r\n": 405,
    b"GET /a HTTP/1.1\r\nHost: x\r\nLong: " + b"a" * HEAD_BYTES_MAX + b"\r\n\r\n": 431,
    b"GET /" + b"a" * HEAD_BYTES_MAX + b" HTTP/1.1\r\nHost: x\r\n\r\n": 431,
    post(b"a" * (BODY_MAX + 1)): 413,
    b"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 1001\r\n\r\n": 413,
    chunked(b"a" * BODY_MAX, b"a"): 413,
}
WHOLE: Final = (
    post(b"one"),
    chunked(b"two", b"x" * 300),
    post(b""),
    b"GET /g HTTP/1.1\r\n%b\r\n" % HOST,
)


def in_pieces(stream: bytes, cuts: list[int]) -> Line:
    """Send a stream cut at these places; return the line."""
    connection, line = connected()
    edges = [0, *sorted(cut % (len(stream) + 1) for cut in cuts), len(stream)]
    for start, end in pairwise(edges):
        if not line.closed and start < end:
            connection.data_received(stream[start:end])
    return line


@given(
    st.lists(st.sampled_from(WHOLE), max_size=5),
    st.sampled_from([b"", *REFUSED]),
    st.lists(st.integers(0, 50_000), max_size=20),
)
def test_any_pieces_give_the_same_answers(
    requests: list[bytes], last: bytes, cuts: list[int]
) -> None:
    """Requests, pipelined, and then a fault are answered alike whole or cut anywhere."""
    stream = b"".join(requests) + last
    whole, cut = in_pieces(stream, []), in_pieces(stream, cuts)
    assert cut.written == whole.written
    assert (cut.ended, cut.closed) == (whole.ended, whole.closed)
    assert whole.written.count(b"HTTP/1.1 200") == len(requests)


@given(st.binary(max_size=300), st.lists(st.integers(0, 300), max_size=5))
def test_no_bytes_break_the_connection(noise: bytes, cuts: list[int]) -> None:
    """Any bytes at all give an answer, or wait for more."""
    line = in_pieces(noise, cuts)
    assert line.written.startswith(b"HTTP/1.1 ") or not line.written
    assert not line.closed


@pytest.mark.parametrize(("stream", "status"), REFUSED.items(), ids=lambda one: repr(one)[:60])
def test_a_fault_is_answered_and_ends_the_connection(stream: bytes, status: int) -> None:
    """The answer says so in JSON, closes our half, and nothing behind it is read."""
    connection, line = connected()
    connection.data_received(stream + post(b"smuggled"))
    assert line.written.startswith(b"HTTP/1.1 %d " % status)
    assert b"smuggled" not in line.written
    assert line.written.count(b"\r\n\r\n") == 1
    assert b"connection: close\r\n" in line.written
    assert b'"code":"SW-3' in line.written
    assert line.ended


def test_answers_go_out_in_the_order_of_the_requests() -> None:
    """A later answer that is ready first waits for the earlier one."""
    echo = Echo(at_once=False)
    connection, line = connected(echo)
    connection.data_received(post(b"1") + post(b"2") + post(b"3"))
    for place in (2, 1, 0):
        assert line.written == b""
        echo.answer(echo.submitted[place])
    assert [line.written.find(b"POST /a %d" % number) > 0 for number in (1, 2, 3)] == [True] * 3
    assert line.written.find(b"/a 1") < line.written.find(b"/a 2") < line.written.find(b"/a 3")


def test_many_pipelined_requests_pause_reading() -> None:
    """A caller that sends faster than it is answered is slowed down, then read again."""
    echo = Echo(at_once=False)
    connection, line = connected(echo)
    connection.data_received(post(b"") * (PIPELINED_MAX + 1))
    assert not line.reading
    echo.answer(echo.submitted[0])
    assert line.reading


def test_a_caller_that_does_not_read_is_not_read() -> None:
    """While the transport's buffer is full no request is read; one stuck too long is dropped."""
    connection, line = connected()
    connection.pause_writing()
    assert not line.reading
    connection.resume_writing()
    assert line.reading
    connection.pause_writing()
    for _ in range(STUCK_S + 1):
        connection.sweep()
    assert line.closed


def test_the_body_is_asked_for_when_it_is_welcome() -> None:
    """`Expect: 100-continue` is answered once, and not when the body is too large."""
    connection, line = connected()
    connection.data_received(
        post(b"", head=HOST + b"Expect: 100-continue\r\n").replace(b": 0", b": 3")
    )
    assert line.written == b"HTTP/1.1 100 Continue\r\n\r\n"
    connection.data_received(b"abc")
    assert line.written.count(b"100 Continue") == 1
    assert line.written.endswith(b"POST /a abc")
    connection, line = connected()
    connection.data_received(
        b"POST /a HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 5000\r\n\r\n"
    )
    assert line.written.startswith(b"HTTP/1.1 413 ")


@pytest.mark.parametrize(
    ("sent", "seconds", "written"),
    [
        (b"", IDLE_S, b""),
        (b"GET /a HTTP/1.1\r\nHo", HEAD_S, b"HTTP/1.1 408 "),
        (b"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nabc", BODY_S, b"HTTP/1.1 408 "),
        (post(b"x"), IDLE_S, b"HTTP/1.1 200 "),
        (post(b"x", head=HOST + b"Connection: close\r\n"), LINGER_S, b"HTTP/1.1 200 "),
    ],
    ids=["nothing", "half a head", "half a body", "between requests", "after the end"],
)
def test_time_runs_out(sent: bytes, seconds: int, written: bytes) -> None:
    """A connection that waits too long for its caller is answered, where it can be, and closed."""
    connection, line = connected()
    if sent:
        connection.data_received(sent)
    for _ in range(seconds):
        connection.sweep()
        assert not line.closed
    for _ in range(LINGER_S + 2):
        connection.sweep()
    assert line.closed
    assert line.written.startswith(written)


def test_a_slow_drip_does_not_stop_the_clock() -> None:
    """One byte now and then keeps a head open no longer than ten seconds."""
    connection, line = connected()
    for byte in b"GET /a HTTP/1.1\r\nHost: x":
        connection.data_received(bytes([byte]))
        connection.sweep()
    assert line.written.startswith(b"HTTP/1.1 408 ")


def test_what_surrounds_a_body_is_bounded() -> None:
    """Chunk extensions and trailers without end are refused before they fill the memory."""
    head = b"POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    for filler in (b"1;" + b"e" * 20_000, b"1\r\na\r\n0\r\nTrailer: " + b"t" * 20_000):
        connection, line = connected()
        connection.data_received(head + filler)
        for _ in range(10):
            connection.data_received(filler[-10_000:])
        assert line.written.startswith((b"HTTP/1.1 413 ", b"HTTP/1.1 400 "))


def test_a_head_without_end_is_refused() -> None:
    """A head is not kept longer than it may be, also when its end never comes."""
    connection, line = connected()
    connection.data_received(b"GET /")
    for _ in range(10):
        connection.data_received(b"a" * 9_000)
    assert line.written.startswith(b"HTTP/1.1 431 ")


@pytest.mark.parametrize("behind", [b"", post(b"next")])
@pytest.mark.parametrize(
    "first", [post(b"up", head=HOST + b"Connection: Upgrade\r\nUpgrade: h2c\r\n")]
)
def test_an_upgrade_is_not_made(first: bytes, behind: bytes) -> None:
    """A wish for HTTP/2 is answered in HTTP/1.1, with the body that came."""
    connection, line = connected()
    connection.data_received(first + behind)
    assert b"POST /a up" in line.written
    assert line.written.count(b"HTTP/1.1 200") == 1 + bool(behind)


def test_http_1_0_gets_one_answer() -> None:
    """An old client gets its answer and the end of the connection, whatever it wishes."""
    for wish in (b"", b"Connection: keep-alive\r\n"):
        connection, line = connected()
        connection.data_received(b"GET /a HTTP/1.0\r\n%b\r\n" % wish)
        assert line.written.startswith(b"HTTP/1.1 200 ")
        assert line.ended


def test_half_closed_callers_are_answered() -> None:
    """A caller that has ended its half still gets what is due; half a request gets nothing."""
    echo = Echo(at_once=False)
    connection, line = connected(echo)
    connection.data_received(
        post(b"1") + b"POST /b HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\na"
    )
    assert connection.eof_received()
    echo.answer(echo.submitted[0])
    assert line.written.endswith(b"POST /a 1")
    assert line.closed


def raw(port: int, talk: Callable[[socket.socket], None]) -> bytes:
    """Talk over a socket of our own; return all that is answered until the end."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as line:
        talk(line)
        answer = b""
        while piece := line.recv(65_536):
            answer += piece
        return answer


def test_a_refused_upload_still_gets_its_answer(running: Running) -> None:
    """A large body that is refused while it is being sent does not lose the 413 to a reset."""

    def talk(line: socket.socket) -> None:
        head = b"POST /v2/models/flights/infer HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer "
        line.sendall(head + running.operator.encode() + b"\r\nContent-Length: 4000000\r\n\r\n")
        for _ in range(40):
            line.sendall(b" " * 100_000)

    assert raw(running.home.port, talk).startswith(b"HTTP/1.1 413 ")


def test_byte_by_byte_over_a_socket(running: Running) -> None:
    """The framing holds over a real socket too, one byte at a time and pipelined."""
    message = b"GET /v2/health/live HTTP/1.1\r\nHost: x\r\n\r\n" * 2
    last = b"GET /v2/health/live HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"

    def talk(line: socket.socket) -> None:
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in message + last:
            line.send(bytes([byte]))

    assert raw(running.home.port, talk).count(b'{"live":true}') == 3
