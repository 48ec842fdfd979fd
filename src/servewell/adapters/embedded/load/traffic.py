"""Open-loop traffic over kept-alive connections, counted second by second.

A request that becomes due takes a free connection, or waits for one; its latency counts from when
it was due. What is in flight is integrated over time apart from the latencies, so that Little's law
can be checked on them.
"""

import asyncio
import math
import random
import ssl
from collections import Counter, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from itertools import cycle
from pathlib import Path
from typing import Any, Final, NamedTuple, cast
from urllib.parse import urlsplit

import httptools

from servewell.adapters.embedded.trust import trust_elsewhere, trust_in_home
from servewell.core.performance.load_plan import Arrivals, arrivals
from servewell.core.performance.load_result import Window, bucket
from servewell.ports.load_generator import Load

TICK_S: Final = 0.001
WINDOW_S: Final = 1.0
AHEAD_S: Final = 0.02  # of requests for which connections are open from the start
FEWEST: Final = 4
SLIVER_S: Final = 0.1  # of a window that is too short to tell of when nothing happened in it
OK: Final = "200"
TIMED_OUT: Final = "no answer in time"
CLOSED: Final = "connection closed"
REFUSED: Final = "no connection"
RECONNECT_S: Final = 0.2
MICRO: Final = 1e6


class Due(NamedTuple):
    """A request that is to be sent, or was."""

    stage: int  # that asked for it, whichever goes on when it ends
    at: float  # when it was due, of the loop's clock
    taken: float  # when the sender came to it


@dataclass(slots=True, kw_only=True)
class Share:
    """What happened in a window to the requests of one stage."""

    statuses: Counter[str] = field(default_factory=Counter)
    latency_sum_s: float = 0.0
    good_within: int = 0
    in_flight_s: float = 0.0
    buckets: Counter[int] = field(default_factory=Counter)

    def told(self, stage: int, at: float) -> Window:
        """Return it as a window without seconds of its own."""
        return Window(
            stage=stage,
            at=at,
            seconds=0.0,
            statuses=dict(self.statuses),
            latency_sum_s=self.latency_sum_s,
            good_within=self.good_within,
            in_flight_s=self.in_flight_s,
            buckets=dict(self.buckets),
        )


@dataclass(slots=True, kw_only=True)
class Counting:
    """One window in the making."""

    stage: int
    began: float  # of the loop's clock
    due: int = 0
    behind_s: float = 0.0
    late_s: float = 0.0
    shares: dict[int, Share] = field(default_factory=dict)

    def share(self, stage: int) -> Share:
        """Return what is counted for a stage."""
        return self.shares.setdefault(stage, Share())


