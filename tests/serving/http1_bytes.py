"""Bytes that a caller of HTTP/1.1 may send: requests well made, ill made, cut off, and noise."""

from typing import Any, Final

import httptools
from hypothesis import strategies as st

from servewell.serving.connection import Connection
from servewell.serving.heads import Heads
from servewell.serving.http2.frames import PREFACE
from serving.http2_memory import Dropped
from serving.test_framing import Echo

LINES: Final = (
    b"GET /a HTTP/1.1\r\n", b"POST /v2/models/a/infer HTTP/1.1\r\n", b"HEAD / HTTP/1.0\r\n",
    b"CONNECT a:1 HTTP/1.1\r\n", b"PUT http://h/a?b=c HTTP/1.1\r\n", b"POST /a HTTP/2.0\r\n",
    b"GET\t/a HTTP/1.1\r\n", b"OPTIONS * HTTP/1.1\r\n", b"\r\n", b"G",
)  # fmt: skip
HEADERS: Final = (
    b"Host: x\r\n", b"Host: x\r\n", b"Content-Length: 3\r\n", b"content-length: +3\r\n",
    b"Content-Length: 3, 3\r\n", b"Content-Length: 99999999999999999999\r\n",
    b"Transfer-Encoding: chunked\r\n", b"Transfer-Encoding: gzip, chunked\r\n",
    b"transfer-encoding : chunked\r\n", b"Connection: close\r\n", b"Connection: Upgrade\r\n",
    b"Connection: keep-alive, Upgrade, HTTP2-Settings\r\n", b"Upgrade: h2c\r\n",
    b"Expect: 100-continue\r\n", b"Accept: a\r\nAccept: b\r\n", b" folded\r\n", b"No colon\r\n",
    b"X: \x00\r\n", b"X: \xff\n",
)  # fmt: skip
BODIES: Final = (
    b"abc", b"3\r\nabc\r\n", b"0\r\n\r\n", b"3;a=b\r\nabc\r\n0\r\nTrailer: a\r\n\r\n",
    b"-1\r\n", b"ffffffffffffffff\r\n", b"3\nabc\n0\n\n",
)  # fmt: skip


class Answers:
    """Answers as a client reads them. Bytes that are none raise an error."""

    def __init__(self, data: bytes) -> None:
        self.statuses: list[int] = []
        self.ended = 0
        self._parser: Any = httptools.HttpResponseParser(self)
        if data:
            self._parser.feed_data(data)

    def on_headers_complete(self) -> None:
        """Note the status of an answer."""
        self.statuses.append(self._parser.get_status_code())

    def on_message_complete(self) -> None:
        """Note that an answer is whole."""
        self.ended += 1


def said(pieces: list[bytes]) -> bytes:
    """Return what a connection answers to bytes in these pieces; nothing may break it."""
    line = Dropped()
    connection = Connection(Echo(), Heads(), ended=lambda _: None)
    connection.connection_made(line)
    for piece in pieces:
        connection.data_received(piece)
    assert not line.dropped, "a fault of ours dropped the connection"
    connection.eof_received()
    connection.connection_lost(None)
    return line.written


def held(sent: bytes, size: int) -> None:
    """Send bytes whole, and in pieces of a size: each time the same, well-formed answers."""
    if sent[:1] == PREFACE[:1]:
        return  # what may be HTTP/2 is tried elsewhere
    whole = said([sent])
    parts = said([sent[start : start + size] for start in range(0, len(sent), size)])
    answers = Answers(whole)
    assert answers.ended == len(answers.statuses)
    assert all(one < 500 for one in answers.statuses)
    assert parts == whole


def near_requests() -> st.SearchStrategy[bytes]:
    """Return what is nearly a few requests, one behind the other."""
    request = st.builds(
        lambda line, headers, bodies, noise: line + b"".join(headers) + b"\r\n" + bodies + noise,
        st.sampled_from(LINES),
        st.lists(st.sampled_from(HEADERS), max_size=4),
        st.lists(st.sampled_from(BODIES), max_size=3).map(b"".join),
        st.just(b"") | st.binary(max_size=5),
    )
    return st.lists(request, min_size=1, max_size=4).map(b"".join)
