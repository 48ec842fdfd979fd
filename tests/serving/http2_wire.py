"""A caller that speaks HTTP/2 frame by frame, well or badly."""

import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import (
    DataReceived,
    Event,
    InformationalResponseReceived,
    PingAckReceived,
    ResponseReceived,
    StreamEnded,
    StreamReset,
    TrailersReceived,
)
from h2.settings import SettingCodes

Headers = list[tuple[str, str]]

HEAD = 9  # bytes of the head of a frame
GOAWAY = 7


def framed(message: bytes, flag: int = 0) -> bytes:
    """Return a message as gRPC sends it."""
    return bytes([flag]) + len(message).to_bytes(4, "big") + message


@dataclass(slots=True)
class Answered:
    """What came on one stream."""

    headers: dict[str, str] = field(default_factory=dict)
    trailers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    informed: bool = False  # of a status that is not the last
    ended: bool = False
    reset: int | None = None

    @property
    def status(self) -> int:
        """The HTTP status."""
        return int(self.headers[":status"])

    @property
    def grpc_status(self) -> int:
        """The status of a gRPC call."""
        return int((self.trailers or self.headers)["grpc-status"])

    @property
    def over(self) -> bool:
        """Whether nothing more comes."""
        return self.ended or self.reset is not None


class Wire:
    """One connection. What is sent waits until something is awaited."""

    def __init__(self, write: Callable[[bytes], None], read: Callable[[], bytes]) -> None:
        self._write = write
        self._read = read
        self.h2 = H2Connection(
            H2Configuration(validate_outbound_headers=False, normalize_outbound_headers=False)
        )
        self.streams: dict[int, Answered] = {}
        self.farewell: int | None = None  # code of the GOAWAY
        self.lost = False
        self._rest = b""  # of a frame that is not whole
        self._echoed = False

    def begin(self, *, window: int | None = None) -> None:
        """Send the preface; with a window of so many bytes for each stream."""
        self.h2.initiate_connection()
        if window is not None:
            self.h2.update_settings({SettingCodes.INITIAL_WINDOW_SIZE: window})
        self.flush()

    def ask(
        self, method: str, path: str, *, headers: Headers | None = None, end: bool = True
    ) -> int:
        """Begin a request; return the number of its stream."""
        number = self.h2.get_next_available_stream_id()
        pseudo = [(":method", method), (":path", path), (":scheme", "http"), (":authority", "x")]
        self.h2.send_headers(number, pseudo + (headers or []), end_stream=end)
        self.streams[number] = Answered()
        self.flush()
        return number

    def call(self, method: str, key: str = "", *, headers: Headers | None = None) -> int:
        """Begin a gRPC call; return the number of its stream."""
        own = [("content-type", "application/grpc"), ("te", "trailers")]
        if key:
            own.append(("authorization", f"Bearer {key}"))
        return self.ask("POST", method, headers=own + (headers or []), end=False)

    def give(self, number: int, data: bytes, *, end: bool = True) -> None:
        """Send data on a stream, as its window opens, unless it is over before."""
        while data and not self.streams[number].over and not self.lost:
            room = min(self.h2.local_flow_control_window(number), 16_384)
            if room:
                self.h2.send_data(number, data[:room])
                data = data[room:]
                self.flush()
            else:
                self._hear()
        if end and not self.streams[number].over and not self.lost:
            self.h2.end_stream(number)
            self.flush()

    def ping(self) -> None:
        """Wait until everything that was sent has been read."""
        self.h2.ping(b"are here")
        self.flush()
        self._echoed = False
        self.await_that(lambda: self._echoed)

    def send_raw(self, data: bytes) -> None:
        """Send bytes that need not be frames."""
        self._write(data)

    def flush(self) -> None:
        """Send what is due."""
        self._write(self.h2.data_to_send())

    def await_answer(self, number: int) -> Answered:
        """Read until a stream is over."""
        return self.await_that(lambda: self.streams[number].over, number)

    def await_that(self, holds: Callable[[], bool], number: int = 0) -> Answered:
        """Read until something holds, or the connection is over."""
        while not holds() and not self.lost:
            self._hear()
        return self.streams.get(number, Answered())

    def await_end(self) -> int | None:
        """Read until the connection is over; return the code of its GOAWAY."""
        self.await_that(lambda: False)
        return self.farewell

    def take(self, data: bytes) -> None:
        """Take what has come."""
        self._rest += data
        while len(self._rest) >= HEAD and len(self._rest) >= (end := HEAD + _size(self._rest)):
            frame, self._rest = self._rest[:end], self._rest[end:]
            if frame[3] == GOAWAY:  # `h2` would say and hear nothing more
                self.farewell = int.from_bytes(frame[HEAD + 4 : HEAD + 8], "big")
                continue
            for event in self.h2.receive_data(frame):
                self._take(event)
        self.flush()

    def _hear(self) -> None:
        data = self._read()
        self.lost = not data
        self.take(data)

    def _take(self, event: Event) -> None:  # noqa: C901  (one case for each event)
        if isinstance(event, PingAckReceived):
            self._echoed = True
        stream = self.streams.get(getattr(event, "stream_id", 0) or 0)
        if stream is None:
            return
        match event:
            case InformationalResponseReceived():
                stream.informed = True
            case ResponseReceived():
                stream.headers = _texts(event.headers)
            case TrailersReceived():
                stream.trailers = _texts(event.headers)
            case DataReceived():
                stream.body += event.data
                self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            case StreamEnded():
                stream.ended = True
            case StreamReset():
                stream.reset = int(event.error_code or 0)


def _size(frame: bytes) -> int:
    return int.from_bytes(frame[:3], "big")


def _texts(headers: list[tuple[bytes, bytes]]) -> dict[str, str]:
    return {bytes(name).decode(): bytes(value).decode() for name, value in headers}


@contextmanager
def wired(port: int, *, window: int | None = None) -> Iterator[Wire]:
    """A connection to a worker, begun."""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as line:

        def write(data: bytes) -> None:
            try:
                line.sendall(data)
            except (BrokenPipeError, ConnectionResetError):
                return  # what was answered is still to be read

        def read() -> bytes:
            try:
                return line.recv(65_536)
            except ConnectionResetError:
                return b""

        wire = Wire(write, read)
        wire.begin(window=window)
        yield wire
