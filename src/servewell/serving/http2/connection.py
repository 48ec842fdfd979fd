"""One HTTP/2 connection: frames in, streams and their order out, limits, time, and the end.

`h2` keeps the state of the protocol. What is sent waits here until the caller takes it: frames of
the streams by turns, so that a large answer holds up no small one.

Source: RFC 9113.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any, Final

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import (
    ConnectionTerminated,
    DataReceived,
    Event,
    RequestReceived,
    StreamEnded,
    StreamReset,
)
from h2.exceptions import H2Error
from h2.settings import SettingCodes, Settings
from hpack import Encoder
from hyperframe.frame import GoAwayFrame

from servewell.serving.http2.call import GrpcCall
from servewell.serving.http2.frames import PREFACE, FloodError, FrameWatch
from servewell.serving.http2.plain import PlainRequest
from servewell.serving.http2.stream import HeaderList, Stream, read_head
from servewell.serving.peer import Peer, peer_of
from servewell.serving.requests import HEAD_BYTES_MAX, IDLE_S, LINGER_S, STUCK_S, Requests
from servewell.serving.telemetry.logs import log

STREAMS_MAX: Final = 128
STREAM_WINDOW_BYTES: Final = 1 << 20
DEFAULT_WINDOW_BYTES: Final = 65_535  # RFC 9113, section 6.9.2
WINDOW_BYTES: Final = 4 << 20  # of all streams of a connection together
HELD_BYTES_MAX: Final = 32 << 20  # of requests that are not whole, or of one of the largest size
WAITING_BYTES_MAX: Final = 256 << 10  # of one stream, before no more of it is read
PUMP_BYTES: Final = 256 << 10  # handed to the transport at a time
SETTINGS: Final = {
    SettingCodes.MAX_CONCURRENT_STREAMS: STREAMS_MAX,
    SettingCodes.MAX_HEADER_LIST_SIZE: HEAD_BYTES_MAX,
    SettingCodes.INITIAL_WINDOW_SIZE: STREAM_WINDOW_BYTES,
}
CONFIGURATION: Final = H2Configuration(
    client_side=False,
    header_encoding=None,
    validate_inbound_headers=False,  # `read_head` does, for the stream alone
    normalize_inbound_headers=False,
    validate_outbound_headers=False,  # they are ours
    normalize_outbound_headers=False,
)


class _Http2(H2Connection):
    """With a shorter memory of streams that are over: a connection may live for weeks."""

    MAX_CLOSED_STREAMS = 1_024


class _PlainEncoder(Encoder):
    """Without Huffman's code, which saves few bytes and takes longer than all the rest."""

    def encode(self, headers: Any, huffman: bool = False) -> bytes:  # noqa: ANN401, FBT001, FBT002  (hpack says so)
        """See `Encoder.encode`."""
        return super().encode(headers, huffman)


class _Outgoing:
    """What of one answer is not sent yet."""

    __slots__ = ("done", "heads", "moved", "parts", "size", "stuck_s", "trailers")

    def __init__(self) -> None:
        self.heads: deque[HeaderList] = deque()
        self.parts: deque[memoryview] = deque()
        self.size = 0  # bytes of the parts
        self.trailers: HeaderList | None = None
        self.done = False  # nothing more comes
        self.moved = False  # in this second
        self.stuck_s = 0

    @property
    def is_sent(self) -> bool:
        """Whether there is nothing more but the trailers."""
        return self.done and not self.parts and not self.heads


