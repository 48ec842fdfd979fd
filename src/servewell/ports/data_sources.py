"""Where rows come from, and what they hold."""

from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from servewell.core.catalog.data_facts import Shifts
from servewell.core.catalog.dataset import ColumnStatistics
from servewell.errors import ServewellError


class DataSourceError(ServewellError):
    """Rows cannot be taken from there: no such file or database, or a query that is none."""

    code = "SW-145"


class BadRowsError(ServewellError):
    """A CSV file has lines that cannot be rows; all of them are told."""

    code = "SW-146"


class DatabaseReadError(ServewellError):
    """A database that rows are to come from does not answer, or refuses."""

    code = "SW-540"


@dataclass(frozen=True, slots=True, kw_only=True)
class DataSource:
    """What was asked for."""

    location: str  # path of a CSV or Parquet file, URL of a database, or `env:NAME` that holds one
    query: str = ""  # of a database: SQL, or the name of a table
    texts: tuple[str, ...] = ()  # columns of a CSV file that are texts, whatever they look like


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    """Rows as Parquet, for as long as they are held open."""

    path: Path
    source: str  # where they are from, without a user, a password or an option


class DataSources(Protocol):
    """Reads rows from elsewhere. Contract: tests/ports/test_data_sources.py.

    - What was fetched is whole, or there is an error; a kill leaves nothing that is ever read.
    - The same rows of the same source give the same bytes.
    - A database is only read, whatever the query.
    - No secret in a URL is ever told, kept or logged.
    """

    def fetch(self, source: DataSource) -> AbstractContextManager[Fetched]:
        """Give the rows as a Parquet file, which is gone after the block unless it was the source.

        Raises: DataSourceError, BadRowsError, DatabaseReadError, TableFaultsError, StorageError.
        """
        ...

    def statistics(self, path: Path, *, personal: tuple[str, ...]) -> tuple[ColumnStatistics, ...]:
        """Return what each column of a Parquet file holds.

        Raises: TableFaultsError.
        """
        ...

    def compare(self, before: Path, now: Path, *, name: str, personal: tuple[str, ...]) -> Shifts:
        """Return how the rows of `now` that are not in `before`, called `name`, differ from it.

        Raises: TableFaultsError.
        """
        ...

    def export(self, path: Path, target: Path) -> None:
        """Write the rows of a Parquet file as CSV or Parquet, by the ending of `target`.

        It appears under its name only when it is whole.

        Raises: DataSourceError, TableFaultsError, StorageError.
        """
        ...
