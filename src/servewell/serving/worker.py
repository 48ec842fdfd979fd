"""A worker process: it serves from the last good snapshot until it is told to stop."""

import asyncio
import gc
import math
import os
import signal
import socket
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from email.utils import formatdate
from pathlib import Path
from typing import Any, Final

import uvloop

from servewell import __version__
from servewell.core.catalog.endpoint import Endpoint
from servewell.core.catalog.snapshot import Snapshot
from servewell.core.catalog.tls import TlsFiles
from servewell.core.catalog.workload import Telemetry
from servewell.core.operations.stopping import stops_digest
from servewell.errors import ServewellError
from servewell.ports.blobs import Blobs
from servewell.ports.clock import Clock
from servewell.ports.errands import Errands
from servewell.ports.feedback import FeedbackInbox
from servewell.ports.predictors import Predictors
from servewell.ports.secrets import Secrets
from servewell.ports.signer import Signer
from servewell.ports.snapshots import Snapshots, WorkerReport
from servewell.ports.stops import Stops
from servewell.serving.answering import Answering
from servewell.serving.aside import WATCH_S
from servewell.serving.connection import Connection
from servewell.serving.counters import Counters
from servewell.serving.crash_notes import CrashNotes
from servewell.serving.errands import ErrandDesk
from servewell.serving.feedback_desk import FeedbackDesk
from servewell.serving.heads import Heads
from servewell.serving.limits import Limiter
from servewell.serving.loading import Loader
from servewell.serving.memory import Memory
from servewell.serving.metrics import WorkerMeter
from servewell.serving.package import Shelf, signature_of
from servewell.serving.reception import Reception, room_for
from servewell.serving.recording import Recorder
from servewell.serving.request_path import RequestPath
from servewell.serving.runtimes.model import Model
from servewell.serving.served import ServedEndpoint
from servewell.serving.shadowing import Shadowing
from servewell.serving.siblings import Siblings
from servewell.serving.stop_desk import StopDesk
from servewell.serving.stopping import KnownStops
from servewell.serving.table import Table
from servewell.serving.telemetry.logs import log
from servewell.serving.telemetry.watch import open_watch
from servewell.serving.tls import Tls
from servewell.serving.turns import Turns

POLL_S: Final = 0.05  # between looks at the snapshot
RETRY_S: Final = 1.0  # after what could not be loaded; then twice as long each time
RETRY_S_MAX: Final = 60.0
SWEEP_S: Final = 1.0
PULSE_S: Final = 1.0
MS_PER_S: Final = 1_000
DRAIN_POLL_S: Final = 0.02
CLOSE_S: Final = 5.0  # that models may take to end, before the records are closed without them
RECORD_BYTES_MAX: Final = 5 << 30
# Allocations between collections. What is loaded is frozen, and a request makes no cycles.
GC_THRESHOLDS: Final = (50_000, 20, 50)


class WorkerStartError(ServewellError):
    """A worker cannot start."""

    code = "SW-505"


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerParts:
    """What a worker is made of."""

    index: int
    listener: socket.socket  # bound and listening, shared by all workers
    snapshots: Snapshots
    blobs: Blobs
    signer: Signer
    predictors: Predictors
    secrets: Secrets
    clock: Clock
    errands: Errands  # what callers want changed
    stops: Stops  # what somebody stopped in an emergency
    feedback: FeedbackInbox  # where what people say of answers waits to be taken up
    records: Path  # folder of the live segments
    runtime_dir: Path
    pulse: int | None = None  # a pipe to a supervisor that wants to know whether this one hangs
    drain_s: float  # seconds that requests in flight may take when the worker stops
    lame_duck_s: float = 0.0  # seconds before, in which it takes requests and says not ready
    tls: TlsFiles | None = None  # None for plain HTTP
    connections_max: int = 4_096  # or fewer, where this process may open few files
    record_bytes_max: int = RECORD_BYTES_MAX  # of the live segments, before records are refused
    telemetry: Telemetry = field(default_factory=Telemetry)


