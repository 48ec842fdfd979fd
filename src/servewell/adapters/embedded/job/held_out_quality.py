"""What the held-out rows of a version and their labels say of its rightness."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

import msgspec
import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from servewell.adapters.embedded.job.exchange import RunFiles
from servewell.adapters.embedded.job.held_out import column_names, held_out_rows, sampled
from servewell.adapters.embedded.job.loss_fit import fit_loss
from servewell.adapters.embedded.monitoring.cells import Cells
from servewell.adapters.embedded.monitoring.counting import columns_of, places_of
from servewell.adapters.embedded.monitoring.grouping import Table
from servewell.core.catalog.profile import Bins, ColumnKind, ReferenceProfile, Side
from servewell.core.catalog.quality_reference import QualityReference, Task
from servewell.core.operations.monitoring.held_out_quality import HeldOutRow, held_out_quality
from servewell.core.operations.monitoring.realised import ABSOLUTE, Judged, judged
from servewell.ports.trainer import Job

ROWS_MAX: Final = 200_000  # the last ones; more make no figure better
WATCHED: Final = (ColumnKind.NUMBER, ColumnKind.CATEGORY)
TELLING: Final = (Side.INPUT, Side.OUTPUT)

Tensors = Mapping[str, NDArray[Any]]
Whole = NDArray[np.int64]


def write_quality(
    job: Job, profile: ReferenceProfile, table: Table, given: Tensors, *, files: RunFiles
) -> None:
    """Write what the held-out rows say of a new version, where they have labels.

    What was given is of all held-out rows, or of the evenly sampled ones. Raises: OSError.
    """
    labels = _labels(job)
    rows = len(next(iter(given.values()), ()))
    if len(labels) != rows:
        labels = [labels[at] for at in sampled(len(labels))]
    if not rows or len(labels) != rows:
        return
    found = quality_of_rows(profile, table, given, labels)
    if found is not None:
        files.quality.write_bytes(msgspec.json.encode(found, order="deterministic"))


def _labels(job: Job) -> list[object]:
    """Return the labels of the held-out rows, none where the data has no such column."""
    if job.data is None or job.label is None or job.label not in column_names(job.data):
        return []
    aside = [job.held_out.column] if job.held_out else []
    table = pq.read_table(job.data, columns=list(dict.fromkeys([job.label, *aside])))
    return list(table.filter(held_out_rows(table, job.held_out)).column(job.label).to_pylist())


def quality_of_rows(
    profile: ReferenceProfile, table: Table, outputs: Tensors, labels: Sequence[object]
) -> QualityReference | None:
    """Return what these rows say of a version; None where their labels do not speak of it.

    The table and the outputs are of the same rows as the labels, in their order. A label that is
    missing, or neither text nor number nor truth value, says nothing.
    """
    first = max(0, len(labels) - ROWS_MAX)
    told = [
        judged(row, truth) if isinstance(truth, str | float | int | bool) else None
        for row, truth in zip(_rows(outputs, first), labels[first:], strict=True)
    ]
    kept = np.array([at for at, one in enumerate(told, first) if one is not None], np.int64)
    known = [one for one in told if one is not None]
    places = _places(profile, table, kept)
    score = _score_of(profile)
    column = score.column if score and score.column in places else ""
    slices = _slices(profile, table, kept)
    rows = [
        HeldOutRow(judged=one, place=int(place), slices=names)
        for one, place, names in zip(
            known, places.get(column, np.zeros(len(known), np.int64)), slices, strict=True
        )
    ]
    found = held_out_quality(rows, column=column)
    if found is None or found.task is not Task.NUMBER:
        return found
    return _with_loss(found, profile, known, places)


def _with_loss(
    found: QualityReference,
    profile: ReferenceProfile,
    known: Sequence[Judged],
    places: Mapping[str, Whole],
) -> QualityReference:
    telling = [
        one
        for one in profile.bins
        if one.column in places and one.side in TELLING and one.kind in WATCHED
    ]
    numbers = np.array([at for at, one in enumerate(known) if one.task is Task.NUMBER])
    losses = np.array([known[at].loss for at in numbers])
    by_column = {one.column: places[one.column][numbers] for one in telling}
    model, because, missed = fit_loss(losses, by_column, telling)
    return replace(found, loss=model, loss_because=because, missed={ABSOLUTE: missed})


def _rows(outputs: Tensors, first: int) -> list[dict[str, Any]]:
    """Return the outputs of each row as a record of the log has them."""
    columns = [
        (tensor.reshape(len(tensor)) if tensor.size == len(tensor) else tensor)[first:].tolist()
        for tensor in outputs.values()
    ]
    return [dict(zip(outputs, values, strict=True)) for values in zip(*columns, strict=True)]


def _places(profile: ReferenceProfile, table: Table, kept: Whole) -> dict[str, Whole]:
    """Return the place of each row in each column that all of them have."""
    columns = columns_of(profile.bins, table.inputs, table.outputs)
    bins = {one.column: one for one in profile.bins}
    found = {name: places_of(bins[name], cells)[kept] for name, cells in columns.items()}
    return {name: places for name, places in found.items() if (places >= 0).all()}


def _score_of(profile: ReferenceProfile) -> Bins | None:
    """Return the column of the score: of the probabilities, or an output that is one."""
    scores = [one for one in profile.bins if one.side is Side.SCORE]
    named = [one for one in profile.bins if one.side is Side.OUTPUT and _is_chance(one)]
    return next(iter([*scores, *named]), None)


def _is_chance(bins: Bins) -> bool:
    name = bins.column.lower()
    return bins.kind is ColumnKind.NUMBER and ("prob" in name or name == "score")


def _slices(profile: ReferenceProfile, table: Table, kept: Whole) -> list[tuple[str, ...]]:
    """Return the slices that each row belongs to."""
    named = frozenset(profile.rows)
    found: list[tuple[str, ...]] = [()] * len(kept)
    for column in profile.slices:
        texts = _texts(table.inputs.get(column), kept)
        for at, text in enumerate(texts):
            if text is not None and (name := f"{column}={text}") in named:
                found[at] = (*found[at], name)
    return found


def _texts(cells: Cells | None, kept: Whole) -> list[str | None]:
    if cells is None or cells.texts is None:
        return []
    words = [*cells.words, None]
    return [words[at] for at in cells.texts[kept].tolist()]
