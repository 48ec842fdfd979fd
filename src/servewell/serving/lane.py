"""One deployment's way to its model: who is let in, what waits, what runs.

Calls that are quick run on the loop. A slow one, or one that waits for another process, runs in a
thread while the loop reads on, and what comes meanwhile makes the next batch. What one lane has to
do takes no slot and no memory from another.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from time import perf_counter_ns
from typing import Final, cast

from servewell.core.reliability.admission import SHARES, Load, retry_after_s, wait_max_s
from servewell.serving.aside import Aside, Job
from servewell.serving.calls import Outcome, answered
from servewell.serving.exchange import Exchange
from servewell.serving.loop_guard import LoopGuard
from servewell.serving.model_failures import refusal_of
from servewell.serving.pace import NS_PER_S, QUICK_S, Pace
from servewell.serving.protections import caller_gone, deadline_passed, overloaded
from servewell.serving.refusals import RequestError
from servewell.serving.runtimes.model import Array, ModelRunError, Stoppable
from servewell.serving.served import Served
from servewell.serving.telemetry.logs import bare_name, log
from servewell.serving.waiting import Waiting, decoded

Key = tuple[str, str, tuple[str, str]]
OVERDUE: Final = "its time was over before the model had answered"
HOPELESS: Final = "what waits before it, and the model, would take longer than that"
FULL: Final = "as many requests wait for its model as may"
LATE: Final = "it would be answered later than the latency objective allows"


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """Where lanes hand in what they have done."""

    loop: asyncio.AbstractEventLoop
    answer: Callable[[list[Exchange]], None]  # the model has answered them
    refuse: Callable[[list[Exchange]], None]  # they have an error
    drop: Callable[[list[Exchange], Exception], None]  # a fault of ours concerns them
    wake: Callable[["Lane"], None]  # the lane has something to do, or has handed something in
    guard: LoopGuard


class _OverranError(Exception):
    """A call on the loop took too long, and was ended."""


class Lane:
    """See the module."""

    def __init__(self, served: Served, desk: Desk) -> None:
        self._served = served
        self._desk = desk
        self._waiting = Waiting()
        self._standing_since = 0  # by `perf_counter_ns`; 0 while nothing waits or runs aside
        self._aside = Aside(desk.loop, done=self._done, look=self._look)
        self.pace = Pace(served.policy, served.package)

    @property
    def requests(self) -> int:
        """Return how many requests wait."""
        return self._waiting.requests

    @property
    def runs(self) -> bool:
        """Return whether a call runs, or will."""
        return bool(self._aside.jobs or self._waiting.requests)

    def adopt(self, served: Served) -> None:
        """Go on as the same deployment of a newer snapshot."""
        self._served = served
        self.pace.adopt(served.policy)

    def check(self, exchange: Exchange, now: int) -> None:
        """Refuse a request that would come too late, before anything is made of its body.

        Raises: OverloadedError, DeadlinePassedError.
        """
        waiting, pace = self._waiting, self.pace
        if not waiting.requests and not self._aside.jobs:
            return
        calm = waiting.rows <= pace.free_rows and waiting.requests < pace.free_requests
        if not calm or exchange.deadline_ns - now < pace.calm_ns:
            self._check_load(exchange, now)

    def add(self, exchange: Exchange, rows: int) -> None:
        """Let a decoded request wait."""
        if not self._standing_since:
            self._standing_since = exchange.queued_at
        self._waiting.add(exchange, rows)

    def step(self) -> bool:
        """Begin the next call of the model; whether there may be more to do at once."""
        waiting, rows_max = self._waiting, self.pace.rows_together
        quick = self.pace.is_quick(waiting.rows_next(rows_max))
        if not quick and len(self._aside.jobs) >= self._served.policy.concurrency:
            return False
        now = perf_counter_ns()
        batch, late = waiting.take(rows_max, now)
        if late:
            self._give_up(late)
        if batch and quick:
            self._run_here(batch, now)
        elif batch:
            self._run_aside(batch)
        if not waiting.requests and not self._aside.jobs:
            self._standing_since = 0
        return waiting.requests > 0

    def tell(self, worker: str) -> None:
        """Note in the metrics what waits and what was learned."""
        curve = self.pace.curve
        self._served.meter.looked_at(
            waiting=self._waiting.requests,
            fixed_s=curve.fixed_s,
            row_s=curve.row_s,
            worker=worker,
        )

    def leave(self) -> None:
        """Take what waits out of the metrics: nothing is told of it any more."""
        self._served.meter.queue_left()

    def close(self) -> None:
        """End what runs."""
        self._aside.close()

    def _run_here(self, batch: list[Exchange], started: int) -> None:
        package, calls = self._served.package, []
        # Its `Pace` lets no other model run here; to ask the protocol again takes microseconds.
        call = cast("Stoppable", package.model).call()

        def run(feed: Mapping[str, Array], wanted: Sequence[str], rows: int) -> list[Array]:
            calls.append(rows)
            try:
                return call.run(feed, wanted)
            except ModelRunError as error:
                if call.stopped:
                    raise _OverranError from error
                raise

        self._desk.guard.begin(call)
        try:
            outcomes = answered(package, [decoded(one) for one in batch], run)
            ended = perf_counter_ns()
            self._settle(batch, outcomes, started=started, ended=ended)
            self._learn(outcomes, calls, cost_ns=ended - started)
        except _OverranError:  # it is begun again where it keeps nobody waiting
            self.pace.relearn(calls[-1], perf_counter_ns() - started)
            self._run_aside(batch)
        except Exception as error:  # noqa: BLE001  (a fault of ours ends the connections concerned, not the worker)
            self._desk.drop(batch, error)
        finally:
            self._desk.guard.end()

    def _run_aside(self, batch: list[Exchange]) -> None:
        expected_s = self.pace.curve.predicted_s(sum(decoded(one).rows for one in batch))
        self._aside.begin(
            batch,
            self._served.package,
            expected_ns=int((expected_s + self.pace.lag_s) * NS_PER_S),
            threads=self._served.policy.concurrency,
        )

    def _done(self, job: Job) -> None:
        """Take the outcome of a call in a thread. Some of its requests may be refused already."""
        due = [one for one in job.batch if one.error is None]
        self.pace.learn_lag(perf_counter_ns() - job.begun_at - (job.ended_at - job.started_at))
        try:
            self._take(job)
        except Exception as error:  # noqa: BLE001  (as where it runs on the loop)
            self._desk.drop(due, error)
        if not self.runs:
            self._standing_since = 0
        self._desk.wake(self)

    def _take(self, job: Job) -> None:
        for rows, cost_ns in job.latencies:
            self.pace.learn(rows, cost_ns)
        if job.fault is not None:
            self._desk.drop([one for one in job.batch if one.error is None], job.fault)
        elif job.stopped:
            self._give_up([one for one in job.batch if one.error is None])
        else:
            due = [place for place, one in enumerate(job.batch) if one.error is None]
            batch, outcomes = [job.batch[one] for one in due], [job.outcomes[one] for one in due]
            self._settle(batch, outcomes, started=job.started_at, ended=job.ended_at)
            self._learn(job.outcomes, job.calls, cost_ns=_cost_ns(job))

    def _settle(
        self, batch: list[Exchange], outcomes: list[Outcome], *, started: int, ended: int
    ) -> None:
        """Hand each request its own."""
        rows = sum(decoded(one).rows for one in batch)
        good, failed = [], []
        for exchange, outcome in zip(batch, outcomes, strict=True):
            exchange.queue_ns = started - exchange.queued_at
            exchange.infer_ns = ended - started
            exchange.batch_rows = rows
            if isinstance(outcome, ModelRunError):
                self._fail(exchange, outcome)
                failed.append(exchange)
            else:
                exchange.outputs = outcome
                good.append(exchange)
        if good:
            self._desk.answer(good)
        if failed:
            self._desk.refuse(failed)

    def _learn(self, outcomes: list[Outcome], calls: list[int], *, cost_ns: int) -> None:
        """Count the calls, and learn from one that was good; a batch that was not may teach too."""
        for rows in calls:
            self._served.meter.batch(rows)
        if any(isinstance(one, ModelRunError) for one in outcomes):
            return
        if len(calls) == 1:
            self.pace.learn(calls[0], cost_ns)
        elif len(outcomes) > 1:  # they failed together, and none does by itself
            self.pace.separate()

    def _fail(self, exchange: Exchange, error: ModelRunError) -> None:
        log.seldom(
            "model_failed",
            f"The model failed on the prediction {exchange.prediction_id}.",
            prediction_id=exchange.prediction_id,
            endpoint=exchange.known_endpoint,
            error=bare_name(error),
        )
        exchange.error = refusal_of(error, exchange.prediction_id)

    def _look(self, now: int) -> None:
        """Look at what runs, and waits behind it: refuse who is late, end what is for nobody."""
        late = self._waiting.take_late(now)
        for job in self._aside.jobs:
            late += [one for one in job.batch if one.error is None and one.deadline_ns < now]
        if late:
            self._give_up(late)
            self._desk.wake(self)
        for job in self._aside.jobs:
            if all(one.abandoned or one.error is not None for one in job.batch):
                job.stop()

    def _give_up(self, exchanges: list[Exchange]) -> None:
        """Refuse those whose time is over, or who have gone."""
        for one in exchanges:
            one.error = caller_gone() if one.abandoned else deadline_passed(OVERDUE)
        self._desk.refuse(exchanges)

    def _check_load(self, exchange: Exchange, now: int) -> None:
        rank, load = exchange.rank, self._load(exchange.rank, now)
        if load.wait_s + load.service_s > (exchange.deadline_ns - now) / NS_PER_S:
            raise deadline_passed(HOPELESS)
        waiting, policy, share = self._waiting, self._served.policy, SHARES[rank]
        if (
            waiting.requests >= share * policy.queue_requests_max
            or waiting.bytes >= share * policy.queue_bytes_max
        ):
            raise self._overloaded(FULL, load, now)
        if load.wait_s > wait_max_s(self.pace.objective_s, load, rank=rank):
            raise self._overloaded(LATE, load, now)

    def _load(self, rank: int, now: int) -> Load:
        """Return what a request of this rank finds here."""
        jobs, pace, slots = self._aside.jobs, self.pace, self._served.policy.concurrency
        calls = self._waiting.rows_before(rank) / pace.rows_together
        left_ns = min(one.left_ns(now) for one in jobs) if len(jobs) >= slots else 0
        return Load(
            wait_s=left_ns / NS_PER_S + calls * pace.service_s / slots,
            service_s=pace.service_s,
            standing_s=(now - (self._standing_since or now)) / NS_PER_S,
        )

    def _overloaded(self, why: str, load: Load, now: int) -> RequestError:
        draw = now // 1_000 % 1_000 / 1_000  # the last digits of the clock are as good as a die
        later_s = retry_after_s(load.wait_s, draw=draw)
        return overloaded(self._served.endpoint, why, retry_after_s=later_s)


def key_of(served: Served) -> Key:
    """Return which deployment it is, whatever snapshot names it."""
    return served.endpoint, served.name, served.proof


def _cost_ns(job: Job) -> int:
    """Return what a call in a thread would have cost on the loop, where that is little.

    A thread that computes for a moment may wait much longer for Python's lock, which a call on
    the loop has already. What waits for another process computes nothing. Loading a model is not
    its work: the next call is without.
    """
    little = job.computed_ns < QUICK_S * NS_PER_S and not job.package.model.may_block
    return job.computed_ns if little else job.ended_at - job.started_at - job.loading_ns