def serve(parts: WorkerParts) -> int:
    """Serve until told to end, then drain; return the exit code.

    SIGTERM is how whoever sends traffic here takes a worker away: it still accepts for the time of
    the lame duck, not ready any more. SIGINT closes the door at once: others accept, or nobody.

    Raises: WorkerStartError, StorageError.
    """
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_serve_until_signal(parts))


async def _serve_until_signal(parts: WorkerParts) -> int:
    told, at_once = asyncio.Event(), asyncio.Event()

    def close_now() -> None:
        at_once.set()
        told.set()

    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, told.set)
    loop.add_signal_handler(signal.SIGINT, close_now)
    worker = Worker(parts)
    starting, ending = loop.create_task(worker.start()), loop.create_task(told.wait())
    await asyncio.wait((starting, ending), return_when=asyncio.FIRST_COMPLETED)
    if not starting.done():  # a model may load for minutes, or for ever
        starting.cancel()
        await worker.drain()
        return 0
    await starting
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)
    await told.wait()
    await worker.wane(at_once)
    await worker.drain()
    return 0


class Worker:
    """One worker on a running loop."""

    def __init__(self, parts: WorkerParts) -> None:  # noqa: PLR0915  (it has one of each)
        self._parts = parts
        self._loop = asyncio.get_running_loop()
        log.begin(parts.clock.now, as_json=parts.telemetry.logs == "json", worker=parts.index)
        self._loop.set_exception_handler(_tell_fault)
        self._counters = _counters(parts)
        self._meter = WorkerMeter(self._counters, parts.index, now=parts.clock.now())
        self._watch = open_watch(parts.telemetry, meter=self._meter, worker=parts.index)
        self._recorder = Recorder(
            parts.records,
            worker=parts.index,
            clock=parts.clock,
            bytes_max=parts.record_bytes_max,
        )
        feedback_key = parts.secrets.get("feedback")
        self._answering = Answering(
            recorder=self._recorder,
            meter=self._meter,
            watch=self._watch,
            feedback_key=feedback_key,
        )
        self._shadowing = Shadowing(self._loop, self._recorder)
        self._turns = Turns(self._loop, self._answering, shadowing=self._shadowing)
        shelf = _shelf(parts)
        self._path = RequestPath(
            self._turns,
            self._answering,
            desk=ErrandDesk(self._loop, self._turns, errands=parts.errands, clock=parts.clock),
            stop_desk=StopDesk(
                self._loop,
                self._turns,
                stops=parts.stops,
                clock=parts.clock,
                endpoint=self._endpoint,
                signature=lambda deployment: signature_of(deployment, shelf),
            ),
            feedback_desk=FeedbackDesk(
                self._loop,
                self._turns,
                inbox=parts.feedback,
                meter=self._meter,
                clock=parts.clock,
                key=feedback_key,
            ),
            clock=parts.clock,
            pepper=parts.secrets.get("pepper"),
            redaction_key=parts.secrets.get("redaction"),
            counters=parts.runtime_dir,
            limits=_limiter(parts),
        )
        self._loader = Loader(shelf, meter=self._meter)
        self._heads = Heads()
        self._tls = None if parts.tls is None else Tls(parts.tls, now=parts.clock.now())
        self._reception = Reception(
            parts.listener,
            make=lambda ended: Connection(self._path, self._heads, ended=ended),
            siblings=Siblings(parts.runtime_dir, own=_counters_path(parts)),
            clock=parts.clock,
            meter=self._meter,
            tls=self._tls,
            connections_max=room_for(parts.connections_max),
        )
        self._token: object = None
        self._snapshot: Snapshot | None = None  # the newest that could be read
        self._unread = ""  # why there is none newer
        self._stops = KnownStops(parts.stops)
        self._obeyed = ""  # the stops of the table that is served
        self._memory = Memory()
        self._unloaded = ""  # what went wrong with all of it
        self._fault = ""
        self._loading: asyncio.Task[object] | None = None
        self._retry_s = RETRY_S
        self._retry_at = math.inf  # seconds of the loop
        self._loaded: tuple[object, ...] = ()  # as it was told
        self._accepting = False
        self._reporting = asyncio.Lock()
        self._longest_s = 0.0  # that a request of the tables before may still take
        self._retiring: set[Model] = set()  # no longer served, and not let go yet
        self._tasks: set[asyncio.Task[object]] = set()

    async def start(self) -> None:
        """Load the snapshot, and begin to accept."""
        self._parts.listener.settimeout(0)  # first, as it may be closed before the rest is done
        await self._take_up()
        if self._loading is not None:
            await self._loading
        await self._look()  # loading may have taken long
        self._beat()
        self._reception.open()
        self._accepting = True
        await self._report()
        self._begin(self._each(POLL_S, self._look))
        self._begin(self._each(SWEEP_S, self._sweep))
        if self._parts.pulse is not None:
            self._begin(self._give_pulse(self._parts.pulse))
        log.info("started", "The worker takes requests.", pid=os.getpid(), release=__version__)

    async def wane(self, at_once: asyncio.Event) -> None:
        """Say that this worker is not ready, and take requests until `at_once`, or a while."""
        self._answering.draining = True
        await self._report()
        if self._parts.lame_duck_s and not at_once.is_set():
            log.info("waning", "The worker was told to end: not ready, it still takes requests.")
            with suppress(TimeoutError):
                await asyncio.wait_for(at_once.wait(), self._parts.lame_duck_s)

    def _begin(self, work: Coroutine[object, object, object]) -> asyncio.Task[object]:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _each(self, period_s: float, step: Callable[[], Awaitable[None]]) -> None:
        """Take a step again and again. One that fails is told of, and the next is taken."""
        while True:
            await asyncio.sleep(period_s)
            try:
                await step()
            except Exception as error:  # noqa: BLE001  (a worker that no longer looks at its snapshot is worse)
                log.fault("duty_failed", "What is done again and again failed once.", error)

    async def _give_pulse(self, pipe: int) -> None:
        """Show the supervisor that the loop turns. One that reads no more, or is dead, is none."""
        while True:
            with suppress(OSError):
                os.write(pipe, b".")
            await asyncio.sleep(PULSE_S)

    async def _look(self) -> None:
        """Take up the snapshot and the stops where they have changed, or not all is loaded."""
        changed = self._parts.snapshots.token() != self._token or self._stops.changed
        if changed or self._loader.ailing or self._loop.time() >= self._retry_at:
            await self._take_up()

    async def _take_up(self) -> None:
        """Serve the newest snapshot as far as it is loaded, and have the rest loaded aside.

        So a key that was revoked, or a rollback, waits for no model.
        """
        token = self._parts.snapshots.token()
        if token != self._token:
            self._retry_s = RETRY_S
        self._retry_at = math.inf
        newest, self._unread = await asyncio.to_thread(self._newest)
        await asyncio.to_thread(self._stops.read)
        self._token = token
        self._snapshot = newest or self._snapshot
        pending = await self._serve()
        if self._loading is None and pending:
            self._loading = self._begin(self._load())
        elif self._loading is None:
            self._settle()

    async def _load(self) -> None:
        """Load what the newest snapshot needs, and that of each that comes meanwhile."""
        tried: Snapshot | None = None
        try:
            while self._snapshot is not None and self._snapshot is not tried:
                tried = self._snapshot
                self._unloaded = await asyncio.to_thread(self._load_all, tried)
                await self._serve()
        finally:
            self._loading = None
        self._settle()

    def _load_all(self, snapshot: Snapshot) -> str:
        """Load what a snapshot needs; return what stands in the way, beside what is of one model.

        Whatever goes wrong here goes wrong again at each start, so none of it may end the worker.
        """
        try:
            self._loader.load(snapshot)
        except Exception as error:  # noqa: BLE001  (it is reported, and tried again)
            return _told(error)
        return ""

    async def _serve(self) -> bool:
        """Serve the newest snapshot as far as it is loaded; return whether something is not yet."""
        pending, faults = False, [self._unread, self._stops.fault]
        orders = self._stops.orders
        self._loader.stopping.order(orders)
        try:
            if self._snapshot is not None:
                loaded = self._loader.table(self._snapshot, self._path.table)
                self._swap(loaded.table)
                self._obeyed = "" if orders is None else stops_digest(orders)
                pending, faults = loaded.pending, [*loaded.faults, *faults]
                faults += [self._unloaded] if pending else []
        except Exception as error:  # noqa: BLE001  (it is reported, and tried again)
            faults.append(_told(error))
        fault = " ".join(one for one in faults if one)
        if fault and fault != self._fault:
            log.error("snapshot_unusable", fault)
        self._fault = fault
        await self._report()
        return pending

    def _settle(self) -> None:
        """Let go of what is served no more, and see when to try again what could not be loaded."""
        if self._snapshot is not None:
            for package in self._loader.retire(self._snapshot, self._path.table):
                self._retiring.add(package.model)  # requests that are under way may still use it
                self._loop.call_later(self._longest_s, self._let_go, package.model)
            self._longest_s = 0.0
        if self._fault:
            self._retry_at = self._loop.time() + self._retry_s
            self._retry_s = min(2 * self._retry_s, RETRY_S_MAX)

    def _newest(self) -> tuple[Snapshot | None, str]:
        snapshots = self._parts.snapshots
        try:
            return snapshots.current(), ""
        except Exception as error:  # noqa: BLE001  (it is reported, and tried again)
            return self._older(), _told(error)

    def _endpoint(self, name: str) -> Endpoint | None:
        endpoints = self._snapshot.endpoints if self._snapshot else ()
        return next((one for one in endpoints if one.name == name), None)

    def _older(self) -> Snapshot | None:
        """Return the snapshot before, to a worker that serves none; what it lacks is told above."""
        if not self._path.table.version:
            with suppress(Exception):
                return self._parts.snapshots.previous()
        return None

    def _swap(self, table: Table) -> None:
        before = self._path.table.endpoints.values()
        self._longest_s = max(self._longest_s, self._parts.drain_s, _longest_s(before))
        read = self._path.more_headers
        self._path.swap(table)
        if self._path.more_headers != read:
            self._heads.clear()
        version, endpoints = table.version, table.endpoints.values()
        served = [one for endpoint in endpoints for one in endpoint.deployments.values()]
        names = [(one.endpoint, one.name, one.version) for one in served]
        self._meter.serves(version, names)
        if self._loaded == (version, *names):
            return
        self._loaded = (version, *names)
        log.info(
            "snapshot_loaded",
            f"The worker serves snapshot {version}.",
            snapshot=version,
            deployments=[f"{one.endpoint}/{one.name}:{one.version}" for one in served],
        )

    def _let_go(self, model: Model) -> None:
        self._retiring.discard(model)
        self._loop.run_in_executor(None, model.close)

    @property
    def _ready(self) -> bool:
        table = self._path.table
        loaded = table.complete and table.version > 0
        return loaded and not self._answering.draining

    async def _report(self) -> None:
        if not self._accepting:
            return
        async with self._reporting:  # so that none overtakes one that is newer
            report = WorkerReport(
                worker=self._parts.index,
                pid=os.getpid(),
                snapshot=self._path.table.version,
                ready=self._ready,
                fault=" ".join(one for one in (self._fault, self._tls and self._tls.fault) if one),
                at=self._parts.clock.now(),
                quarantined=self._loader.quarantined,
                memory_bytes=self._memory.told,
                stops=self._obeyed,
            )
            await asyncio.to_thread(self._parts.snapshots.report, report)

    async def _sweep(self) -> None:
        for connection in tuple(self._reception.connections):
            connection.sweep()
        self._recorder.tick()
        self._shadowing.tick()
        await asyncio.to_thread(self._loader.rest)
        self._beat()
        self._reception.open()
        if self._memory.look(self._loader.memory_bytes):
            await self._report()
        await self._refresh_tls()

    async def _refresh_tls(self) -> None:
        """Take up a certificate that was replaced, or tell why not."""
        tls = self._tls
        if tls is None or not tls.refresh(self._parts.clock.now()):
            return
        if tls.fault:
            log.error("certificate_unusable", f"{tls.fault} The one before is used on.")
        else:
            log.info("certificate_loaded", "New connections get the certificate that came.")
        await self._report()

    def _beat(self) -> None:
        now = self._parts.clock.now()
        self._meter.beat(now=now, in_flight=self._turns.in_flight)
        if self._tls is not None:
            self._meter.certificate(self._tls.ends_at)
        self._meter.memory(self._memory.bytes)
        self._turns.tell(str(self._parts.index))
        self._answering.date = b"date: %b\r\n" % formatdate(now, usegmt=True).encode()

    async def drain(self) -> None:
        """Close the door, answer what is in flight, then let go of everything."""
        log.info("draining", "The worker closes its door, and drains.")
        self._answering.draining = True
        reception = self._reception
        reception.close_door()
        ends = self._loop.time() + self._parts.drain_s
        while (reception.connections or self._turns.in_flight) and self._loop.time() < ends:
            reception.close_idle()
            await asyncio.sleep(DRAIN_POLL_S)
        reception.abort()
        for task in tuple(self._tasks):
            task.cancel()
        with suppress(TimeoutError):  # meanwhile the loop records what was cut off
            await asyncio.wait_for(asyncio.to_thread(self._end_models), CLOSE_S)
        self._recorder.close()
        await asyncio.to_thread(self._watch.close)
        log.info("stopped", "The worker has drained and ends.")
        self._meter.connections(0)
        self._meter.memory(0)
        if self._tls is not None:
            self._meter.certificate(0.0)
        self._meter.beat(now=0.0, in_flight=0)

    def _end_models(self) -> None:
        """End what runs: a call of a predictor ends with its process, and no other way."""
        self._shadowing.stop()
        for model in tuple(self._retiring):
            model.close()
        self._loader.close()
        self._turns.close()
        self._shadowing.join()


