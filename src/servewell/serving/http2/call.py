"""A gRPC call on a stream: messages in, messages out, and a status at the end.

When a call begins, only its key is looked at: whom it is for stands in its message. A call that
streams takes messages as fast as they are answered, and answers them in their order.

Source: grpc, doc/PROTOCOL-HTTP2.md.
"""

from collections import deque
from typing import Final

from google.protobuf.message import Message

from servewell.serving.exchange import Exchange
from servewell.serving.http2.messages import (
    PLAIN,
    MessageReader,
    MessageWriter,
    check_coding,
    coding_of,
    framing_fault,
)
from servewell.serving.http2.stream import Carrier, Head, Stream, header_list
from servewell.serving.protocols import grpc
from servewell.serving.protocols.dialect import Reply
from servewell.serving.protocols.grpc_methods import CALLED, OPEN, Method, method_for
from servewell.serving.refusals import PathUnknownError, RequestError
from servewell.serving.requests import BODY_S, Requests, body_too_large, connection_full, too_slow

OPEN_BYTES_MAX: Final = 4_096  # of a message that may come without a key
AHEAD_MAX: Final = 16  # messages of one call that wait for their answers
SILENT_S: Final = 600  # between the messages of a call that streams
# Of a call they say nothing, or nothing about its messages.
NOT_OF_A_CALL: Final = frozenset({b"content-encoding", b"content-length", b"expect"})
OK: Final = [(b"grpc-status", b"0")]
OPENING: Final = [(b":status", b"200"), (b"content-type", b"application/grpc")]


