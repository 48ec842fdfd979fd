"""The rows that a row is compared with: held-out rows of the data, or what was recorded."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow.parquet as pq

from servewell.adapters.embedded.job.graph import NUMPY_TYPES
from servewell.adapters.embedded.job.held_out import column_names, held_out_rows
from servewell.adapters.embedded.job.study.graphs import Array, Feed
from servewell.adapters.embedded.job.study.rows import feed_of, some
from servewell.core.catalog.signature import Datatype, Input
from servewell.ports.explainer import ExplainJob, NotExplainableError

ROWS: Final = 100
SEED: Final = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Background:
    """Rows as the tensors that requests would bring."""

    feed: Feed
    source: str


def background_of(job: ExplainJob) -> Background:
    """Return the background of a job. Raises: NotExplainableError."""
    inputs = job.signature.inputs
    if job.data is not None and _has_inputs(job.data, inputs):
        aside = [job.held_out.column] if job.held_out else []
        names = dict.fromkeys([*(one.name for one in inputs), *aside])
        table = pq.read_table(job.data, columns=list(names))
        mask = held_out_rows(table, job.held_out).to_numpy(zero_copy_only=False).astype(bool)
        rows = some(np.flatnonzero(mask), ROWS, np.random.default_rng(SEED))
        if len(rows):
            return Background(
                feed=feed_of(table, inputs, rows), source="held-out rows of its dataset"
            )
    personal = [one.name for one in inputs if one.personal]
    if personal or len(job.recorded) < 2:  # noqa: PLR2004 - one row has no spread
        raise NotExplainableError(
            "There are no rows to compare this answer with.",
            why="the dataset of its version is not kept, or has not the model's inputs"
            + (f"; and `{personal[0]}` is personal, a token in the log" if personal else ""),
            fix="train or import the model with its data (`--data`)",
        )
    feed = {
        one.name: np.concatenate([_array(row[one.name], one) for row in job.recorded])
        for one in inputs
    }
    return Background(feed=feed, source="other requests that were recorded")


def row_feed(job: ExplainJob, background: Background) -> Feed:
    """Return the row to explain; a personal input, which is not known, is lent by another row."""
    return {
        one.name: background.feed[one.name][:1]
        if one.personal
        else _array(job.row.get(one.name), one)
        for one in job.signature.inputs
    }


def _has_inputs(data: Path, inputs: Sequence[Input]) -> bool:
    held = set(column_names(data))
    return all(one.name in held and one.row_shape == (1,) for one in inputs)


def _array(value: Any, declared: Input) -> Array:  # noqa: ANN401 - a value of any type
    """Return one recorded value as a tensor of one row. Raises: NotExplainableError."""
    values = value if isinstance(value, list) else [value]
    kind = "object" if declared.datatype is Datatype.BYTES else NUMPY_TYPES[declared.datatype]
    empty: Mapping[bool, object] = {True: "", False: float("nan")}
    told = [empty[declared.datatype is Datatype.BYTES] if one is None else one for one in values]
    try:
        array = np.array(told, dtype=kind)
        return array.reshape(1, *(size if size > 0 else -1 for size in declared.row_shape))
    except (ValueError, TypeError) as error:
        raise NotExplainableError(
            f"The record holds no value of `{declared.name}` that the model takes.",
            why=f"the model takes {declared.datatype}: {error}",
            fix="choose another request; `servewell trace` shows what was recorded",
        ) from error
