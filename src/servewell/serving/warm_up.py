"""Runs a model before anybody waits for it: the first calls are the slow ones."""

from time import perf_counter_ns
from typing import Final

from servewell.core.catalog.signature import Signature, Value, example_row
from servewell.serving.protocols.columns import Column, Decoded
from servewell.serving.runtimes.model import Latencies, Model, ModelRunError, ModelUnusableError
from servewell.serving.tensors import Gatherer, scatter

SIZES: Final = (1, 1, 8, 64)  # rows of a call; the very first pays for what is made once
WITHIN_S: Final = 60.0


def warm_up(model: Model, signature: Signature) -> Latencies:
    """Run a model on the example row of its package, alone and in batches; return the times.

    A model that leaves a dimension open gets no call: no row is known to be of a size that it
    takes.

    Raises: ModelUnusableError where it fails, which it would on the first request too.
    """
    if any(-1 in one.row_shape for one in signature.inputs):
        return ()
    row = example_row(signature)
    gatherer = Gatherer(signature)
    try:
        return tuple((rows, _timed(model, gatherer, _repeated(row, rows))) for rows in SIZES)[1:]
    except (ModelRunError, ValueError, TypeError, OverflowError) as error:
        raise ModelUnusableError(
            "The model cannot be served.",
            why=f"it failed on the example row of its package: {error}",
            fix="correct the model and bring it up again; `servewell models show` has its inputs",
        ) from error


def _repeated(row: dict[str, Value | list[Value]], rows: int) -> Decoded:
    columns: list[Column] = [
        one * rows if isinstance(one, list) else [one] * rows for one in row.values()
    ]
    return Decoded("", rows, columns, ())


def _timed(model: Model, gatherer: Gatherer, decoded: Decoded) -> int:
    feed = gatherer.gather([decoded])
    started = perf_counter_ns()
    arrays = model.run(feed, model.outputs, timeout_s=WITHIN_S)
    took = perf_counter_ns() - started
    scatter(arrays, [decoded])
    return took
