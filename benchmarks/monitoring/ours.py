"""Our side: rows become profiles by the code of the record path, and profiles a verdict."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from servewell.adapters.embedded.monitoring.cells import Cells
from servewell.adapters.embedded.monitoring.grouping import Table, grouped, reference_of
from servewell.core.catalog.drift import DriftReport
from servewell.core.catalog.profile import ReferenceProfile, WindowProfile
from servewell.core.catalog.signature import Datatype, Input, Signature
from servewell.core.catalog.workload_monitoring import DriftRules
from servewell.core.operations.monitoring.drift import Look, judge

HOUR_S = 3_600
Rows = Mapping[str, NDArray]  # column -> a value for each row
RULES = DriftRules()


def reference(rows: Rows) -> ReferenceProfile:
    """Return the reference profile of some rows."""
    number = len(next(iter(rows.values())))
    made = reference_of(
        _signature(rows), _table(rows), rows=number, slices=(), source="the rows of a benchmark"
    )
    return replace(made, package="p", version="model:1")


def windows(
    made: ReferenceProfile, rows: Rows, groups: NDArray[np.int64], number: int
) -> list[WindowProfile]:
    """Return so many windows of an hour; `groups` says of each row to which it belongs."""
    found = grouped(made.bins, (), _table(rows), groups, number)
    return [
        WindowProfile(
            endpoint="bench",
            deployment="v1",
            package="p",
            start=at * HOUR_S,
            seconds=HOUR_S,
            rows=one.rows,
            counts=one.counts,
        )
        for at, one in enumerate(found)
    ]


def verdict(made: ReferenceProfile, seen: Sequence[WindowProfile]) -> DriftReport:
    """Return the verdict on the newest of some windows, by the usual rules."""
    return judge(made, [Look(window=one) for one in seen], rules=RULES)


def _table(rows: Rows) -> Table:
    cells = {name: Cells.of_tensor(column, is_input=True) for name, column in rows.items()}
    return Table(inputs=cells, outputs={})


def _signature(rows: Rows) -> Signature:
    inputs = (
        Input(name=name, datatype=Datatype.BYTES if one.dtype.kind in "OSU" else Datatype.FP64)
        for name, one in rows.items()
    )
    return Signature(inputs=tuple(inputs), outputs=())
