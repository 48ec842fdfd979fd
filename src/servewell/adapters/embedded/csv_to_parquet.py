"""A CSV file as Parquet, in pieces: first what its columns are, then the values.

Arrow does both passes. Only where it finds a fault are the lines read one by one, to tell which.
"""

import csv
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import IO, Final

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from servewell.adapters.embedded.csv_columns import Guess, Kind, is_value, kinds_of, typed
from servewell.ports.data_sources import BadRowsError

BLOCK_BYTES: Final = 8 << 20
ROW_GROUP: Final = 1 << 17  # rows
FAULTS_SHOWN: Final = 20
NOT_UTF8: Final = "\ufffd"  # stands for bytes that no text has
VALUE_SHOWN: Final = 40  # characters of a value that a fault repeats


def convert_csv(path: Path, target: Path, *, texts: tuple[str, ...]) -> None:
    """Write the rows of a CSV file, whose first line names the columns, as Parquet.

    Raises: BadRowsError, with every line that is no row; OSError.
    """
    names = _names(path)
    kinds: list[Kind] = []
    try:
        guesses, torn = _guesses(path, names)
        kinds = kinds_of(names, guesses, texts)
        odd = sum(
            guess.kind()[1] for name, guess in zip(names, guesses, strict=True) if name not in texts
        )
        if torn or odd:
            raise _bad_rows(path, names, kinds)
        _write(path, target, names, kinds)
    except pa.ArrowInvalid as error:
        raise _bad_rows(path, names, kinds, otherwise=str(error)) from error


def _names(path: Path) -> list[str]:
    """Return the names in the first line, each of them once. Raises: BadRowsError."""
    with path.open(encoding="utf-8-sig", newline="", errors="replace") as stream:
        names = next(csv.reader(stream), [])
    twice = [name for name in names if not name or names.count(name) > 1]
    if names and not twice:
        return names
    raise BadRowsError(
        f"`{path.name}` does not name its columns; nothing was kept.",
        why=f"`{twice[0]}` stands there twice or is empty" if names else "it is empty",
        fix="write the names of the columns into the first line, each of them once",
    )


def _blocks(
    path: Path, names: list[str], torn: Callable[[pa_csv.InvalidRow], str]
) -> Iterator[pa.RecordBatch]:
    yield from pa_csv.open_csv(
        path,
        read_options=pa_csv.ReadOptions(block_size=BLOCK_BYTES),
        parse_options=pa_csv.ParseOptions(newlines_in_values=True, invalid_row_handler=torn),
        convert_options=pa_csv.ConvertOptions(
            column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False
        ),
    )


def _guesses(path: Path, names: list[str]) -> tuple[list[Guess], int]:
    """Return what the columns may be, and how many lines have too many values or too few."""
    guesses, torn = [Guess() for _ in names], []

    def skip(row: pa_csv.InvalidRow) -> str:
        torn.append(row.number)
        return "skip"

    for block in _blocks(path, names, skip):
        for guess, column in zip(guesses, block.columns, strict=True):
            guess.look(column)
    return guesses, len(torn)


def _write(path: Path, target: Path, names: list[str], kinds: list[Kind]) -> None:
    schema = pa.schema(list(zip(names, (kind.arrow for kind in kinds), strict=True)))
    with pq.ParquetWriter(target, schema) as writer:
        for block in _blocks(path, names, lambda _: "error"):
            columns = [typed(one, kind) for one, kind in zip(block.columns, kinds, strict=True)]
            writer.write_table(pa.table(columns, schema=schema), row_group_size=ROW_GROUP)


def _bad_rows(
    path: Path, names: list[str], kinds: list[Kind], *, otherwise: str = ""
) -> BadRowsError:
    with path.open(encoding="utf-8-sig", newline="", errors="replace") as stream:
        faults = _faults(stream, names, kinds)
        shown = list(islice(faults, FAULTS_SHOWN))
        more = sum(1 for _ in faults)
    shown += [f"and {more:,} more"] if more else []
    count = len(shown) if not more else FAULTS_SHOWN + more
    return BadRowsError(
        f"`{path.name}` has {count:,} {'faults' if count > 1 else 'fault'}; nothing was kept.",
        why="\n           ".join(shown) or otherwise.splitlines()[0],
        fix="correct these lines; where a column is a text after all, say so with `--text COLUMN`",
    )


def _faults(stream: IO[str], names: list[str], kinds: list[Kind]) -> Iterator[str]:
    """Yield what is wrong with each line, in order."""
    reader = csv.reader(stream, strict=True)
    next(reader)
    while True:
        line = reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield f"line {line}: {error}"
            return
        if any(NOT_UTF8 in text for text in cells):
            yield f"line {line}: bytes that are not UTF-8"
            continue
        if cells and len(cells) != len(names):
            yield f"line {line}: {len(cells)} values, and there are {len(names)} columns"
            continue
        for name, text, kind in zip(names, cells, kinds, strict=False):
            if not is_value(text, kind):
                yield f"line {line}, `{name}`: found `{text[:VALUE_SHOWN]}`; allowed: {kind.words}"
