"""Framing: bytes of one connection in, whole requests out, answers back in their order.

The parser is llhttp, in its strict mode. What is ours is small: limits, time, order, and when a
connection ends. After a fault that leaves the place of the next request unknown, nothing more is
read as a request; what still comes is thrown away for a moment, so that the answer is not lost to
a reset (RFC 9112, section 9.6).
"""

import asyncio
from collections import deque
from collections.abc import Callable
from enum import Enum
from typing import Final, cast

import httptools

from servewell.serving.answers import CONTINUE, http_answer
from servewell.serving.exchange import Exchange
from servewell.serving.heads import Head, Heads
from servewell.serving.http2.connection import Http2Connection
from servewell.serving.http2.frames import PREFACE
from servewell.serving.peer import Peer, peer_of
from servewell.serving.protocols.dialect import Reply
from servewell.serving.refusals import MethodRefusedError, RequestError
from servewell.serving.requests import (
    BODY_S,
    HEAD_BYTES_MAX,
    HEAD_S,
    IDLE_S,
    KNOWN_HEADERS,
    LINGER_S,
    LIST_HEADERS,
    STUCK_S,
    WRITE_BUFFER_BYTES,
    Requests,
    body_too_large,
    head_too_large,
    malformed,
    too_slow,
)
from servewell.serving.telemetry.logs import log

PIPELINED_MAX: Final = 32
HALF_OPEN_S: Final = 1  # a caller that sends no more is waited for; after that it has gone
FRAMING_BYTES_PER_BODY_BYTE: Final = 8  # chunks of one byte take six


class Phase(Enum):
    """What a connection waits for."""

    IDLE = "idle"  # the first byte of a request
    HEAD = "head"
    BODY = "body"
    DEAF = "deaf"  # its end: nothing more is read as a request


IDLE, HEAD, BODY, DEAF = Phase  # members of an enum are slow to reach


