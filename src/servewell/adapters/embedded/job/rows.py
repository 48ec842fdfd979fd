"""The rows that a model is described by and proved on."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from servewell.adapters.embedded.job.held_out import check_held_out, held_out_rows
from servewell.core.catalog.inferred_signature import CATEGORIES_MAX, ColumnFacts, ColumnKind
from servewell.core.catalog.model import Parameter
from servewell.core.catalog.workload import HeldOut, InputRule
from servewell.ports.trainer import ConversionFailedError


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """The columns that a model takes: facts of all rows, and the held-out rows themselves.

    In `held_out` a missing text is an empty text and a missing number not-a-number, as they will
    be when the model is served.
    """

    facts: tuple[ColumnFacts, ...]
    held_out: pd.DataFrame
    example: dict[str, Parameter]


def read_rows(
    data: Path, names: tuple[str, ...], *, held_out: HeldOut | None, rules: Mapping[str, InputRule]
) -> Rows:
    """Read the named columns of a Parquet file.

    Raises: HeldOutRowsError; ConversionFailedError where a column holds what no input can.
    """
    wanted = list(dict.fromkeys([*names, *([held_out.column] if held_out else [])]))
    check_held_out(data, held_out)
    table = pq.read_table(data, columns=wanted)
    plain = _plain_texts(table.filter(held_out_rows(table, held_out)).select(list(names)))
    frame = _frame(plain)
    example = _example(plain, _best_row(frame, rules))
    facts = tuple(_facts(table.column(name), name=name, example=example[name]) for name in names)
    return Rows(facts=facts, held_out=frame, example=example)


def plain_frame(table: pa.Table) -> pd.DataFrame:
    """Return rows as a model takes them, missing values as in `Rows.held_out`."""
    return _frame(_plain_texts(table))


def _is_text(kind: pa.DataType) -> bool:
    if pa.types.is_dictionary(kind):
        return _is_text(kind.value_type)
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _kind(kind: pa.DataType, name: str) -> ColumnKind:
    if _is_text(kind):
        return ColumnKind.TEXT
    if pa.types.is_boolean(kind):
        return ColumnKind.BOOL
    if pa.types.is_integer(kind):
        return ColumnKind.INTEGER
    if pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return ColumnKind.NUMBER
    raise ConversionFailedError(
        f"The column `{name}` cannot be an input.",
        why=f"its type is {kind}; an input is a number, a text or a boolean",
        fix="train on numbers made from it, such as an hour or a number of days, that a caller "
        "can send",
    )


def _facts(column: pa.ChunkedArray, *, name: str, example: Parameter) -> ColumnFacts:
    kind = _kind(column.type, name)
    missing = int(pc.sum(pc.is_null(column, nan_is_null=True)).as_py() or 0)
    if kind is ColumnKind.TEXT:
        return ColumnFacts(
            name=name, kind=kind, missing=missing, distinct=_distinct(column), example=example
        )
    lowest, highest = (None, None) if kind is ColumnKind.BOOL else _range(column)
    return ColumnFacts(
        name=name, kind=kind, missing=missing, minimum=lowest, maximum=highest, example=example
    )


def _distinct(column: pa.ChunkedArray) -> tuple[str, ...] | None:
    texts = {one for one in pc.unique(column).to_pylist() if one is not None}
    return tuple(sorted(texts)) if len(texts) <= CATEGORIES_MAX else None


def _range(column: pa.ChunkedArray) -> tuple[float | None, float | None]:
    if pa.types.is_floating(column.type):
        column = column.filter(pc.is_finite(column))
    seen = pc.min_max(column)
    return _short(seen["min"]), _short(seen["max"])


def _short(scalar: pa.Scalar) -> float | None:
    value = _value(scalar)
    return None if value is None else float(value)


def _value(scalar: pa.Scalar) -> Parameter:
    """Return a value as JSON would carry it; of a 32-bit number the shortest form that it has."""
    value = scalar.as_py()
    if isinstance(value, float):
        if not np.isfinite(value):
            return None
        return float(str(np.float32(value))) if scalar.type == pa.float32() else value
    return value if value is None or isinstance(value, (str, int)) else float(value)


def _plain_texts(table: pa.Table) -> pa.Table:
    for index, field in enumerate(table.schema):
        if _is_text(field.type):
            table = table.set_column(index, field.name, table.column(index).cast(pa.string()))
    return table


def _frame(table: pa.Table) -> pd.DataFrame:
    """Return the rows as pandas reads them, with no missing value but not-a-number."""
    frame: pd.DataFrame = table.to_pandas()
    for field in table.schema:
        if _is_text(field.type):
            frame[field.name] = frame[field.name].fillna("")
        elif frame[field.name].dtype == object:  # booleans with gaps, and decimals
            frame[field.name] = frame[field.name].astype("float64")
    return frame


def _best_row(frame: pd.DataFrame, rules: Mapping[str, InputRule]) -> int:
    """Return the first row that has the most values, among those that keep to the rules."""
    filled = frame.notna() & (frame != "")
    keeps = np.ones(len(frame), dtype=bool)
    for name, rule in rules.items():
        if name in frame:
            keeps &= _keeps(frame[name], rule)
    score = filled.sum(axis=1).to_numpy() + np.where(keeps, frame.shape[1] + 1, 0)
    return int(score.argmax())


def _keeps(column: "pd.Series[float]", rule: InputRule) -> NDArray[np.bool_]:
    kept = np.ones(len(column), dtype=bool)
    if rule.minimum is not None and pd.api.types.is_numeric_dtype(column):
        kept &= ~(column < rule.minimum).to_numpy(dtype=bool)
    if rule.maximum is not None and pd.api.types.is_numeric_dtype(column):
        kept &= ~(column > rule.maximum).to_numpy(dtype=bool)
    if rule.allowed is not None:
        kept &= column.isin(rule.allowed).to_numpy(dtype=bool)
    return kept


def _example(table: pa.Table, row: int) -> dict[str, Parameter]:
    return {name: _value(table.column(name)[row]) for name in table.column_names}
