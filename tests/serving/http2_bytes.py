"""Bytes that a caller of HTTP/2 may send: frames well made, ill made, in any order, and noise."""

import asyncio
from contextlib import suppress
from typing import Any, Final

from hpack import Encoder
from hypothesis import strategies as st

from servewell.core.catalog.signature import Datatype
from servewell.serving.http2.frames import PREFACE
from servewell.serving.protocols.grpc import GrpcReader
from servewell.serving.protocols.grpc_methods import INFER
from servewell.serving.refusals import RequestError
from serving.home import FLIGHT
from serving.http2_memory import Memory

READER: Final = GrpcReader(FLIGHT)

PATHS: Final = (
    "/v2/models/flights/infer",
    "/inference.GRPCInferenceService/ModelInfer",
    "/inference.GRPCInferenceService/ModelStreamInfer",
    "/inference.GRPCInferenceService/ServerLive",
    "/grpc.health.v1.Health/Check",
    "",
)
WRITTEN_MAX: Final = 4 << 20  # what answers to so little may take


def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    """Return one frame."""
    head = len(payload).to_bytes(3, "big") + bytes([kind, flags])
    return head + stream.to_bytes(4, "big") + payload


def head_frame(path: str, kind: str, flags: int, stream: int) -> bytes:
    """Return the headers of a request."""
    pairs = [(":method", "POST"), (":scheme", "http"), (":path", path), ("content-type", kind)]
    return frame(1, flags, stream, Encoder().encode(pairs, huffman=False))


def frames() -> st.SearchStrategy[bytes]:
    """Return frames of all types, mostly on few streams."""
    streams = st.sampled_from([0, 1, 1, 1, 3, 3, 5, 2, 2**31 - 1])
    payload = st.one_of(
        st.binary(max_size=40),
        st.binary(max_size=30).map(lambda one: b"\x00" + len(one).to_bytes(4, "big") + one),
        st.sampled_from([b"\x00\x00\x00\x00", b"\x7f\xff\xff\xff", b"12345678"]),
    )
    flags = st.sampled_from([0, 1, 4, 5, 8, 32, 255])
    plain = st.builds(frame, st.integers(0, 12), flags, streams, payload)
    heads = st.builds(
        head_frame,
        st.sampled_from(PATHS),
        st.sampled_from(["application/grpc", "application/json"]),
        st.sampled_from([4, 5, 0]),
        streams,
    )
    return st.one_of(heads, heads, plain)


@st.composite
def pieces(draw: st.DrawFn) -> list[bytes]:
    """Return what a caller sends, in the pieces in which it comes."""
    settings = frame(4, 0, 0, b"")
    sent = PREFACE + settings + b"".join(draw(st.lists(frames(), max_size=12)))
    sent += draw(st.binary(max_size=20))
    cuts = sorted(draw(st.lists(st.integers(0, len(sent)), max_size=4)))
    ends = [*cuts, len(sent)]
    return [sent[start:end] for start, end in zip([0, *cuts], ends, strict=True)]


def heard(sent: list[bytes]) -> None:
    """Hand bytes to a connection; nothing may break, hang or grow."""
    faults: list[dict[str, Any]] = []

    async def run() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, told: faults.append(told))
        memory = Memory()
        for piece in sent:
            memory.hear(piece)
            await asyncio.sleep(0)
        for _ in range(6):
            await asyncio.sleep(0)
        assert not memory.line.dropped, "a fault of ours dropped the connection"
        assert len(memory.line.written) < WRITTEN_MAX
        memory.leave()

    asyncio.run(run())
    assert not faults


def infer_requests() -> st.SearchStrategy[bytes]:
    """Return requests for predictions, near to what the flight model takes, as bytes."""
    elements = st.fixed_dictionaries(
        {},
        optional={
            "fp32_contents": st.lists(st.floats(width=32), max_size=3),
            "int_contents": st.lists(st.integers(-(2**31), 2**31 - 1), max_size=3),
            "int64_contents": st.lists(st.integers(-(2**63), 2**63 - 1), max_size=3),
            "bytes_contents": st.lists(st.binary(max_size=4), max_size=3),
        },
    )
    tensors = st.fixed_dictionaries(
        {
            "name": st.sampled_from([*(one.name for one in FLIGHT.inputs), "other"]),
            "datatype": st.sampled_from([*(one.value for one in Datatype), "odd"]),
            "shape": st.lists(st.sampled_from([1, 1, 2, 0, -1, 2**62]), max_size=3),
        },
        optional={"contents": elements},
    )
    parameters = st.dictionaries(
        st.sampled_from(["timeout", "priority", "classification", "binary_data_size"]),
        st.one_of(
            st.builds(lambda one: {"int64_param": one}, st.integers(-(2**63), 2**63 - 1)),
            st.builds(lambda one: {"double_param": one}, st.floats()),
            st.just({"bool_param": True}),
            st.just({}),
        ),
    )
    requests = st.fixed_dictionaries(
        {"inputs": st.lists(tensors, max_size=5)},
        optional={
            "id": st.text(max_size=3),
            "parameters": parameters,
            "raw_input_contents": st.lists(st.binary(max_size=12), max_size=5),
            "outputs": st.lists(st.just({"name": "late"}) | st.just({"name": "x"}), max_size=2),
        },
    )
    return st.builds(lambda one: INFER.request(**one).SerializeToString(), requests)


def read(data: bytes) -> None:
    """Read a message as a request of the flight model: its rows, or a refusal."""
    with suppress(RequestError):
        decoded = READER.decode(INFER.read(data), headers={}, rows_max=10)
        assert 0 < decoded.rows <= 10
        assert len(decoded.columns) == len(FLIGHT.inputs)
