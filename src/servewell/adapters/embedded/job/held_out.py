"""Which rows of the data are held out."""

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from servewell.core.catalog.workload import HeldOut
from servewell.ports.trainer import HeldOutRowsError, TrainingFailedError

ROWS_MAX: Final = 50_000  # evenly from all held-out rows, to profile; more tell the bins no better
LAST_SHARE: Final = 10  # without `held_out`, one row in so many is held out: the last ones


def column_names(data: Path) -> tuple[str, ...]:
    """Return the names of the columns of a Parquet file.

    Raises: TrainingFailedError where it is none.
    """
    try:
        return tuple(pq.read_schema(data).names)
    except (OSError, pa.ArrowInvalid) as error:
        raise TrainingFailedError(
            "The data cannot be read.",
            why=f"it is no Parquet file: {error}",
            fix="name a Parquet file as `data.path` in the workload file",
        ) from error


def check_held_out(data: Path, held_out: HeldOut | None) -> None:
    """Check that there are held-out rows; it is cheap, and training may not be.

    Raises: HeldOutRowsError; TrainingFailedError where the data cannot be read.
    """
    names = column_names(data)
    if held_out is not None and held_out.column not in names:
        raise HeldOutRowsError(
            f"The data has no column `{held_out.column}`.",
            why=f"it has {', '.join(f'`{name}`' for name in names)}",
            fix="correct `data.held_out.column` in the workload file",
        )
    table = pq.read_table(data, columns=[held_out.column if held_out else names[0]])
    if not pc.any(held_out_rows(table, held_out)).as_py():
        raise HeldOutRowsError(
            "There are no held-out rows.",
            why=f"no row has {_bounds(held_out)}" if held_out else "the file has no rows",
            fix="correct `data.held_out` in the workload file",
        )


def held_out_rows(table: pa.Table, held_out: HeldOut | None) -> pa.Array:
    """Return which rows of a table are held out, as booleans.

    Raises: HeldOutRowsError where a bound is no value of the column.
    """
    if held_out is None:
        first = table.num_rows - max(1, table.num_rows // LAST_SHARE)
        return pa.array(np.arange(table.num_rows) >= first)
    column = table.column(held_out.column)
    mask = pc.greater_equal(column, _bound(held_out.start, column.type, held_out))
    if held_out.until:
        mask = pc.and_(mask, pc.less(column, _bound(held_out.until, column.type, held_out)))
    return pc.fill_null(mask, fill_value=False)


def sampled(rows: int) -> NDArray[np.intp]:
    """Return at most ROWS_MAX of so many rows, evenly."""
    number = min(rows, ROWS_MAX)
    return np.linspace(0, rows - 1, number).astype(np.intp) if rows else np.zeros(0, np.intp)


def _bound(text: str, kind: pa.DataType, held_out: HeldOut) -> pa.Scalar:
    """Return a bound as a value of the column's type. A time without a zone is taken as UTC."""
    try:
        if pa.types.is_timestamp(kind):
            time = datetime.fromisoformat(text)
            zoned = time.replace(tzinfo=UTC) if kind.tz and time.tzinfo is None else time
            return pa.scalar(zoned, type=kind)
        if pa.types.is_date(kind):
            return pa.scalar(date.fromisoformat(text), type=kind)
        return pa.scalar(text).cast(kind)
    except (ValueError, pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise HeldOutRowsError(
            f"`{text}` is no value of the column `{held_out.column}`.",
            why=f"the column holds values of the type {kind}",
            fix="write `data.held_out.start` and `until` as values of that column",
        ) from error


def _bounds(held_out: HeldOut) -> str:
    end = f" and before {held_out.until}" if held_out.until else ""
    return f"`{held_out.column}` from {held_out.start}{end}"
