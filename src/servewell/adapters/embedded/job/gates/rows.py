"""The held-out rows that versions are judged on: as requests bring them, and in groups."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from servewell.adapters.embedded.job.held_out import check_held_out, column_names, held_out_rows
from servewell.adapters.embedded.job.rows import plain_frame
from servewell.adapters.embedded.job.study.graphs import Feed
from servewell.adapters.embedded.job.study.rows import feed_of, labelled, made_up_rows, some
from servewell.core.catalog.signature import Signature
from servewell.ports.evaluator import EvaluateJob
from servewell.ports.optimiser import StudyDataError

ROWS_MAX: Final = 50_000


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgedRows:
    """Rows, what is true of them, and how they fall into groups."""

    candidate: Feed
    champion: Feed | None  # None where they lack an input of the champion, or there is none
    labels: "pd.Series[float] | None"
    frame: pd.DataFrame  # the same rows with every column that is known of them
    rows: int
    made_up: str = ""  # why they are none of the data; empty where they are
    no_champion: str = ""  # why the champion cannot answer them


def judged_rows(job: EvaluateJob) -> JudgedRows:
    """Return the rows of a job: of its data, or made up from the signature.

    Rows that are not what the candidate takes are made up as well; the data contract tells of them.

    Raises: HeldOutRowsError.
    """
    signature = job.candidate.signature
    if job.data is None:
        return _made_up(signature, job, "there is no data")
    held = set(column_names(job.data))
    lacking = _lacking(signature, held)
    if lacking:
        return _made_up(signature, job, lacking)
    check_held_out(job.data, job.held_out)
    table = pq.read_table(job.data)
    mask = held_out_rows(table, job.held_out).to_numpy(zero_copy_only=False).astype(bool)
    label = job.label if job.label in held else None
    draw = np.random.default_rng(job.seed)
    rows = some(np.flatnonzero(mask & labelled(table, label)), ROWS_MAX, draw)
    if not len(rows):
        lacks = f"has a label in the column `{label}`" if label else "is there"
        return _made_up(signature, job, f"no held-out row {lacks}")
    try:
        candidate = feed_of(table, signature.inputs, rows)
    except StudyDataError as error:
        return _made_up(signature, job, f"{error.what} {error.why}")
    champion, no_champion = _champion_feed(job, table, rows)
    return JudgedRows(
        candidate=candidate,
        champion=champion,
        labels=None if label is None else table.column(label).take(rows).to_pandas(),
        frame=plain_frame(table.take(rows).select(_grouping(job, held))),
        rows=len(rows),
        no_champion=no_champion,
    )


def _champion_feed(
    job: EvaluateJob, table: pa.Table, rows: NDArray[np.int64]
) -> tuple[Feed | None, str]:
    """Return the rows as the champion takes them, or why it cannot."""
    if job.champion is None:
        return None, ""
    signature = job.champion.signature
    if why := _lacking(signature, set(table.column_names)):
        return None, why
    try:
        return feed_of(table, signature.inputs, rows), ""
    except StudyDataError as error:
        return None, f"{error.what} {error.why}"


def _grouping(job: EvaluateJob, held: set[str]) -> list[str]:
    """Return the columns that rows may be grouped by."""
    inputs = [one.name for one in job.candidate.signature.inputs]
    named = [*inputs, *(job.rules.slices or ()), *job.rules.fairness]
    return [one for one in dict.fromkeys(named) if one in held]


def _lacking(signature: Signature, held: set[str]) -> str:
    """Return why the data cannot be fed to a model, or nothing."""
    lacking = [one.name for one in signature.inputs if one.name not in held]
    if lacking:
        return f"the data has no column `{lacking[0]}`"
    if any(one.row_shape not in ((), (1,)) for one in signature.inputs):
        return "an input is no single value, so no column of the data is it"
    return ""


def _made_up(signature: Signature, job: EvaluateJob, why: str) -> JudgedRows:
    feed = made_up_rows(signature.inputs, job.seed, why).held_out
    frame = pd.DataFrame(
        {name: one.reshape(len(one), -1)[:, 0] for name, one in feed.items() if one.size}
    )
    same = job.champion is not None and job.champion.signature.inputs == signature.inputs
    return JudgedRows(
        candidate=feed,
        champion=feed if same else None,
        labels=None,
        frame=frame,
        rows=len(frame),
        made_up=why,
        no_champion="" if same or job.champion is None else "its inputs are others",
    )
