"""One turn of the loop: run what waits in batches, then answer it all.

Requests that arrive in one turn are answered in the next, so a lone request waits for nobody and
concurrent ones share a call of the model and an append to the log. No timer is involved.
"""

import asyncio
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from time import perf_counter_ns
from typing import Final

from servewell.serving.answering import Answering
from servewell.serving.exchange import Exchange
from servewell.serving.log_lines import LogLines
from servewell.serving.model_failures import concerns_all, refusal_of
from servewell.serving.protocols.columns import Decoded, OutputTensor
from servewell.serving.runtimes.model import ModelRunError
from servewell.serving.served import Served
from servewell.serving.tensors import scatter

BATCH_ROWS_MAX: Final = 128
ROWS_ALONE: Final = 256  # more rows than these run in a thread, so that the loop goes on
THREADS: Final = 2

Wanted = tuple[str, ...]
Outputs = list[OutputTensor]


class Turns:
    """What waits for the model, and what waits to be answered."""

    def __init__(self, loop: asyncio.AbstractEventLoop, answering: Answering) -> None:
        self._loop = loop
        self._answering = answering
        self._failures = LogLines(loop.time)
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="model")
        self._waiting: dict[tuple[Served, Wanted], list[Exchange]] = {}
        self._finished: list[Exchange] = []
        self._armed = False
        self.in_flight = 0

    def predict(self, exchange: Exchange, served: Served, decoded: Decoded) -> None:
        """Take a decoded request to its deployment."""
        self.in_flight += 1
        if decoded.rows > ROWS_ALONE or served.package.model.may_block:
            self._in_thread(exchange, served, decoded)
            return
        self._waiting.setdefault((served, decoded.wanted), []).append(exchange)
        self._arm()

    def finish(self, exchange: Exchange) -> None:
        """Take an exchange that needs no model to its answer."""
        self.in_flight += 1
        self._finished.append(exchange)
        self._arm()

    def close(self) -> None:
        """Wait for the threads."""
        self._threads.shutdown(wait=True, cancel_futures=True)

    def _arm(self) -> None:
        if not self._armed:
            self._armed = True
            self._loop.call_soon(self._turn)

    def _turn(self) -> None:
        self._armed = False
        waiting, self._waiting = self._waiting, {}
        finished: list[Exchange] = []
        try:
            for (served, wanted), exchanges in waiting.items():
                for batch in _batches(exchanges, together=served.package.batches):
                    self._run(served, wanted, batch)
            finished, self._finished = self._finished, []
            self._answering.answer(finished)
            self.in_flight -= len(finished)
        except Exception:  # noqa: BLE001  (a fault of ours ends the connections concerned, not the worker)
            traceback.print_exc()
            self._give_up([*chain.from_iterable(waiting.values()), *self._finished, *finished])

    def _give_up(self, exchanges: list[Exchange]) -> None:
        """Drop the callers whose answers cannot be made."""
        unanswered = [one for one in dict.fromkeys(exchanges) if one.answer is None]
        self._finished = []
        self.in_flight -= len(unanswered)
        for exchange in unanswered:
            exchange.caller.abort()

    def _run(self, served: Served, wanted: Wanted, batch: list[Exchange]) -> None:
        """Run a batch; where it fails, each of its requests alone, so that one poisons no other."""
        started = perf_counter_ns()
        try:
            outputs = predicted(served, wanted, [_decoded(one) for one in batch])
        except ModelRunError as error:
            if len(batch) == 1 or concerns_all(error):
                for one in batch:
                    self._fail(one, error)
            else:
                for one in batch:
                    self._run(served, wanted, [one])
            return
        self._take(batch, outputs, started, perf_counter_ns())

    def _take(
        self, batch: list[Exchange], outputs: list[Outputs], started: int, ended: int
    ) -> None:
        took, rows = ended - started, 0
        for exchange, own in zip(batch, outputs, strict=True):
            exchange.outputs = own
            exchange.queue_ns = started - exchange.queued_at
            exchange.infer_ns = took
            rows += _decoded(exchange).rows
        served = batch[0].served
        if served is not None:
            served.meter.batch(rows)
        self._answering.encode(batch)
        self._finished += batch

    def _fail(self, exchange: Exchange, error: ModelRunError) -> None:
        self._failures.say(f"Prediction {exchange.prediction_id}: the model failed ({error}).")
        exchange.error = refusal_of(error, exchange.prediction_id)
        self._finished.append(exchange)

    def _in_thread(self, exchange: Exchange, served: Served, decoded: Decoded) -> None:
        def done(outcome: Callable[[], None]) -> None:
            outcome()
            self._arm()

        def work() -> None:
            started = perf_counter_ns()
            try:
                outputs = predicted(served, decoded.wanted, [decoded])
            except ModelRunError as error:
                fault = error
                self._loop.call_soon_threadsafe(done, lambda: self._fail(exchange, fault))
                return
            ended = perf_counter_ns()
            self._loop.call_soon_threadsafe(
                done, lambda: self._take([exchange], outputs, started, ended)
            )

        self._threads.submit(work)


def predicted(served: Served, wanted: Wanted, requests: list[Decoded]) -> list[Outputs]:
    """Return the outputs of each request.

    Raises: ModelRunError.
    """
    package = served.package
    declared = [one for one in package.signature.outputs if not wanted or one.name in wanted]
    try:
        feed = package.gatherer.gather(requests)
        parts = scatter(package.model.run(feed, wanted or package.model.outputs), requests)
    except (MemoryError, OverflowError, TypeError, ValueError) as error:
        raise ModelRunError(type(error).__name__) from error
    return [
        [
            OutputTensor(one.name, one.datatype.value, shape, values)
            for one, (values, shape) in zip(declared, own, strict=True)
        ]
        for own in parts
    ]


def _batches(exchanges: list[Exchange], *, together: bool) -> list[list[Exchange]]:
    """Return the exchanges in batches of at most `BATCH_ROWS_MAX` rows, or of one request."""
    batches: list[list[Exchange]] = []
    rows = BATCH_ROWS_MAX
    for exchange in exchanges:
        own = _decoded(exchange).rows
        rows += own
        if rows > BATCH_ROWS_MAX or not together:
            batches.append([])
            rows = own
        batches[-1].append(exchange)
    return batches


def _decoded(exchange: Exchange) -> Decoded:
    if exchange.decoded is None:
        raise AssertionError("an exchange waits for the model only when it is decoded")
    return exchange.decoded