class Connection(asyncio.Protocol):
    """One connection of a caller."""

    def __init__(
        self, requests: Requests, heads: Heads, *, ended: Callable[["Connection"], None]
    ) -> None:
        self._requests = requests
        self._heads = heads
        self._on_end = ended
        self._parser = httptools.HttpRequestParser(self)
        self._transport: asyncio.Transport | None = None
        self.peer: Peer | None = None
        self._encrypted = False
        self._exchanges: deque[Exchange] = deque()
        self._exchange: Exchange | None = None  # the one that is being read
        self._whole: Exchange | None = None  # the last that was read to its end
        self._phase = IDLE
        self._seconds = 0  # in this phase
        self._stuck_s: int | None = None  # seconds since the caller stopped to read
        self._paused = False
        self._ended = False  # the caller sends no more
        self._continue = False  # it waits to be told that its body is welcome
        self._url = b""
        self._headers: dict[bytes, bytes] = {}
        self._repeated = False
        self._head_bytes = 0
        self._body: list[bytes] = []
        self._body_bytes = self._body_bytes_max = self._raw_bytes = 0
        self._fresh = True  # what the caller speaks is not known yet
        self._begun = b""  # of what may be the preface of HTTP/2
        self._http2: Http2Connection | None = None  # which goes on, where the caller speaks that

    @property
    def is_idle(self) -> bool:
        """Whether nothing of a request is here."""
        if self._http2 is not None:
            return self._http2.is_idle
        return self._phase is IDLE and not self._exchanges

    @property
    def silence_s(self) -> int:
        """For how many whole seconds nothing has come, with nothing under way either."""
        if self._http2 is not None:
            return self._http2.silence_s
        transport = self._transport
        unsent = transport is not None and transport.get_write_buffer_size() > 0
        return self._seconds if self.is_idle and not unsent else 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the connection."""
        self._transport = made = cast("asyncio.Transport", transport)
        made.set_write_buffer_limits(high=WRITE_BUFFER_BYTES)
        self._encrypted = made.get_extra_info("ssl_object") is not None
        self.peer = peer_of(made)

    def connection_lost(self, exc: Exception | None) -> None:
        """Let go. What was submitted is still recorded."""
        del exc
        self._transport = None
        self._phase = DEAF
        for exchange in self._exchanges:
            exchange.abandoned = True
        self._let_go()
        self._on_end(self)

    def _let_go(self) -> None:
        """Hold nothing that holds this: it would stay, bodies and all, until cycles are sought."""
        self._exchanges.clear()
        self._exchange = self._whole = None
        self._body = []
        del self._parser

    def data_received(self, data: bytes) -> None:
        """Read what has come."""
        if self._phase is DEAF:
            return
        if self._fresh and not (data := self._first(data)):
            return
        known = self._heads.find(data) if self._phase is IDLE else None
        if known is None:
            self._parse(data)
        else:
            self._take_known(*known)
        if len(self._exchanges) > PIPELINED_MAX:
            self._pause()

    def _first(self, data: bytes) -> bytes:
        """Return what is to be read as HTTP/1.1: nothing, while or where it is HTTP/2."""
        data = self._begun + data
        if len(data) < len(PREFACE) and PREFACE.startswith(data):
            if not self._begun:
                self._enter(HEAD)
            self._begun = data
            return b""
        self._fresh, self._begun = False, b""
        self._phase = IDLE
        if not data.startswith(PREFACE) or self._transport is None:
            return data
        self._http2 = http2 = Http2Connection(
            self._requests, self._transport, ended=self._end_http2
        )
        del self._parser  # it holds this
        self._transport.set_protocol(http2)
        http2.start(data)
        return b""

    def _end_http2(self) -> None:
        self._http2 = None
        self._on_end(self)

    def _take_known(self, head: Head, body: bytes) -> None:
        """Take a whole request whose head was read before."""
        exchange = Exchange(self, head.method, head.url, head.headers)
        self._exchanges.append(exchange)
        self._seconds = 0
        self._requests.open(exchange)
        self._body_bytes_max = self._requests.body_bytes_max(exchange)
        if head.body_bytes > self._body_bytes_max:
            self._exchange = exchange
            self._refuse(body_too_large(self._body_bytes_max))
        else:
            self._requests.submit(exchange, body)

    def _parse(self, data: bytes) -> None:
        before: Phase = self._phase
        former = self._whole
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._ignore_upgrade(data[upgrade.args[0] :])
        except httptools.HttpParserCallbackError as error:  # a fault of ours, not of the caller
            log.fault("reading_failed", "A request could not be read.", error.__context__ or error)
            self.abort()
        except httptools.HttpParserInvalidMethodError:
            self._refuse(MethodRefusedError("GET, POST"))
        except httptools.HttpParserError as error:
            self._refuse(malformed(str(error)))
        if self._phase is not IDLE:
            self._limit(before, len(data))
        elif before is IDLE and (one := self._whole) is not None and one is not former:
            self._heads.keep(data, method=one.method, url=one.url, headers=one.headers)

    def eof_received(self) -> bool:
        """Keep the other half open while answers are due; half a request gets none."""
        self._ended = True
        if self._exchange is not None:
            self._exchanges.remove(self._exchange)
            self._exchange = None
        self._enter(DEAF)
        return bool(self._exchanges) and not self._encrypted  # TLS ends both halves at once

    def pause_writing(self) -> None:
        """Read no more requests while the caller does not take its answers."""
        self._stuck_s = 0
        self._pause()

    def resume_writing(self) -> None:
        """Read again."""
        self._stuck_s = None
        self._resume()

    def on_message_begin(self) -> None:
        """Begin a head."""
        if self._phase is DEAF:
            return
        self._enter(HEAD)
        self._url = b""
        self._headers = {}
        self._head_bytes = 0
        self._repeated = False

    def on_url(self, url: bytes) -> None:
        """Take a part of the request target."""
        self._url += url
        self._head_bytes += len(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take one header; trailers of a chunked body mean nothing here."""
        self._head_bytes += len(name) + len(value) + 4
        if self._phase is not HEAD:
            return
        name = name.lower()
        if name in KNOWN_HEADERS:
            self._repeated = self._repeated or name in self._headers
            self._headers[name] = value
        elif name in self._requests.more_headers:
            self._headers[name] = value
        elif name in LIST_HEADERS:
            before = self._headers.get(name)
            self._headers[name] = value if before is None else b"%b, %b" % (before, value)

    def on_headers_complete(self) -> None:
        """Decide by the head whether the body is to be read."""
        if self._phase is DEAF or self._parser.should_upgrade():
            return  # an upgrade comes back without its wish, from `_ignore_upgrade`
        headers = self._headers
        self._exchange = exchange = Exchange(
            self, method=self._parser.get_method().decode(), url=self._url, headers=headers
        )
        self._exchanges.append(exchange)
        fault = self._head_fault()
        if fault is not None:
            self._refuse(fault)
            return
        self._requests.open(exchange)
        self._body_bytes = self._raw_bytes = 0
        self._body_bytes_max = self._requests.body_bytes_max(exchange)
        self._enter(BODY)
        if int(headers.get(b"content-length", b"0")) > self._body_bytes_max:
            self._refuse(body_too_large(self._body_bytes_max))
        elif headers.get(b"expect", b"").lower() == b"100-continue":
            self._expect(exchange)

    def on_body(self, piece: bytes) -> None:
        """Take a piece of the body. That of a refused request is read past."""
        exchange = self._exchange
        if exchange is None or self._phase is DEAF:
            return
        self._continue = False
        self._body_bytes += len(piece)
        if self._body_bytes > self._body_bytes_max:
            self._refuse(body_too_large(self._body_bytes_max))
        elif exchange.error is None:
            self._body.append(piece)

    def on_message_complete(self) -> None:
        """Submit the request."""
        exchange, self._exchange = self._exchange, None
        if exchange is None or self._phase is DEAF:
            return
        body = self._body[0] if len(self._body) == 1 else b"".join(self._body)
        self._body = []
        exchange.close = not self._keeps_alive(exchange)
        if exchange.grant is not None:  # strangers fill no memory
            self._whole = exchange
        self._enter(DEAF if exchange.close else IDLE)
        self._requests.submit(exchange, body)

    def flush(self) -> None:
        """See `Caller.flush`."""
        exchanges = self._exchanges
        due: list[bytes] = []
        close = False
        while exchanges and not close:
            answer = exchanges[0].answer
            if answer is None:
                break
            close = exchanges.popleft().close
            due.append(answer)
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        if due:
            transport.write(due[0] if len(due) == 1 else b"".join(due))
        if close or (self._ended and not exchanges):
            self._say_goodbye(transport)
            return
        if self._continue:
            self._welcome(transport)
        if self._paused:
            self._resume()

    def frame(self, exchange: Exchange, reply: Reply) -> bytes:
        """See `Caller.frame`."""
        status, headers, body = reply
        bodiless = exchange.method == "HEAD"
        return http_answer(status, headers, body, close=exchange.close, bodiless=bodiless)

    def is_last(self, exchange: Exchange) -> bool:
        """See `Caller.is_last`."""
        return bool(self._exchanges) and self._exchanges[-1] is exchange

    def sweep(self) -> None:
        """Let one second pass."""
        if self._http2 is not None:
            self._http2.sweep()
            return
        self._seconds += 1
        if self._stuck_s is not None:
            self._stuck_s += 1
        if self._phase is HEAD and self._seconds > HEAD_S:
            self._refuse(too_slow("head", HEAD_S))
        elif self._phase is BODY and self._seconds > BODY_S:
            self._refuse(too_slow("body", BODY_S))
        elif self._is_overdue():
            self.abort()

    def has_waited(self, seconds: int) -> bool:
        """Whether nothing has come for so long."""
        return self._seconds >= seconds

    def close_if_idle(self, seconds: int) -> None:
        """Close a connection on which nothing has come for so long."""
        if self._http2 is not None:
            self._http2.close_if_idle(seconds)
            return
        if self.is_idle and self._seconds >= seconds and self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        """Drop the connection."""
        if self._transport is not None:
            self._transport.abort()

    def _pause(self) -> None:
        if self._transport is not None and not self._paused:
            self._paused = True
            self._transport.pause_reading()

    def _resume(self) -> None:
        roomy = self._stuck_s is None and len(self._exchanges) <= PIPELINED_MAX
        if self._transport is not None and self._paused and roomy:
            self._paused = False
            self._transport.resume_reading()

    def _is_overdue(self) -> bool:
        if self._stuck_s is not None and self._stuck_s > STUCK_S:
            return True
        if self._exchanges:
            return self._ended and self._seconds > HALF_OPEN_S
        return self._seconds > (LINGER_S if self._phase is DEAF else IDLE_S)

    def _enter(self, phase: Phase) -> None:
        self._phase = phase
        self._seconds = 0

    def _limit(self, before: Phase, size: int) -> None:
        """Bound what llhttp holds back of a head, of chunk framing and of trailers."""
        if self._phase is HEAD and before is HEAD:
            self._raw_bytes += size
            if self._raw_bytes > 2 * HEAD_BYTES_MAX:
                self._refuse(head_too_large())
        elif self._phase is HEAD:
            self._raw_bytes = size if before is IDLE else 0
        elif self._phase is BODY:
            self._raw_bytes += size
            framing = FRAMING_BYTES_PER_BODY_BYTE * self._body_bytes + 2 * HEAD_BYTES_MAX
            if self._raw_bytes - size > framing:
                self._refuse(body_too_large(self._body_bytes_max))

    def _head_fault(self) -> RequestError | None:
        headers = self._headers
        if self._head_bytes > HEAD_BYTES_MAX:
            return head_too_large()
        if self._repeated:
            return malformed("a header that may come once comes twice")
        if headers.get(b"transfer-encoding", b"chunked").lower() != b"chunked":
            return malformed("the only transfer coding that is read here is `chunked`")
        if b"transfer-encoding" in headers and b"content-length" in headers:
            return malformed("it has both `Content-Length` and `Transfer-Encoding`")
        if b"host" not in headers and self._parser.get_http_version() != "1.0":
            return malformed("it has no header `Host`")
        return None

    def _keeps_alive(self, exchange: Exchange) -> bool:
        """Whether another request may follow; HTTP/1.0 gets an answer and the end."""
        if b"connection" in exchange.headers and self._parser.get_http_version() == "1.0":
            return False
        return not self._ended and bool(self._parser.should_keep_alive())

    def _expect(self, exchange: Exchange) -> None:
        """Ask for the body, or answer at once that it is not wanted."""
        if exchange.error is not None:
            self._refuse(exchange.error)
            return
        self._continue = True
        if self._transport is not None:
            self._welcome(self._transport)

    def _welcome(self, transport: asyncio.Transport) -> None:
        if self._continue and self._exchanges and self._exchanges[0] is self._exchange:
            self._continue = False
            transport.write(CONTINUE)

    def _refuse(self, error: RequestError) -> None:
        """Answer with an error, then end: the place of the next request is not known."""
        if self._phase is DEAF:
            return
        exchange = self._exchange
        if exchange is None:
            exchange = Exchange(self, method="", url=b"", headers={})
            self._exchanges.append(exchange)
        self._exchange = None
        self._body = []
        self._continue = False
        exchange.error = error
        exchange.close = True
        self._enter(DEAF)
        self._requests.submit(exchange, b"")

    def _ignore_upgrade(self, rest: bytes) -> None:
        """Read the request again as if it asked for no upgrade: RFC 9110, 7.8, lets a server.

        llhttp takes what follows the head of such a request for another protocol. Java's client
        asks for HTTP/2 with each first request, bodies included.
        """
        method = self._parser.get_method()
        if method == b"CONNECT":
            self._refuse(MethodRefusedError("GET, POST"))
            return
        kept = {name: self._headers[name] for name in self._headers if name != b"connection"}
        head = b"".join(b"%b: %b\r\n" % one for one in kept.items())
        self._parser = httptools.HttpRequestParser(self)
        self._phase = IDLE
        self.data_received(b"%b %b HTTP/1.1\r\n%b\r\n%b" % (method, self._url, head, rest))

    def _say_goodbye(self, transport: asyncio.Transport) -> None:
        """Close our half, and throw away for a moment what still comes."""
        self._enter(DEAF)
        self._exchanges.clear()
        if self._ended or self._encrypted:
            transport.close()  # TLS says goodbye by itself, and throws away what still comes
        else:
            transport.write_eof()
            self._resume()
