"""How rows fall into groups by the values of one column."""

from collections.abc import Iterator
from itertools import pairwise
from typing import Final

import numpy as np
import pandas as pd

from servewell.adapters.embedded.job.gates.scoring import Rows
from servewell.core.catalog.signature import Datatype, Signature

FEW: Final = 12  # values of a column that is looked at without being named
COLUMNS_MAX: Final = 4  # that are looked at without being named
GROUPS_MAX: Final = 50  # of one column; the largest
MISSING: Final = "missing"


def plain_columns(signature: Signature, frame: pd.DataFrame) -> list[str]:
    """Return the columns to look at where none is named: texts with few values.

    A personal input is looked at only by name: its values would stand in the report.
    """
    texts = [
        one.name
        for one in signature.inputs
        if one.datatype is Datatype.BYTES and not one.personal and one.name in frame
    ]
    few = [name for name in texts if 1 < frame[name].nunique() <= FEW]
    return few[:COLUMNS_MAX]


def groups_of(frame: pd.DataFrame, column: str) -> Iterator[tuple[str, Rows]]:
    """Yield each group of a column with the places of its rows, the largest groups first."""
    values = _named(frame[column])
    for name in values.value_counts().index[:GROUPS_MAX]:
        yield str(name), np.flatnonzero((values == name).to_numpy())


def _named(column: "pd.Series[float]") -> "pd.Series[str]":
    number = pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column)
    if number and column.nunique() > FEW:
        return _quarters(column)
    empty = column.isna() | (column.astype(str) == "")
    if number:
        return column.map("{:g}".format).mask(empty, MISSING)
    return column.astype(str).mask(empty, MISSING)


def _quarters(column: "pd.Series[float]") -> "pd.Series[str]":
    edges = sorted(set(np.nanquantile(column, [0.25, 0.5, 0.75]).tolist()))
    names = np.array(
        [f"up to {edges[0]:g}"]
        + [f"{low:g} to {high:g}" for low, high in pairwise(edges)]
        + [f"above {edges[-1]:g}"]
    )
    named = pd.Series(names[np.searchsorted(edges, column.to_numpy())], index=column.index)
    return named.mask(column.isna(), MISSING)
