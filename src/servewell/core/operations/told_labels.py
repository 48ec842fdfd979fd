"""Read labels from the rows of a file, and find everything that is wrong with them."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from servewell.core.catalog.label import Told
from servewell.errors import ServewellError

ROW_DEFAULT: Final = 0


class LabelFaultsError(ServewellError):
    """A file of labels cannot be used as it is."""

    code = "SW-157"


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelColumns:
    """Which columns of a file hold what."""

    prediction_id: str = "prediction_id"
    label: str = "label"
    row: str = "row"  # a file may lack it: then every label is of the first row


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """What is wrong with one row of a file."""

    row: int  # from 1
    what: str


def told_in(
    rows: Sequence[Mapping[str, object]], columns: LabelColumns, *, first: int
) -> Iterator[Told | Fault]:
    """Yield the label, or every fault, of each row; `first` is the number of the first row."""
    for number, row in enumerate(rows, first):
        faults = list(_faults(row, columns))
        yield from (Fault(row=number, what=what) for what in faults)
        if not faults:
            yield _told(row, columns)


def require_columns(row: Mapping[str, object], columns: LabelColumns, *, name: str) -> None:
    """Refuse a file without the columns that it cannot do without.

    Raises: LabelFaultsError.
    """
    needed = {"--id-column": columns.prediction_id, "--label-column": columns.label}
    missing = [f"`{column}`" for column in needed.values() if column not in row]
    if missing:
        raise LabelFaultsError(
            f"`{name}` has no column {' and no column '.join(missing)}.",
            why=f"its columns are {', '.join(f'`{one}`' for one in row)}",
            fix=f"name the columns that hold them with {' and '.join(needed)}",
        )


def faulty(name: str, faults: Sequence[Fault], *, more: int) -> LabelFaultsError:
    """Return the error that tells all faults of a file; `more` are not among them."""
    told = "; ".join(f"row {one.row}: {one.what}" for one in faults)
    return LabelFaultsError(
        f"The labels in `{name}` cannot be used.",
        why=told + (f"; and {more:,} faults more" if more else ""),
        fix="correct these rows, then do the same again; nothing of the file was kept",
    )


def _faults(row: Mapping[str, object], columns: LabelColumns) -> Iterator[str]:
    prediction_id = row.get(columns.prediction_id)
    if not isinstance(prediction_id, str) or not prediction_id.strip():
        yield f"`{columns.prediction_id}` is no text"
    value = row.get(columns.label)
    if value is None or value == "":
        yield f"`{columns.label}` is missing"
    elif not isinstance(value, str | bool | int | float):
        yield f"`{columns.label}` is no number, text or truth value"
    elif isinstance(value, float) and not math.isfinite(value):
        yield f"`{columns.label}` is not a finite number"
    if _row_number(row.get(columns.row)) is None:
        yield f"`{columns.row}` is no whole number from 0 on"


def _told(row: Mapping[str, object], columns: LabelColumns) -> Told:
    value = row[columns.label]
    number = _row_number(row.get(columns.row))
    return Told(
        prediction_id=str(row[columns.prediction_id]).strip(),
        row=ROW_DEFAULT if number is None else number,
        value=value if isinstance(value, bool | int | float) else str(value),
    )


def _row_number(value: object) -> int | None:
    """Return the number of a row, or None where it is none."""
    if value is None:
        return ROW_DEFAULT
    if isinstance(value, str):
        return int(value) if value.strip().isdecimal() else None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return int(value) if value >= 0 and float(value).is_integer() else None
