"""The load generator: a closed or an open loop over kept-alive connections, a process of its own.

Run by `python load.py PLAN`, where PLAN is a MessagePack file that `Plan` describes. It says
`begin` when the warm-up is over, `end` when the measurement is, and then what it measured, as one
JSON line.

Closed: each connection waits for its answer before it sends again. Open (`rate` is set): requests
are due at a steady rate whatever the server does; one that finds no free connection waits for
one, and its latency counts from when it was due (no coordinated omission). Where `timeout_s` is
set, callers give up so long after their request was due, as real ones do: one that was sent is
abandoned with its connection, and one that still waits for a connection is not sent.
"""

import asyncio
import gc
import re
import ssl
import sys
import time
from array import array
from collections import Counter, deque
from itertools import cycle
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
import uvloop

NANOSECONDS: Final = 1_000_000_000
CHECK_EVERY: Final = 50
TOLERANCE: Final = 1e-4  # a peer may compute in another precision
TICK_S: Final = 0.001
LENGTH: Final = b"\r\ncontent-length:"
CLOSE: Final = b"\r\nconnection: close"
CHUNKED: Final = b"transfer-encoding: chunked"
STATUS: Final = slice(9, 12)
OK: Final = "200"
BINARY: Final = b'"binary_data_size":'
TRACES: Final = 8_192  # more than a server may remember, so that each is as good as new


class Plan(msgspec.Struct, kw_only=True):
    """What to send where, and for how long."""

    port: int
    path: str
    headers: dict[str, str]
    bodies: list[bytes]
    expected: list[float] | None  # of each body: a probability of its first row; None: not checked
    connections: int
    warmup_s: float
    seconds: float
    rate: float = 0.0  # requests a second; 0 for a closed loop
    timeout_s: float = 0.0  # after which a caller of an open loop gives up; 0 for never
    refusals: bool = False  # whether other answers than 200 are counted, not an end
    good_within_s: float = 1.0  # what counts as a good answer
    tls: bool = False  # whether to encrypt; the certificate is not judged
    traced: bool = False  # whether each request carries a `traceparent` of its own


class Measured(msgspec.Struct, kw_only=True):
    """What came of it. Latencies are in microseconds, and those of answers with 200."""

    requests: int  # answered with 200, begun and answered within the measurement
    answers: int  # those of the warm-up too
    seconds: float
    p50_us: float
    p99_us: float
    max_us: float
    checked: int
    wrong: list[str]
    generator_busy: float  # share of one core that the generator took
    good: int = 0  # of `requests`, those answered in time
    statuses: dict[str, int] = {}
    unanswered: int = 0  # due, and still waiting for a connection at the end
    abandoned: int = 0  # due within the measurement, sent, and not answered before the timeout
    unsent: int = 0  # due within the measurement, and without a connection until the timeout


