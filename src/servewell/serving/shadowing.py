"""Runs copies of live requests on a candidate whose answers nobody gets.

One thread of the lowest priority does it, and rests much longer than it computes: Python's lock,
which it shares with the loop, is held by it for a few hundredths of the time at most. What it
cannot take is dropped and counted, never waited for. A copy is offered when its live answer has
been sent.
"""

import asyncio
import os
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from queue import SimpleQueue
from time import perf_counter_ns
from typing import Final

from servewell.core.catalog.endpoint import BP_FULL
from servewell.core.catalog.prediction_record import STOPPED
from servewell.core.operations.routing import is_copied
from servewell.serving.calls import Outcome, answered
from servewell.serving.exchange import Exchange
from servewell.serving.model_failures import refusal_of
from servewell.serving.protections import deadline_passed
from servewell.serving.recording import Recorder
from servewell.serving.runtimes.model import Array, Call, Model, ModelRunError, Stoppable
from servewell.serving.shadow_copy import ShadowCopy, copy_of, unfit
from servewell.serving.telemetry.logs import log

QUEUE_REQUESTS_MAX: Final = 256
QUEUE_BYTES_MAX: Final = 16 << 20  # of the bodies of the requests that wait
NICENESS: Final = 19
REST_OF_OWN: Final = 49  # times what it computed itself, in which Python's lock is held
REST_OF_MODEL: Final = 4  # times what the model took, in which it is not
REST_NS_MAX: Final = 1_000_000_000
HAND_IN_MAX: Final = 32  # answers that are recorded together,
PROMPT_NS: Final = 20_000_000  # unless it rests for longer than this before the next
NS_PER_S: Final = 1_000_000_000
JOIN_S: Final = 1.0
TOO_LATE: Final = "the candidate did not answer it in the time that a live request has"


class Shadowing:
    """What waits for candidates, and the thread that runs it."""

    def __init__(self, loop: asyncio.AbstractEventLoop, recorder: Recorder) -> None:
        self._loop = loop
        self._recorder = recorder
        self._queue: SimpleQueue[ShadowCopy | None] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._stopping = threading.Event()
        self._running: tuple[ShadowCopy, Call | None] | None = None
        # Each of these is counted by one thread alone, so no lock guards them.
        self._put = self._put_bytes = 0
        self._taken = self._taken_bytes = 0

    def offer(self, finished: Sequence[Exchange], *, busy: bool) -> None:
        """Take copies of requests that were answered; with `busy`, none. On the loop."""
        for exchange in finished:
            served, decoded = exchange.served, exchange.decoded
            if served is None or served.copied_to is None or decoded is None:
                continue
            copied_to = served.copied_to
            share_bp = copied_to.share_bp
            if (
                not exchange.outputs
                or exchange.role == STOPPED
                or not (share_bp == BP_FULL or is_copied(exchange.prediction_id, share_bp))
            ):
                continue
            meter = copied_to.candidate.meter
            meter.copied("offered")
            if busy:
                meter.copied("busy")
            elif self._is_full(exchange.size):
                meter.copied("full")
            else:
                self._take(copy_of(exchange, copied_to, decoded, now=perf_counter_ns()))

    def tick(self) -> None:
        """End a call that takes longer than a request may; to be called about once a second."""
        running = self._running
        if running is not None and running[0].ends_at < perf_counter_ns():
            _end(running[1])

    def stop(self) -> None:
        """Run nothing more, and end the call that runs where that can be done."""
        self._stopping.set()
        self._queue.put(None)
        running = self._running
        if running is not None:
            _end(running[1])

    def join(self) -> None:
        """Wait for the thread to end, but not for a call that cannot be ended."""
        if self._thread is not None:
            self._thread.join(JOIN_S)

    def _is_full(self, size: int) -> bool:
        return (
            self._put - self._taken >= QUEUE_REQUESTS_MAX
            or self._put_bytes - self._taken_bytes + size > QUEUE_BYTES_MAX
        )

    def _take(self, copy: ShadowCopy) -> None:
        self._put += 1
        self._put_bytes += copy.size
        self._queue.put(copy)
        if self._thread is None:
            thread = threading.Thread(target=self._work, name="shadow", daemon=True)
            thread.start()
            self._thread = thread  # now: one that could not be started is tried again

    def _work(self) -> None:
        """Answer what comes, until told to stop. In the thread."""
        with suppress(OSError):  # a thread is a process to Linux, with a priority of its own
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)
        done: list[ShadowCopy] = []
        while (copy := self._queue.get()) is not None and not self._stopping.is_set():
            started = perf_counter_ns()
            self._taken += 1
            self._taken_bytes += copy.size
            self._answer(copy, started)
            done.append(copy)
            own_ns = perf_counter_ns() - started - copy.infer_ns
            rest_ns = min(REST_OF_OWN * own_ns + REST_OF_MODEL * copy.infer_ns, REST_NS_MAX)
            if len(done) >= HAND_IN_MAX or self._queue.empty() or rest_ns > PROMPT_NS:
                with suppress(RuntimeError):  # the loop has ended
                    self._loop.call_soon_threadsafe(self._record, done)
                done = []
            self._stopping.wait(rest_ns / NS_PER_S)

    def _answer(self, copy: ShadowCopy, started: int) -> None:
        copy.queue_ns = started - copy.offered_at
        if started > copy.ends_at:
            copy.outcome = "late"
            return
        copy.outcome = "failed"
        if copy.lacks:
            copy.error = unfit(copy)
            return
        try:
            outcome = self._run(copy)
        except Exception as error:  # noqa: BLE001  (a fault of ours costs a copy, not the thread)
            log.fault("shadow_failed", "A copy could not be run.", error)
            outcome = ModelRunError(type(error).__name__)
        if not isinstance(outcome, ModelRunError):
            copy.outputs, copy.outcome = outcome, "answered"
        elif perf_counter_ns() > copy.ends_at:
            copy.error = deadline_passed(TOO_LATE)
        else:
            copy.error = refusal_of(outcome, copy.prediction_id)

    def _run(self, copy: ShadowCopy) -> Outcome:
        model = copy.candidate.package.model
        call = model.call() if isinstance(model, Stoppable) else None
        runner: Model | Call = model if call is None else call

        def run(feed: Mapping[str, Array], wanted: Sequence[str], _rows: int) -> list[Array]:
            started = perf_counter_ns()
            left_s = max(copy.ends_at - started, 0) / NS_PER_S
            try:
                return runner.run(feed, wanted, timeout_s=left_s)
            finally:
                copy.infer_ns += perf_counter_ns() - started

        self._running = (copy, call)
        try:
            return answered(copy.candidate.package, [copy.columns], run)[0]
        finally:
            self._running = None

    def _record(self, done: list[ShadowCopy]) -> None:
        """Write what the thread has done, and count it. On the loop."""
        written = [one for one in done if one.outcome != "late"]
        kept = not written or (self._recorder.has_room and self._recorder.commit(written))
        for one in done:
            lost = not kept and one.outcome != "late"
            one.candidate.meter.copied("unrecorded" if lost else one.outcome)


def _end(call: Call | None) -> None:
    if call is not None:
        call.stop()
