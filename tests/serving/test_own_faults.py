"""A fault of ours costs the callers concerned their connections, and nobody is left hanging."""

import asyncio
import time
from dataclasses import replace
from pathlib import Path

from servewell.adapters.embedded.clock import SystemClock
from servewell.core.catalog.endpoint import Endpoint
from servewell.core.catalog.workload import Telemetry
from servewell.ports.errands import Errand, Report
from servewell.serving.answering import Answering
from servewell.serving.counters import Counters
from servewell.serving.crash_notes import CrashNotes
from servewell.serving.errands import ErrandDesk
from servewell.serving.exchange import Exchange
from servewell.serving.lane import Desk, Lane
from servewell.serving.loop_guard import LoopGuard
from servewell.serving.metrics import WorkerMeter
from servewell.serving.package import Shelf, load_package
from servewell.serving.peer import Peer
from servewell.serving.protocols.columns import Decoded
from servewell.serving.protocols.dialect import Reply
from servewell.serving.recording import Recorder
from servewell.serving.served import Served
from servewell.serving.shadowing import Shadowing
from servewell.serving.telemetry.watch import open_watch
from servewell.serving.turns import Turns
from serving.home import Home, flight_model


class Waiting:
    """A caller that notes when it is dropped."""

    peer: Peer | None = None

    def __init__(self) -> None:
        self.dropped = asyncio.Event()

    def flush(self) -> None:
        """See `Caller.flush`."""

    def is_last(self, exchange: Exchange) -> bool:
        """See `Caller.is_last`."""
        del exchange
        return True

    def frame(self, exchange: Exchange, reply: Reply) -> bytes:
        """See `Caller.frame`."""
        del exchange
        return reply[2]

    def abort(self) -> None:
        """See `Caller.abort`."""
        self.dropped.set()


class Broken:
    """Errands that fail in a way that nobody foresaw."""

    def give(self, errand: Errand) -> None:
        """See `Errands.give`."""
        raise RuntimeError(errand.id)

    def open(self, now: float) -> tuple[Errand, ...]:
        """See `Errands.open`."""
        del now
        return ()

    def done(self, report: Report) -> None:
        """See `Errands.done`."""

    def report(self, errand_id: str) -> Report | None:
        """See `Errands.report`."""
        del errand_id
        return None

    def withdraw(self, errand_id: str) -> None:
        """See `Errands.withdraw`."""


def meter_of(folder: Path) -> WorkerMeter:
    """Return the meter of a worker."""
    counters = Counters(folder / "counters", now=SystemClock().now)
    return WorkerMeter(counters, 0, now=SystemClock().now())


def served_of(home: Home) -> Served:
    """Return a deployment whose calls run in a thread, because nothing is known of them."""
    deployment = home.deployment("blue", flight_model(2.0))
    parts = home.parts()
    (home.folder / "run").mkdir(exist_ok=True)
    shelf = Shelf(
        blobs=parts.blobs,
        signer=parts.signer,
        predictors=parts.predictors,
        notes=CrashNotes(home.folder / "run", 0, now=parts.clock.now()),
        worker=0,
    )
    endpoint = Endpoint(name="flights", workload="flights", deployments=(deployment,))
    package = replace(load_package(deployment, shelf), latencies=())
    meter = meter_of(home.folder).deployment("flights", "blue")
    return Served(endpoint, deployment, package=package, meter=meter)


def test_who_cannot_be_answered_after_a_call_in_a_thread_is_dropped(home: Home) -> None:
    """An answer that cannot be written ends its connection; the lane goes on."""
    served = served_of(home)
    dropped: list[Exchange] = []
    woken = []

    def fail(_exchanges: list[Exchange]) -> None:
        raise RuntimeError("no answer can be written")

    def drop(exchanges: list[Exchange], _error: Exception) -> None:
        dropped.extend(exchanges)

    async def run() -> Exchange:
        done = asyncio.Event()

        def wake(lane: Lane) -> None:
            woken.append(lane)
            done.set()

        loop = asyncio.get_running_loop()
        desk = Desk(loop=loop, answer=fail, refuse=fail, drop=drop, wake=wake, guard=LoopGuard())
        lane = Lane(served, desk)
        exchange = Exchange(Waiting(), method="POST", url=b"", headers={})
        exchange.decoded = Decoded("", 1, [[1.0], ["AA"], [1], ["x"]], ())
        exchange.deadline_ns = time.perf_counter_ns() + 20_000_000_000
        lane.add(exchange, 1)
        lane.step()
        await asyncio.wait_for(done.wait(), 10)
        assert not lane.runs
        lane.close()
        return exchange

    exchange = asyncio.run(run())
    assert dropped == [exchange]
    assert len(woken) == 1


def test_an_errand_that_fails_by_our_fault_drops_its_caller(tmp_path: Path) -> None:
    """Nobody waits for an answer that is not made any more."""

    async def run() -> int:
        loop, clock, meter = asyncio.get_running_loop(), SystemClock(), meter_of(tmp_path)
        recorder = Recorder(tmp_path / "live", worker=0, clock=clock, bytes_max=1 << 20)
        watch = open_watch(Telemetry(), meter=meter, worker=0)
        answering = Answering(recorder=recorder, meter=meter, watch=watch, feedback_key=b"")
        turns = Turns(loop, answering, shadowing=Shadowing(loop, recorder))
        desk = ErrandDesk(loop, turns, errands=Broken(), clock=clock)
        caller = Waiting()
        exchange = Exchange(caller, method="POST", url=b"", headers={})
        desk.take(exchange, loaded=True, serving=lambda: None)
        await asyncio.wait_for(caller.dropped.wait(), 10)
        recorder.close()
        watch.close()
        return turns.in_flight

    assert asyncio.run(run()) == 0
