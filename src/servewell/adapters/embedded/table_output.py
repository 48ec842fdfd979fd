"""Files of rows being written: JSON lines, CSV and Parquet.

Rows are kept as JSON lines beside the file's place. When all are there, the columns and their
types are known for certain: a column that is empty for a million rows and then holds a number
gets the right type, and a CSV header names every column.
"""

import csv
import io
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import IO, Final

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from servewell.adapters.embedded.atomic_file import UNFINISHED, finish, storage_error
from servewell.ports.storage import StorageError
from servewell.ports.tables import Row, TableFaultsError

ROWS_AT_ONCE: Final = 4_096
Batches = Callable[[], Iterator[list[Row]]]
Convert = Callable[[Batches, list[str], IO[bytes]], None]


class FileOutput:
    """`TableOutput` in a file of this machine."""

    def __init__(self, path: Path) -> None:
        """Open the file beside `path` that the rows go to.

        Raises: StorageError.
        """
        self._path = path
        self._columns: dict[str, None] = {}
        self._encoder = msgspec.json.Encoder()
        try:
            self._rows = _unfinished(path, "rows")
        except OSError as error:
            raise _not_written(path, error) from error

    def write(self, rows: list[Row]) -> None:
        """See `TableOutput.write`."""
        for row in rows:
            self._columns.update(dict.fromkeys(row))
        try:
            self._rows.write(self._encoder.encode_lines(rows))
        except OSError as error:
            self.abandon()
            raise _not_written(self._path, error) from error

    def close(self) -> None:
        """See `TableOutput.close`."""
        try:
            convert = WRITERS[self._path.suffix.lower()]
            if convert is None:
                finish(self._rows, self._path)
            else:
                self._convert(convert)
        except OSError as error:
            raise _not_written(self._path, error) from error
        finally:
            self.abandon()

    def abandon(self) -> None:
        """See `TableOutput.abandon`."""
        with suppress(OSError):
            self._rows.close()
        Path(self._rows.name).unlink(missing_ok=True)

    def _convert(self, convert: Convert) -> None:
        target = _unfinished(self._path, "table")
        try:
            with target:
                convert(self._batches, list(self._columns), target)
                finish(target, self._path)
        finally:
            Path(target.name).unlink(missing_ok=True)

    def _batches(self) -> Iterator[list[Row]]:
        self._rows.seek(0)
        rows = (msgspec.json.decode(line, type=dict[str, object]) for line in self._rows)
        while part := list(islice(rows, ROWS_AT_ONCE)):
            yield part


def _to_csv(batches: Batches, columns: list[str], target: IO[bytes]) -> None:
    """Write CSV: None is empty, a list or an object is JSON."""
    text = io.TextIOWrapper(target, encoding="utf-8", newline="", write_through=True)
    writer = csv.writer(text)
    writer.writerow(columns)
    for rows in batches():
        writer.writerows([_cell(row.get(name)) for name in columns] for row in rows)
    text.detach()


def _cell(value: object) -> object:
    if isinstance(value, bool | list | dict):
        return msgspec.json.encode(value).decode()
    return value


def _to_parquet(batches: Batches, columns: list[str], target: IO[bytes]) -> None:
    """Write Parquet, each column of the one type that holds all of its values.

    Raises: TableFaultsError where there is none.
    """
    schema = pa.schema([])
    try:
        schema = _schema(batches, columns)
        with pq.ParquetWriter(target, schema) as writer:
            for rows in batches():
                writer.write_table(pa.Table.from_pylist(rows, schema=schema))
    except (pa.ArrowException, OverflowError) as error:
        raise _mixed(error) from error


def _schema(batches: Batches, columns: list[str]) -> pa.Schema:
    schema = pa.schema([(name, pa.null()) for name in columns])
    for rows in batches():
        types = {name: pa.array([row.get(name) for row in rows]).type for name in columns}
        schema = pa.unify_schemas([schema, pa.schema(types)], promote_options="permissive")
    return schema


def _mixed(error: Exception) -> TableFaultsError:
    return TableFaultsError(
        "The rows do not fit into a Parquet file.",
        why=f"each of its columns has one type: {str(error)[:200]}",
        fix="write them to a `.jsonl` file, where every value keeps its own type",
    )


def _unfinished(path: Path, part: str) -> IO[bytes]:
    return path.with_name(f"{path.name}.{os.getpid()}.{part}{UNFINISHED}").open("w+b")


def _not_written(path: Path, error: OSError) -> StorageError:
    fault = storage_error(path, error)
    return StorageError(
        fault.what, why=fault.why, fix="see to that disk, or choose another place for the file"
    )


WRITERS: Final[dict[str, Convert | None]] = {
    ".jsonl": None,  # as the rows were kept
    ".ndjson": None,
    ".csv": _to_csv,
    ".parquet": _to_parquet,
}
