"""Files of rows: JSON, JSON lines, CSV and Parquet, by the ending of the name."""

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import IO, Final

from servewell.adapters.embedded.parquet_rows import describe_parquet, open_parquet, parquet_rows
from servewell.adapters.embedded.table_output import WRITERS, FileOutput
from servewell.adapters.embedded.text_rows import (
    WHOLE_BYTES_MAX,
    Source,
    csv_rows,
    json_line_rows,
    json_rows,
)
from servewell.ports.tables import Row, TableFacts, TableFaultsError

PARQUET: Final = ".parquet"
READERS: Final[dict[str, Callable[[Source], Iterator[Row]]]] = {
    ".json": json_rows,
    ".jsonl": json_line_rows,
    ".ndjson": json_line_rows,
    ".csv": csv_rows,
    PARQUET: parquet_rows,
}


class FileTables:
    """`Tables` on files of this machine.

    `stdin` is the process's own unless one is given; `whole_bytes_max` bounds what of a file must
    stand in memory at once: a JSON array, or one line.
    """

    def __init__(
        self, *, stdin: IO[bytes] | None = None, whole_bytes_max: int = WHOLE_BYTES_MAX
    ) -> None:
        self._stdin = stdin
        self._whole_bytes_max = whole_bytes_max

    def describe(self, path: Path) -> TableFacts:
        """See `Tables.describe`."""
        _check_ending(path, (PARQUET,))
        with self._opened(path) as source:
            return describe_parquet(source, size_bytes=path.stat().st_size)

    def count(self, path: Path) -> int | None:
        """See `Tables.count`."""
        _check_ending(path, READERS)
        with self._opened(path) as source:
            if path.suffix.lower() != PARQUET:
                return None
            return int(open_parquet(source).metadata.num_rows)

    def read(self, path: Path | None, *, batch: int) -> Iterator[list[Row]]:
        """See `Tables.read`."""
        if path is None:
            stream = self._stdin or sys.stdin.buffer
            yield from _batches(json_rows(self._source("standard input", stream)), batch)
            return
        _check_ending(path, READERS)
        with self._opened(path) as source:
            yield from _batches(READERS[path.suffix.lower()](source), batch)

    def write(self, path: Path) -> FileOutput:
        """See `Tables.write`."""
        _check_ending(path, WRITERS)
        return FileOutput(path)

    @contextmanager
    def _opened(self, path: Path) -> Iterator[Source]:
        """Open a file for reading; faults of the disk, now or later, are told as ours."""
        try:
            with path.open("rb") as stream:
                yield self._source(f"`{path}`", stream)
        except OSError as error:
            raise TableFaultsError(
                f"`{path}` cannot be read.",
                why=f"the operating system says: {error.strerror or error}",
                fix="check the name of the file, and that you may read it",
            ) from error

    def _source(self, name: str, stream: IO[bytes]) -> Source:
        return Source(name=name, stream=stream, whole_bytes_max=self._whole_bytes_max)


def _batches(rows: Iterator[Row], batch: int) -> Iterator[list[Row]]:
    while part := list(islice(rows, batch)):
        yield part


def _check_ending(path: Path, allowed: Iterable[str]) -> None:
    if path.suffix.lower() not in allowed:
        raise TableFaultsError(
            f"`{path}` has the ending `{path.suffix}`."
            if path.suffix
            else f"`{path}` has no ending.",
            why="the ending of the name says what the file is",
            fix=f"give it one of these endings, and that content: {', '.join(allowed)}",
        )
