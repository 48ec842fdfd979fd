"""The load generator: a closed loop over kept-alive connections, in a process of its own.

Run by `python load.py PLAN`, where PLAN is a JSON file that `Plan` describes. It says `begin` when
the warm-up is over, `end` when the measurement is, and then what it measured, as one JSON line.
"""

import asyncio
import gc
import sys
import time
from array import array
from itertools import cycle
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
import uvloop

NANOSECONDS: Final = 1_000_000_000
CHECK_EVERY: Final = 50
TOLERANCE: Final = 1e-5
LENGTH: Final = b"content-length: "
GOOD: Final = b"HTTP/1.1 200"


class Plan(msgspec.Struct, kw_only=True):
    """What to send where, and for how long."""

    port: int
    path: str
    headers: dict[str, str]
    bodies: list[str]
    expected: list[float] | None  # probability of being late for each body, where it is checked
    connections: int
    warmup_s: float
    seconds: float
    requests_max: int


class Measured(msgspec.Struct, kw_only=True):
    """What came of it. Latencies are in microseconds."""

    requests: int
    answers: int  # those of the warm-up too
    seconds: float
    p50_us: float
    p99_us: float
    max_us: float
    checked: int
    wrong: list[str]
    generator_busy: float  # share of one core that the generator took


class Run:
    """All connections of one run."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.requests = cycle(enumerate([_request(plan, body) for body in plan.bodies]))
        self.latencies = array("q")
        self.wrong: list[str] = []
        self.checked = 0
        self.begun = self.end = 1 << 63
        self.over = asyncio.Event()
        self.since_check = 0
        self.answers = 0

    def note(self, begun: int, now: int) -> None:
        """Count an answer, and time it where it was asked for within the measurement."""
        self.answers += 1
        if begun >= self.begun and now <= self.end:
            self.latencies.append(now - begun)
            if len(self.latencies) >= self.plan.requests_max:
                self.stop()

    def check(self, body: int, answer: bytes) -> None:
        """Compare one answer in a while with the model's own."""
        self.since_check += 1
        if self.plan.expected is None or self.since_check < CHECK_EVERY:
            return
        self.since_check = 0
        self.checked += 1
        found = _probability(msgspec.json.decode(answer))
        if abs(found - self.plan.expected[body]) > TOLERANCE:
            self.fail(f"row {body}: {found} instead of {self.plan.expected[body]}")

    def fail(self, why: str) -> None:
        """Keep what went wrong and stop: a measurement with a wrong answer is none."""
        self.wrong.append(why)
        self.stop()

    def stop(self) -> None:
        """End the measurement now."""
        self.end = min(self.end, time.perf_counter_ns())
        self.over.set()


class Caller(asyncio.Protocol):
    """One connection: sends, waits for the whole answer, sends again."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.pending = b""
        self.body = 0
        self.begun = 0

    def connection_made(self, transport: Any) -> None:  # noqa: ANN401 - uvloop's own class
        """Send the first request."""
        self.transport = transport
        self.send()

    def send(self) -> None:
        """Send the next request."""
        self.body, request = next(self.run.requests)
        self.begun = time.perf_counter_ns()
        self.transport.write(request)

    def data_received(self, data: bytes) -> None:
        """Take the answer when it is whole."""
        if self.pending:
            data = self.pending + data
        head = data.find(b"\r\n\r\n")
        if head < 0 or len(data) < (whole := head + 4 + _length(data, head)):
            self.pending = data
            return
        now = time.perf_counter_ns()
        self.pending = b""
        if not data.startswith(GOOD) or len(data) > whole:
            self.run.fail(data[:500].decode(errors="replace"))
        self.run.note(self.begun, now)
        self.run.check(self.body, data[head + 4 :])
        if self.run.over.is_set():
            self.transport.close()
        else:
            self.send()

    def connection_lost(self, error: Exception | None) -> None:
        """Count a connection that the server ended as a failure."""
        if not self.run.over.is_set():
            self.run.fail(f"the server closed a connection ({error})")


async def measure(plan: Plan) -> Measured:
    """Run the plan."""
    run = Run(plan)
    loop = asyncio.get_running_loop()
    for _ in range(plan.connections):
        await loop.create_connection(lambda: Caller(run), "127.0.0.1", plan.port)
    await _until_over(run, plan.warmup_s)
    _say("begin")
    run.begun, busy = time.perf_counter_ns(), time.process_time_ns()
    await _until_over(run, plan.seconds)
    run.stop()
    busy = time.process_time_ns() - busy
    _say("end")
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
    )


async def _until_over(run: Run, seconds: float) -> None:
    try:
        await asyncio.wait_for(run.over.wait(), seconds)
    except TimeoutError:
        return


def _request(plan: Plan, body: str) -> bytes:
    data = body.encode()
    headers = {
        "host": f"127.0.0.1:{plan.port}",
        "content-type": "application/json",
        "content-length": str(len(data)),
        **plan.headers,
    }
    lines = [f"POST {plan.path} HTTP/1.1", *(f"{name}: {text}" for name, text in headers.items())]
    return "\r\n".join([*lines, "", ""]).encode() + data


def _length(data: bytes, head: int) -> int:
    start = data.lower().index(LENGTH, 0, head) + len(LENGTH)
    end = data.find(b"\r", start)
    return int(data[start:end])


def _probability(answer: dict[str, Any]) -> float:
    """Return the probability of being late from an answer of either server."""
    if "probabilities" in answer:
        return float(answer["probabilities"][1])
    return next(float(o["data"][1]) for o in answer["outputs"] if o["name"] == "probabilities")


def _say(word: str) -> None:
    sys.stdout.write(word + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    gc.disable()  # nothing here makes cycles, and a pause would be taken for the server's
    given = msgspec.json.decode(Path(sys.argv[1]).read_bytes(), type=Plan)
    _say(msgspec.json.encode(uvloop.run(measure(given))).decode())
