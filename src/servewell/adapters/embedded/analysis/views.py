"""The views that SQL over the prediction log reads: one for each endpoint, and all together.

What is compacted is read from its Parquet files, whose folders say endpoint and hour, so that a
query that asks for some hours opens no file of others. pyarrow opens them: DuckDB, which could be
asked to write where it may read, has no folder. What is not compacted yet is laid out as compaction
would. Both are taken as `read_log` takes them, so each record is there once.
"""

from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import duckdb
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
from pyarrow.fs import LocalFileSystem

from servewell.adapters.embedded.compaction import RecordFolders, scanned
from servewell.adapters.embedded.record_columns import Columns, extended
from servewell.adapters.embedded.record_files import HOUR_S, UNREADABLE, RecordFile, hour_of
from servewell.adapters.embedded.record_reading import files_beside, open_segments
from servewell.adapters.embedded.record_tables import FileNote, completed, layout_of, table_of
from servewell.adapters.embedded.segments import Contents, Entry, Segment
from servewell.ports.record_queries import SqlQuery
from servewell.ports.records import RecordQuery

ALL: Final = "predictions"
LABELS: Final = "labels"
NO_ENDPOINT: Final = "none"  # the view of requests that reached no endpoint
RECORDS_AT_ONCE: Final = 1 << 10
NANOSECONDS: Final = 1_000_000_000
HOUR: Final = "hour"
LOCAL: Final = LocalFileSystem()
PARQUET: Final = ds.ParquetFileFormat()


@dataclass(slots=True, kw_only=True)
class Bound:
    """What the views were made of."""

    views: list[str] = field(default_factory=list)
    files: int = 0
    segments: int = 0
    newest: float | None = None
    left_out: list[str] = field(default_factory=list)
    held: dict[str, pa.Table | ds.Dataset] = field(default_factory=dict)  # while the views are


@dataclass(frozen=True, slots=True, kw_only=True)
class _Source:
    """What there is of one endpoint."""

    files: list[RecordFile]
    live: pa.Table | None


def bind(connection: duckdb.DuckDBPyConnection, root: Path, query: SqlQuery) -> Bound:
    """Make the views of what a query may see. Raises: OSError, duckdb.Error."""
    bound = Bound()
    folders = RecordFolders(root)
    for endpoint, source in _sources(folders, query, bound).items():
        _bind_endpoint(connection, endpoint, source, bound, within=_within(query))
    _bind_all(connection, bound)
    return bound


def quoted(name: str) -> str:
    """Return a name as SQL has it."""
    return '"' + name.replace('"', '""') + '"'


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def _sources(folders: RecordFolders, query: SqlQuery, bound: Bound) -> dict[str, _Source]:
    """Return what there is of each endpoint; segments are opened before files are listed."""
    asked = RecordQuery(endpoint=query.endpoint, since=query.since, until=query.until, role="all")
    with ExitStack() as opened:
        segments = open_segments(folders, opened)
        files = files_beside(folders, segments, asked)
        live = _live_tables(segments, folders, query, bound)
    by_endpoint: dict[str, list[RecordFile]] = {}
    for file in files:
        if query.sight.shows(file.endpoint):
            by_endpoint.setdefault(file.endpoint, []).append(file)
    names = sorted({*by_endpoint, *live})
    return {name: _Source(files=by_endpoint.get(name, []), live=live.get(name)) for name in names}


def _live_tables(
    segments: list[Segment], folders: RecordFolders, query: SqlQuery, bound: Bound
) -> dict[str, pa.Table]:
    """Return what is not compacted yet, by endpoint."""
    contents = [(one, scanned(one, folders)) for one in segments]
    columns: dict[str, Columns] = dict(folders.ledger())
    wanted: list[tuple[Segment, Contents, dict[str, list[Entry]]]] = []
    for segment, held in contents:
        entries = _by_endpoint(one for one in held.entries if _is_asked(query, one))
        for endpoint, those in entries.items():
            schemas = [held.schemas[n] for n in dict.fromkeys(e.schema for e in those) if n >= 0]
            columns[endpoint] = extended(columns.get(endpoint, ()), schemas)
        wanted.append((segment, held, entries))
    tables: dict[str, list[pa.Table]] = {}
    for segment, held, entries in wanted:
        bound.segments += bool(entries)
        for endpoint, those in entries.items():
            tables.setdefault(endpoint, []).append(_table(segment, held, those, columns[endpoint]))
            newest = max(one.time_ns for one in those) / NANOSECONDS
            bound.newest = max(bound.newest or newest, newest)
    return {endpoint: pa.concat_tables(those) for endpoint, those in tables.items()}


def _is_asked(query: SqlQuery, entry: Entry) -> bool:
    """Whether a record may be seen and lies in an hour that is asked for, as files do."""
    hour = hour_of(entry.time_ns)
    return (
        query.endpoint in (None, entry.endpoint)
        and query.sight.shows(entry.endpoint)
        and (query.since is None or hour + HOUR_S >= query.since)
        and (query.until is None or hour < query.until)
    )


def _by_endpoint(entries: Iterable[Entry]) -> dict[str, list[Entry]]:
    found: dict[str, list[Entry]] = {}
    for one in entries:
        found.setdefault(one.endpoint, []).append(one)
    return found


def _table(segment: Segment, held: Contents, entries: list[Entry], columns: Columns) -> pa.Table:
    note = FileNote(segment=segment.stem, records=len(entries), schemas=())
    layout = layout_of(columns, note, dict(enumerate(held.schemas)))
    tables = [layout.arrow.empty_table()]
    for start in range(0, len(entries), RECORDS_AT_ONCE):
        records = segment.records(entries[start : start + RECORDS_AT_ONCE])
        table, _ = table_of([(entry.schema, record) for entry, record in records], layout)
        tables.append(table)
    return pa.concat_tables(tables)


