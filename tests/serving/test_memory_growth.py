"""No memory is kept of requests: good, bad and abandoned ones, in each protocol.

Each case sends no two requests that are alike, so what is kept by their words is kept again.
"""

import json
import re
import socket
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest
from hpack import Encoder

from servewell.serving.heads import HEADS_MAX
from servewell.serving.http2.frames import PREFACE
from servewell.serving.protocols.grpc_messages import message_type
from servewell.serving.request_path import ROUTES_MAX
from serving.home import Home, flight_model, request
from serving.http2_bytes import frame
from serving.http2_wire import HEAD, framed
from serving.rows_bodies import row
from serving.test_http2 import INFER, STREAM, message
from serving.test_oip_binary import body_of

pytestmark = pytest.mark.enable_socket

BLOCK: Final = 50  # requests sent at a time
GROWTH_BYTES_MAX: Final = 3 << 18
WARM_BLOCKS: Final = 40
BLOCKS: Final = 160  # so that a hundred bytes kept of each would be more
Request: Final = message_type("inference.ModelInferRequest")
STATUS: Final = re.compile(rb"HTTP/1\.1 (\d)")
END_STREAM: Final = 1
DATA: Final = 0
HEADERS: Final = 1
FRAME_BYTES: Final = 16_384

Body = Callable[[int], tuple[bytes, dict[str, str]]]  # of a number; with headers of its own


def whole(body: Any) -> tuple[bytes, dict[str, str]]:  # noqa: ANN401 - any JSON
    """Return a body in JSON."""
    return json.dumps(body).encode(), {}


def oip(number: int) -> tuple[bytes, dict[str, str]]:
    """Return a request of the Open Inference Protocol; every second one is refused."""
    carrier = "AA" if number % 2 else f"nobody's {number}"
    return whole(request(carrier=[carrier]) | {"id": f"id {number}"})


def binary(number: int) -> tuple[bytes, dict[str, str]]:
    """Return one with binary tensors; every second one is cut short."""
    columns = (
        ("delay", "FP32", struct.pack("<f", number % 1_000)),
        ("carrier", "BYTES", b"\2\0\0\0AA"),
        ("seats", "INT64", struct.pack("<q", 10)),
        ("name", "BYTES", framed_text(str(number))),
    )
    tensors = [({"name": n, "shape": [1, 1], "datatype": t}, raw) for n, t, raw in columns]
    body, headers = body_of([*tensors], id=f"id {number}")
    told = {name.decode(): value.decode() for name, value in headers.items()}
    return (body if number % 2 else body[:-1]), told


def framed_text(text: str) -> bytes:
    """Return a text as an element of a binary tensor."""
    return len(text).to_bytes(4, "little") + text.encode()


def mlflow(number: int) -> tuple[bytes, dict[str, str]]:
    """Return rows for MLflow; every second request has a column that there is not."""
    more = {} if number % 2 else {f"column {number}": 1}
    return whole({"dataframe_records": [row(name=f"{number}") | more]})


def kserve(number: int) -> tuple[bytes, dict[str, str]]:
    """Return rows for KServe; every second request is no JSON."""
    body, headers = whole({"instances": [row(name=f"{number}")]})
    return (body if number % 2 else body[:-1]), headers


def azure(number: int) -> tuple[bytes, dict[str, str]]:
    """Return rows for Azure, with an id; every second request has a value out of its range."""
    seats = 10 if number % 2 else -1 - number
    body, _ = whole({"data": [row(seats=seats)]})
    return body, {"x-ms-client-request-id": f"{number}"}


HTTP: Final[dict[str, tuple[str, Body]]] = {
    "oip": ("/v2/models/flights/infer", oip),
    "binary": ("/v2/models/flights/infer", binary),
    "mlflow": ("/invocations", mlflow),
    "kserve": ("/v1/models/flights:predict", kserve),
    "azure": ("/score", azure),
}


