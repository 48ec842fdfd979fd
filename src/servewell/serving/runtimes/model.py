"""What every runtime offers to the request path."""

from collections.abc import Mapping, Sequence
from typing import Any, Final, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from servewell.core.catalog.signature import Datatype
from servewell.errors import ServewellError

Array = NDArray[Any]
Latencies = tuple[tuple[int, int], ...]  # rows of a call, and the nanoseconds that it took

DTYPES: Final[dict[Datatype, type[np.generic]]] = {
    Datatype.BOOL: np.bool_,
    Datatype.INT8: np.int8,
    Datatype.INT16: np.int16,
    Datatype.INT32: np.int32,
    Datatype.INT64: np.int64,
    Datatype.UINT8: np.uint8,
    Datatype.UINT16: np.uint16,
    Datatype.UINT32: np.uint32,
    Datatype.UINT64: np.uint64,
    Datatype.FP16: np.float16,
    Datatype.FP32: np.float32,
    Datatype.FP64: np.float64,
    Datatype.BYTES: np.object_,
}


class ModelUnusableError(ServewellError):
    """A model version cannot be loaded, so a worker does not serve it."""

    code = "SW-506"


class ModelRunError(Exception):
    """The model raised an error on these rows. Its message may hold values of them."""

    row: int | None = None  # which one of them it was, counted from 0, where that is known


class ModelBusyError(ModelRunError):
    """No process runs the model now; one is starting. Other rows would fare no better."""

    def __init__(self, retry_after_s: int) -> None:
        super().__init__("its process is starting again")
        self.retry_after_s = retry_after_s


class ModelSlowError(ModelRunError):
    """The model did not answer in its time. Other rows of the batch have lost theirs too."""


class ModelOverranError(ModelSlowError):
    """A call took longer than the process of the model has, which was ended."""


class ModelLostError(ModelRunError):
    """The process of the model ended in this call."""


class ModelAbsentError(ModelRunError):
    """The model was to be loaded for this call, and cannot be. Its message may be told."""

    def __init__(self, why: str, *, retry_after_s: int) -> None:
        super().__init__(why)
        self.retry_after_s = retry_after_s  # when it is tried again, at the earliest


class Model(Protocol):
    """One loaded model. `run` may be called from several threads."""

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of the outputs, in the order of the signature."""
        ...

    @property
    def may_block(self) -> bool:
        """Whether a call waits for another process, so that it may never run on the loop."""
        ...

    def run(
        self, feed: Mapping[str, Array], wanted: Sequence[str], *, timeout_s: float | None = None
    ) -> list[Array]:
        """Return the wanted outputs, in that order.

        A runtime that can ends a call that takes longer than `timeout_s`.

        Raises: ModelRunError.
        """
        ...

    def close(self) -> None:
        """Let go of the model and of what it runs in."""
        ...


class Call(Protocol):
    """Calls of a model that can be ended from another thread."""

    @property
    def stopped(self) -> bool:
        """Whether it was ended."""
        ...

    def run(
        self, feed: Mapping[str, Array], wanted: Sequence[str], *, timeout_s: float | None = None
    ) -> list[Array]:
        """Return the wanted outputs, in that order; see `Model.run`.

        Raises: ModelRunError, also where it was ended.
        """
        ...

    def stop(self) -> None:
        """End what runs, and whatever would still be run by this."""
        ...


@runtime_checkable
class Restarting(Protocol):
    """A model whose process may end, and is started again."""

    def run_again(
        self, feed: Mapping[str, Array], wanted: Sequence[str], *, timeout_s: float, counted: bool
    ) -> list[Array]:
        """Run a part of a batch that ended the process, as soon as there is another one.

        With `counted` a death counts for nothing: it is that of the batch, which has been counted.

        Raises: ModelRunError; ModelBusyError at once, where no process would be there in time.
        """
        ...


@runtime_checkable
class Stoppable(Protocol):
    """A model whose calls can be ended."""

    def call(self) -> Call:
        """Return a way to call it and to end the call."""
        ...
