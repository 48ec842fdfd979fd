"""Turning one segment of the prediction log into Parquet files, exactly once.

The files of a segment bear its name and are all in place before it goes, so whoever finds the
segment reads it and leaves its files alone, and whoever does not reads its files. A compaction
that was killed is done again and writes the same files in place of those it left.
"""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
from msgspec.structs import replace

from servewell.adapters.embedded import record_files
from servewell.adapters.embedded.atomic_file import (
    ensure_folder,
    sync_folder,
    write_atomically,
)
from servewell.adapters.embedded.record_columns import Columns, extended
from servewell.adapters.embedded.record_journal import Filed, FiledPart, RecordJournal
from servewell.adapters.embedded.record_tables import (
    FileNote,
    Layout,
    layout_of,
    note_in,
    table_of,
)
from servewell.adapters.embedded.segments import SUFFIX, Contents, Entry, Segment
from servewell.core.catalog.prediction_record import RecordSchema, frame
from servewell.ports.records import RecordQuery

GROUP_ROWS: Final = 1 << 15  # of a row group, and so as a table in memory
RECORDS_AT_ONCE: Final = 1 << 10  # decoded; what more of them hold outgrows the caches

Ledger = dict[str, Columns]


class Damages(msgspec.Struct, frozen=True, kw_only=True):
    """What is wrong with a segment that was set aside; stands beside it for a person to read."""

    segment: str
    because: str
    damaged_bytes: int
    missing: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Compacted:
    """What became of one segment."""

    files: tuple[Path, ...]
    records: int
    torn_bytes: int
    set_aside: Path | None


