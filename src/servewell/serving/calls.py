"""Calls of a model: requests in, the outputs of each out, whatever they asked for."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from math import prod
from operator import attrgetter
from typing import Final

from servewell.core.catalog.signature import Output, Signature
from servewell.serving.isolation import failing_row, isolated
from servewell.serving.model_failures import concerns_all, ended_process
from servewell.serving.package import Package
from servewell.serving.protocols.columns import Decoded, OutputTensor
from servewell.serving.runtimes.model import Array, ModelRunError
from servewell.serving.tensors import check_rows, scatter

PLAIN: Final = {((), False)}  # all outputs are asked for, as lists
_rows, _wanted = attrgetter("rows"), attrgetter("wanted")

Outputs = list[OutputTensor]
Outcome = Outputs | ModelRunError
Run = Callable[[Mapping[str, Array], Sequence[str], int], list[Array]]  # the last are the rows


def answered(package: Package, requests: Sequence[Decoded], run: Run) -> list[Outcome]:
    """Return the outputs of each request, or the error that it raises by itself.

    Where one of several rows of a request is the cause, the error says which.
    """
    outcomes = isolated(partial(_predicted, package, run), requests)
    for one, outcome in zip(requests, outcomes, strict=True):
        if isinstance(outcome, ModelRunError) and one.rows > 1:
            outcome.row = _failing_row(package, run, one, outcome)
    return outcomes


def _failing_row(package: Package, run: Run, one: Decoded, error: ModelRunError) -> int | None:
    """Return the row that is the cause of an error, or None where that cannot be found out."""
    if concerns_all(error) or ended_process(
        error
    ):  # to try rows would end one process after another
        return None
    try:
        return failing_row(partial(_fails, package, run, one), one.rows)
    except ModelRunError:  # the model has gone, or the time is over: no row is known to fail
        return None


def _predicted(package: Package, run: Run, requests: Sequence[Decoded]) -> list[Outputs]:
    """Return the outputs of requests that are run together: once, for all that any asks for.

    Raises: ModelRunError.
    """
    declared = _union(package.signature, requests)
    rows = sum(map(_rows, requests))
    try:
        feed = package.gatherer.gather(requests)
        arrays = run(feed, [one.name for one in declared], rows)
        if rows == len(requests) and {(one.wanted, one.as_arrays) for one in requests} == PLAIN:
            return _single_rows(declared, arrays, rows)
        parts = scatter(arrays, requests)
    except (MemoryError, OverflowError, TypeError, ValueError) as error:
        raise ModelRunError(type(error).__name__) from error
    return [
        [
            OutputTensor(output.name, output.datatype.value, shape, values)
            for output, (values, shape) in zip(declared, own, strict=True)
            if not one.wanted or output.name in one.wanted
        ]
        for one, own in zip(requests, parts, strict=True)
    ]


def _single_rows(declared: Sequence[Output], arrays: list[Array], rows: int) -> list[Outputs]:
    """Return all outputs of requests of one row each, as lists: NumPy cuts them fastest."""
    check_rows(arrays, rows)
    columns = []
    for one, array in zip(declared, arrays, strict=True):
        name, datatype, shape = one.name, one.datatype.value, (1, *array.shape[1:])
        values = array.reshape(rows, -1).tolist()
        columns.append([OutputTensor(name, datatype, shape, own) for own in values])
    return list(map(list, zip(*columns, strict=True)))


def _union(signature: Signature, requests: Sequence[Decoded]) -> Sequence[Output]:
    """Return the outputs that any of the requests asks for, in the order of the signature."""
    if not all(map(_wanted, requests)):
        return signature.outputs
    wanted = {name for one in requests for name in one.wanted}
    return [one for one in signature.outputs if one.name in wanted]


def _fails(package: Package, run: Run, request: Decoded, start: int, end: int) -> bool:
    try:
        _predicted(package, run, [_rows_of(request, package.signature, start, end)])
    except ModelRunError as error:
        if concerns_all(error) or ended_process(error):
            raise
        return True
    return False


def _rows_of(request: Decoded, signature: Signature, start: int, end: int) -> Decoded:
    shapes = request.row_shapes or [one.row_shape for one in signature.inputs]
    widths = [prod(shape) for shape in shapes]
    return Decoded(
        request_id="",
        rows=end - start,
        columns=[
            column[start * width : end * width]
            for column, width in zip(request.columns, widths, strict=True)
        ],
        wanted=request.wanted,
        row_shapes=request.row_shapes,
        as_arrays=True,
    )