@dataclass(frozen=True, kw_only=True)
class Served:
    """A worker, and what it holds."""

    home: Home
    key: str
    pid: int

    @property
    def held(self) -> int:
        """The bytes of its own that are no file's."""
        told = Path(f"/proc/{self.pid}/smaps_rollup").read_text()
        return int(re.findall(r"Anonymous: +(\d+) kB", told)[0]) << 10

    def post(self, path: str, body: bytes, headers: dict[str, str]) -> bytes:
        """Return a request."""
        lines = [f"POST {path} HTTP/1.1", "host: x", f"authorization: Bearer {self.key}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        return "\r\n".join([*lines, f"content-length: {len(body)}", "", ""]).encode() + body

    def line(self) -> socket.socket:
        """Return a connection."""
        return socket.create_connection(("127.0.0.1", self.home.port), timeout=30)


@pytest.fixture(scope="module")
def _served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    home = Home(tmp_path_factory.mktemp("home"))
    key, grant = home.key()
    home.publish(home.deployment("blue", flight_model(2.0)), grants=(grant,))
    with home.process() as process:
        home.wait_for_snapshot()
        yield Served(home=home, key=key, pid=process.pid)
    home.close()


@pytest.fixture
def served(socket_enabled: None, _served: Served) -> Served:
    """The worker that all cases share."""
    del socket_enabled
    return _served


def assert_keeps_nothing(
    served: Served,
    send: Callable[[int], None],
    *,
    warm: int,
    more: int,
    most: int = GROWTH_BYTES_MAX,
) -> None:
    """Send blocks by their numbers; those after the first few leave nothing behind."""
    for number in range(warm):
        send(number)
    before = served.held
    for number in range(warm, warm + more):
        send(number)
    assert served.held - before < most


def talking(line: socket.socket) -> Callable[[bytes], list[bytes]]:
    """Send some requests together; return what begins the statuses of their answers."""

    def talk(block: bytes) -> list[bytes]:
        line.sendall(block)
        heard, begun = b"", []
        while len(begun) < BLOCK or not ended(heard):
            data = line.recv(1 << 18)
            assert data, heard[-300:]
            heard += data
            begun = STATUS.findall(heard)
        return begun

    return talk


def ended(heard: bytes) -> bool:
    """Whether the last answer is whole."""
    head, _, body = heard[heard.rindex(b"HTTP/1.1 ") :].partition(b"\r\n\r\n")
    return len(body) == int(head.rpartition(b"content-length: ")[2].partition(b"\r")[0])


@pytest.mark.parametrize("protocol", HTTP)
def test_nothing_is_kept_of_requests(served: Served, protocol: str) -> None:
    """Good requests are answered, bad ones refused, and then they are forgotten."""
    path, body = HTTP[protocol]
    with served.line() as line:
        talk = talking(line)

        def send(block: int) -> None:
            numbers = range(block * BLOCK, (block + 1) * BLOCK)
            found = talk(b"".join(served.post(path, *body(one)) for one in numbers))
            assert found == [b"4", b"2"] * (BLOCK // 2)

        assert_keeps_nothing(served, send, warm=WARM_BLOCKS, more=BLOCKS)


def test_nothing_is_kept_of_odd_heads(served: Served) -> None:
    """Paths, keys, ids and traces that come once are not kept, beyond a bound."""
    body, _ = oip(1)

    def odd(number: int) -> bytes:
        if number % 3 == 0:
            return served.post(f"/v2/models/none-{number}/infer", body, {})
        if number % 3 == 1:
            return served.post(f"/nothing/{number}", body, {"traceparent": f"00-{number}"})
        key = served.key[:-6] + f"{number:06d}"[-6:]
        return b"GET /v2 HTTP/1.1\r\nhost: x\r\nauthorization: Bearer %b\r\n\r\n" % key.encode()

    with served.line() as line:
        talk = talking(line)

        def send(block: int) -> None:
            numbers = range(block * BLOCK, (block + 1) * BLOCK)
            assert set(talk(b"".join(odd(one) for one in numbers))) == {b"4"}

        full = 3 * (ROUTES_MAX + HEADS_MAX) // BLOCK
        assert_keeps_nothing(served, send, warm=full, more=full)


def test_nothing_is_kept_of_callers_who_go(served: Served) -> None:
    """Requests that are whole and half a request are left behind, and no answer is read."""

    def send(block: int) -> None:
        sent = b"".join(served.post(HTTP["oip"][0], *oip(block * 9 + one)) for one in range(9))
        leave_behind(served, sent[: -1 - block % 200])

    assert_keeps_nothing(served, send, warm=200, more=800)


def leave_behind(served: Served, sent: bytes) -> None:
    """Send something and reset the line; then wait until the worker has come that far."""
    with served.line() as line:
        line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        line.sendall(sent)
    assert served.home.send("GET", "/v2/health/live").status == 200


def rpc(number: int) -> bytes:
    """Return a message of gRPC; every second one is refused."""
    made: Any = Request.FromString(message())
    made.id = f"id {number}"
    if number % 2 == 0:
        made.inputs[1].contents.bytes_contents[0] = f"nobody's {number}".encode()
    return framed(made.SerializeToString())


class Frames:
    """Frames on a connection of HTTP/2, sent and read with little work."""

    def __init__(self, line: socket.socket) -> None:
        self._line = line
        self._rest = b""
        wide = frame(8, 0, 0, b"\x7f\0\0\0")  # a window that no test fills
        line.sendall(PREFACE + frame(4, 0, 0, b"\0\4\x7f\0\0\0") + wide)

    def talk(self, sent: bytes) -> Iterator[tuple[int, int, bytes]]:
        """Send bytes; yield type, flags and content of what comes back."""
        self._line.sendall(sent)
        while True:
            while len(self._rest) < HEAD or len(self._rest) < self._end:
                data = self._line.recv(1 << 18)
                assert data
                self._rest += data
            got, self._rest = self._rest[: self._end], self._rest[self._end :]
            yield got[3], got[4], got[HEAD:]

    @property
    def _end(self) -> int:
        return HEAD + int.from_bytes(self._rest[:3], "big")


def opening(served: Served, path: str, stream: int, *, kind: str = "grpc") -> bytes:
    """Return the headers of a call."""
    pairs = [
        (":method", "POST"), (":scheme", "http"), (":path", path), (":authority", "x"),
        ("content-type", f"application/{kind}"), ("authorization", f"Bearer {served.key}"),
    ]  # fmt: skip
    return frame(1, 4, stream, Encoder().encode(pairs, huffman=False))


def test_nothing_is_kept_of_calls(served: Served) -> None:
    """Calls on one connection are answered, or refused, and forgotten."""
    with served.line() as line:
        frames = Frames(line)

        def send(block: int) -> None:
            sent = b""
            for number in range(block * BLOCK, (block + 1) * BLOCK):
                stream = 2 * number + 1
                sent += opening(served, INFER, stream) + frame(0, END_STREAM, stream, rpc(number))
            kinds = [kind for kind, _, _ in until_ended(frames.talk(sent), BLOCK)]
            assert kinds.count(DATA) == BLOCK // 2  # the others have a status alone

        assert_keeps_nothing(served, send, warm=WARM_BLOCKS, more=BLOCKS)


def until_ended(found: Iterator[tuple[int, int, bytes]], streams: int) -> Iterator[Any]:
    """Yield what comes until so many streams are over."""
    while streams:
        kind, flags, content = next(found)
        streams -= flags & END_STREAM if kind in (DATA, HEADERS) else 0
        yield kind, flags, content


def test_nothing_is_kept_of_a_stream(served: Served) -> None:
    """Messages of one call that never ends are answered, or refused, and forgotten."""
    with served.line() as line:
        frames = Frames(line)
        line.sendall(opening(served, STREAM, 1))

        def send(block: int) -> None:
            numbers = range(block * BLOCK, (block + 1) * BLOCK)
            sent = b"".join(frame(0, 0, 1, rpc(one)) for one in numbers)
            heard, found = b"", frames.talk(sent)
            while messages_in(heard) < BLOCK:
                kind, _, content = next(found)
                heard += content if kind == DATA else b""

        assert_keeps_nothing(served, send, warm=WARM_BLOCKS, more=BLOCKS)


def messages_in(heard: bytes) -> int:
    """Return how many whole messages there are."""
    place, count = 0, 0
    while place + 5 <= len(heard):
        place += 5 + int.from_bytes(heard[place + 1 : place + 5], "big")
        count += place <= len(heard)
    return count


def test_nothing_is_kept_of_calls_that_are_left(served: Served) -> None:
    """Calls that are whole, half a call and a stream are left behind with their connection."""

    def send(block: int) -> None:
        sent = PREFACE + frame(4, 0, 0, b"") + opening(served, STREAM, 1) + frame(0, 0, 1, rpc(1))
        for number in range(1, 6):
            stream = 2 * number + 1
            sent += opening(served, INFER, stream) + frame(0, 1, stream, rpc(block + number))
        leave_behind(served, sent[: -1 - block % 200])

    # `h2` holds itself, some kilobytes a connection, until cycles are looked for.
    assert_keeps_nothing(served, send, warm=200, more=600, most=12 << 20)


LARGE: Final = 60  # requests, of which each takes more than half a megabyte
LARGE_BYTES_MAX: Final = 24 << 20


def large(carrier: str) -> bytes:
    """Return a large request whose last row has a carrier."""
    body = request(300, carrier=["AA"] * 299 + [carrier], name=["x" * 2_000] * 300)
    return json.dumps(body).encode()


def large_rpc() -> bytes:
    """Return a large message of gRPC."""
    made: Any = Request.FromString(message())
    made.inputs[3].contents.bytes_contents[0] = b"x" * 600_000
    return framed(made.SerializeToString())


def pieces(stream: int, data: bytes) -> bytes:
    """Return data in frames, the last of which ends the stream."""
    starts = range(0, len(data), FRAME_BYTES)
    return b"".join(
        frame(0, int(start == starts[-1]), stream, data[start : start + FRAME_BYTES])
        for start in starts
    )


@pytest.mark.parametrize("carrier", ["AA", "nobody's"])
def test_no_large_body_is_kept(served: Served, carrier: str) -> None:
    """A body is let go with its answer, or its refusal, and not when cycles are looked for."""
    sent = served.post(HTTP["oip"][0], large(carrier), {})
    with served.line() as line:

        def send(_: int) -> None:
            line.sendall(sent)
            heard = b""
            while not (b"\r\n\r\n" in heard and ended(heard)):
                heard += line.recv(1 << 18)
            assert heard.startswith(b"HTTP/1.1 200" if carrier == "AA" else b"HTTP/1.1 4")

        assert_keeps_nothing(served, send, warm=8, more=LARGE, most=LARGE_BYTES_MAX)


@pytest.mark.parametrize("kind", ["http", "grpc", "stream"])
def test_nothing_large_is_kept_of_who_goes(served: Served, kind: str) -> None:
    """What had come of a request goes with its caller."""
    if kind == "http":
        sent = served.post(HTTP["oip"][0], large("AA"), {})[:-1]
    else:
        path = INFER if kind == "grpc" else STREAM
        wide = frame(8, 0, 0, b"\x7f\0\0\0")
        begun = PREFACE + frame(4, 0, 0, b"") + wide + opening(served, path, 1)
        sent = begun + pieces(1, large_rpc())[: -HEAD - 1]

    def send(_: int) -> None:
        with served.line() as line:
            line.sendall(sent)
            line.shutdown(socket.SHUT_WR)
            while line.recv(1 << 18):
                pass

    assert_keeps_nothing(served, send, warm=8, more=LARGE, most=LARGE_BYTES_MAX)


@pytest.mark.parametrize("kind", ["grpc", "plain"])
def test_nothing_large_is_kept_of_a_stream_that_is_over(served: Served, kind: str) -> None:
    """A call, and a request over HTTP/2, are let go when they are answered."""
    path = INFER if kind == "grpc" else HTTP["oip"][0]
    body = large_rpc() if kind == "grpc" else large("AA")
    with served.line() as line:
        frames = Frames(line)

        def send(number: int) -> None:
            stream = 2 * number + 1
            head = opening(served, path, stream, kind="grpc" if kind == "grpc" else "json")
            found = list(until_ended(frames.talk(head + pieces(stream, body)), 1))
            assert DATA in {one for one, _, _ in found}

        assert_keeps_nothing(served, send, warm=8, more=LARGE, most=LARGE_BYTES_MAX)