class RecordFolders:
    """Where the parts of the prediction log lie."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.live = root / "live"
        self.parquet = root / "parquet"
        self.quarantine = root / "quarantine"
        self.columns = root / "columns.json"
        self.lock = root / "compaction.lock"
        self.journal = RecordJournal(root / "journal")

    def ledger(self) -> Ledger:
        """Return the columns that each endpoint has had. Raises: OSError.

        A ledger that is corrupt is begun again: the columns in use now get their names again.
        """
        try:
            return msgspec.json.decode(self.columns.read_bytes(), type=Ledger)
        except (FileNotFoundError, msgspec.DecodeError, UnicodeDecodeError):
            return {}

    def segments(self) -> list[Path]:
        """Return the segments there are, by name; one still being made has a dot before it."""
        found = self.live.glob(f"*{SUFFIX}")
        return sorted(path for path in found if path.name[0] != "." and path.is_file())

    def set_aside(self) -> list[Path]:
        """Return the damaged segments that are kept for a person to see."""
        return sorted(self.quarantine.glob(f"*{SUFFIX}"))

    def damages(self) -> Iterator[Damages]:
        """Yield what is wrong with each segment that was set aside. Raises: OSError."""
        for path in sorted(self.quarantine.glob("*.json")):
            with suppress(msgspec.DecodeError, UnicodeDecodeError, FileNotFoundError):
                yield msgspec.json.decode(path.read_bytes(), type=Damages)

    def relative(self, path: Path) -> str:
        """Return a path as people read it: from the root of the log."""
        return str(path.relative_to(self.root))


def compact_segment(segment: Segment, folders: RecordFolders) -> Compacted:
    """Turn a segment that nobody writes into Parquet, then remove it or set it aside.

    Raises: OSError; then the segment is where it was.
    """
    contents = scanned(segment, folders, keeping=True)
    ledger = _extended_ledger(contents, folders)
    files, parts, misfit_bytes = [], [], 0
    for (endpoint, hour), entries in _by_file(contents):
        file = record_files.file_for(folders.parquet, endpoint, hour, segment.stem)
        layout = _layout(segment, ledger[endpoint], entries)
        writing = _Writing(segment, layout, entries)
        record_files.write(file, writing.tables(), schema=layout.arrow, beside=folders.root)
        misfit_bytes += writing.misfit_bytes
        files.append(file.path)
        parts.append(FiledPart(endpoint, hour, len(entries)))
    folders.journal.append(
        Filed(
            segment=segment.stem,
            parts=tuple(parts),
            missing=contents.missing,
            damaged_bytes=contents.damaged_bytes + misfit_bytes,
        )
    )
    return Compacted(
        files=tuple(files),
        records=len(contents.entries),
        torn_bytes=contents.torn_bytes,
        set_aside=_finish(segment, contents, misfit_bytes, folders),
    )


def scanned(segment: Segment, folders: RecordFolders, *, keeping: bool = False) -> Contents:
    """Return what a segment holds; a schema that is damaged in it is taken from an earlier file.

    `keeping` is that of `Segment.scan`. Raises: OSError.
    """
    contents = segment.scan(keeping=keeping)
    sought: dict[tuple[str, str], int] = {}
    for place, entry in enumerate(contents.entries):
        if entry.package and entry.schema < 0:
            key = (entry.endpoint, entry.package)
            if key not in sought:
                sought[key] = _schema_elsewhere(contents, folders, entry)
            contents.entries[place] = replace(entry, schema=sought[key])
    return contents


def _schema_elsewhere(contents: Contents, folders: RecordFolders, entry: Entry) -> int:
    """Return the number of a schema for a record that has none before it, or -1."""
    here = (schema for schema in contents.schemas if schema.package == entry.package)
    found = _known_schema(folders, entry) or next(here, None)
    if found is None:
        return -1
    if found not in contents.schemas:
        contents.schemas.append(found)
    return contents.schemas.index(found)


def _known_schema(folders: RecordFolders, entry: Entry) -> RecordSchema | None:
    query = RecordQuery(endpoint=entry.endpoint)
    for file in reversed(list(record_files.files_in(folders.parquet, query))):
        with suppress(*record_files.UNREADABLE):
            for schema in note_in(pq.read_schema(file.path)).schemas:
                if schema.package == entry.package:
                    return schema
    return None


class _Writing:
    """The tables of one file, and the count of what does not fit into them."""

    def __init__(self, segment: Segment, layout: Layout, entries: list[Entry]) -> None:
        self._segment = segment
        self._layout = layout
        self._entries = entries
        self.misfit_bytes = 0

    def tables(self) -> Iterator[pa.Table]:
        for group in _groups(self._entries):
            starts = range(0, len(group), RECORDS_AT_ONCE)
            parts = (group[start : start + RECORDS_AT_ONCE] for start in starts)
            yield pa.concat_tables([self._table(part) for part in parts])

    def _table(self, entries: list[Entry]) -> pa.Table:
        table, misfits = table_of(self._segment.kept_records(entries), self._layout)
        self.misfit_bytes += sum(len(frame(misfit)) for misfit in misfits)
        return table


def _by_file(contents: Contents) -> list[tuple[tuple[str, int], list[Entry]]]:
    files: dict[tuple[str, int], list[Entry]] = {}
    for entry in contents.entries:
        key = entry.endpoint, record_files.hour_of(entry.time_ns)
        files.setdefault(key, []).append(entry)
    return sorted(files.items())


def _groups(entries: Iterable[Entry]) -> Iterator[list[Entry]]:
    portion: list[Entry] = []
    rows = 0
    for entry in entries:
        portion.append(entry)
        rows += entry.rows
        if rows >= GROUP_ROWS:
            yield portion
            portion, rows = [], 0
    if portion:
        yield portion


def _extended_ledger(contents: Contents, folders: RecordFolders) -> Ledger:
    """Return the ledger with the columns of this segment, kept before any file has them."""
    before = folders.ledger()
    ledger = dict(before)
    for endpoint, schema in dict.fromkeys((one.endpoint, one.schema) for one in contents.entries):
        schemas = (contents.schemas[schema],) if schema >= 0 else ()
        ledger[endpoint] = extended(ledger.get(endpoint, ()), schemas)
    if ledger != before:
        write_atomically(folders.columns, msgspec.json.encode(ledger))
    return ledger


def _layout(segment: Segment, columns: Columns, entries: list[Entry]) -> Layout:
    numbers = dict.fromkeys(entry.schema for entry in entries if entry.schema >= 0)
    schemas = {number: segment.contents.schemas[number] for number in numbers}
    note = FileNote(segment=segment.stem, records=len(entries), schemas=tuple(schemas.values()))
    return layout_of(columns, note, schemas)


def _finish(
    segment: Segment, contents: Contents, misfit_bytes: int, folders: RecordFolders
) -> Path | None:
    damages = _damages(segment, contents, misfit_bytes)
    if damages is None:
        segment.path.unlink()
        sync_folder(folders.live)
        return None
    write_atomically(
        folders.quarantine / f"{segment.stem}.json",
        msgspec.json.format(msgspec.json.encode(damages)),
    )
    place = folders.quarantine / f"{segment.stem}{SUFFIX}"
    ensure_folder(folders.quarantine)
    segment.path.rename(place)
    sync_folder(folders.quarantine)
    sync_folder(folders.live)
    return place


def _damages(segment: Segment, contents: Contents, misfit_bytes: int) -> Damages | None:
    reasons = []
    if contents.header is None:
        reasons.append("it does not begin as a segment does")
    if contents.damaged_bytes:
        reasons.append(f"{contents.damaged_bytes} bytes of it are damaged")
    if contents.missing:
        reasons.append(f"{contents.missing} records are missing from it")
    if misfit_bytes:
        reasons.append(f"records in {misfit_bytes} bytes of it have values that fit no schema")
    if not reasons:
        return None
    return Damages(
        segment=segment.stem,
        because="; ".join(reasons),
        damaged_bytes=contents.damaged_bytes + misfit_bytes,
        missing=contents.missing,
    )
