"""Rows as CSV: a line of names, then one line for each row, as pandas writes it.

Source: RFC 4180; pandas, `DataFrame.to_csv`.
"""

import csv
import io
import re
from typing import Final

from servewell.core.catalog.signature import Datatype, Input, Signature
from servewell.serving.protocols.elements import Json
from servewell.serving.protocols.rows import malformed

EXAMPLE: Final = "CSV whose first line names the inputs"
NUMBER: Final = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
WHOLE: Final = re.compile(r"[+-]?\d{1,400}", re.ASCII)  # more digits no type holds
WORDS: Final = {"true": True, "True": True, "false": False, "False": False}
NOTHING: Final = frozenset({"", "NaN", "nan"})  # what stands where a number is missing


def table_of_csv(body: bytes, signature: Signature) -> dict[str, Json]:
    """Return CSV as the table that it is: `columns` and `data`.

    A first column without a name is the index that pandas writes, and is left out. A cell that is
    empty is null where a number is wanted, and where a text may be null.

    Raises: BodyMalformedError.
    """
    try:
        lines = list(csv.reader(io.StringIO(body.decode(), newline=""), strict=True))
    except UnicodeDecodeError as error:
        raise malformed(f"it is not UTF-8 ({error.reason})", example=EXAMPLE) from None
    except csv.Error as error:
        raise malformed(f"it is no CSV ({error})", example=EXAMPLE) from None
    if not lines:
        raise malformed("it is empty", example=EXAMPLE)
    names = lines[0]
    first = 1 if names[:1] == [""] and len(names) > 1 else 0
    columns = [_declared(name, signature) for name in names[first:]]
    rows = [_row(line[first:], columns) for line in lines[1:] if line]
    return {"columns": names[first:], "data": rows}


def _declared(name: str, signature: Signature) -> Input | None:
    """Return the input of a column; a model of one input has only that."""
    if len(signature.inputs) == 1:
        return signature.inputs[0]
    return next((one for one in signature.inputs if one.name == name), None)


def _row(cells: list[str], columns: list[Input | None]) -> list[Json]:
    if len(cells) != len(columns):
        return list(cells)  # it is told of as a row of another length
    return [_value(cell, one) for cell, one in zip(cells, columns, strict=True)]


def _value(cell: str, declared: Input | None) -> Json:
    """Return a cell as the value that JSON would have; one that is none stays a text."""
    if declared is None:
        return cell
    if declared.datatype is Datatype.BYTES:
        return None if not cell and declared.nullable else cell
    if declared.datatype is Datatype.BOOL:
        return WORDS.get(cell, cell)
    if cell in NOTHING:
        return None
    if WHOLE.fullmatch(cell):
        return int(cell)
    return float(cell) if NUMBER.fullmatch(cell) else cell
