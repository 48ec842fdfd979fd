"""A key that is revoked while its callers are in the middle of a connection, or of a stream."""

import http.client
import json
import struct
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Event
from typing import Any, Final

import pytest

from servewell.serving.protocols.grpc_messages import message_type
from serving.home import Home, flight_model, request
from serving.http2_wire import framed, wired
from serving.real_worker import INFER as PATH
from serving.test_http2 import INFER, STREAM, message
from serving.under_load import Callers

pytestmark = pytest.mark.enable_socket

RIGHT: Final = ""
REVOKED: Final = "SW-306"
BURST: Final = 4
DELAY_S: Final = 2.0  # from the moment that a snapshot is published
Request: Final = message_type("inference.ModelInferRequest")
Response: Final = message_type("inference.ModelInferResponse")
StreamResponse: Final = message_type("inference.ModelStreamInferResponse")

Burst = Callable[[int], list[str]]  # asks from a number on; what each answer was


def numbered(number: int) -> bytes:
    """Return a request whose answer shows its number."""
    made: Any = Request.FromString(message())
    made.id = str(number)
    made.inputs[0].contents.fp32_contents[:] = [float(number)]
    return framed(made.SerializeToString())


def assert_answers(found: Any, number: int) -> None:  # noqa: ANN401 - a message
    """The answer is that of a request of this number."""
    assert found.id == str(number)
    assert found.raw_output_contents[0] == struct.pack("<f", 2.0 * number + 10.0)


def messages(body: bytes) -> Iterator[bytes]:
    """Yield the messages of a stream."""
    while body:
        end = 5 + int.from_bytes(body[1:5], "big")
        yield body[5:end]
        body = body[end:]


@contextmanager
def streaming(home: Home, key: str) -> Iterator[Burst]:
    """Send messages on one stream, some at a time."""
    with wired(home.port) as wire:
        stream = wire.call(STREAM, key)

        def burst(first: int) -> list[str]:
            numbers = range(first, first + BURST)
            wire.give(stream, b"".join(numbered(one) for one in numbers), end=False)
            answered = wire.streams[stream]
            wire.await_that(lambda: answered.over or len([*messages(answered.body)]) == BURST)
            found = [StreamResponse.FromString(one) for one in messages(answered.body)]
            answered.body = b""
            assert len(found) == BURST
            return [heard(one, number) for number, one in zip(numbers, found, strict=True)]

        def heard(found: Any, number: int) -> str:  # noqa: ANN401 - a message
            if found.error_message:
                return REVOKED if REVOKED in found.error_message else str(found.error_message)
            assert_answers(found.infer_response, number)
            return RIGHT

        yield burst


@contextmanager
def calling(home: Home, key: str) -> Iterator[Burst]:
    """Make calls on one connection, some at a time."""
    with wired(home.port) as wire:

        def burst(first: int) -> list[str]:
            calls = [(wire.call(INFER, key), one) for one in range(first, first + BURST)]
            for stream, number in calls:
                wire.give(stream, numbered(number))
            return [heard(stream, number) for stream, number in calls]

        def heard(stream: int, number: int) -> str:
            answered = wire.await_answer(stream)
            if answered.grpc_status:
                assert answered.grpc_status == 16
                return answered.headers["servewell-code"]
            [found] = messages(answered.body)
            assert_answers(Response.FromString(found), number)
            return RIGHT

        yield burst


@contextmanager
def keeping(home: Home, key: str) -> Iterator[Burst]:
    """Send requests on one connection of HTTP/1.1, which stays open."""
    line = http.client.HTTPConnection("127.0.0.1", home.port, timeout=20)
    line.connect()
    opened = line.sock

    def burst(number: int) -> list[str]:
        body = json.dumps(request(delay=[float(number)]))
        line.request("POST", PATH, body, {"Authorization": f"Bearer {key}"})
        answer = line.getresponse()
        found = json.loads(answer.read())
        assert line.sock is opened
        if answer.status != 200:
            assert answer.status == 401
            return [str(found["code"])]
        assert found["outputs"][0]["data"] == [2.0 * number + 10.0]
        return [RIGHT]

    yield burst
    line.close()


SPEAKERS: Final = (streaming, calling, keeping)


def speak(
    speaker: Callable[[Home, str], Any], home: Home, key: str, revoked: Event
) -> tuple[list[str], list[str]]:
    """Ask until the key is known to be revoked, and once more; return what came till then, then."""
    early: list[str] = []
    with speaker(home, key) as burst:
        while not revoked.is_set():
            early += burst(len(early))
        return early, burst(len(early))


def test_a_revoked_key_ends_in_the_middle(home: Home) -> None:
    """Once a worker has acknowledged it, nothing more is answered; all before is right."""
    kept, kept_grant = home.key()
    lost, lost_grant = home.key()
    home.publish(home.deployment("blue", flight_model(2.0)), grants=(kept_grant, lost_grant))
    revoked = Event()
    with (
        home.process(),
        ThreadPoolExecutor(len(SPEAKERS)) as pool,
    ):
        home.wait_for_snapshot()
        spoken = [pool.submit(speak, one, home, lost, revoked) for one in SPEAKERS]
        try:
            with Callers(home=home, key=kept, callers=2) as others:
                others.wait(100)
                home.publish(grants=(kept_grant,))
                published = time.monotonic()
                home.wait_for_snapshot()
                assert time.monotonic() - published < DELAY_S
                revoked.set()
                heard = [one.result(timeout=20) for one in spoken]
                others.wait(50)
        finally:
            revoked.set()
    others.assert_unharmed()
    for early, late in heard:
        ends = early.index(REVOKED) if REVOKED in early else len(early)
        assert ends > 20
        assert set(early[:ends]) == {RIGHT}
        assert {*early[ends:], *late} == {REVOKED}
    answered = sum(early.count(RIGHT) for early, _ in heard)
    statuses = Counter(one.status for one in home.records() if one.key_id == lost_grant.id)
    assert statuses[200] == answered
    assert statuses.keys() <= {200, 401}  # of a call that had begun when its key was revoked