class GrpcCall(Stream):
    """One call."""

    def __init__(self, carrier: Carrier, requests: Requests, number: int) -> None:
        super().__init__(carrier, requests, number)
        self._headers: dict[bytes, bytes] = {}
        self._method: Method | None = None
        self._exchange: Exchange | None = None  # of the call as a whole
        self._reply: Reply | None = None  # to the call as a whole
        self._reader = MessageReader(PLAIN, bytes_max=0)
        self._writer = MessageWriter({})
        self._message: bytes | None = None  # of a call that does not stream
        self._waiting: deque[Exchange] = deque()  # messages of one that does
        self._closed = False  # no more is read
        self._begun = False  # the headers of the answer are sent
        self._held = 0  # bytes, as the connection counts them
        self._owed = 0  # bytes of the caller's window that are not given back yet

    @property
    def _streams(self) -> bool:
        return self._method is not None and self._method.streams

    @property
    def _may_read(self) -> bool:
        """Whether the answers of what was read come along."""
        return len(self._waiting) < AHEAD_MAX and self.carrier.has_room(self.number)

    def begin(self, head: Head) -> None:
        """See `Stream.begin`."""
        headers = {one: value for one, value in head.headers.items() if one not in NOT_OF_A_CALL}
        self._headers = headers
        self._exchange = exchange = self._exchange_of(head.path)
        self._method = CALLED.get(head.path)
        try:
            self._check(head, exchange)
        except RequestError as error:
            self._refuse(error)
            return
        is_open = head.path in OPEN
        bytes_max = OPEN_BYTES_MAX if is_open else self.requests.body_bytes_most()
        self._reader = MessageReader(coding_of(headers), bytes_max=bytes_max)
        self._writer = MessageWriter(headers)
        if self._streams:
            self._begun = True
            self.carrier.begin(self.number, [*OPENING, *self._writer.headers])

    def take(self, data: bytes, credit: int) -> None:
        """See `Stream.take`."""
        self._owed += credit
        if not self._closed:
            if self._streams and data and not self._reader.held:
                self.seconds = 0
            self._reader.feed(data)
            self._read()
        self._settle()

    def end(self) -> None:
        """See `Stream.end`."""
        self.whole = True
        self._read()
        self._settle()

    def leave(self) -> None:
        """See `Stream.leave`."""
        for exchange in (self._exchange, *self._waiting):
            if exchange is not None:
                exchange.abandoned = True
        self._waiting.clear()
        self._reply = self._exchange = None  # it holds this
        self._close()

    def sweep(self) -> None:
        """See `Stream.sweep`."""
        self.seconds += 1
        if self._closed:
            return
        if self._reader.held or not self._streams:
            if self.seconds > BODY_S and self._may_read:
                self._refuse(too_slow("message", BODY_S))
        elif self.seconds > SILENT_S and not self._waiting:
            self._refuse(too_slow("next message", SILENT_S))

    def frame(self, exchange: Exchange, reply: Reply) -> bytes:
        """See `Caller.frame`."""
        if exchange is self._exchange:
            self._reply = reply
            return b""
        if exchange.error is not None:
            request_id = str(getattr(exchange.message, "id", ""))
            return self._writer.framed(grpc.stream_error(exchange.error, request_id))
        return self._writer.framed(grpc.stream_answer(reply[2]))

    def flush(self) -> None:
        """See `Caller.flush`."""
        waiting = self._waiting
        while waiting and (answer := waiting[0].answer) is not None:
            waiting.popleft()
            self.seconds = 0
            self.carrier.send(self.number, answer)
        if self._reply is not None and not waiting:
            reply, self._reply = self._reply, None
            self._conclude(reply)
        elif not self._closed:
            self._read()
            self._settle()

    def _check(self, head: Head, exchange: Exchange) -> None:
        """Raise what stands against the call before its message is read."""
        if head.fault is not None:
            raise head.fault
        if head.path not in OPEN:
            self.requests.know(exchange)
        if exchange.error is not None:
            raise exchange.error
        if self._method is None:
            raise _method_unknown()
        check_coding(self._headers)

    def _exchange_of(self, path: bytes) -> Exchange:
        exchange = Exchange(self, method="POST", url=path, headers=self._headers)
        exchange.dialect = grpc.DIALECT
        return exchange

    def _read(self) -> None:
        """Take the messages that are here, as far as they may be taken now."""
        try:
            self._take_messages()
            if self.whole and not self._closed and self._may_read:
                self._end()
        except RequestError as error:
            self._refuse(error)

    def _take_messages(self) -> None:
        method = self._method
        while method is not None and not self._closed and self._may_read:
            data = self._reader.next()
            if data is None:
                return
            self.seconds = 0
            if method.streams:
                message = method.read(data)
                exchange = self._exchange_of(method.path)
                self._waiting.append(exchange)
                self._submit(exchange, method, message, data)
            elif self._message is None:
                self._message = data
            else:
                raise framing_fault("the method takes one message, and there are more")

    def _end(self) -> None:
        method, exchange, data = self._method, self._exchange, self._message
        if self._reader.held:
            raise framing_fault("the last message is cut off")
        if method is None or exchange is None:
            return
        if method.streams:
            if not self._waiting:
                self._close()
                self.carrier.finish(self.number, OK)
            return
        if data is None:
            raise framing_fault("there is no message")
        self._submit(exchange, method, method.read(data), data)
        self._close()

    def _submit(self, exchange: Exchange, method: Method, message: Message, data: bytes) -> None:
        asked = method_for(method, message)
        exchange.url = asked.url(message)
        exchange.message = message
        self.requests.open(exchange)
        bytes_max = self.requests.body_bytes_max(exchange)
        if exchange.error is None and len(data) > bytes_max:
            exchange.error = body_too_large(bytes_max)
        self.requests.submit(exchange, asked.body(message, data))

    def _refuse(self, error: RequestError) -> None:
        """End the call with an error, behind the answers that are due."""
        exchange = self._exchange
        if exchange is not None and not self._closed:
            self._close()
            exchange.error = error
            self.requests.submit(exchange, b"")

    def _close(self) -> None:
        self._closed = True
        self._message = None
        self._reader.clear()
        self._settle()

    def _settle(self) -> None:
        """Give back of the caller's window what is done with, and count what is held."""
        held = self._reader.held + len(self._message or b"")
        change, self._held = held - self._held, held
        if not self.carrier.hold(change) and change > 0:
            self._refuse(connection_full())
        if self._owed and (self._closed or self._may_read):
            owed, self._owed = self._owed, 0
            self.carrier.credit(self.number, owed)

    def _conclude(self, reply: Reply) -> None:
        _, lines, body = reply
        failed = self._exchange is not None and self._exchange.error is not None
        self._exchange = None  # it holds this, and what was asked
        if self._begun:
            self.carrier.finish(self.number, header_list(lines))
        elif failed:
            self.carrier.begin(self.number, [*OPENING, *header_list(lines)])
            self.carrier.finish(self.number)
        else:
            headers = [*OPENING, *self._writer.headers, *header_list(lines)]
            self.carrier.begin(self.number, headers)
            self.carrier.send(self.number, self._writer.framed(body))
            self.carrier.finish(self.number, OK)


def _method_unknown() -> PathUnknownError:
    return PathUnknownError(
        "There is no such method here.",
        why="it is none of those of `inference.GRPCInferenceService` and `grpc.health.v1.Health` "
        "that are offered",
        fix="`ServerMetadata` lists the extensions that are; send predictions to `ModelInfer`",
    )
