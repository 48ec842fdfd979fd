"""A model that is loaded at its first request, and leaves memory when nobody asks it."""

import ctypes
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from threading import Lock
from typing import Final

from servewell.core.catalog.signature import Signature
from servewell.serving.runtimes.model import (
    Array,
    Call,
    Latencies,
    Model,
    ModelAbsentError,
    ModelSlowError,
    ModelUnusableError,
    Restarting,
    Stoppable,
)

# After each attempt in a row to load it that failed. Meanwhile no request makes another one.
RELOAD_DELAYS_S: Final = (1.0, 2.0, 5.0, 10.0, 30.0, 60.0)

Load = Callable[[], tuple[Model, Latencies]]

M_MMAP_THRESHOLD: Final = -3  # of malloc.h
LARGE_BYTES: Final = 1 << 20


class OnDemandModel:
    """A model by the way to load it.

    A call waits for the model to be loaded, so it may block, as a call of another process does:
    whoever calls it in a thread, and gives up when a request's time is over, needs to know no more.
    """

    may_block = True

    def __init__(self, load: Load, signature: Signature, *, idle_s: float) -> None:
        """`load` raises ModelUnusableError, and nothing else."""
        self.outputs = tuple(one.name for one in signature.outputs)
        self._load = load
        self._idle_s = idle_s
        self._loading = Lock()
        self._counting = Lock()
        self._running = 0
        self._used_at = time.monotonic()
        self._closed = False
        self._failures = 0  # to load it, in a row
        self._fault = ""
        self._retry_at = 0.0  # monotonic seconds
        self.model: Model | None = None  # while it is in memory
        keep_large_apart()

    def run(
        self, feed: Mapping[str, Array], wanted: Sequence[str], *, timeout_s: float | None = None
    ) -> list[Array]:
        """See `Model.run`."""
        return self.call().run(feed, wanted, timeout_s=timeout_s)

    def run_again(
        self, feed: Mapping[str, Array], wanted: Sequence[str], *, timeout_s: float, counted: bool
    ) -> list[Array]:
        """See `Restarting.run_again`."""
        with self.used():
            model: object = self.model
            if isinstance(model, Restarting):
                return model.run_again(feed, wanted, timeout_s=timeout_s, counted=counted)
            return self.run(feed, wanted, timeout_s=timeout_s)

    def call(self) -> "OnDemandCall":
        """See `Stoppable.call`."""
        return OnDemandCall(self)

    @contextmanager
    def used(self) -> Iterator[None]:
        """Keep the model in memory meanwhile."""
        with self._counting:
            self._running += 1
        try:
            yield
        finally:
            with self._counting:
                self._running -= 1
                self._used_at = time.monotonic()

    def rest(self) -> None:
        """Let go of the model where it has been idle for its time."""
        with self._counting:
            idle = not self._running and time.monotonic() - self._used_at >= self._idle_s
            model, self.model = (self.model, None) if idle else (None, self.model)
        if model is not None:
            model.close()
            del model
            give_back_memory()

    def close(self) -> None:
        """See `Model.close`. What is being loaded is let go of as soon as it is."""
        with self._counting:
            self._closed = True
            model, self.model = self.model, None
        if model is not None:
            model.close()

    def loaded(self, timeout_s: float | None) -> tuple[Model, Latencies]:
        """Return the model, and the times of its first calls where this call has loaded it.

        Raises: ModelSlowError, ModelAbsentError.
        """
        model = self.model
        if model is not None:
            return model, ()
        if not self._loading.acquire(timeout=-1 if timeout_s is None else timeout_s):
            raise ModelSlowError("it was still being loaded")
        try:
            model = self.model  # somebody else may have loaded it
            return self._load_now() if model is None else (model, ())
        finally:
            self._loading.release()

    def _load_now(self) -> tuple[Model, Latencies]:
        self._require_due()
        try:
            model, latencies = self._load()
        except ModelUnusableError as error:
            self._note(error.why)
            raise self._absent() from error
        self._failures = 0
        with self._counting:
            closed = self._closed
            self.model = None if closed else model
        if closed:
            model.close()
            self._require_due()
        return model, latencies

    def _require_due(self) -> None:
        if self._closed:
            raise ModelAbsentError("it is not served any more", retry_after_s=1)
        if time.monotonic() < self._retry_at:
            raise self._absent()

    def _note(self, fault: str) -> None:
        delay = RELOAD_DELAYS_S[min(self._failures, len(RELOAD_DELAYS_S) - 1)]
        self._failures += 1
        self._fault, self._retry_at = fault, time.monotonic() + delay

    def _absent(self) -> ModelAbsentError:
        left_s = math.ceil(self._retry_at - time.monotonic())
        return ModelAbsentError(self._fault, retry_after_s=max(1, left_s))


class OnDemandCall:
    """See `Call`. Loading is not ended: the next request wants the model too."""

    def __init__(self, owner: OnDemandModel) -> None:
        self._owner = owner
        self._call: Call | None = None  # of the model, where its calls can be ended
        self.stopped = False
        self.loading_ns = 0  # that it waited for the model to be loaded
        self.latencies: Latencies = ()  # of the first calls of the model, where this loaded it

    def run(
        self, feed: Mapping[str, Array], wanted: Sequence[str], *, timeout_s: float | None = None
    ) -> list[Array]:
        """See `Call.run`."""
        end = None if timeout_s is None else time.monotonic() + timeout_s
        with self._owner.used():
            model = self._loaded(timeout_s)
            left_s = None if end is None else max(0.0, end - time.monotonic())
            if not isinstance(model, Stoppable):
                return model.run(feed, wanted, timeout_s=left_s)
            self._call = call = model.call()
            if self.stopped:
                call.stop()
            return call.run(feed, wanted, timeout_s=left_s)

    def stop(self) -> None:
        """See `Call.stop`."""
        self.stopped = True
        if self._call is not None:
            self._call.stop()

    def _loaded(self, timeout_s: float | None) -> Model:
        began = time.perf_counter_ns()
        try:
            model, latencies = self._owner.loaded(timeout_s)
        finally:
            self.loading_ns += time.perf_counter_ns() - began
        self.latencies += latencies
        return model


@cache
def keep_large_apart() -> None:
    """Have the system give each large piece of memory, and take it back when it is freed.

    Left alone, the C library learns from the first that is freed to keep such pieces for itself,
    where what lies behind them keeps them from being given back (mallopt(3), M_MMAP_THRESHOLD).
    """
    tune = getattr(ctypes.CDLL(None), "mallopt", None)
    if tune is not None:
        tune(M_MMAP_THRESHOLD, LARGE_BYTES)


def give_back_memory() -> None:
    """Give the system what was freed: the C library keeps it for the thread that had it.

    Not every C library can; one that cannot keeps little.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