class Http2Connection(asyncio.Protocol):
    """One connection of a caller, and the `Carrier` of its streams."""

    def __init__(
        self,
        requests: Requests,
        transport: asyncio.Transport,
        *,
        ended: Callable[[], None],
    ) -> None:
        self.peer: Peer | None = peer_of(transport)
        self._requests = requests
        self._transport = transport
        self._on_end = ended
        self._loop = asyncio.get_running_loop()
        self._h2 = _Http2(CONFIGURATION)
        self._h2.local_settings = Settings(client=False, initial_values=SETTINGS)
        self._h2.encoder = _PlainEncoder()
        self._h2.decoder.max_header_list_size = HEAD_BYTES_MAX
        self._watch = FrameWatch()
        self._streams: dict[int, Stream] = {}
        self._outgoing: dict[int, _Outgoing] = {}
        self._last = 0  # number of the newest stream
        self._held = 0
        self._armed = False  # a write is due
        self._seconds = 0  # without a stream, or since the end was begun
        self._stuck_s: int | None = None  # seconds since the caller stopped to read
        self._leaving = False  # no more streams are taken
        self._closing = False

    @property
    def is_idle(self) -> bool:
        """Whether nothing of a request is here."""
        return not self._streams

    @property
    def silence_s(self) -> int:
        """For how many whole seconds nothing has been under way."""
        return self._seconds if self.is_idle and not self._transport.get_write_buffer_size() else 0

    def start(self, data: bytes) -> None:
        """Begin with the first bytes, the whole preface among them."""
        self._h2.initiate_connection()
        self._h2.increment_flow_control_window(WINDOW_BYTES - DEFAULT_WINDOW_BYTES)
        self._receive(data, data[len(PREFACE) :])

    def data_received(self, data: bytes) -> None:
        """Read what has come."""
        self._receive(data, data)

    def eof_received(self) -> None:
        """Let the transport close: who sends no more over HTTP/2 reads no more."""

    def connection_lost(self, exc: Exception | None) -> None:
        """Let go. What was submitted is still recorded."""
        del exc
        self._closing = True
        for stream in self._streams.values():
            stream.leave()
        self._streams.clear()
        self._outgoing.clear()
        self._on_end()

    def pause_writing(self) -> None:
        """Read no more while the caller does not take its answers."""
        self._stuck_s = 0
        self._transport.pause_reading()

    def resume_writing(self) -> None:
        """Go on."""
        self._stuck_s = None
        if not self._transport.is_closing():
            self._transport.resume_reading()
            self._write()

    def begin(self, number: int, headers: HeaderList) -> None:
        """See `Carrier.begin`."""
        self._outgoing_of(number).heads.append(headers)

    def send(self, number: int, data: bytes) -> None:
        """See `Carrier.send`."""
        outgoing = self._outgoing_of(number)
        outgoing.parts.append(memoryview(data))
        outgoing.size += len(data)

    def has_room(self, number: int) -> bool:
        """See `Carrier.has_room`."""
        outgoing = self._outgoing.get(number)
        return outgoing is None or outgoing.size < WAITING_BYTES_MAX

    def finish(self, number: int, trailers: HeaderList | None = None) -> None:
        """See `Carrier.finish`."""
        outgoing = self._outgoing_of(number)
        outgoing.done, outgoing.trailers = True, trailers

    def reset(self, number: int, code: ErrorCodes) -> None:
        """See `Carrier.reset`."""
        stream = self._forget(number)
        if stream is not None:
            self._h2.reset_stream(number, code)
            stream.leave()
            self._write_soon()

    def hold(self, change: int) -> bool:
        """See `Carrier.hold`."""
        self._held += change
        return self._held <= max(HELD_BYTES_MAX, self._requests.body_bytes_most())

    def credit(self, number: int, size: int) -> None:
        """See `Carrier.credit`."""
        if size and not self._closing:
            self._h2.acknowledge_received_data(size, number)

    def sweep(self) -> None:
        """Let one second pass."""
        self._watch.second()
        self._seconds = 0 if self._streams and not self._closing else self._seconds + 1
        if self._stuck_s is not None:
            self._stuck_s += 1
        if (self._stuck_s or 0) > STUCK_S or (self._closing and self._seconds > LINGER_S):
            self.abort()
        elif self._seconds > IDLE_S:
            self._end(ErrorCodes.NO_ERROR)
        for stream in tuple(self._streams.values()):
            stream.sweep()
        for number, outgoing in tuple(self._outgoing.items()):
            self._sweep_outgoing(number, outgoing)

    def close_if_idle(self, seconds: int) -> None:
        """Take no more streams, and close once nothing has come for so long."""
        if not self._leaving:
            self._leave()
        if self.is_idle and self._seconds >= seconds:
            self._transport.close()

    def abort(self) -> None:
        """Drop the connection."""
        self._transport.abort()

    def _receive(self, data: bytes, frames: bytes) -> None:
        if self._closing:
            return
        try:
            self._watch.feed(frames)
            self._handle_all(self._h2.receive_data(data))
        except FloodError as error:
            self._end(error.code)
        except H2Error:  # `h2` has written what is wrong
            self._end(None)
        except Exception as error:  # noqa: BLE001  (a fault of ours ends this connection, not the worker)
            log.fault("reading_failed", "A request could not be read.", error)
            self.abort()
        else:
            self._write()

    def _handle_all(self, events: list[Event]) -> None:
        """Handle what came at once; for `h2`, all of it has happened already."""
        if any(isinstance(one, ConnectionTerminated) for one in events):
            self._end(None)
            return
        gone = {one.stream_id for one in events if isinstance(one, StreamReset)}
        for event in events:
            if not (isinstance(event, RequestReceived) and event.stream_id in gone):
                self._handle(event)

    def _handle(self, event: Event) -> None:
        match event:
            case RequestReceived():
                self._open(event)
            case DataReceived():
                self._take(event)
            case StreamEnded():
                stream = self._streams.get(event.stream_id)
                if stream is not None:
                    stream.end()
            case StreamReset():
                stream = self._forget(event.stream_id)
                if stream is not None:
                    stream.leave()
            case _:
                pass  # `h2` has done what is to be done

    def _open(self, event: RequestReceived) -> None:
        number = event.stream_id
        if self._leaving:
            self._h2.reset_stream(number, ErrorCodes.REFUSED_STREAM)
            return
        self._last = number
        head = read_head(event.headers, self._requests.more_headers)
        kind = GrpcCall if head.is_grpc else PlainRequest
        self._streams[number] = stream = kind(self, self._requests, number)
        stream.begin(head)

    def _take(self, event: DataReceived) -> None:
        stream = self._streams.get(event.stream_id)
        if stream is None:
            self.credit(event.stream_id, event.flow_controlled_length)
        else:
            stream.take(event.data, event.flow_controlled_length)

    def _outgoing_of(self, number: int) -> _Outgoing:
        """Return what is to be sent on a stream: of one that is over, nothing that is kept."""
        if number not in self._streams:
            return _Outgoing()
        self._write_soon()
        return self._outgoing.setdefault(number, _Outgoing())

    def _forget(self, number: int) -> Stream | None:
        self._outgoing.pop(number, None)
        return self._streams.pop(number, None)

    def _let_go(self, number: int) -> None:
        """End a stream whose answer is sent; of a request that is not, the rest is not wanted."""
        stream = self._forget(number)
        if stream is not None and not stream.whole:
            self._h2.reset_stream(number, ErrorCodes.NO_ERROR)
            stream.leave()

    def _write_soon(self) -> None:
        if not self._armed and not self._closing:
            self._armed = True
            self._loop.call_soon(self._write)

    def _write(self) -> None:
        """Write what the caller takes now."""
        self._armed = False
        try:
            while self._stuck_s is None and not self._transport.is_closing():
                self._pump()
                data = self._h2.data_to_send()
                if not data:
                    return
                self._transport.write(data)
        except H2Error as error:
            log.fault("writing_failed", "An answer could not be written.", error)
            self.abort()

    def _pump(self) -> None:
        """Make frames of what is to be sent, one of each stream by turns."""
        moved, left = True, PUMP_BYTES
        while moved and left > 0:
            moved = False
            for number, outgoing in tuple(self._outgoing.items()):
                size = self._send_some(number, outgoing)
                moved, left = moved or size > 0, left - size

    def _send_some(self, number: int, outgoing: _Outgoing) -> int:
        """Send headers, one frame of data, and the end, as far as it goes; return the bytes."""
        while outgoing.heads:
            headers = outgoing.heads.popleft()
            end = outgoing.is_sent and outgoing.trailers is None
            self._h2.send_headers(number, headers, end_stream=end)
            if end:
                self._let_go(number)
                return 0
        size = self._send_data(number, outgoing) if outgoing.parts else 0
        if outgoing.is_sent:
            if outgoing.trailers is None:
                self._h2.end_stream(number)
            else:
                self._h2.send_headers(number, outgoing.trailers, end_stream=True)
            self._let_go(number)
        return size

    def _send_data(self, number: int, outgoing: _Outgoing) -> int:
        window = self._h2.local_flow_control_window(number)
        room = max(0, min(window, self._h2.max_outbound_frame_size))
        part = outgoing.parts.popleft()
        piece, rest = part[:room], part[room:]
        if rest:
            outgoing.parts.appendleft(rest)
        if piece:
            self._h2.send_data(number, piece)
            outgoing.moved = True
            had_room = self.has_room(number)
            outgoing.size -= len(piece)
            if not had_room and self.has_room(number):
                self._streams[number].flush()
        return len(piece)

    def _sweep_outgoing(self, number: int, outgoing: _Outgoing) -> None:
        """End a stream whose answer the caller does not take."""
        outgoing.stuck_s = 0 if outgoing.moved or not outgoing.parts else outgoing.stuck_s + 1
        outgoing.moved = False
        if outgoing.stuck_s > STUCK_S:
            self.reset(number, ErrorCodes.CANCEL)

    def _leave(self) -> None:
        """Tell the caller to take another connection; what it has begun here is finished.

        `h2` would send nothing more after a GOAWAY of its own.
        """
        self._leaving = True
        self._write()
        if not self._transport.is_closing():
            frame = GoAwayFrame(0, last_stream_id=self._last, error_code=ErrorCodes.NO_ERROR)
            self._transport.write(frame.serialize())

    def _end(self, code: ErrorCodes | None) -> None:
        """End the connection; with a code that `h2` has not written yet."""
        if self._closing:
            return
        if code is not None:
            self._h2.close_connection(code)
        self._closing = True
        self._seconds = 0
        self._transport.write(self._h2.data_to_send())
        self._transport.close()
