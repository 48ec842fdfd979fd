"""Python code of a user, run in a process of its own."""

import math
import time
from collections.abc import Mapping, Sequence
from threading import Event, Lock, Thread
from typing import Final

from servewell.core.catalog.model import Predictor
from servewell.core.catalog.signature import Output, Signature
from servewell.core.reliability.quarantine import decide_quarantine
from servewell.ports.predictors import (
    PredictorHost,
    PredictorLostError,
    PredictorRaisedError,
    PredictorSlowError,
    PredictorStartError,
)
from servewell.serving.runtimes.model import (
    DTYPES,
    Array,
    ModelBusyError,
    ModelLostError,
    ModelOverranError,
    ModelRunError,
    ModelSlowError,
)

LOAD_WITHIN_S: Final = 120.0
STEADY_S: Final = 5.0  # a process that lived so long starts again at once
RESTART_DELAYS_S: Final = (0.0, 0.25, 0.5, 1.0, 2.0, 5.0)
REVIVED_POLL_S: Final = 0.01  # between looks whether the process is there again
INSTANT_S: Final = 0.01  # so little of its time is none
TOO_LONG: Final = "a call took longer than it may"
FULL_SHARE: Final = 0.75  # of its memory; a process that holds more is replaced after its call


class PythonModel:
    """One predictor and its process. `run` may be called from several threads, and takes turns.

    Its process is started again when it ends: at once, then with growing delays, until the
    version is quarantined. Meanwhile nobody waits.
    """

    may_block = True

    def __init__(self, host: PredictorHost, predictor: Predictor, signature: Signature) -> None:
        self.outputs = tuple(one.name for one in signature.outputs)
        self.quarantine = ""  # why it is not run any more
        self._declared = signature.outputs
        self._host = host
        self._limits = predictor
        self._turn = Lock()
        self._closed = Event()
        self._up = False
        self._deaths: list[float] = []  # monotonic seconds
        self._short_lives = 0
        self._restart_at = self._started = 0.0
        self._load_s = 0.0  # that the last start took
        self._start()

    def run(
        self, feed: Mapping[str, Array], wanted: Sequence[str], *, timeout_s: float | None = None
    ) -> list[Array]:
        """See `Model.run`.

        A caller may allow less time than the process has: then the process works on, and what it
        answers late is let go, before the next call has its turn.
        """
        limit = self._limits.timeout_s
        end = time.monotonic() + (limit if timeout_s is None else min(limit, timeout_s))
        return self._run(feed, wanted, end)

    def run_again(
        self, feed: Mapping[str, Array], wanted: Sequence[str], *, timeout_s: float, counted: bool
    ) -> list[Array]:
        """See `Restarting.run_again`."""
        last = time.monotonic() + timeout_s
        while not self._up:
            if self.quarantine or max(self._ready_at, time.monotonic()) >= last:
                break  # nobody waits for what comes too late
            if self._closed.wait(REVIVED_POLL_S):
                break
        end = min(last, time.monotonic() + self._limits.timeout_s)
        return self._run(feed, wanted, end, counted=counted)

    def _run(
        self, feed: Mapping[str, Array], wanted: Sequence[str], end: float, *, counted: bool = False
    ) -> list[Array]:
        self._require_up()
        if not self._turn.acquire(timeout=max(0.0, end - time.monotonic())):
            raise ModelSlowError("it was busy with other requests")
        late = False
        try:
            self._require_up()
            answers = self._called(feed, end, counted=counted)
        except ModelSlowError:
            late = self._up
            raise
        finally:
            if not late:
                self._turn.release()
        rows = max((len(one) for one in feed.values()), default=0)
        _check(answers, self._declared, rows)
        return [answers[name] for name in wanted]

    @property
    def memory_bytes(self) -> int:
        """What its process holds; 0 where none runs."""
        return self._host.memory_bytes() if self._up else 0

    def close(self) -> None:
        """See `Model.close`."""
        self._closed.set()
        self._up = False
        self._host.kill()
        with self._turn:
            self._host.close()

    def _require_up(self) -> None:
        if not self._up:
            raise ModelBusyError(max(1, math.ceil(self._ready_at - time.monotonic())))

    @property
    def _ready_at(self) -> float:
        return self._restart_at + self._load_s

    def _called(self, feed: Mapping[str, Array], end: float, *, counted: bool) -> dict[str, Array]:
        started = time.monotonic()
        try:
            answers = self._host.call(feed, within_s=max(0.001, end - started))
        except PredictorRaisedError as error:
            raise ModelRunError(str(error)) from error
        except PredictorLostError as error:
            self._died(str(error), counted=counted)
            raise ModelLostError(f"an error: {error}") from error
        except PredictorSlowError as error:
            raise self._late(started, counted=counted) from error
        if self._host.memory_bytes() > FULL_SHARE * self._limits.memory_bytes_max:
            self._died("it held more memory than it may", counted=True)  # by us, not by a call
        return answers

    def _late(self, started: float, *, counted: bool) -> ModelSlowError:
        """Give a call the rest of the time that its process has; who waited for it has gone."""
        left = started + self._limits.timeout_s - time.monotonic()
        if left <= INSTANT_S:
            self._died(TOO_LONG, counted=counted)
            return ModelOverranError("it had not answered")
        Thread(target=self._settle, args=(left,), daemon=True, name="predictor").start()
        return ModelSlowError("it had not answered")

    def _settle(self, left: float) -> None:
        """Wait for an answer that nobody wants, in the turn of the call that was given up."""
        try:
            self._host.settle(within_s=left)
        except PredictorSlowError:
            self._died(TOO_LONG)
        except PredictorLostError as error:
            self._died(str(error))
        finally:
            self._turn.release()

    def _died(self, how: str, *, counted: bool = False) -> None:
        now = time.monotonic()
        self._up = False
        self._host.kill()
        if self._closed.is_set():
            return
        if not counted:
            self._deaths = [*self._deaths, now][-len(RESTART_DELAYS_S) :]
        decision = decide_quarantine(self._deaths, now=now, last=how)
        if decision.refused:
            self.quarantine = decision.because
            return
        self._short_lives = 0 if now - self._started >= STEADY_S else self._short_lives + 1
        delay = RESTART_DELAYS_S[min(self._short_lives, len(RESTART_DELAYS_S) - 1)]
        self._restart_at = now + delay
        Thread(target=self._revive, args=(delay,), daemon=True, name="predictor").start()

    def _revive(self, delay: float) -> None:
        if self._closed.wait(delay):
            return
        with self._turn:
            if self._closed.is_set():
                return
            try:
                self._start()
            except PredictorStartError as error:
                self._died(error.why)

    def _start(self) -> None:
        begun = time.monotonic()
        self._host.start(within_s=LOAD_WITHIN_S)
        self._started = time.monotonic()
        self._load_s = self._started - begun
        self._up = True


def _check(answers: Mapping[str, Array], declared: Sequence[Output], rows: int) -> None:
    """Refuse an answer that is not what the signature says.

    Raises: ModelRunError.
    """
    if answers.keys() != {one.name for one in declared}:
        raise ModelRunError("OutputNamesDiffer")
    for one in declared:
        answer = answers[one.name]
        if answer.dtype != DTYPES[one.datatype]:
            raise ModelRunError("OutputTypeDiffers")
        if answer.shape[:1] != (rows,):
            raise ModelRunError("OutputRowsDiffer")
        if len(answer.shape) != 1 + len(one.row_shape) or any(
            size not in (-1, found)
            for size, found in zip(one.row_shape, answer.shape[1:], strict=True)
        ):
            raise ModelRunError("OutputShapeDiffers")
