"""Reading the prediction log by time, from segments and Parquet files, each record once.

Segments are opened before files are listed. What is compacted while it is read is read from the
open segment, and its files are left alone; what was compacted before has all its files.
"""

from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import replace
from heapq import merge
from itertools import islice
from math import inf
from operator import itemgetter
from pathlib import Path
from typing import Final

from servewell.adapters.embedded import record_files
from servewell.adapters.embedded.atomic_file import storage_faults
from servewell.adapters.embedded.compaction import RecordFolders, scanned
from servewell.adapters.embedded.record_columns import extended
from servewell.adapters.embedded.record_files import UNREADABLE, RecordFile, Timed
from servewell.adapters.embedded.record_tables import (
    REQUESTS_AT_ONCE,
    FileNote,
    Layout,
    Row,
    layout_of,
    requests_in,
    table_of,
)
from servewell.adapters.embedded.segments import Entry, Segment
from servewell.core.catalog.prediction_id import SLACK_S, made_at
from servewell.ports.records import RecordQuery, SegmentCorruptError

NANOSECONDS: Final = 1_000_000_000


def read_log(folders: RecordFolders, query: RecordQuery) -> Iterator[Row]:
    """Yield the requests that are asked for, oldest first.

    Raises: StorageError; at the end SegmentCorruptError, naming the files that cannot be read.
    """
    query = _when_made(query)
    corrupt: list[Path] = []
    newest_first = query.limit is not None
    with ExitStack() as opened:
        with storage_faults(folders.root, doing="read"):
            segments = open_segments(folders, opened)
            files = files_beside(folders, segments, query)
        timed = merge(
            *(_from_segment(one, folders, query) for one in segments),
            *(_from_file(one, query, corrupt) for one in files),
            key=itemgetter(0),
            reverse=newest_first,
        )
        found = (row for _, row in timed if row is not None and record_files.matches(query, row))
        yield from reversed(list(islice(found, query.limit))) if newest_first else found
    if corrupt:
        raise _corrupt(folders, corrupt)


def _when_made(query: RecordQuery) -> RecordQuery:
    """Return a query of one prediction with the time that its id tells."""
    at = made_at(query.prediction_id or "")
    if at is None:
        return query
    since = max(at - SLACK_S, query.since or -inf)
    until = min(at + SLACK_S, inf if query.until is None else query.until)
    return replace(query, since=since, until=until)


def open_segments(folders: RecordFolders, opened: ExitStack) -> list[Segment]:
    """Return the segments there are, open until `opened` closes. Raises: OSError."""
    segments = []
    for path in folders.segments():
        with suppress(FileNotFoundError):  # compacted meanwhile
            segments.append(opened.enter_context(Segment(path)))
    return segments


def files_beside(
    folders: RecordFolders, segments: list[Segment], query: RecordQuery
) -> list[RecordFile]:
    """Return the files that may hold what is asked for and no open segment holds. Raises: OSError.

    To be called after `open_segments`, never before.
    """
    stems = {segment.stem for segment in segments}
    files = record_files.files_in(folders.parquet, query)
    return [file for file in files if file.path.stem not in stems]


def _from_segment(segment: Segment, folders: RecordFolders, query: RecordQuery) -> Iterator[Timed]:
    newest_first = query.limit is not None
    with storage_faults(segment.path, doing="read"):
        contents = scanned(segment, folders)
        schemas = tuple(contents.schemas)
        note = FileNote(segment=segment.stem, records=len(contents.entries), schemas=schemas)
        layout = layout_of(extended((), schemas), note, dict(enumerate(schemas)))
        entries = [entry for entry in contents.entries if _may_match(query, entry)]
        for portion in _portions(entries, newest_first=newest_first):
            rows = _requests(segment, portion, query, layout)
            for row in reversed(rows) if newest_first else rows:
                yield row["time"], row


def _requests(
    segment: Segment, entries: list[Entry], query: RecordQuery, layout: Layout
) -> list[Row]:
    asked = record_files.wanted_ids(query)
    found = [
        (entry, record)
        for entry, record in segment.records(entries)
        if all(getattr(record, name) == wanted for name, wanted in asked.items())
    ]
    table, _ = table_of([(entry.schema, record) for entry, record in found], layout)
    return list(requests_in(table, (entry.endpoint for entry, _ in found)))


def _from_file(file: RecordFile, query: RecordQuery, corrupt: list[Path]) -> Iterator[Timed]:
    try:
        yield from record_files.read(file, query, newest_first=query.limit is not None)
    except FileNotFoundError:
        return  # past its retention meanwhile
    except UNREADABLE:
        corrupt.append(file.path)


def _may_match(query: RecordQuery, entry: Entry) -> bool:
    """Whether a record can be asked for; times are compared to the second here."""
    time = entry.time_ns // NANOSECONDS
    return (
        query.endpoint in (None, entry.endpoint)
        and (query.since is None or time + 1 >= query.since)
        and (query.until is None or time < query.until)
    )


def _portions(entries: list[Entry], *, newest_first: bool) -> Iterator[list[Entry]]:
    starts = range(0, len(entries), REQUESTS_AT_ONCE)
    for start in reversed(starts) if newest_first else starts:
        yield entries[start : start + REQUESTS_AT_ONCE]


def _corrupt(folders: RecordFolders, files: list[Path]) -> SegmentCorruptError:
    names = ", ".join(f"`{folders.relative(path)}`" for path in files)
    return SegmentCorruptError(
        f"A part of the prediction log in `{folders.root}` cannot be read: {names}.",
        why="the bytes on the disk are not those that were written; all other records were read",
        fix="check the disk; restore the file from a backup, or move it out of the log",
    )
