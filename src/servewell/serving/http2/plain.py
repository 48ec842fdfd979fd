"""An ordinary request on a stream: the same as over HTTP/1.1."""

from servewell.serving.exchange import Exchange
from servewell.serving.http2.stream import Carrier, Head, Stream, header_list
from servewell.serving.protocols.dialect import Reply
from servewell.serving.refusals import RequestError
from servewell.serving.requests import BODY_S, Requests, body_too_large, connection_full, too_slow


class PlainRequest(Stream):
    """One request and its answer."""

    def __init__(self, carrier: Carrier, requests: Requests, number: int) -> None:
        super().__init__(carrier, requests, number)
        self._exchange: Exchange | None = None
        self._submitted = False
        self._reply: Reply | None = None
        self._pieces: list[bytes] = []
        self._size = self._size_max = 0

    def begin(self, head: Head) -> None:
        """See `Stream.begin`."""
        self._exchange = exchange = Exchange(
            self, method=head.method, url=head.path, headers=head.headers
        )
        exchange.error = head.fault
        if head.fault is None:
            self.requests.open(exchange)
        self._size_max = self.requests.body_bytes_max(exchange)
        if exchange.error is not None:
            self._submit(exchange)
        elif int(head.headers.get(b"content-length", b"0")) > self._size_max:
            self._refuse(body_too_large(self._size_max))
        elif head.headers.get(b"expect", b"").lower() == b"100-continue":
            self.carrier.begin(self.number, [(b":status", b"100")])

    def take(self, data: bytes, credit: int) -> None:
        """See `Stream.take`."""
        self.carrier.credit(self.number, credit)
        if self._submitted:
            return
        self._size += len(data)
        self._pieces.append(data)
        if not self.carrier.hold(len(data)):
            self._refuse(connection_full())
        elif self._size > self._size_max:
            self._refuse(body_too_large(self._size_max))

    def end(self) -> None:
        """See `Stream.end`."""
        self.whole = True
        if self._exchange is not None and not self._submitted:
            self._submit(self._exchange)

    def leave(self) -> None:
        """See `Stream.leave`."""
        self._let_go()
        if self._exchange is not None:
            self._exchange.abandoned = True
        self._exchange = None  # it holds this
        self._submitted = True

    def sweep(self) -> None:
        """See `Stream.sweep`."""
        self.seconds += 1
        if not self._submitted and self.seconds > BODY_S:
            self._refuse(too_slow("body", BODY_S))

    def frame(self, exchange: Exchange, reply: Reply) -> bytes:
        """See `Caller.frame`."""
        del exchange
        self._reply = reply
        return reply[2]

    def flush(self) -> None:
        """See `Caller.flush`."""
        reply, exchange = self._reply, self._exchange
        if reply is None or exchange is None:
            return
        self._reply = self._exchange = None  # it holds this
        status, lines, body = reply
        lines += b"content-length: %d\r\n" % len(body)
        headers = [(b":status", b"%d" % status), *header_list(lines)]
        self.carrier.begin(self.number, headers)
        if body and exchange.method != "HEAD":
            self.carrier.send(self.number, body)
        self.carrier.finish(self.number)

    def _refuse(self, error: RequestError) -> None:
        if self._exchange is not None:
            self._exchange.error = error
            self._submit(self._exchange)

    def _submit(self, exchange: Exchange) -> None:
        self._submitted = True
        body = self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)
        self._let_go()
        self.requests.submit(exchange, body)

    def _let_go(self) -> None:
        if self._pieces:
            self.carrier.hold(-self._size)
        self._pieces, self._size = [], 0