class Run:
    """All connections of one run."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.requests = cycle(_requests(plan))
        self.latencies = array("q")
        self.statuses: Counter[str] = Counter()
        self.wrong: list[str] = []
        self.checked = 0
        self.begun = self.end = 1 << 63
        self.over = asyncio.Event()
        self.since_check = 0
        self.answers = 0
        self.due: deque[int] = deque()  # when each waiting request was due, in an open loop
        self.free: list[Caller] = []
        self.sent: deque[tuple[int, Caller]] = deque()  # about in the order in which they were due
        self.timeout_ns = int(plan.timeout_s * NANOSECONDS)
        self.abandoned = self.unsent = 0

    def note(self, begun: int, now: int, status: str) -> None:
        """Count an answer, and time it where it was due within the measurement."""
        self.answers += 1
        if status != OK and not self.plan.refusals:
            self.fail(f"status {status}")
        if begun >= self.begun and now <= self.end:
            self.statuses[status] += 1
            if status == OK:
                self.latencies.append(now - begun)

    def check(self, body: int, answer: bytes) -> None:
        """Compare one answer in a while with the model's own."""
        self.since_check += 1
        if self.plan.expected is None or self.since_check < CHECK_EVERY:
            return
        self.since_check = 0
        self.checked += 1
        found = probability(answer)
        if abs(found - self.plan.expected[body]) > TOLERANCE:
            self.fail(f"body {body}: {found} instead of {self.plan.expected[body]}")

    def fail(self, why: str) -> None:
        """Keep what went wrong and stop: a measurement with a wrong answer is none."""
        self.wrong.append(why)
        self.stop()

    def stop(self) -> None:
        """End the measurement now."""
        self.end = min(self.end, time.perf_counter_ns())
        self.over.set()

    def next(self, caller: "Caller") -> None:
        """Give a connection that is free its next request, where one is due."""
        if not self.plan.rate:
            caller.send(time.perf_counter_ns())
        elif self.due:
            self.send(caller)
        else:
            self.free.append(caller)

    def send(self, caller: "Caller") -> None:
        """Send what has been due for longest."""
        begun = self.due.popleft()
        if self.timeout_ns:
            self.sent.append((begun, caller))
        caller.send(begun)

    def give_up(self, now: int) -> None:
        """Let the callers go whose requests were due too long ago."""
        late = now - self.timeout_ns
        while self.due and self.due[0] < late:
            self.unsent += self.due.popleft() >= self.begun
        while self.sent and self.sent[0][0] < late:
            begun, caller = self.sent.popleft()
            if caller.waits and caller.begun == begun:
                self.abandoned += begun >= self.begun
                caller.give_up()

    async def keep_rate(self) -> None:
        """Let requests become due at the rate of the plan."""
        began, made = time.perf_counter_ns(), 0
        step = NANOSECONDS / self.plan.rate
        while not self.over.is_set():
            wanted = int((time.perf_counter_ns() - began) / step) + 1  # the first is due at once
            for number in range(made, wanted):
                self.due.append(began + int(number * step))
            made = wanted
            if self.timeout_ns:
                self.give_up(time.perf_counter_ns())
            while self.due and self.free:
                self.send(self.free.pop())
            await asyncio.sleep(TICK_S)


