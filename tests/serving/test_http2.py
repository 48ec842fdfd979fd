"""HTTP/2 on the port of HTTP/1.1: plain requests, calls that are cut off, and floods."""

import json
import signal
import socket
import zlib
from collections.abc import Callable
from typing import Final

import pytest
from h2.errors import ErrorCodes
from h2.settings import SettingCodes
from hyperframe.frame import PingFrame, SettingsFrame

from servewell.core.catalog.endpoint import EndpointPolicy
from servewell.serving.http2.connection import STREAMS_MAX
from servewell.serving.http2.frames import PER_SECOND, PREFACE
from servewell.serving.protocols.grpc_messages import message_type
from serving.conftest import Running
from serving.home import Home, flight_model, request
from serving.http2_wire import Wire, framed, wired

pytestmark = pytest.mark.enable_socket

INFER: Final = "/inference.GRPCInferenceService/ModelInfer"
STREAM: Final = "/inference.GRPCInferenceService/ModelStreamInfer"
PATH: Final = "/v2/models/flights/infer"
InferResponse: Final = message_type("inference.ModelInferResponse")


def message(rows: int = 1) -> bytes:
    """Return a request of the flight model."""
    made = message_type("inference.ModelInferRequest")(
        model_name="flights",
        inputs=[
            {"name": "delay", "datatype": "FP32", "shape": [rows, 1],
             "contents": {"fp32_contents": [2.0] * rows}},
            {"name": "carrier", "datatype": "BYTES", "shape": [rows, 1],
             "contents": {"bytes_contents": [b"AA"] * rows}},
            {"name": "seats", "datatype": "INT64", "shape": [rows, 1],
             "contents": {"int64_contents": [10] * rows}},
            {"name": "name", "datatype": "BYTES", "shape": [rows, 1],
             "contents": {"bytes_contents": [b"Ada"] * rows}},
        ],
    )  # fmt: skip
    return made.SerializeToString()


def test_requests_are_answered_as_over_http_1(running: Running) -> None:
    """Method, path, headers and body mean the same over both versions of HTTP."""
    bearer = [("authorization", f"Bearer {running.operator}")]
    body = json.dumps(request()).encode()
    with wired(running.home.port) as wire:
        live = wire.ask("GET", "/v2/health/live")
        head = wire.ask("HEAD", "/v2/health/live")
        infer = wire.ask("POST", PATH, headers=bearer, end=False)
        wire.give(infer, body)
        stranger = wire.ask("POST", PATH, end=False)
        unknown = wire.ask("GET", "/nothing", headers=bearer)
        assert wire.await_answer(live).status == 200
        assert wire.await_answer(live).body == b'{"live":true}'
        assert wire.await_answer(head).body == b""
        answer = wire.await_answer(infer)
        assert json.loads(answer.body)["outputs"][0]["data"] == [14.0]
        assert answer.headers["servewell-deployment"] == "blue"
        assert int(answer.headers["content-length"]) == len(answer.body)
        assert wire.await_answer(stranger).status == 401
        assert wire.await_answer(unknown).status == 404


def test_bodies_are_bounded(running: Running) -> None:
    """A body that is too large is refused by its length, or when it has grown too large."""
    bearer = [("authorization", f"Bearer {running.operator}")]
    with wired(running.home.port) as wire:
        told = wire.ask("POST", PATH, headers=[*bearer, ("content-length", "300000")], end=False)
        assert wire.await_answer(told).status == 413
        grown = wire.ask("POST", PATH, headers=bearer, end=False)
        wire.give(grown, b" " * 60_000, end=False)
        wire.give(grown, b" " * 150_000, end=False)
        assert wire.await_answer(grown).status == 413


def test_a_caller_may_wait_to_be_welcome(running: Running) -> None:
    """A caller that asks first is told to go on."""
    headers = [("authorization", f"Bearer {running.operator}"), ("expect", "100-continue")]
    with wired(running.home.port) as wire:
        number = wire.ask("POST", PATH, headers=headers, end=False)
        wire.await_that(lambda: wire.streams[number].informed)
        wire.give(number, json.dumps(request()).encode())
        assert wire.await_answer(number).status == 200


