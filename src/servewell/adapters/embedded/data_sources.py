"""Rows from CSV and Parquet files and from databases, by way of a scratch folder."""

import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow.csv import write_csv

from servewell.adapters.embedded.atomic_file import (
    ensure_folder,
    finish,
    storage_faults,
    unfinished_file,
)
from servewell.adapters.embedded.csv_to_parquet import convert_csv
from servewell.adapters.embedded.job.data.measuring import new_rows
from servewell.adapters.embedded.job.data.shifts import Pair, measure_shifts
from servewell.adapters.embedded.job.data.statistics import column_statistics
from servewell.adapters.embedded.sql_to_parquet import convert_query, read_url, source_of
from servewell.core.catalog.data_facts import Against, Shifts
from servewell.core.catalog.dataset import ColumnStatistics
from servewell.ports.data_sources import DataSource, DataSourceError, Fetched
from servewell.ports.tables import TableFaultsError

VARIABLE: Final = "env:"
FIX: Final = (
    "name a `.csv` or `.parquet` file, `sqlite:///FILE`, `postgresql://HOST/DATABASE`, or "
    "`env:NAME` of a variable that holds such a URL"
)


class FileDataSources:
    """`DataSources` with a scratch folder of its own below `folder`."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self._folder = folder
        self._environment = environment

    @contextmanager
    def fetch(self, source: DataSource) -> Iterator[Fetched]:
        """See `DataSources.fetch`."""
        location = source.location
        named = location.startswith(VARIABLE)
        if named or "://" in location:
            told = f"`{location}`" if named else f"the URL `{location.partition('://')[0]}://…`"
            url = read_url(self._variable(location) if named else location, told=told)
            with self._scratch() as target:
                with storage_faults(target):
                    convert_query(url, source.query, target)
                yield Fetched(path=target, source=source_of(url, source.query.strip()))
            return
        path = _file(Path(location), query=source.query)
        if path.suffix.lower() == ".parquet":
            yield Fetched(path=path, source=location)
            return
        with self._scratch() as target:
            with storage_faults(target):
                convert_csv(path, target, texts=source.texts)
            yield Fetched(path=target, source=location)

    def statistics(self, path: Path, *, personal: tuple[str, ...]) -> tuple[ColumnStatistics, ...]:
        """See `DataSources.statistics`."""
        return column_statistics(_table(path), frozenset(personal))

    def compare(self, before: Path, now: Path, *, name: str, personal: tuple[str, ...]) -> Shifts:
        """See `DataSources.compare`."""
        old, new = _table(before), _table(now)
        pair = Pair(before=old, now=new_rows(old, new), against=Against.LAST, name=name)
        names = tuple(dict.fromkeys((*new.column_names, *old.column_names)))
        return measure_shifts(pair, names, hidden=frozenset(personal))

    def export(self, path: Path, target: Path) -> None:
        """See `DataSources.export`."""
        ending = target.suffix.lower()
        if ending not in (".csv", ".parquet"):
            raise DataSourceError(
                f"Rows cannot be written to `{target}`.",
                why="the ending of the name says what the file is to be",
                fix="end it in `.csv` or `.parquet`",
            )
        with storage_faults(target), unfinished_file(target.parent) as file:
            if ending == ".parquet":
                with path.open("rb") as rows:
                    shutil.copyfileobj(rows, file)
            else:
                write_csv(_table(path), file)
            finish(file, target)

    @contextmanager
    def _scratch(self) -> Iterator[Path]:
        """Give the path of a file to be; what a killed process left there goes first."""
        with storage_faults(self._folder):
            ensure_folder(self._folder)
            _remove_abandoned(self._folder)
            made = tempfile.TemporaryDirectory(prefix=f"{os.getpid()}-", dir=self._folder)
        with made as folder:
            yield Path(folder) / "rows.parquet"

    def _variable(self, location: str) -> str:
        name = location.removeprefix(VARIABLE)
        if found := self._environment.get(name):
            return found
        raise DataSourceError(
            f"There is no variable `{name}` in the environment.",
            why="the URL of the database was to be read from it",
            fix=f"set it: `export {name}=postgresql://USER:PASSWORD@HOST/DATABASE`",
        )


def _file(path: Path, *, query: str) -> Path:
    if path.suffix.lower() not in (".csv", ".parquet"):
        why = "the ending of the name says what the file is"
        raise DataSourceError(f"Rows cannot be taken from `{path}`.", why=why, fix=FIX)
    if query:
        why = "a query is for a database"
        raise DataSourceError(f"`{path}` takes no query.", why=why, fix="leave `--query` out")
    if not path.is_file():
        why = "there is no such file"
        raise DataSourceError(f"Rows cannot be taken from `{path}`.", why=why, fix=FIX)
    with storage_faults(path, doing="read"), path.open("rb"):
        return path


def _table(path: Path) -> pa.Table:
    try:
        return pq.read_table(path)
    except (OSError, pa.ArrowException) as error:
        raise TableFaultsError(
            f"`{path}` cannot be read.",
            why=f"it is not a whole Parquet file: {str(error)[:200]}",
            fix="check that the file is complete, and that it is Parquet",
        ) from error


def _remove_abandoned(folder: Path) -> None:
    for found in folder.iterdir():
        pid = found.name.partition("-")[0]
        if pid.isdecimal() and not Path(f"/proc/{pid}").exists():
            shutil.rmtree(found, ignore_errors=True)
