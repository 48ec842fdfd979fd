"""SQL over the prediction log."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from servewell.core.catalog.label import Label
from servewell.core.security.visibility import EVERYTHING_SEEN, Sight
from servewell.errors import ServewellError

Row = dict[str, object]


class QueryInvalidError(ServewellError):
    """The SQL of a query cannot be run."""

    code = "SW-180"


class QueryRefusedError(ServewellError):
    """A query would do more than read the prediction log."""

    code = "SW-181"


class QueryTooLargeError(ServewellError):
    """A query takes more time, memory or disk than it may."""

    code = "SW-182"


class QueryLibraryMissingError(ServewellError):
    """The library that answers queries is not installed."""

    code = "SW-270"


@dataclass(frozen=True, slots=True, kw_only=True)
class SqlQuery:
    """What is asked, of which records, and what answering it may take."""

    sql: str
    sight: Sight = EVERYTHING_SEEN  # what the caller may see
    endpoint: str | None = None  # of these records alone
    since: float | None = None  # seconds since the epoch, inclusive
    until: float | None = None  # exclusive
    rows_max: int | None = None  # of the answer
    plan: bool = False  # how it would be answered, instead of the answer
    timeout_s: float = 60.0
    memory_bytes_max: int = 1 << 30
    disk_bytes_max: int = 4 << 30  # of what does not fit in memory, and of the answer


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """What came of a query, apart from its rows."""

    columns: tuple[str, ...]
    types: tuple[str, ...]  # in the words of Arrow
    rows: int
    cut: bool  # whether there were more rows than were asked for
    files: int  # Parquet files that could be read by it
    segments: int  # not yet compacted, whose records are included
    newest: float | None  # time of the newest record that is covered, seconds since the epoch
    views: tuple[str, ...]  # what can be queried
    left_out: tuple[str, ...] = ()  # files that cannot be read
    labels: int = 0


class Answer(Protocol):
    """The answer to a query, while it is kept."""

    @property
    def told(self) -> Answered:
        """Everything but the rows."""
        ...

    def rows(self) -> Iterator[list[Row]]:
        """Yield the rows, some at a time. Raises: StorageError."""
        ...

    def save(self, path: Path, *, as_csv: bool = False) -> None:
        """Keep the answer as a file, Parquet unless it is to be CSV; it is whole or not there.

        Raises: StorageError.
        """
        ...


class RecordQueries(Protocol):
    """Answers SQL over the prediction log. Contract: tests/ports/test_record_queries.py.

    - A query reads the records that it may see, and the labels that it is given; it changes
      nothing, reads no other file and reaches no network;
    - each acknowledged record is there once, compacted or not;
    - it runs in a process of its own, within its time, memory and disk, and leaves nothing behind.
    """

    def answer(
        self, query: SqlQuery, labels: Iterable[Sequence[Label]]
    ) -> AbstractContextManager[Answer]:
        """Answer a query; the answer is kept until the context ends.

        Raises: QueryInvalidError, QueryRefusedError, QueryTooLargeError,
        QueryLibraryMissingError, StorageError.
        """
        ...
