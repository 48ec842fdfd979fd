"""The contract of `LoadGenerator`, against a server that counts what it gets."""

import asyncio
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from queue import Queue

import pytest

from servewell.adapters.embedded.load.generator import ProcessLoadGenerator
from servewell.core.performance.load_plan import Arrivals, Stage
from servewell.core.performance.load_result import Window, littles_law, together
from servewell.ports.load_generator import Load, LoadGenerator

pytestmark = pytest.mark.enable_socket


class Counting(asyncio.Protocol):
    """Answers each whole request after a delay, and counts."""

    seen: Counter[bytes]
    delay_s: float
    status: bytes

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the connection."""
        self.transport = transport
        self.held = b""

    def data_received(self, data: bytes) -> None:
        """Count what is whole; each body is one letter."""
        self.held += data
        while (head := self.held.find(b"\r\n\r\n")) >= 0 and len(self.held) > head + 4:
            body, self.held = self.held[head + 4 : head + 5], self.held[head + 5 :]
            self.seen[body] += 1
            asyncio.get_running_loop().call_later(self.delay_s, self.answer)

    def answer(self) -> None:
        """Answer one."""
        if not self.transport.is_closing():
            self.transport.write(b"HTTP/1.1 %b X\r\ncontent-length: 2\r\n\r\n{}" % self.status)


@contextmanager
def counting(
    *, delay_s: float = 0.0, status: bytes = b"200"
) -> Iterator[tuple[int, Counter[bytes]]]:
    """Run such a server in a thread; give its port and what it has seen."""
    seen: Counter[bytes] = Counter()
    told: Queue[tuple[asyncio.AbstractEventLoop, asyncio.Event, int]] = Queue()

    def make() -> Counting:
        one = Counting()
        one.seen, one.delay_s, one.status = seen, delay_s, status
        return one

    async def serve() -> None:
        loop, over = asyncio.get_running_loop(), asyncio.Event()
        server = await loop.create_server(make, "127.0.0.1", 0)
        told.put((loop, over, server.sockets[0].getsockname()[1]))
        await over.wait()
        server.close()

    thread = threading.Thread(target=asyncio.run, args=(serve(),))
    thread.start()
    loop, over, port = told.get()
    try:
        yield port, seen
    finally:
        loop.call_soon_threadsafe(over.set)
        thread.join()


def load(port: int) -> Load:
    """Return two seconds at 150 requests a second."""
    return Load(
        url=f"http://127.0.0.1:{port}",
        trust=None,
        authority="",
        path="/x",
        headers={},
        bodies=(b"a", b"b", b"c"),
        stages=(Stage(rate=150, until=150, duration_s=2),),
        arrivals=Arrivals.EVEN,
        seed=0,
        connections_max=32,
        timeout_s=1.0,
        objective_ms=500,
    )


@pytest.fixture
def generator() -> LoadGenerator:
    """Return the embedded one."""
    return ProcessLoadGenerator()


def ran(generator: LoadGenerator, given: Load) -> list[Window]:
    """Run a load; return its windows."""
    windows: list[Window] = []

    def observe(window: Window) -> bool:
        windows.append(window)
        return True

    generator.run(given, observe)
    return windows


def test_every_request_is_sent_once_and_counted_once(generator: LoadGenerator) -> None:
    """As many arrive as became due, the bodies in turn; each ends in one window."""
    with counting(delay_s=0.01) as (port, seen):
        whole = together(ran(generator, load(port)))
    assert whole.due == sum(seen.values()) == whole.statuses["200"] == pytest.approx(300, abs=1)
    assert max(seen.values()) - min(seen.values()) <= 1
    law = littles_law(whole)
    assert law.in_flight == pytest.approx(law.by_latency, rel=0.05)


def test_latency_counts_from_when_a_request_was_due(generator: LoadGenerator) -> None:
    """With too few connections for the rate, waiting for one is part of the latency."""
    with counting(delay_s=0.05) as (port, _):
        whole = together(ran(generator, replace(load(port), connections_max=4, timeout_s=5.0)))
    assert whole.ended == whole.due
    assert whole.latency_sum_s / whole.ended > 0.4  # 80 a second of 150 can be answered
    assert whole.behind_s > 0.4
    assert whole.late_s < whole.behind_s / 2  # it is the connections that are wanting


def test_an_answer_counts_for_the_stage_that_asked(generator: LoadGenerator) -> None:
    """Answers that come when the next stage goes on are counted apart from its own."""
    stages = tuple(Stage(rate=rate, until=rate, duration_s=0.5) for rate in (100, 20))
    with counting(delay_s=0.3) as (port, _):
        windows = ran(generator, replace(load(port), stages=stages))
    earlier = [part for one in windows for part in one.earlier]
    assert {(one.stage, part.stage) for one in windows for part in one.earlier} == {(1, 0)}
    assert 20 <= sum(part.answered for part in earlier) <= 40  # 0.3 s at 100 a second
    ended = Counter[int]()
    for part in (*windows, *earlier):
        ended[part.stage] += part.ended
    assert (ended[0], ended[1]) == (pytest.approx(50, abs=1), pytest.approx(10, abs=1))


def test_silence_and_refusals_are_counted(generator: LoadGenerator) -> None:
    """A server that is too slow, one that refuses, and none at all: nothing is left out."""
    given = replace(load(0), stages=(Stage(rate=50, until=50, duration_s=1),), timeout_s=0.3)
    with counting(delay_s=2.0) as (port, _):
        slow = together(ran(generator, replace(given, url=f"http://127.0.0.1:{port}")))
    assert slow.statuses["no answer in time"] == slow.due
    with counting(status=b"503") as (port, _):
        refusing = together(ran(generator, replace(given, url=f"http://127.0.0.1:{port}")))
    assert refusing.statuses == {"503": refusing.due}
    nobody = together(ran(generator, replace(given, url=f"http://127.0.0.1:{port}")))
    assert nobody.ended == nobody.due
    assert "200" not in nobody.statuses


def test_it_stops_when_it_is_told(generator: LoadGenerator) -> None:
    """After the first second that its caller has seen enough of."""
    given = replace(load(0), stages=(Stage(rate=50, until=50, duration_s=60),))
    windows: list[Window] = []

    def observe(window: Window) -> bool:
        windows.append(window)
        return False

    with counting() as (port, _):
        generator.run(replace(given, url=f"http://127.0.0.1:{port}"), observe)
    assert len(windows) <= 4
