"""Rows of several requests as arrays of one batch, and back."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from operator import attrgetter
from typing import Final

import numpy as np

from servewell.core.catalog.signature import Datatype, Signature
from servewell.serving.protocols.columns import Column, Decoded
from servewell.serving.runtimes.model import DTYPES, Array, ModelRunError

Shape = tuple[int, ...]
Values = list[float] | list[int] | list[bool] | list[str] | Array

SCALAR: Final = (1,)
_rows = attrgetter("rows")
UNCOPIED: Final = 64  # rows from which arrays go to the model as they came


@dataclass(frozen=True, slots=True, kw_only=True)
class _Group:
    """Inputs of one type and of one value a row: one array holds them all, cut by input."""

    dtype: type[np.generic]
    names: tuple[str, ...]
    places: tuple[int, ...]  # in the signature


class Gatherer:
    """Makes the arrays of the inputs of one signature."""

    def __init__(self, signature: Signature) -> None:
        inputs = list(enumerate(signature.inputs))
        scalars = [(place, one) for place, one in inputs if one.row_shape == SCALAR]
        self._groups = [
            _Group(
                dtype=DTYPES[datatype],
                names=tuple(one.name for _, one in scalars if one.datatype is datatype),
                places=tuple(place for place, one in scalars if one.datatype is datatype),
            )
            for datatype in {one.datatype for _, one in scalars}
        ]
        self._others = [(place, one) for place, one in inputs if one.row_shape != SCALAR]
        self._texts_or_null = [
            place for place, one in inputs if one.nullable and one.datatype is Datatype.BYTES
        ]

    def gather(self, requests: Sequence[Decoded]) -> dict[str, Array]:
        """Return the arrays of one batch: the rows of the requests, one after the other.

        Requests of a model that leaves a dimension open come alone.
        """
        first, rows = requests[0], sum(map(_rows, requests))
        columns = first.columns if len(requests) == 1 else _joined(requests)
        if self._texts_or_null:
            columns = self._without_null(columns)
        feed: dict[str, Array] = {}
        for group in self._groups:
            arrives = rows >= UNCOPIED and isinstance(columns[group.places[0]], np.ndarray)
            if arrives or len(group.places) == 1:
                for place, name in zip(group.places, group.names, strict=True):
                    feed[name] = np.asarray(columns[place], dtype=group.dtype).reshape(rows, 1)
                continue
            block = np.array([columns[place] for place in group.places], dtype=group.dtype)
            feed.update(zip(group.names, block.reshape(-1, rows, 1), strict=True))
        for place, declared in self._others:
            shape = first.row_shapes[place] if first.row_shapes else declared.row_shape
            array = _array(columns[place], DTYPES[declared.datatype])
            feed[declared.name] = array.reshape(rows, *shape)
        return feed

    def _without_null(self, columns: list[Column]) -> list[Column]:
        """Return the columns for the model, which takes an empty text where one is missing."""
        columns = columns.copy()
        for place in self._texts_or_null:
            if not isinstance(columns[place], np.ndarray):
                columns[place] = ["" if one is None else one for one in columns[place]]
        return columns


def _array(column: Column, dtype: type[np.generic]) -> Array:
    """Return a column as an array; a number that is missing becomes not-a-number."""
    if isinstance(column, list) and dtype is not np.object_:
        try:
            return np.fromiter(column, dtype, len(column))  # in half the time, but takes no None
        except TypeError:
            pass
    return np.asarray(column, dtype=dtype)


def check_rows(arrays: list[Array], rows: int) -> None:
    """Raise ModelRunError where the model gave another number of rows than it got."""
    for array in arrays:
        if array.shape[:1] != (rows,):
            raise ModelRunError("OutputRowsDiffer")


def scatter(arrays: list[Array], requests: Sequence[Decoded]) -> list[list[tuple[Values, Shape]]]:
    """Return, for each request, its part of each output: flat values and the shape.

    Requests that want arrays get views of the arrays, nothing copied.

    Raises: ModelRunError where the model gave another number of rows than it got.
    """
    rows = sum(map(_rows, requests))
    check_rows(arrays, rows)
    flat = [(array.reshape(-1), array.shape[1:], array.size // rows) for array in arrays]
    listed = [] if all(one.as_arrays for one in requests) else [one.tolist() for one, _, _ in flat]
    parts, start = [], 0
    for one in requests:
        end = start + one.rows
        values: Sequence[Values] = [array for array, _, _ in flat] if one.as_arrays else listed
        parts.append(
            [
                (own[start * width : end * width], (one.rows, *shape))
                for own, (_, shape, width) in zip(values, flat, strict=True)
            ]
        )
        start = end
    return parts


def _joined(requests: Sequence[Decoded]) -> list[Column]:
    return [
        np.concatenate(parts)
        if all(isinstance(part, np.ndarray) for part in parts)
        else list(chain.from_iterable(parts))
        for parts in zip(*(one.columns for one in requests), strict=True)
    ]