class Caller(asyncio.Protocol):
    """One connection: sends, waits for the whole answer, sends again."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.pending = b""
        self.body = 0
        self.begun = 0
        self.waits = False

    def connection_made(self, transport: Any) -> None:  # noqa: ANN401 - uvloop's own class
        """Send the first request."""
        self.transport = transport
        self.run.next(self)

    def send(self, begun: int) -> None:
        """Send the next request; its time counts from `begun`."""
        self.body, request = next(self.run.requests)
        self.begun = begun
        self.waits = True
        self.transport.write(request)

    def give_up(self) -> None:
        """Wait no longer: close the connection; another takes its place."""
        self.waits = False
        self.transport.abort()

    def data_received(self, data: bytes) -> None:
        """Take the answer when it is whole."""
        if self.pending:
            data = self.pending + data
        head = data.find(b"\r\n\r\n")
        body = None if head < 0 else _body(data, head)
        if body is None:
            self.pending = data
            return
        now = time.perf_counter_ns()
        self.pending = b""
        self.waits = False
        status = data[STATUS].decode()
        self.run.note(self.begun, now, status)
        if status == OK:
            self.run.check(self.body, body)
        if self.run.over.is_set() or CLOSE in data[:head].lower():
            self.transport.close()
        else:
            self.run.next(self)

    def connection_lost(self, error: Exception | None) -> None:
        """Open another; one that was lost before its answer is a failure where none is allowed."""
        if self.run.over.is_set():
            return
        if self in self.run.free:
            self.run.free.remove(self)
        if self.waits and not self.run.plan.refusals:
            self.run.fail(f"the server closed a connection ({error})")
            return
        if self.waits:
            self.run.note(self.begun, time.perf_counter_ns(), "closed")
        _connect(self.run)


def _connect(run: Run) -> None:
    loop = asyncio.get_running_loop()
    task = loop.create_task(
        loop.create_connection(lambda: Caller(run), "127.0.0.1", run.plan.port, ssl=_tls(run.plan))  # type: ignore[arg-type]
    )
    _connecting.add(task)
    task.add_done_callback(_connecting.discard)


_connecting: set[asyncio.Task[Any]] = set()


async def measure(plan: Plan) -> Measured:
    """Run the plan."""
    run = Run(plan)
    loop = asyncio.get_running_loop()
    for _ in range(plan.connections):
        await loop.create_connection(lambda: Caller(run), "127.0.0.1", plan.port, ssl=_tls(plan))
    pacing = loop.create_task(run.keep_rate()) if plan.rate else None
    await _until_over(run, plan.warmup_s)
    _say("begin")
    run.begun, busy = time.perf_counter_ns(), time.process_time_ns()
    await _until_over(run, plan.seconds)
    run.stop()
    busy = time.process_time_ns() - busy
    _say("end")
    if pacing is not None:
        await pacing
    return _measured(run, busy)


def _measured(run: Run, busy: int) -> Measured:
    elapsed = run.end - run.begun
    latencies = np.frombuffer(run.latencies, np.int64) / 1_000 if run.latencies else np.zeros(1)
    p50, p99 = np.percentile(latencies, [50, 99])
    return Measured(
        requests=len(run.latencies),
        answers=run.answers,
        seconds=elapsed / NANOSECONDS,
        p50_us=float(p50),
        p99_us=float(p99),
        max_us=float(latencies.max()),
        checked=run.checked,
        wrong=run.wrong[:5],
        generator_busy=busy / elapsed if elapsed > 0 else 0.0,
        good=int((latencies <= run.plan.good_within_s * 1e6).sum()) if run.latencies else 0,
        statuses=dict(run.statuses),
        unanswered=len(run.due),
        abandoned=run.abandoned,
        unsent=run.unsent,
    )


async def _until_over(run: Run, seconds: float) -> None:
    try:
        await asyncio.wait_for(run.over.wait(), seconds)
    except TimeoutError:
        return


def _tls(plan: Plan) -> ssl.SSLContext | None:
    if not plan.tls:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _requests(plan: Plan) -> list[tuple[int, bytes]]:
    """Return what is sent, in turn: the place of a body, and the whole request."""
    if not plan.traced:
        return [(place, _request(plan, body, {})) for place, body in enumerate(plan.bodies)]
    return [
        (number % len(plan.bodies), _request(plan, plan.bodies[number % len(plan.bodies)], trace))
        for number, trace in enumerate(_trace(number) for number in range(1, TRACES + 1))
    ]


def _trace(number: int) -> dict[str, str]:
    return {"traceparent": f"00-{number:032x}-{number:016x}-00"}


def _request(plan: Plan, body: bytes, further: dict[str, str]) -> bytes:
    headers = {
        "host": f"127.0.0.1:{plan.port}",
        "content-type": "application/json",
        "content-length": str(len(body)),
        **plan.headers,
        **further,
    }
    lines = [f"POST {plan.path} HTTP/1.1", *(f"{name}: {text}" for name, text in headers.items())]
    return "\r\n".join([*lines, "", ""]).encode() + body


def _body(data: bytes, head: int) -> bytes | None:
    """Return the body of an answer, or None while it is not whole."""
    lower = data[:head].lower()
    found = lower.find(LENGTH)
    if found >= 0:
        start = found + len(LENGTH)
        line = data.find(b"\r", start)
        end = head + 4 + int(data[start:line])
        return data[head + 4 : end] if len(data) >= end else None
    if CHUNKED in lower:
        return _unchunked(data[head + 4 :])
    return b""


def _unchunked(data: bytes) -> bytes | None:
    body = b""
    while True:
        line, found, rest = data.partition(b"\r\n")
        if not found:
            return None
        size = int(line, 16)
        if len(rest) < size + 2:
            return None
        if size == 0:
            return body
        body, data = body + rest[:size], rest[size + 2 :]


def probability(answer: bytes) -> float:
    """Return the second probability of the first row of an answer, JSON or binary."""
    _, marked, rest = answer.partition(BINARY)
    if marked:  # its only tensor is the end of the answer
        size = int(re.match(rb"\s*(\d+)", rest)[1])
        return float(np.frombuffer(answer[len(answer) - size :][:8], "<f4")[1])
    return _second(msgspec.json.decode(answer))


def _second(found: Any) -> float:  # noqa: ANN401 - what some server answers
    if isinstance(found, dict):
        if "outputs" in found:
            return _second(
                next(o["data"] for o in found["outputs"] if o["name"] == "probabilities")
            )
        return _second(found["probabilities"] if "probabilities" in found else found["predictions"])
    while isinstance(found[0], list):
        found = found[0]
    return float(found[1])


def _say(word: str) -> None:
    sys.stdout.write(word + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    gc.disable()  # nothing here makes cycles, and a pause would be taken for the server's
    given = msgspec.msgpack.decode(Path(sys.argv[1]).read_bytes(), type=Plan)
    _say(msgspec.json.encode(uvloop.run(measure(given))).decode())
