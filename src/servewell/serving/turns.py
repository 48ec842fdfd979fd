"""One turn of the loop: run what waits in batches, then answer it all.

Requests that arrive in one turn are answered in the next, so a lone request waits for nobody and
concurrent ones share a call of the model and an append to the log. No timer is involved.
"""

import asyncio
from collections.abc import Iterable
from time import perf_counter_ns
from typing import Final

from servewell.core.reliability.admission import retry_after_s
from servewell.serving.answering import Answering
from servewell.serving.exchange import Exchange
from servewell.serving.lane import Desk, Lane, key_of
from servewell.serving.loop_guard import LoopGuard
from servewell.serving.protections import overloaded
from servewell.serving.protocols.columns import Decoded
from servewell.serving.served import Served
from servewell.serving.shadowing import Shadowing
from servewell.serving.telemetry.logs import log

TURN_NS: Final = 10_000_000  # of calls of models, after which callers are answered and read again
LOOP_SHARE: Final = 0.5  # of the latency objective that one turn may take
FREE: Final = 64  # requests in a turn that are never too many
SMOOTHING: Final = 0.1  # what one turn teaches of the time that a request takes
NS_PER_MS: Final = 1_000_000
NS_PER_S: Final = 1_000_000_000


class Turns:
    """What waits for the models, and what waits to be answered."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, answering: Answering, *, shadowing: Shadowing
    ) -> None:
        self._loop = loop
        self._answering = answering
        self._shadowing = shadowing
        self._copying = False  # whether a deployment has a shadow
        self._guard = LoopGuard()
        self._desk = Desk(
            loop=loop,
            answer=self._answer,
            refuse=self._refuse,
            drop=self._drop,
            wake=self._wake,
            guard=self._guard,
        )
        self._lanes: dict[Served, Lane] = {}
        self._gone: list[Lane] = []  # of deployments that are served no more, and still run
        self._busy: dict[Lane, None] = {}  # those that may begin a call
        self._finished: list[Exchange] = []
        self._armed = False
        self._armed_at = 0
        self._read = 0  # requests since then
        self._request_ns = 0.0  # that one takes altogether, when many come at once
        self.in_flight = 0

    def serve(self, deployments: Iterable[Served]) -> None:
        """Keep the lanes of these deployments, with what they have learned; let the others go."""
        known = {key_of(served): lane for served, lane in self._lanes.items()}
        self._lanes, self._copying = {}, False
        for one in deployments:
            self._copying = self._copying or one.copied_to is not None
            self._lanes[one] = lane = known.pop(key_of(one), None) or Lane(one, self._desk)
            lane.adopt(one)
        for gone in known.values():
            gone.leave()
        self._gone = [lane for lane in (*self._gone, *known.values()) if lane.runs]

    def check(self, exchange: Exchange, served: Served) -> None:
        """Refuse a request that could not be answered in time, before its body is read.

        Raises: OverloadedError, DeadlinePassedError.
        """
        if self._read > FREE:
            allowed_ns = LOOP_SHARE * served.policy.latency_objective_ms * NS_PER_MS
            needed_ns = self._read * self._request_ns
            if needed_ns > allowed_ns:
                raise overloaded(
                    served.endpoint,
                    "more requests came at once than this worker can read in time",
                    retry_after_s=retry_after_s(needed_ns / NS_PER_S, draw=self._read % 2),
                )
        self._lane(served).check(exchange, exchange.started_at)

    def predict(self, exchange: Exchange, served: Served, decoded: Decoded) -> None:
        """Take a decoded request to its deployment."""
        self.in_flight += 1
        self._read += 1
        lane = self._lane(served)
        lane.add(exchange, decoded.rows)
        self._busy[lane] = None
        self._arm()

    def finish(self, exchange: Exchange) -> None:
        """Take an exchange that needs no model to its answer."""
        self.in_flight += 1
        self._finished.append(exchange)
        self._arm()

    def tell(self, worker: str) -> None:
        """Note in the metrics what waits and what was learned, of each deployment."""
        for lane in self._lanes.values():
            lane.tell(worker)

    def close(self) -> None:
        """End what still runs. Not called by the loop, which goes on."""
        self._guard.close()
        for lane in (*self._gone, *self._lanes.values()):
            lane.close()

    def _lane(self, served: Served) -> Lane:
        lane = self._lanes.get(served)
        if lane is None:
            lane = self._lanes[served] = Lane(served, self._desk)
        return lane

    def _arm(self) -> None:
        if not self._armed:
            self._armed = True
            self._armed_at = perf_counter_ns()
            self._loop.call_soon(self._turn)

    def _turn(self) -> None:
        self._armed = False
        read, self._read = self._read, 0
        self._run(perf_counter_ns() + TURN_NS)
        finished, self._finished = self._finished, []
        try:
            self._answering.answer(finished)
            self.in_flight -= len(finished)
        except Exception as error:  # noqa: BLE001  (a fault of ours ends the connections concerned, not the worker)
            self._drop(finished, error)
        else:
            if self._copying:
                self._copy(finished, busy=self._is_behind(read))
        if self._busy:
            self._arm()
        elif read > FREE:
            took = (perf_counter_ns() - self._armed_at) / read
            self._request_ns += SMOOTHING * (took - self._request_ns)

    def _copy(self, finished: list[Exchange], *, busy: bool) -> None:
        """Offer copies to shadows; what goes wrong with that concerns no caller."""
        try:
            self._shadowing.offer(finished, busy=busy)
        except Exception as error:  # noqa: BLE001  (a fault of ours costs copies, nothing else)
            log.fault("copies_failed", "Copies for a shadow could not be made.", error)

    def _run(self, until: int) -> None:
        """Run what waits, a call of each lane after the other, until nothing can be begun."""
        while self._busy:
            for lane in tuple(self._busy):
                if not lane.step():
                    self._busy.pop(lane, None)
            if perf_counter_ns() > until:
                return

    def _is_behind(self, read: int) -> bool:
        """Whether live requests wait, or more of them came in a turn than are never too many."""
        return read > FREE or any(lane.requests for lane in self._lanes.values())

    def _answer(self, exchanges: list[Exchange]) -> None:
        self._answering.encode(exchanges)
        self._finished += exchanges

    def _refuse(self, exchanges: list[Exchange]) -> None:
        self._finished += exchanges

    def _wake(self, lane: Lane) -> None:
        if lane.requests:
            self._busy[lane] = None
        self._arm()

    def _drop(self, exchanges: list[Exchange], error: Exception) -> None:
        """Drop the callers whose answers cannot be made."""
        log.fault("turn_failed", "A turn of the loop failed; its callers are dropped.", error)
        dropped = set(exchanges)
        self._finished = [one for one in self._finished if one not in dropped]
        self.in_flight -= len(exchanges)
        for exchange in exchanges:
            if exchange.answer is None:
                exchange.caller.abort()