class Traffic:
    """All requests of one load test."""

    def __init__(self, load: Load, observe: Callable[[Window], bool]) -> None:
        self._load = load
        self._observe = observe
        self._loop = asyncio.get_running_loop()
        parts = urlsplit(load.url)
        self._context = _context(load) if parts.scheme == "https" else None
        self._host = parts.hostname or ""
        self._port = parts.port or (443 if self._context else 80)
        self._requests = cycle([_request(load, parts.netloc, body) for body in load.bodies])
        self._due: deque[Due] = deque()
        self._free: list[Caller] = []
        self._open = 0  # connections, those that are being opened too
        self._tasks: set[asyncio.Task[None]] = set()
        self._in_flight: Counter[int] = Counter()  # by stage
        self._begin()
        self._over = False

    async def run(self) -> None:
        """Send everything, wait for the last answers, and tell every second."""
        await self._open_ahead()
        schedule = arrivals(self._load.stages, _draws(self._load))
        upcoming = next(schedule, None)
        while (upcoming or self._loop.time() < self._end) and not self._over:
            now = self._loop.time()
            while upcoming is not None and self._began + upcoming[1] <= now:
                self._take(upcoming[0], self._began + upcoming[1])
                upcoming = next(schedule, None)
            self._serve(now)
            self._tell_if_due(now)
            await asyncio.sleep(TICK_S)
        await self._finish()

    async def _open_ahead(self) -> None:
        """Open what the highest rate will need, before the clock starts, as callers have it open.

        Whoever opens a hundred connections at once measures handshakes.
        """
        highest = max(max(stage.rate, stage.until) for stage in self._load.stages)
        wanted = FEWEST + math.ceil(highest * AHEAD_S)
        self._grow(min(self._load.connections_max, wanted))
        await asyncio.wait(tuple(self._tasks), timeout=self._load.timeout_s)
        self._begin()

    def _begin(self) -> None:
        self._last = self._began = self._loop.time()
        self._counting = Counting(stage=0, began=self._began)
        self._end = self._began + sum(stage.duration_s for stage in self._load.stages)

    def note(self, due: Due, status: str) -> None:
        """Count the end of a request for the stage that asked for it."""
        now = self._loop.time()
        self._integrate(now)
        self._in_flight[due.stage] -= 1
        latency, share = now - due.at, self._counting.share(due.stage)
        share.statuses[status] += 1
        share.latency_sum_s += latency
        if status == OK:
            share.buckets[bucket(latency * MICRO)] += 1
            share.good_within += latency * 1e3 <= self._load.objective_ms

    def release(self, caller: "Caller") -> None:
        """Take a connection that is free again."""
        if self._due:
            self._send(caller, self._due.popleft())
        else:
            self._free.append(caller)

    def lost(self, caller: "Caller", due: Due | None) -> None:
        """Count a connection that ended, with the request that it carried."""
        self._open -= 1
        if caller in self._free:
            self._free.remove(caller)
        if due is not None:
            self.note(due, CLOSED)

    def _take(self, stage: int, due: float) -> None:
        if stage != self._counting.stage:
            self._tell(self._loop.time(), stage)
        now = self._loop.time()
        self._integrate(now)
        late = now - due  # this turn of the loop came after it was due
        self._counting.share(stage).in_flight_s += late
        self._counting.late_s = max(self._counting.late_s, late)
        self._counting.due += 1
        self._in_flight[stage] += 1
        self._due.append(Due(stage, due, now))

    def _serve(self, now: float) -> None:
        """Give what is due to what is free; open more connections where none is."""
        while self._due and self._free:
            self._send(self._free.pop(), self._due.popleft())
        while self._due and now - self._due[0].at > self._load.timeout_s:
            self.note(self._due.popleft(), TIMED_OUT)
        if self._due:
            self._counting.behind_s = max(self._counting.behind_s, now - self._due[0].taken)
            self._grow(min(len(self._due), self._load.connections_max - self._open))

    def _send(self, caller: "Caller", due: Due) -> None:
        self._counting.behind_s = max(self._counting.behind_s, self._loop.time() - due.taken)
        caller.send(next(self._requests), due, self._load.timeout_s)

    def _grow(self, connections: int) -> None:
        for _ in range(connections):
            self._open += 1
            task = self._loop.create_task(self._connect())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _connect(self) -> None:
        load = self._load
        try:
            await asyncio.wait_for(
                self._loop.create_connection(
                    lambda: Caller(self),
                    self._host,
                    self._port,
                    ssl=self._context,
                    server_hostname=self._host if self._context else None,
                ),
                load.timeout_s,
            )
        except (OSError, TimeoutError):
            if self._due:  # it would have carried this one
                self.note(self._due.popleft(), REFUSED)
            await asyncio.sleep(RECONNECT_S)  # a server that is down is not asked a thousand times
            self._open -= 1

    def _integrate(self, now: float) -> None:
        for stage, count in self._in_flight.items():
            if count:
                self._counting.share(stage).in_flight_s += count * (now - self._last)
        self._last = now

    def _tell_if_due(self, now: float) -> None:
        if now - self._counting.began >= WINDOW_S:
            self._tell(now, self._counting.stage)

    def _tell(self, now: float, stage: int) -> None:
        self._integrate(now)
        counting = self._counting
        if now - counting.began < SLIVER_S and not (counting.due or _ends(counting)):
            counting.stage = stage
            return
        self._counting = Counting(stage=stage, began=now)
        at = counting.began - self._began
        shares = {number: share.told(number, at) for number, share in counting.shares.items()}
        window = replace(
            shares.pop(counting.stage, Share().told(counting.stage, at)),
            seconds=now - counting.began,
            due=counting.due,
            open_s=max(0.0, min(now, self._end) - counting.began),
            behind_s=counting.behind_s,
            late_s=counting.late_s,
            earlier=tuple(shares.values()),
        )
        self._over = not self._observe(window) or self._over

    async def _finish(self) -> None:
        """Wait for what is in flight, as long as any of it may take."""
        end = self._loop.time() + self._load.timeout_s
        while self._in_flight.total() and self._loop.time() < end:
            self._serve(self._loop.time())
            self._tell_if_due(self._loop.time())
            await asyncio.sleep(TICK_S)
        while self._due:
            self.note(self._due.popleft(), TIMED_OUT)
        for task in tuple(self._tasks):
            task.cancel()
        for caller in self._free:
            caller.close()
        self._tell(self._loop.time(), self._counting.stage)


class Caller(asyncio.Protocol):
    """One connection: a request at a time."""

    def __init__(self, traffic: Traffic) -> None:
        self._traffic = traffic
        self._parser = httptools.HttpResponseParser(self)
        self._transport: asyncio.Transport | None = None
        self._due: Due | None = None
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Become free."""
        self._transport = cast("asyncio.Transport", transport)
        self._traffic.release(self)

    def send(self, request: bytes, due: Due, timeout_s: float) -> None:
        """Send a request; its time counts from `due`."""
        self._due = due
        loop = asyncio.get_running_loop()
        self._timer = loop.call_at(due.at + timeout_s, self._time_out)
        if self._transport is not None:
            self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        """Read an answer."""
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self.close()

    def on_message_complete(self) -> None:
        """Count the answer, and be free for the next request."""
        status = str(self._parser.get_status_code())
        due = self._ended()
        if due is not None:
            self._traffic.note(due, status)
        if not self._parser.should_keep_alive():
            self.close()
        elif due is not None:
            self._parser = httptools.HttpResponseParser(self)
            self._traffic.release(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell of the end."""
        del exc
        self._transport = None
        self._traffic.lost(self, self._ended())

    def close(self) -> None:
        """End the connection."""
        if self._transport is not None:
            self._transport.abort()

    def _time_out(self) -> None:
        due = self._ended()
        if due is not None:
            self._traffic.note(due, TIMED_OUT)
        self.close()

    def _ended(self) -> Due | None:
        due, self._due = self._due, None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        return due


def _ends(counting: Counting) -> bool:
    return any(one.statuses for one in counting.shares.values())


def _context(load: Load) -> ssl.SSLContext:
    return trust_in_home(load.trust) if load.trust else trust_elsewhere(Path(load.authority))


def _draws(load: Load) -> Iterator[float] | None:
    if load.arrivals is Arrivals.EVEN:
        return None
    generator = random.Random(load.seed)  # noqa: S311  (when a request comes is no secret)
    return iter(generator.random, None)


def _request(load: Load, host: str, body: bytes) -> bytes:
    headers: dict[str, Any] = {
        "host": host,
        "content-type": "application/json",
        "content-length": len(body),
        **load.headers,
    }
    lines = [f"POST {load.path} HTTP/1.1", *(f"{name}: {text}" for name, text in headers.items())]
    return "\r\n".join([*lines, "", ""]).encode() + body
