"""The rows that a model is tried on: held-out ones to judge by, others to make variants with."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from servewell.adapters.embedded.job.graph import NUMPY_TYPES
from servewell.adapters.embedded.job.held_out import check_held_out, column_names, held_out_rows
from servewell.adapters.embedded.job.rows import plain_frame
from servewell.adapters.embedded.job.study.graphs import Array, Feed
from servewell.core.catalog.signature import Datatype, Input
from servewell.ports.optimiser import StudyDataError, Subject

HELD_OUT_MAX: Final = 200_000  # rows that quality is judged on
TRAINING_MAX: Final = 4_096  # rows that variants are made with
MADE_UP: Final = 2_048
MADE_UP_WHOLE: Final = 10  # whole numbers below this, where nothing is known of an input


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyRows:
    """Rows as the tensors that requests would bring, and what is true of them."""

    held_out: Feed
    labels: "pd.Series[float] | None"  # of each held-out row; None where none is known
    training: Feed
    made_up: str  # why the rows were made up; empty where they are real


def count(feed: Feed) -> int:
    """Return the number of rows."""
    return len(next(iter(feed.values())))


def part(feed: Feed, rows: slice | NDArray[np.int64]) -> Feed:
    """Return some of the rows."""
    return {name: array[rows] for name, array in feed.items()}


def parts(feed: Feed, size: int) -> list[Feed]:
    """Return the rows in pieces of at most `size`."""
    return [part(feed, slice(first, first + size)) for first in range(0, count(feed), size)]


def study_rows(subject: Subject, *, seed: int) -> StudyRows:
    """Return the rows of a subject: of its data, or made up from the signature.

    Raises: StudyDataError, HeldOutRowsError.
    """
    inputs = subject.signature.inputs
    if subject.data is None:
        return made_up_rows(inputs, seed, "there is no data")
    held = set(column_names(subject.data))
    lacking = [one.name for one in inputs if one.name not in held]
    if lacking or any(one.row_shape != (1,) for one in inputs):
        named = f": it has no `{lacking[0]}`" if lacking else ""
        return made_up_rows(
            inputs, seed, f"the columns of the data are not the model's inputs{named}"
        )
    return _of_data(subject, subject.data, seed)


def _of_data(subject: Subject, data: Path, seed: int) -> StudyRows:
    inputs, label = subject.signature.inputs, subject.label
    check_held_out(data, subject.held_out)
    if label is not None and label not in column_names(data):
        raise StudyDataError(
            f"The data has no column `{label}`.",
            why="it is named as the label, and quality is measured against it",
            fix="correct `data.label` in the workload file and name that file with --workload",
        )
    aside = [subject.held_out.column] if subject.held_out else []
    wanted = [*(one.name for one in inputs), *([label] if label else []), *aside]
    table = pq.read_table(data, columns=list(dict.fromkeys(wanted)))
    mask = held_out_rows(table, subject.held_out).to_numpy(zero_copy_only=False).astype(bool)
    draw = np.random.default_rng(seed)
    judged = np.flatnonzero(mask & labelled(table, label))
    if not len(judged):
        raise StudyDataError(
            "No held-out row has a label.",
            why=f"the column `{label}` is empty in all of them",
            fix="correct `data.label` or `data.held_out` in the workload file",
        )
    others = np.flatnonzero(~mask)
    held_out, training = some(judged, HELD_OUT_MAX, draw), some(others, TRAINING_MAX, draw)
    return StudyRows(
        held_out=feed_of(table, inputs, held_out),
        labels=None if label is None else table.column(label).take(held_out).to_pandas(),
        training=feed_of(table, inputs, training),
        made_up="",
    )


def labelled(table: pa.Table, label: str | None) -> NDArray[np.bool_]:
    """Return which rows of a table have a label."""
    if label is None:
        return np.ones(table.num_rows, dtype=bool)
    values: NDArray[np.bool_] = table.column(label).to_pandas().notna().to_numpy()
    return values


def some(rows: NDArray[np.int64], most: int, draw: np.random.Generator) -> NDArray[np.int64]:
    """Return at most so many of the rows, in their order."""
    if len(rows) <= most:
        return rows
    return np.sort(draw.choice(rows, most, replace=False))


def feed_of(table: pa.Table, inputs: Sequence[Input], rows: NDArray[np.int64]) -> Feed:
    """Return rows of a table as the tensors that requests would bring.

    Raises: StudyDataError where a column is not what the model takes.
    """
    frame = plain_frame(table.take(rows).select([one.name for one in inputs]))
    return {one.name: _tensor(frame[one.name], one) for one in inputs}


def _tensor(column: "pd.Series[float]", declared: Input) -> Array:
    kind = "object" if declared.datatype is Datatype.BYTES else NUMPY_TYPES[declared.datatype]
    try:
        return column.to_numpy(dtype=kind).reshape(-1, 1)
    except (ValueError, TypeError) as error:
        raise StudyDataError(
            f"The column `{declared.name}` is not what the model takes.",
            why=f"the model takes {declared.datatype}: {error}",
            fix="optimise with the data that the model was trained on",
        ) from error


def made_up_rows(inputs: Sequence[Input], seed: int, why: str) -> StudyRows:
    """Return rows that are drawn from what a signature knows of its inputs."""
    draw = np.random.default_rng(seed)
    return StudyRows(
        held_out={one.name: _drawn(one, draw) for one in inputs},
        labels=None,
        training={one.name: _drawn(one, draw) for one in inputs},
        made_up=why,
    )


def _drawn(one: Input, draw: np.random.Generator) -> Array:
    """Return values from what is known of an input: texts seen or allowed, and its range."""
    shape = (MADE_UP, *(max(dimension, 1) for dimension in one.row_shape))
    if one.datatype is Datatype.BYTES:
        texts = one.allowed or one.categories or (str(one.example or ""),)
        return draw.choice(np.array(texts, dtype=object), shape)
    kind = NUMPY_TYPES[one.datatype]
    if one.datatype is Datatype.BOOL:
        return draw.integers(0, 2, shape).astype(kind)
    low, high = _range(one)
    if one.datatype.is_integer:
        least = 0 if low is None else math.ceil(low)
        most = least + MADE_UP_WHOLE - 1 if high is None else math.floor(high)
        return draw.integers(least, max(least, most) + 1, shape).astype(kind)
    if low is None or high is None:
        return draw.normal(size=shape).astype(kind)
    return draw.uniform(low, high, shape).astype(kind)


def _range(one: Input) -> tuple[float | None, float | None]:
    low = one.minimum_seen if one.minimum_seen is not None else one.minimum
    high = one.maximum_seen if one.maximum_seen is not None else one.maximum
    return low, high
