"""A model that is loaded at its first request, and leaves memory when nobody asks it."""

import ctypes
import time
from collections.abc import Callable, Mapping, Sequence
from threading import Lock

from servewell.core.catalog.signature import Signature
from servewell.serving.runtimes.model import (
    Array,
    Model,
    ModelAbsentError,
    ModelSlowError,
    ModelUnusableError,
)


class OnDemandModel:
    """A model by the way to load it.

    A call waits for the model to be loaded, so it may block, as a call of another process does:
    whoever calls it in a thread, and gives up when a request's time is over, needs to know no more.
    """

    may_block = True

    def __init__(self, load: Callable[[], Model], signature: Signature, *, idle_s: float) -> None:
        self.outputs = tuple(one.name for one in signature.outputs)
        self._load = load
        self._idle_s = idle_s
        self._loading = Lock()
        self._counting = Lock()
        self._running = 0
        self._used_at = time.monotonic()
        self._closed = False
        self.model: Model | None = None  # while it is in memory

    def run(
        self, feed: Mapping[str, Array], wanted: Sequence[str], *, timeout_s: float | None = None
    ) -> list[Array]:
        """See `Model.run`."""
        end = None if timeout_s is None else time.monotonic() + timeout_s
        with self._counting:
            self._running += 1
        try:
            model = self.model or self._loaded(timeout_s)
            left_s = None if end is None else max(0.0, end - time.monotonic())
            return model.run(feed, wanted, timeout_s=left_s)
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
        """See `Model.close`."""
        with self._loading:
            self._closed = True
            model, self.model = self.model, None
        if model is not None:
            model.close()

    def _loaded(self, timeout_s: float | None) -> Model:
        """Return the model, once whoever loads it is done.

        Raises: ModelSlowError, ModelAbsentError.
        """
        if not self._loading.acquire(timeout=-1 if timeout_s is None else timeout_s):
            raise ModelSlowError("it was still being loaded")
        try:
            if self.model is None:
                if self._closed:
                    raise ModelAbsentError("it is not served any more")
                self.model = self._load()
        except ModelUnusableError as error:
            raise ModelAbsentError(error.why) from error
        else:
            return self.model
        finally:
            self._loading.release()


def give_back_memory() -> None:
    """Give the system what was freed: the C library keeps it for the thread that had it.

    Not every C library can; one that cannot keeps little.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
