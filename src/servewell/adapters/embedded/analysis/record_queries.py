"""`RecordQueries` by a process of this machine that has DuckDB."""

import csv
import io
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import IO, Any, Final

import msgspec
import pyarrow.parquet as pq

from servewell.adapters.embedded.analysis.attending import attended
from servewell.adapters.embedded.analysis.exchange import (
    QueryOrder,
    WorkFiles,
    read_failure,
)
from servewell.adapters.embedded.analysis.label_rows import keep_labels
from servewell.adapters.embedded.atomic_file import (
    ensure_folder,
    finish,
    storage_error,
    storage_faults,
)
from servewell.adapters.embedded.job.launch import Ending
from servewell.adapters.embedded.json_files import read_told
from servewell.adapters.embedded.trainer import how_it_ended, last_words
from servewell.core.catalog.label import Label
from servewell.ports.record_queries import (
    Answer,
    Answered,
    QueryTooLargeError,
    Row,
    SqlQuery,
)
from servewell.ports.storage import StorageError

ROWS_AT_ONCE: Final = 5_000


class ProcessRecordQueries:
    """`RecordQueries`: each query a process, each answer a folder below `scratch` for a while."""

    def __init__(self, records: Path, scratch: Path) -> None:
        self._records = records
        self._scratch = scratch

    @contextmanager
    def answer(self, query: SqlQuery, labels: Iterable[Sequence[Label]]) -> Iterator[Answer]:
        """See `RecordQueries.answer`."""
        with storage_faults(self._scratch):
            ensure_folder(self._scratch)
            folder = Path(tempfile.mkdtemp(prefix="query-", dir=self._scratch))
        try:
            files = WorkFiles(folder)
            told = self._answered(query, labels, files)
            yield FileAnswer(told, files.answer)
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _answered(
        self, query: SqlQuery, labels: Iterable[Sequence[Label]], files: WorkFiles
    ) -> Answered:
        with storage_faults(files.folder):
            keep_labels(labels, files.labels)
            order = QueryOrder(query=query, records=self._records, labels=files.labels)
            ending = attended(files, timeout_s=query.timeout_s, query=order)
            told = read_told(files.result, Answered) if ending.exit_code == 0 else None
        if told is None:
            raise read_failure(files.failure) or _ended(query, ending, files)
        return told


def _ended(query: SqlQuery, ending: Ending, files: WorkFiles) -> QueryTooLargeError:
    if ending.timed_out:
        return QueryTooLargeError(
            f"The query was ended after {query.timeout_s:,.0f} s.",
            why="that is its time limit",
            fix="ask for fewer hours (`--since`), for sums instead of rows, or give it longer "
            "with `--timeout`",
        )
    return QueryTooLargeError(
        "The process that answered the query ended before it had an answer.",
        why=how_it_ended(ending.exit_code) + last_words(files.log),
        fix="ask for less: fewer hours, sums instead of rows",
    )


class FileAnswer:
    """`Answer` in a Parquet file."""

    def __init__(self, told: Answered, path: Path) -> None:
        self._told = told
        self._path = path

    @property
    def told(self) -> Answered:
        """See `Answer.told`."""
        return self._told

    def rows(self) -> Iterator[list[Row]]:
        """See `Answer.rows`."""
        with storage_faults(self._path, doing="read"), pq.ParquetFile(self._path) as parquet:
            for batch in parquet.iter_batches(ROWS_AT_ONCE):
                yield batch.to_pylist()

    def save(self, path: Path, *, as_csv: bool = False) -> None:
        """See `Answer.save`."""
        try:
            with _beside(path) as target:
                if as_csv:
                    self._write_csv(target)
                else:
                    with self._path.open("rb") as source:
                        shutil.copyfileobj(source, target)
                finish(target, path)
        except OSError as error:
            fault = storage_error(path, error)
            raise StorageError(
                fault.what, why=fault.why, fix="see to that disk, or choose another place"
            ) from error

    def _write_csv(self, target: IO[bytes]) -> None:
        text = io.TextIOWrapper(target, encoding="utf-8", newline="", write_through=True)
        writer = csv.writer(text)
        writer.writerow(self._told.columns)
        for rows in self.rows():
            writer.writerows([_cell(one) for one in row.values()] for row in rows)
        text.detach()


@contextmanager
def _beside(path: Path) -> Iterator[IO[bytes]]:
    """Give a file in the folder of `path`, which is gone after the block unless it was renamed."""
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.unfinished")
    try:
        with unfinished.open("w+b") as file:
            yield file
    finally:
        with suppress(OSError):
            unfinished.unlink(missing_ok=True)


def _cell(value: object) -> object:
    """Return a value as CSV has it: None is empty, a list or an object is JSON."""
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, bool | list | dict | tuple):
        return msgspec.json.encode(value, enc_hook=_plain).decode()
    return value


def _plain(value: Any) -> str:  # noqa: ANN401 - whatever a database gives
    return str(value)
