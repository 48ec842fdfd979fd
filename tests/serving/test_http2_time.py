"""HTTP/2 callers that are slow, silent or read nothing; and bytes at random."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from h2.errors import ErrorCodes
from h2.settings import SettingCodes
from hypothesis import given
from hypothesis import strategies as st

from servewell.serving.http2.call import AHEAD_MAX, SILENT_S
from servewell.serving.http2.connection import WAITING_BYTES_MAX
from servewell.serving.http2.frames import FRAME_BYTES_MAX, FloodError, FrameWatch
from servewell.serving.requests import BODY_S, HEAD_S, IDLE_S, LINGER_S, STUCK_S
from serving.http2_bytes import heard, infer_requests, pieces, read
from serving.http2_memory import ANSWER, Memory
from serving.http2_wire import framed

INFER = "/inference.GRPCInferenceService/ModelInfer"
STREAM = "/inference.GRPCInferenceService/ModelStreamInfer"


def in_memory(test: Callable[[Memory], Awaitable[None]]) -> Memory:
    """Run a test on a connection that has begun."""

    async def run() -> Memory:
        memory = Memory()
        memory.wire.begin()
        await memory.turn()
        await test(memory)
        return memory

    return asyncio.run(run())


@pytest.mark.parametrize(("sent", "status"), [(b"", 4), (framed(b"abc")[:-1], 4)])
def test_a_call_that_does_not_come_is_given_up(sent: bytes, status: int) -> None:
    """A message has to be here in its time."""

    async def test(memory: Memory) -> None:
        number = memory.wire.call(INFER)
        memory.wire.give(number, sent, end=False)
        await memory.seconds(BODY_S)
        assert not memory.wire.streams[number].over
        await memory.seconds(1)
        assert memory.wire.streams[number].grpc_status == status

    in_memory(test)


def test_a_body_that_does_not_come_is_given_up() -> None:
    """A body of a plain request has to be here in its time."""

    async def test(memory: Memory) -> None:
        number = memory.wire.ask("POST", "/a", end=False)
        await memory.seconds(BODY_S + 1)
        assert memory.wire.streams[number].status == 408

    in_memory(test)


def test_a_stream_may_be_silent_for_longer() -> None:
    """Between messages a stream may rest; within one it may not, and not for ever."""

    async def test(memory: Memory) -> None:
        rests = memory.wire.call(STREAM)
        memory.wire.give(rests, framed(b""), end=False)
        await memory.turn()
        await memory.seconds(SILENT_S)
        assert memory.wire.streams[rests].body
        assert not memory.wire.streams[rests].over
        await memory.seconds(1)
        assert memory.wire.streams[rests].grpc_status == 4
        stops = memory.wire.call(STREAM)
        memory.wire.give(stops, framed(b"")[:2], end=False)
        await memory.seconds(BODY_S + 1)
        assert memory.wire.streams[stops].grpc_status == 4

    in_memory(test)


def test_an_answer_that_is_not_taken_is_dropped() -> None:
    """A caller that opens no window loses its stream; another stream goes on."""

    async def test(memory: Memory) -> None:
        memory.wire.h2.update_settings({SettingCodes.INITIAL_WINDOW_SIZE: 0})
        number = memory.wire.ask("GET", "/a")
        await memory.turn()
        await memory.seconds(STUCK_S)
        assert not memory.wire.streams[number].over
        await memory.seconds(2)
        assert memory.wire.streams[number].reset == ErrorCodes.CANCEL

    in_memory(test)


def test_a_stream_is_not_read_faster_than_its_answers_are() -> None:
    """Answers that a caller does not take are few, however many messages it sends."""

    async def test(memory: Memory) -> None:
        memory.wire.h2.update_settings({SettingCodes.INITIAL_WINDOW_SIZE: 0})
        number = memory.wire.call(STREAM)
        memory.wire.give(number, framed(b"") * 60)
        await memory.turn(50)
        assert memory.answers.submitted <= AHEAD_MAX + WAITING_BYTES_MAX // len(ANSWER) + 1
        memory.wire.h2.update_settings({SettingCodes.INITIAL_WINDOW_SIZE: 1 << 30})
        memory.wire.h2.increment_flow_control_window(1 << 30)
        memory.wire.flush()
        for _ in range(10):
            await memory.turn()
        assert memory.answers.submitted == 60
        assert memory.wire.streams[number].grpc_status == 0

    in_memory(test)


def test_a_caller_that_reads_nothing_is_dropped() -> None:
    """A line that takes no bytes is dropped in its time."""

    async def test(memory: Memory) -> None:
        protocol = memory.line.listener
        assert isinstance(protocol, asyncio.Protocol)
        protocol.pause_writing()
        assert not memory.line.reading
        number = memory.wire.ask("GET", "/a")
        await memory.turn()
        assert not memory.wire.streams[number].body
        protocol.resume_writing()
        assert memory.line.reading
        await memory.turn()
        assert memory.wire.streams[number].body == ANSWER
        protocol.pause_writing()
        await memory.seconds(STUCK_S)
        assert not memory.line.dropped
        await memory.seconds(1)
        assert memory.line.dropped

    in_memory(test)


def test_an_idle_connection_is_closed() -> None:
    """A connection without a stream is told to go, then dropped where it stays."""

    async def test(memory: Memory) -> None:
        await memory.seconds(IDLE_S)
        assert not memory.line.closed
        await memory.seconds(1)
        assert memory.line.closed
        assert memory.wire.farewell == ErrorCodes.NO_ERROR
        await memory.seconds(LINGER_S + 1)
        assert memory.line.dropped

    in_memory(test)


def test_half_a_preface_is_given_up() -> None:
    """Bytes that may become a preface are waited for as long as a head is."""

    async def test() -> None:
        memory = Memory()
        memory.hear(b"PRI * HT")
        memory.hear(b"TP/2.0")
        for _ in range(HEAD_S + 1):
            memory.connection.sweep()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert memory.line.written.startswith(b"HTTP/1.1 408")

    asyncio.run(test())


@given(st.lists(st.tuples(st.integers(0, 300), st.integers(0, 9)), max_size=20), st.data())
def test_frames_are_followed_however_they_are_cut(
    frames: list[tuple[int, int]], data: st.DataObject
) -> None:
    """The watch counts the same frames whatever the pieces in which they come."""
    whole = b"".join(
        size.to_bytes(3, "big") + bytes([kind, 0, 0, 0, 0, 1]) + bytes(size)
        for size, kind in frames
    )
    watch = FrameWatch()
    place = 0
    while place < len(whole):
        size = data.draw(st.integers(1, len(whole) - place))
        watch.feed(whole[place : place + size])
        place += size
    with pytest.raises(FloodError):
        watch.feed((FRAME_BYTES_MAX + 1).to_bytes(3, "big") + bytes(6))


@given(pieces())
def test_no_bytes_are_too_much(sent: list[bytes]) -> None:
    """Whatever comes is answered or ends the connection; it breaks nothing and keeps little."""
    heard(sent)


@given(infer_requests() | st.binary(max_size=60))
def test_no_message_is_too_much(data: bytes) -> None:
    """Whatever a message holds is read as rows, or refused as the caller's fault."""
    read(data)