@pytest.mark.parametrize("size", [1, 3, 24])
def test_the_preface_may_come_in_pieces(running: Running, size: int) -> None:
    """A connection is one of HTTP/2 however its first bytes are cut."""
    with socket.create_connection(("127.0.0.1", running.home.port), timeout=20) as line:
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        first = (
            PREFACE
            + SettingsFrame(0).serialize()
            + PingFrame(0, opaque_data=b"12345678").serialize()
        )
        for start in range(0, len(first), size):
            line.sendall(first[start : start + size])
        found = b""
        while b"12345678" not in found:
            found += line.recv(4_096)


@pytest.mark.parametrize("start", [b"P", b"PRI", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r"])
def test_what_only_begins_like_it_is_http_1(running: Running, start: bytes) -> None:
    """Bytes that turn out not to be the preface are read as HTTP/1.1."""
    with socket.create_connection(("127.0.0.1", running.home.port), timeout=20) as line:
        line.sendall(start)
        line.sendall(b"OST /v2/health/live HTTP/1.1\r\nHost: x\r\n\r\n")
        assert line.recv(4_096).startswith(b"HTTP/1.1 40")


@pytest.mark.parametrize(
    "path",
    [f"{INFER}/flights/", f"{INFER}/flights/1", "/inference.GRPCInferenceService/ServerLive",
     "/inference.GRPCInferenceService/ModelReady/flights/", "/grpc.health.v1.Health/Check"],
)  # fmt: skip
def test_paths_of_grpc_are_refused_without_it(running: Running, path: str) -> None:
    """A plain request to the path of a method is told that gRPC is spoken there."""
    reply = running.home.send("POST", path, key=running.operator, body=message())
    assert (reply.status, reply.headers["servewell-code"]) == (400, "SW-350")
    with wired(running.home.port) as wire:
        bearer = [("authorization", f"Bearer {running.operator}")]
        assert wire.await_answer(wire.ask("POST", path, headers=bearer)).status == 400


def answered(wire: Wire, data: bytes, key: str, *headers: tuple[str, str]) -> tuple[int, str]:
    """Return status and code of a call with these bytes."""
    number = wire.call(INFER, key, headers=list(headers))
    wire.give(number, data)
    found = wire.await_answer(number)
    return found.grpc_status, (found.trailers or found.headers).get("servewell-code", "")


ODD: Final[dict[str, tuple[bytes, list[tuple[str, str]], int, str]]] = {
    "good": (framed(message()), [], 0, ""),
    "gzip": (framed(zlib.compress(message(), wbits=31), 1), [("grpc-encoding", "gzip")], 0, ""),
    "nothing": (b"", [], 3, "SW-351"),
    "cut off": (framed(message())[:-1], [], 3, "SW-351"),
    "two": (framed(message()) * 2, [], 3, "SW-351"),
    "flag": (framed(message(), 7), [], 3, "SW-351"),
    "compressed, not said how": (framed(message(), 1), [], 3, "SW-351"),
    "not gzip": (framed(message(), 1), [("grpc-encoding", "gzip")], 3, "SW-312"),
    "bomb": (
        framed(zlib.compress(bytes(10_000_000)), 1),
        [("grpc-encoding", "deflate")],
        8,
        "SW-302",
    ),
    "other coding": (framed(message()), [("grpc-encoding", "br")], 12, "SW-311"),
    "no message": (framed(b"\xff\xff\xff"), [], 3, "SW-312"),
    "too long": (framed(message(20_000)), [], 8, "SW-302"),
    "length of 4 GB": (b"\x00\xff\xff\xff\xff", [], 8, "SW-302"),
    "timeout over": (framed(message()), [("grpc-timeout", "1n")], 4, "SW-323"),
    "timeout odd": (framed(message()), [("grpc-timeout", "soon")], 3, "SW-327"),
    "key twice": (framed(message()), [("authorization", "Bearer x")], 3, "SW-300"),
    "line break": (framed(message()), [("traceparent", "a\r\nb: c")], 3, "SW-300"),
}


@pytest.mark.parametrize("case", ODD)
def test_odd_calls_are_told_what_is_wrong(running: Running, case: str) -> None:
    """A call that is not what it has to be gets a status, and the connection goes on."""
    data, headers, status, code = ODD[case]
    with wired(running.home.port) as wire:
        assert answered(wire, data, running.operator, *headers) == (status, code)
        assert answered(wire, framed(message()), running.operator) == (0, "")


def test_a_body_is_not_read_without_a_key(running: Running) -> None:
    """A call of a stranger is refused by its headers, and its stream ended."""
    with wired(running.home.port) as wire:
        number = wire.call(INFER)
        answer = wire.await_answer(number)
        assert answer.grpc_status == 16
        wire.await_that(lambda: wire.streams[number].reset is not None)
        assert wire.streams[number].reset == ErrorCodes.NO_ERROR


def test_a_large_answer_waits_for_its_caller(home: Home) -> None:
    """An answer of a megabyte is sent as windows open, and holds up no other."""
    key, grant = home.key()
    policy = EndpointPolicy(body_bytes_max=16 << 20, rows_max=200_000)
    home.publish(home.deployment("blue", flight_model(2.0)), policy=policy, grants=(grant,))
    with home.process():
        home.wait_for_snapshot()
        with wired(home.port, window=10_000) as wire:
            large = wire.call(INFER, key)
            wire.give(large, framed(message(60_000)))
            small = wire.ask("GET", "/v2/health/live")
            assert wire.await_answer(small).status == 200
            answer = wire.await_answer(large)
            assert answer.grpc_status == 0
            rows = InferResponse.FromString(answer.body[5:]).raw_output_contents[0]
            assert len(rows) == 240_000


def rapid_resets(wire: Wire) -> None:
    """Begin calls and give them up at once (CVE-2023-44487)."""
    for _ in range(PER_SECOND[3] * 3):
        number = wire.h2.get_next_available_stream_id()
        wire.h2.send_headers(number, [(":method", "GET"), (":path", "/"), (":scheme", "http")])
        wire.h2.reset_stream(number)


def pings(wire: Wire) -> None:
    """Ask for echoes (CVE-2019-9512)."""
    for _ in range(PER_SECOND[6] * 3):
        wire.h2.ping(b"12345678")


def settings(wire: Wire) -> None:
    """Change the settings again and again (CVE-2019-9515)."""
    for number in range(PER_SECOND[4] * 3):
        wire.h2.update_settings({SettingCodes.INITIAL_WINDOW_SIZE: 60_000 + number})


def empty_data(wire: Wire) -> None:
    """Send frames that carry nothing (CVE-2019-9518)."""
    number = wire.ask("POST", PATH, end=False)
    for _ in range(5_000):
        wire.h2.send_data(number, b"")


FLOODS: Final = (rapid_resets, pings, settings, empty_data)


@pytest.mark.parametrize("flood", FLOODS)
def test_floods_end_the_connection(running: Running, flood: Callable[[Wire], None]) -> None:
    """Frames that cost work and carry nothing are taken for a while, then no more."""
    with wired(running.home.port) as wire:
        flood(wire)
        wire.flush()
        assert wire.await_end() in (ErrorCodes.ENHANCE_YOUR_CALM, None)
    assert running.home.send("GET", "/v2/health/live").status == 200


def test_a_long_frame_is_not_waited_for(running: Running) -> None:
    """A frame that is longer than was agreed ends the connection by its head alone."""
    with wired(running.home.port) as wire:
        wire.await_that(lambda: bool(wire.h2.remote_settings.max_concurrent_streams))
        wire.send_raw((1 << 23).to_bytes(3, "big") + b"\x00\x00\x00\x00\x00\x01")
        assert wire.await_end() == ErrorCodes.FRAME_SIZE_ERROR


def test_many_headers_end_the_connection(running: Running) -> None:
    """Headers that are more than was agreed are not kept."""
    with wired(running.home.port) as wire:
        wire.ask("GET", "/v2/health/live", headers=[(f"x-{one}", "a" * 1_000) for one in range(40)])
        assert wire.await_end() is not None


def test_too_many_streams_end_the_connection(running: Running) -> None:
    """No caller may have more streams open than was agreed."""
    with wired(running.home.port) as wire:
        for _ in range(STREAMS_MAX + 1):
            number = wire.h2.get_next_available_stream_id()
            head = [(":method", "POST"), (":path", PATH), (":scheme", "http")]
            wire.h2.send_headers(number, [*head, ("authorization", f"Bearer {running.operator}")])
        wire.flush()
        assert wire.await_end() is not None


def test_a_call_that_is_given_up_disturbs_no_other(running: Running) -> None:
    """Streams that end in the middle leave the connection as it was."""
    with wired(running.home.port) as wire:
        for cut in (0, 3, 40):
            number = wire.call(INFER, running.operator)
            wire.give(number, framed(message())[:cut], end=False)
            wire.h2.reset_stream(number, ErrorCodes.CANCEL)
        stream = wire.call(STREAM, running.operator)
        wire.give(stream, framed(message()) * 100 + framed(message())[:9], end=False)
        wire.h2.reset_stream(stream, ErrorCodes.CANCEL)
        assert answered(wire, framed(message()), running.operator) == (0, "")


def test_a_stream_ends_when_its_caller_does(running: Running) -> None:
    """Messages of a stream are all answered before its status is told."""
    with wired(running.home.port) as wire:
        number = wire.call(STREAM, running.operator)
        wire.give(number, framed(message()) * 300)
        answer = wire.await_answer(number)
        assert answer.trailers == {"grpc-status": "0"}
        one = len(framed(answer.body[5 : 5 + int.from_bytes(answer.body[1:5], "big")]))
        assert len(answer.body) == 300 * one
        for bad in (b"\x00", framed(b"\xff\xff\xff"), framed(message(), 7)):
            cut = wire.call(STREAM, running.operator)
            wire.give(cut, framed(message()) * 2 + bad)
            assert wire.await_answer(cut).grpc_status == 3
            assert len(wire.streams[cut].body) == 2 * one


def test_a_worker_that_ends_finishes_calls(home: Home) -> None:
    """On the way out a caller is told to go, and what it has begun is answered."""
    key, grant = home.key()
    home.publish(home.deployment("blue", flight_model(2.0)), grants=(grant,))
    with home.process() as process:
        home.wait_for_snapshot()
        with wired(home.port) as wire:
            begun = wire.call(INFER, key)
            wire.give(begun, framed(message())[:20], end=False)
            wire.ping()
            process.send_signal(signal.SIGTERM)
            wire.await_that(lambda: wire.farewell is not None)
            assert wire.farewell == ErrorCodes.NO_ERROR
            late = wire.call(INFER, key)
            wire.give(begun, framed(message())[20:])
            assert wire.await_answer(begun).grpc_status == 0
            assert wire.await_answer(late).reset == ErrorCodes.REFUSED_STREAM
            wire.await_end()
        assert process.wait(timeout=20) == 0


def test_one_connection_holds_only_so_much(home: Home) -> None:
    """Requests that are begun and not ended take no more memory than one connection may."""
    key, grant = home.key()
    size = 16 << 20
    home.publish(
        home.deployment("blue", flight_model(2.0)),
        policy=EndpointPolicy(body_bytes_max=size),
        grants=(grant,),
    )
    with home.process():
        home.wait_for_snapshot()
        with wired(home.port) as wire:
            calls = [wire.call(INFER, key) for _ in range(3)]
            for one in calls:
                wire.give(one, framed(bytes(size))[: size - 1], end=False)
            refused = wire.await_that(lambda: wire.streams[calls[2]].over, calls[2])
            assert refused.headers["servewell-code"] == "SW-352"
            assert refused.grpc_status == 8
            wire.h2.reset_stream(calls[0])
            assert answered(wire, framed(message()), key) == (0, "")
