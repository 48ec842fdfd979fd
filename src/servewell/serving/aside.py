"""Calls of a model in threads: begun and ended by the loop, watched while they run."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from time import perf_counter_ns, thread_time_ns
from typing import Final

from servewell.serving.calls import Outcome, answered
from servewell.serving.exchange import Exchange
from servewell.serving.model_failures import ended_process
from servewell.serving.package import Package
from servewell.serving.runtimes.model import (
    Array,
    Call,
    Latencies,
    ModelRunError,
    ModelSlowError,
    Restarting,
    Stoppable,
)
from servewell.serving.runtimes.on_demand import OnDemandCall
from servewell.serving.waiting import decoded

WATCH_S: Final = 0.02  # between looks at calls that run
NS_PER_S: Final = 1_000_000_000


@dataclass(slots=True, kw_only=True, eq=False)
class Job:
    """One batch in a thread. Times are in nanoseconds, those of the clock by `perf_counter_ns`."""

    batch: list[Exchange]
    package: Package
    call: Call | None  # where it can be ended
    ends_at: int  # the last deadline of the batch
    begun_at: int
    expected_ns: int
    calls: list[int] = field(default_factory=list)  # rows of each call of the model
    stopped: bool = False
    deaths: int = 0  # of the process of the model, in these calls
    outcomes: list[Outcome] = field(default_factory=list)
    fault: Exception | None = None  # of ours
    started_at: int = 0  # by the thread
    ended_at: int = 0
    computed_ns: int = 0  # by the thread itself, without what it waited for

    def left_ns(self, now: int) -> int:
        """Return how long it still takes: a call that is overdue is taken for half done."""
        spent = now - self.begun_at
        return self.expected_ns - spent if spent < self.expected_ns else spent

    @property
    def loading_ns(self) -> int:
        """Return how long it waited for the model to be loaded."""
        return self.call.loading_ns if isinstance(self.call, OnDemandCall) else 0

    @property
    def latencies(self) -> Latencies:
        """Return the times of the first calls of the model, where it was loaded by this."""
        return self.call.latencies if isinstance(self.call, OnDemandCall) else ()

    def stop(self) -> None:
        """End it, where the runtime can."""
        if self.call is not None and not self.stopped:
            self.stopped = True
            self.call.stop()

    def work(self) -> None:
        """Run the batch. In the thread."""
        self.started_at, computing = perf_counter_ns(), thread_time_ns()
        try:
            self.outcomes = answered(self.package, [decoded(one) for one in self.batch], self._run)
        except Exception as error:  # noqa: BLE001  (the loop ends the connections concerned)
            self.fault = error
        self.computed_ns = thread_time_ns() - computing
        self.ended_at = perf_counter_ns()

    def _run(self, feed: Mapping[str, Array], wanted: Sequence[str], rows: int) -> list[Array]:
        self.calls.append(rows)
        try:
            return self._called(feed, wanted)
        except ModelRunError as error:
            self.deaths += ended_process(error)
            if self.stopped:
                raise ModelSlowError("Stopped") from error
            raise

    def _called(self, feed: Mapping[str, Array], wanted: Sequence[str]) -> list[Array]:
        model = self.package.model
        left_s = max(self.ends_at - perf_counter_ns(), 0) / NS_PER_S
        if self.deaths and isinstance(model, Restarting):
            return model.run_again(feed, wanted, timeout_s=left_s, counted=self.deaths == 1)
        if self.call is not None:
            return self.call.run(feed, wanted, timeout_s=left_s)
        return model.run(feed, wanted, timeout_s=left_s)


class Aside:
    """The calls of one lane that run in threads."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        *,
        done: Callable[[Job], None],
        look: Callable[[int], None],
    ) -> None:
        """`done` takes each job that has ended; `look` is called now and then while any runs."""
        self._loop = loop
        self._on_done = done
        self._on_look = look
        self._threads: ThreadPoolExecutor | None = None
        self._threads_max = 0
        self._watching = False
        self.jobs: list[Job] = []

    def begin(
        self, batch: list[Exchange], package: Package, *, expected_ns: int, threads: int
    ) -> None:
        """Run a batch in a thread, of which there may be `threads`."""
        model = package.model
        job = Job(
            batch=batch,
            package=package,
            call=model.call() if isinstance(model, Stoppable) else None,
            ends_at=max(one.deadline_ns for one in batch),
            begun_at=perf_counter_ns(),
            expected_ns=expected_ns,
        )
        self.jobs.append(job)
        self._pool(threads).submit(self._work, job)
        if not self._watching:
            self._watching = True
            self._loop.call_later(WATCH_S, self._watch)

    def close(self) -> None:
        """End what can be ended, and wait for the rest."""
        for job in tuple(self.jobs):
            job.stop()
        if self._threads is not None:
            self._threads.shutdown(wait=True, cancel_futures=True)

    def _pool(self, threads: int) -> ThreadPoolExecutor:
        """Return the threads; those of a smaller pool before end with their work."""
        if self._threads is None or threads != self._threads_max:
            self._threads = ThreadPoolExecutor(threads, thread_name_prefix="model")
            self._threads_max = threads
        return self._threads

    def _work(self, job: Job) -> None:
        job.work()
        self._loop.call_soon_threadsafe(self._done, job)

    def _done(self, job: Job) -> None:
        self.jobs.remove(job)
        self._on_done(job)

    def _watch(self) -> None:
        self._watching = bool(self.jobs)
        if self.jobs:
            self._loop.call_later(WATCH_S, self._watch)
            self._on_look(perf_counter_ns())