def _within(query: SqlQuery) -> str:
    """Return the condition of the time that is asked for."""
    bounds = ((">=", query.since), ("<", query.until))
    told = [f"time {sign} to_timestamp({at!r})" for sign, at in bounds if at is not None]
    return f" WHERE {' AND '.join(told)}" if told else ""


def _bind_endpoint(
    connection: duckdb.DuckDBPyConnection,
    endpoint: str,
    source: _Source,
    bound: Bound,
    *,
    within: str,
) -> None:
    """Make the view of one endpoint; a file that cannot be read is left out, and named."""
    readable = _readable(source.files, bound)
    parts = [
        f"SELECT {_text(endpoint)} AS endpoint, * FROM {_held(connection, one, bound)}{within}"  # noqa: S608 - quoted
        for one in _datasets(readable)
    ]
    if readable:
        bound.files += len(readable)
        last = max(file.hour for file, _ in readable)
        newest = max(_newest_in(file) for file, _ in readable if file.hour == last)
        bound.newest = max(bound.newest or newest, newest)
    if source.live is not None:
        parts.append(
            f"SELECT {_text(endpoint)} AS endpoint, *, "  # noqa: S608 - quoted
            f"strftime(time, '%Y-%m-%dT%H') AS {HOUR} "
            f"FROM {_held(connection, source.live, bound)}{within}"
        )
    if parts:
        view = _free_name(endpoint or NO_ENDPOINT, bound)
        connection.execute(f"CREATE VIEW {quoted(view)} AS {' UNION ALL BY NAME '.join(parts)}")
        bound.views.append(view)


def _held(
    connection: duckdb.DuckDBPyConnection, source: pa.Table | ds.Dataset, bound: Bound
) -> str:
    """Let SQL read a source; return its name."""
    name = f"held_{len(bound.held)}"
    bound.held[name] = source
    connection.register(name, source)
    return name


def _datasets(files: list[tuple[RecordFile, pa.Schema]]) -> Iterator[ds.Dataset]:
    """Yield the files of each schema together; SQL unites the types of these by name."""
    by_columns: dict[tuple[tuple[str, str], ...], list[tuple[RecordFile, pa.Schema]]] = {}
    for file, schema in files:
        columns = tuple((one.name, str(one.type)) for one in schema)
        by_columns.setdefault(columns, []).append((file, schema))
    for alike in by_columns.values():
        fields = [(one.name, one.type) for one in alike[0][1]]
        fragments = [
            PARQUET.make_fragment(
                str(file.path),
                filesystem=LOCAL,
                partition_expression=ds.field(HOUR) == _hour_in(file),
            )
            for file, _ in alike
        ]
        schema = pa.schema([*fields, (HOUR, pa.string())])
        yield ds.FileSystemDataset(fragments, schema, PARQUET, filesystem=LOCAL)


def _hour_in(file: RecordFile) -> str:
    return file.path.parent.name.removeprefix(f"{HOUR}=")


def _readable(files: list[RecordFile], bound: Bound) -> list[tuple[RecordFile, pa.Schema]]:
    readable = []
    for file in files:
        try:
            schema = pq.read_schema(file.path)
        except FileNotFoundError:
            continue  # past its retention meanwhile
        except UNREADABLE:
            bound.left_out.append(file.path.name)
        else:
            readable.append((file, schema))
    return readable


def _newest_in(file: RecordFile) -> float:
    """Return the time of the newest record of a file, by its statistics, else of its hour."""
    metadata = pq.read_metadata(file.path)
    place = metadata.schema.names.index("time")
    groups = (metadata.row_group(number) for number in range(metadata.num_row_groups))
    bounds = [group.column(place).statistics for group in groups]
    times = [one.max.timestamp() for one in bounds if one is not None and one.has_min_max]
    return float(max(times, default=file.hour))


def _bind_all(connection: duckdb.DuckDBPyConnection, bound: Bound) -> None:
    """Make the view of all endpoints; a column that has another type in each becomes a text."""
    types: dict[str, set[str]] = {}
    columns: dict[str, list[str]] = {}
    for view in bound.views:
        told = connection.execute(f"DESCRIBE {quoted(view)}").fetchall()
        columns[view] = [name for name, *_ in told]
        for name, kind, *_ in told:
            types.setdefault(name, set()).add(kind)
    parts = [
        f"SELECT {', '.join(_column(name, types[name]) for name in columns[view])} "  # noqa: S608 - quoted
        f"FROM {quoted(view)}"
        for view in bound.views
    ]
    if parts:
        connection.execute(f"CREATE VIEW {ALL} AS {' UNION ALL BY NAME '.join(parts)}")
    else:
        bound.held[ALL] = completed(_nothing())
        connection.register(ALL, bound.held[ALL])
    bound.views.append(ALL)


def _free_name(endpoint: str, bound: Bound) -> str:
    """Return the name of an endpoint's view; SQL knows no upper case."""
    taken = {name.lower() for name in (ALL, LABELS, *bound.views, *bound.held)}
    names = (endpoint, *(f"{endpoint}_{number}" for number in range(2, len(taken) + 3)))
    return next(name for name in names if name.lower() not in taken)


def _column(name: str, kinds: set[str]) -> str:
    plain = quoted(name)
    return plain if len(kinds) == 1 else f"CAST({plain} AS VARCHAR) AS {plain}"


def _nothing() -> pa.Table:
    note = FileNote(segment="", records=0, schemas=())
    table = layout_of((), note, {}).arrow.empty_table()
    texts = pa.array([], type=pa.string())
    return table.append_column("endpoint", texts).append_column("hour", texts)
