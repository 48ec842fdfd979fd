"""The facts that the data contract is judged by."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from servewell.adapters.embedded.job.data.leakage import measure_leaks
from servewell.adapters.embedded.job.data.repeats import are_among, copies, row_digests
from servewell.adapters.embedded.job.data.shifts import Pair, measure_shifts
from servewell.adapters.embedded.job.data.values import (
    NUMERIC,
    kind_of,
    missing_of,
    numbers_of,
    texts_of,
)
from servewell.adapters.embedded.job.held_out import check_held_out, held_out_rows
from servewell.core.catalog.data_facts import Against, DataFacts, InputFacts, Shifts, ValueKind
from servewell.core.catalog.signature import Input
from servewell.core.catalog.workload import HeldOut
from servewell.ports.data_measuring import DataQuestion

Mask = NDArray[np.bool_]

PARTS: Final = 50  # that bursts of missing values are looked for in
PART_ROWS_MIN: Final = 50
TEXTS_SHOWN: Final = 5


def measure_data(question: DataQuestion) -> DataFacts:
    """Return the facts of the rows, in the order of the column that tells what is held out.

    Raises: HeldOutRowsError; TrainingFailedError where a file is no Parquet.
    """
    check_held_out(question.data, question.held_out)
    table = in_order(pq.read_table(question.data), question.held_out)
    held_out = held_out_rows(table, question.held_out).to_numpy(zero_copy_only=False).astype(bool)
    digests = row_digests(table, table.column_names)
    names = tuple(one.name for one in question.inputs)
    label = question.label if question.label in table.column_names else None
    return DataFacts(
        rows=table.num_rows,
        held_out=int(held_out.sum()),
        repeated=copies(digests),
        shared=int(are_among(digests[held_out], digests[~held_out]).sum()),
        inputs=tuple(_input_facts(table, one) for one in question.inputs),
        label=question.label,
        label_missing=float(missing_of(table.column(label)).mean()) if label else 1.0,
        label_among_inputs=question.label in names,
        leaks=measure_leaks(table, names, label) if label else (),
        shifts=tuple(_all_shifts(question, table, held_out)),
    )


def in_order(table: pa.Table, held_out: HeldOut | None) -> pa.Table:
    """Return the rows by the column that tells what is held out, or as they are."""
    if held_out is None or held_out.column not in table.column_names:
        return table
    column = table.column(held_out.column)
    if kind_of(column.type) is ValueKind.TEXT:
        return table
    order = pc.sort_indices(column)
    return (
        table
        if pc.all(pc.equal(order, pa.array(np.arange(len(order))))).as_py()
        else table.take(order)
    )


def new_rows(before: pa.Table, now: pa.Table) -> pa.Table:
    """Return the rows now that are no copy of one before, by the columns that both have."""
    names = [one for one in now.column_names if one in before.column_names]
    known = are_among(row_digests(now, names), row_digests(before, names))
    return now.filter(pa.array(~known)) if names else now


def _all_shifts(question: DataQuestion, table: pa.Table, held_out: Mask) -> Iterator[Shifts]:
    names = tuple(one.name for one in question.inputs)
    names += (question.label,) if question.label and question.label not in names else ()
    hidden = frozenset(one.name for one in question.inputs if one.personal)
    training = table.filter(pa.array(~held_out))
    if question.before is not None:
        before = in_order(pq.read_table(question.before), question.before_held_out)
        pair = Pair(
            before=before,
            now=new_rows(before, table),
            against=Against.LAST,
            name=question.before_name,
        )
        yield measure_shifts(pair, names, hidden=hidden)
    kept = table.filter(pa.array(held_out))
    pair = Pair(before=training, now=kept, against=Against.HELD_OUT, name="the training rows")
    yield measure_shifts(pair, names, hidden=hidden)
    if question.requests:
        requests = pa.table(question.requests)
        pair = Pair(before=training, now=requests, against=Against.REQUESTS, name="requests")
        asked = tuple(one for one in names if one in question.requests and one not in hidden)
        yield measure_shifts(pair, asked, hidden=hidden)


def _input_facts(table: pa.Table, declared: Input) -> InputFacts:
    if declared.name not in table.column_names:
        return InputFacts(name=declared.name, datatype=declared.datatype, kind=None)
    column = table.column(declared.name)
    kind = kind_of(column.type)
    missing = missing_of(column)
    burst, at = _burst(missing)
    plain = InputFacts(
        name=declared.name,
        datatype=declared.datatype,
        kind=kind,
        type=str(column.type),
        missing=float(missing.mean()) if len(missing) else 0.0,
        burst=burst,
        burst_at=at,
        minimum=declared.minimum,
        maximum=declared.maximum,
        allowed=declared.allowed,
    )
    if kind in NUMERIC:
        return _of_numbers(plain, column, declared)
    return _of_texts(plain, column, declared) if kind is ValueKind.TEXT else plain


def _of_numbers(plain: InputFacts, column: pa.ChunkedArray, declared: Input) -> InputFacts:
    values = numbers_of(column)
    held = values[~np.isnan(values)]
    if not len(held):
        return replace(plain, constant=True)
    lowest, highest = float(held.min()), float(held.max())
    low = -np.inf if declared.minimum is None else declared.minimum
    high = np.inf if declared.maximum is None else declared.maximum
    return replace(
        plain,
        constant=lowest == highest,
        outside=int(((held < low) | (held > high)).sum()),
        lowest=None if declared.personal else lowest,
        highest=None if declared.personal else highest,
    )


def _of_texts(plain: InputFacts, column: pa.ChunkedArray, declared: Input) -> InputFacts:
    codes, texts = texts_of(column)
    plain = replace(plain, constant=len(texts) <= 1)
    if declared.allowed is None:
        return plain
    counts = np.bincount(codes[codes >= 0], minlength=len(texts))
    allowed = frozenset(declared.allowed)
    others = [(int(n), one) for n, one in zip(counts, texts, strict=True) if one not in allowed]
    shown = sorted(others, key=lambda one: (-one[0], one[1]))[:TEXTS_SHOWN]
    return replace(
        plain,
        outside=sum(n for n, _ in others),
        not_allowed=() if declared.personal else tuple(one for _, one in shown),
    )


def _burst(missing: Mask) -> tuple[float, str]:
    """Return the share of missing values in the worst part of the rows, and where that is."""
    count = max(1, min(PARTS, len(missing) // PART_ROWS_MIN))
    ends = np.linspace(0, len(missing), count + 1).astype(int)
    shares = [float(missing[a:b].mean()) for a, b in pairwise(ends.tolist()) if b > a]
    if not shares:
        return 0.0, ""
    worst = int(np.argmax(shares))
    return shares[worst], f"rows {ends[worst] + 1:,} to {ends[worst + 1]:,}"