def _tell_fault(_loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Log what failed where nobody waits for it; a `context` is asyncio's own."""
    error = context.get("exception") or RuntimeError()
    log.fault("task_failed", "What nobody waits for failed.", error)


def _told(error: Exception) -> str:
    if isinstance(error, ServewellError):
        return f"{error.what} {error.why}."
    return f"The snapshot cannot be loaded: {type(error).__name__} ({error})."


def _longest_s(endpoints: Iterable[ServedEndpoint]) -> float:
    """Return the seconds after which every request of these endpoints is answered or given up."""
    return max((one.policy.timeout_ms for one in endpoints), default=0) / MS_PER_S + WATCH_S


def _shelf(parts: WorkerParts) -> Shelf:
    return Shelf(
        blobs=parts.blobs,
        signer=parts.signer,
        predictors=parts.predictors,
        notes=_notes(parts),
        worker=parts.index,
    )


def _notes(parts: WorkerParts) -> CrashNotes:
    try:
        return CrashNotes(parts.runtime_dir, parts.index, now=parts.clock.now())
    except OSError as error:
        raise _cannot_start(parts, error) from error


def _counters_path(parts: WorkerParts) -> Path:
    return parts.runtime_dir / f"counters-{parts.index}"


def _counters(parts: WorkerParts) -> Counters:
    try:
        parts.runtime_dir.mkdir(parents=True, exist_ok=True)
        return Counters(_counters_path(parts), now=parts.clock.now)
    except OSError as error:
        raise _cannot_start(parts, error) from error


def _limiter(parts: WorkerParts) -> Limiter:
    try:
        return Limiter(parts.runtime_dir, worker=parts.index)
    except OSError as error:
        raise _cannot_start(parts, error) from error


def _cannot_start(parts: WorkerParts, error: OSError) -> WorkerStartError:
    return WorkerStartError(
        f"Worker {parts.index} cannot start.",
        why=f"its files in `{parts.runtime_dir}` cannot be opened: {error.strerror}",
        fix="make room on the disk, or make the folder writable; `servewell doctor` checks both",
    )
