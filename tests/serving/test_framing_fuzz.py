"""Bytes at random on connections of HTTP/1.1 and HTTP/2, by Hypothesis and by the fuzzers."""

from pathlib import Path

from hypothesis import example, given
from hypothesis import strategies as st

from servewell.serving.routes import route_of
from serving.fuzzing import fuzz
from serving.http1_bytes import held, near_requests
from serving.http2_bytes import frame, head_frame
from serving.http2_wire import framed
from serving.test_framing import chunked, post
from serving.test_http2 import INFER, STREAM, message

UPGRADE = (
    b"POST /a HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
    b"Content-Length: 3\r\n\r\nabc"
)
EXPECT = b"POST /a HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\nabc"

WORDS = (
    "", "v1", "v2", "models", "flights", "flights:predict", "versions", "1", "infer", "ready",
    "repository", "index", "load", "endpoints", "invocations", "score", "swagger.json", "%", "?",
    "generate", "\ud7ff", "health", "openapi.json", "docs",
)  # fmt: skip


@given(st.text(max_size=60) | st.lists(st.sampled_from(WORDS), max_size=7).map("/".join))
def test_no_path_is_too_much(path: str) -> None:
    """Whatever a request is for, it is a way through a protocol, or none."""
    route_of(path.encode())


@given(near_requests() | st.binary(max_size=80), st.integers(1, 40))
@example(UPGRADE + post(b"abc"), 1)
def test_no_bytes_are_too_much(sent: bytes, size: int) -> None:
    """Whatever comes, and however it is cut, the answers are well-formed and the same."""
    held(sent, size)


def test_the_fuzzer_of_framing_finds_nothing(tmp_path: Path) -> None:
    """From good requests of each framing, coverage-guided mutations break no promise."""
    seeds = {
        "length": b"\x05" + post(b"abc") * 2,
        "chunked": b"\x01" + chunked(b"abc", b"de"),
        "upgrade": b"\x07" + UPGRADE,
        "expect": b"\x09" + EXPECT,
        "old": b"\x03HEAD /a HTTP/1.0\r\n\r\n",
    }
    fuzz("framing.py", seeds, tmp_path)


def test_the_fuzzer_of_grpc_finds_nothing(tmp_path: Path) -> None:
    """From good calls and messages, coverage-guided mutations break no promise of HTTP/2."""
    call, stream = (head_frame(path, "application/grpc", 4, 1) for path in (INFER, STREAM))
    data = frame(0, 1, 1, framed(message()))
    seeds = {
        "call": b"\x00" + call + data,
        "stream": b"\x00" + stream + frame(0, 0, 1, framed(message())) + data,
        "ping": b"\x00" + frame(6, 0, 0, bytes(8)) + frame(8, 0, 0, b"\0\0\1\0"),
        "message": b"\xff" + message(),
    }
    fuzz("grpc_bytes.py", seeds, tmp_path)
