"""Parquet files of the prediction log, one for each segment, endpoint and hour.

They lie as `endpoint=<name>/hour=<YYYY-MM-DDTHH>/<segment>.parquet`, which DuckDB, pyarrow,
Polars and pandas read as two more columns. Names are percent-encoded where a path needs it.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import repeat
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, unquote

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from servewell.adapters.embedded.atomic_file import ensure_folder, finish, unfinished_file
from servewell.adapters.embedded.record_columns import repetitive
from servewell.adapters.embedded.record_tables import (
    MISFITS,
    Row,
    completed,
    requests_in,
    slices_of,
)
from servewell.core.catalog.prediction_record import SHADOW
from servewell.ports.records import RecordQuery

HOUR_S: Final = 3_600
NO_NAME: Final = "__HIVE_DEFAULT_PARTITION__"  # how Hive writes a missing value
UNREADABLE: Final = (*MISFITS, OSError, msgspec.MsgspecError)

Timed = tuple[float, Row | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordFile:
    """One Parquet file, as its path tells it."""

    path: Path
    endpoint: str
    hour: int  # its start, in seconds since the epoch


def hour_of(time_ns: int) -> int:
    """Return the start of the hour of a time, in seconds since the epoch."""
    seconds = time_ns // 1_000_000_000
    return seconds - seconds % HOUR_S


def file_for(folder: Path, endpoint: str, hour: int, stem: str) -> RecordFile:
    """Return the file of one segment, endpoint and hour; it need not exist."""
    name = quote(endpoint, safe="") or NO_NAME
    text = datetime.fromtimestamp(hour, UTC).isoformat()[: len("2013-01-01T00")]
    path = folder / f"endpoint={name}" / f"hour={text}" / f"{stem}.parquet"
    return RecordFile(path=path, endpoint=endpoint, hour=hour)


def files_in(folder: Path, query: RecordQuery) -> Iterator[RecordFile]:
    """Yield the files that can hold what is asked for."""
    wanted = None if query.endpoint is None else quote(query.endpoint, safe="") or NO_NAME
    for endpoint in sorted(folder.glob(f"endpoint={'*' if wanted is None else wanted}")):
        name = endpoint.name.removeprefix("endpoint=")
        for hour in sorted(endpoint.glob("hour=*")):
            start = _start_of(hour.name)
            if start is not None and _overlaps(query, start, start + HOUR_S):
                for path in sorted(hour.glob("*.parquet")):
                    yield RecordFile(
                        path=path,
                        endpoint="" if name == NO_NAME else unquote(name),
                        hour=start,
                    )


def write(file: RecordFile, tables: Iterable[pa.Table], *, schema: pa.Schema, beside: Path) -> None:
    """Write a file, each table a row group; it is whole or not there. Raises: OSError.

    `beside` is a folder of the same disk for the unfinished file, where no reader sees it.
    """
    ensure_folder(file.path.parent)
    with unfinished_file(beside) as unfinished:
        with pq.ParquetWriter(
            unfinished,
            schema,
            compression="zstd",
            use_dictionary=repetitive(schema),  # one of numbers is tried in vain, and costs much
            column_encoding={"sequence": "DELTA_BINARY_PACKED"},
            write_page_checksum=True,
        ) as writer:
            for table in filter(len, tables):  # a group of no rows has no bounds
                writer.write_table(table, row_group_size=table.num_rows)
        finish(unfinished, file.path)


def read(file: RecordFile, query: RecordQuery, *, newest_first: bool) -> Iterator[Timed]:
    """Yield the requests in a file by time, each with its time.

    Before them come two bounds without a request, so that a merge of many files opens each only
    when it gets there, and no more at once than overlap in time.

    Raises: OSError, and what else of UNREADABLE a corrupt file leads to.
    """
    yield float(file.hour + HOUR_S if newest_first else file.hour), None
    metadata = pq.read_metadata(file.path)
    groups = [_Group(metadata, number) for number in range(metadata.num_row_groups)]
    groups = [group for group in groups if group.may_hold(query)]
    if not groups:
        return
    yield (max(g.last for g in groups) if newest_first else min(g.first for g in groups)), None
    with pq.ParquetFile(file.path, metadata=metadata, page_checksum_verification=True) as parquet:
        for group in reversed(groups) if newest_first else groups:
            for row in _requests(parquet, group.number, query, newest_first=newest_first):
                yield row["time"], row | {"endpoint": file.endpoint}


def numbered(file: RecordFile, *, first: int) -> Iterator[tuple[int, Row]]:
    """Yield the requests from a number on, each with its number in the segment.

    Raises: OSError, and what else of UNREADABLE a corrupt file leads to.
    """
    with pq.ParquetFile(file.path, page_checksum_verification=True) as parquet:
        for group in range(parquet.num_row_groups):
            table = completed(parquet.read_row_group(group))
            table = table.filter(pc.greater_equal(table["sequence"], first))
            if table.num_rows:
                begins = table.filter(pc.equal(table["row"].fill_null(0), 0))
                yield from zip(
                    begins["sequence"].to_pylist(), requests_in(table, repeat("")), strict=True
                )


def matches(query: RecordQuery, row: Row) -> bool:
    """Whether a request is one that is asked for."""
    return (
        query.endpoint in (None, row["endpoint"])
        and all(row[name] == wanted for name, wanted in wanted_ids(query).items())
        and query.role in ("all", SHADOW if row["role"] == SHADOW else "live")
        and _overlaps(query, row["time"], row["time"])
    )


def wanted_ids(query: RecordQuery) -> dict[str, str]:
    """Return the ids that are asked for, by the names of their columns."""
    ids = {
        "prediction_id": query.prediction_id,
        "request_id": query.request_id,
        "trace_id": query.trace_id,
    }
    return {name: wanted for name, wanted in ids.items() if wanted is not None}


class _Group:
    """The bounds of one row group, from the statistics of the file."""

    def __init__(self, metadata: Any, number: int) -> None:  # noqa: ANN401 - pyarrow has no types
        self.number = number
        group = metadata.row_group(number)
        names = metadata.schema.names
        times = group.column(names.index("time")).statistics
        self.ids = group.column(names.index("prediction_id")).statistics
        self.first: float = times.min.timestamp()
        self.last: float = times.max.timestamp()

    def may_hold(self, query: RecordQuery) -> bool:
        """Whether it can hold what is asked for."""
        wanted = query.prediction_id
        named = wanted is None or self.ids.min <= wanted <= self.ids.max
        return named and _overlaps(query, self.first, self.last)


def _requests(
    parquet: pq.ParquetFile, group: int, query: RecordQuery, *, newest_first: bool
) -> Iterator[Row]:
    for name, wanted in wanted_ids(query).items():  # one column is read much faster than all
        column = parquet.read_row_group(group, columns=[name])[name]
        if not pc.any(pc.equal(column, wanted)).as_py():
            return
    table = parquet.read_row_group(group)
    for name, wanted in wanted_ids(query).items():
        table = table.filter(pc.equal(table[name], wanted))
    for piece in slices_of(table, newest_first=newest_first):
        rows = list(requests_in(piece, repeat("")))
        yield from reversed(rows) if newest_first else rows


def _overlaps(query: RecordQuery, first: float, last: float) -> bool:
    after = query.since is None or last >= query.since
    return after and (query.until is None or first < query.until)


def _start_of(hour: str) -> int | None:
    try:
        start = datetime.strptime(hour, "hour=%Y-%m-%dT%H").replace(tzinfo=UTC)
    except ValueError:
        return None
    return int(start.timestamp())
