"""Files with rows in them."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from servewell.core.catalog.dataset import Column
from servewell.errors import ServewellError

Row = dict[str, object]


class TableFaultsError(ServewellError):
    """A file with rows cannot be read."""

    code = "SW-120"


@dataclass(frozen=True, slots=True, kw_only=True)
class TableFacts:
    """What a Parquet file says of itself."""

    rows: int
    size_bytes: int
    columns: tuple[Column, ...]


class TableOutput(Protocol):
    """A file of rows being written. It appears under its name only when it is whole."""

    def write(self, rows: list[Row]) -> None:
        """Append rows.

        Raises: StorageError.
        """
        ...

    def close(self) -> None:
        """Finish the file and give it its name.

        Raises: StorageError.
        """
        ...

    def abandon(self) -> None:
        """Remove what was written."""
        ...


class Tables(Protocol):
    """Reads and writes JSON, JSON lines, CSV and Parquet, in pieces, by the ending of the name.

    Contract: tests/ports/test_tables.py. In CSV every value is a text, and an empty one is None.
    """

    def describe(self, path: Path) -> TableFacts:
        """Return what a Parquet file says of itself.

        Raises: TableFaultsError.
        """
        ...

    def count(self, path: Path) -> int | None:
        """Return the number of rows where it is known without reading them, else None.

        Raises: TableFaultsError.
        """
        ...

    def read(self, path: Path | None, *, batch: int) -> Iterator[list[Row]]:
        """Yield rows in lists of at most `batch`; None reads JSON or JSON lines from stdin.

        Raises: TableFaultsError.
        """
        ...

    def write(self, path: Path) -> TableOutput:
        """Open a file for rows: `.jsonl`, `.csv` or `.parquet`.

        Raises: TableFaultsError, StorageError.
        """
        ...
