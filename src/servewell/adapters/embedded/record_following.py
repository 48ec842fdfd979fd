"""Following the prediction log: what was recorded since a cursor, each record once.

A cursor says, for every segment that was there, how many of its records were given and where the
next one begins; and how far the journal of compactions was read. From a segment that is there
only the new bytes are read. One that the journal names meanwhile goes on in its Parquet files, by
the numbers of its records. Where a segment is damaged, what stands behind is given when it was
compacted.

Segments are opened before the journal is read, so one that vanishes between the two is in it.
"""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from math import isfinite
from typing import Final

import msgspec

from servewell.adapters.embedded import record_files
from servewell.adapters.embedded.atomic_file import storage_faults
from servewell.adapters.embedded.compaction import RecordFolders
from servewell.adapters.embedded.record_files import UNREADABLE, file_for
from servewell.adapters.embedded.record_finding import outcome_of
from servewell.adapters.embedded.record_journal import Filed, FiledPart, Position
from servewell.adapters.embedded.record_reading import NANOSECONDS, open_segments
from servewell.adapters.embedded.record_tail import HALTED, Place, Tail
from servewell.adapters.embedded.segments import Segment
from servewell.core.catalog.evidence_cursor import CursorUnreadableError
from servewell.core.catalog.outcome import Outcome
from servewell.ports.records import Followed, RecordQuery

OUTCOMES_AT_ONCE: Final = 50_000  # after so many a look ends, and the next one goes on
ALL: Final = (1 << 63) - 1  # behind the number of every record


class Cursor(msgspec.Struct, array_like=True):
    """Where a follower stands."""

    journal: Position
    places: dict[str, Place]  # by the stem of the segment
    since_ns: int = 0  # what the journal told when the cursor began is taken only from then on
    began: Position = (0, 0)


@dataclass(slots=True)
class _Look:
    """What one look gathers."""

    endpoint: str
    inputs: bool
    outcomes: list[Outcome] = field(default_factory=list)
    missing: int = 0
    gaps: list[str] = field(default_factory=list)

    @property
    def is_full(self) -> bool:
        return len(self.outcomes) >= OUTCOMES_AT_ONCE

    def miss(self, records: int, because: str) -> None:
        self.missing += records
        self.gaps.append(because)


def start_cursor(folders: RecordFolders, since: float) -> str:
    """Return a cursor that everything read since then follows. Raises: StorageError."""
    with storage_faults(folders.root, doing="read"), ExitStack() as opened:
        began = folders.journal.end()
        segments = open_segments(folders, opened)
        since_ns = int(since * NANOSECONDS) if isfinite(since) else None
        cursor = Cursor(
            journal=began if since_ns is None else folders.journal.first_that_reaches(since),
            places={one.stem: Tail(one).place_of(since_ns) for one in segments},
            since_ns=since_ns or 0,
            began=began,
        )
    return _written(cursor)


def follow(folders: RecordFolders, cursor: str, *, endpoint: str, inputs: bool) -> Followed:
    """Return what was recorded since a cursor. Raises: CursorUnreadableError, StorageError."""
    if not cursor:
        return Followed(cursor=start_cursor(folders, float("inf")), outcomes=())
    at = _read(cursor)
    look = _Look(endpoint, inputs)
    with storage_faults(folders.root, doing="read"), ExitStack() as opened:
        segments = open_segments(folders, opened)
        done = _from_journal(folders, at, look)
        live = {segment.stem for segment in segments}
        for segment in segments:
            _from_segment(segment, at, look)
        _forget(folders, at, look, live=live, done=done)
    return Followed(
        cursor=_written(at),
        outcomes=tuple(look.outcomes),
        more=look.is_full,
        missing=look.missing,
        gaps=tuple(look.gaps),
    )


def _from_segment(segment: Segment, at: Cursor, look: _Look) -> None:
    place = at.places.setdefault(segment.stem, Place())
    if place.filed or place.offset == HALTED or look.is_full:
        return
    room = OUTCOMES_AT_ONCE - len(look.outcomes)
    tail = Tail(segment, place)
    look.outcomes += tail.outcomes(look.endpoint, inputs=look.inputs, most=room)
    at.places[segment.stem] = tail.place


def _from_journal(folders: RecordFolders, at: Cursor, look: _Look) -> bool:
    """Take up what was compacted since; whether the journal was read to its end."""
    if folders.journal.starts_behind(at.journal):
        look.miss(0, "an unknown number of records is past the retention of the log")
    for filed, behind in folders.journal.lines(at.journal):
        if look.is_full:
            return False
        since_ns = at.since_ns if behind <= at.began else 0
        place = at.places.get(filed.segment, Place())
        look.outcomes += _rest(folders, filed, place, look, since_ns=since_ns)
        at.places[filed.segment] = Place(offset=HALTED, sequence=ALL, filed=True)
        at.journal = behind
    return True


def _rest(
    folders: RecordFolders, filed: Filed, place: Place, look: _Look, *, since_ns: int
) -> Iterator[Outcome]:
    if filed.missing and place.sequence < ALL:
        look.miss(filed.missing, f"{filed.missing} records of `{filed.segment}` are missing")
    rest: list[Outcome] = []
    for part in filed.parts:
        if part.endpoint == look.endpoint and place.sequence < ALL:
            file = file_for(folders.parquet, part.endpoint, part.hour, filed.segment)
            try:
                rest += _in_file(file, look, place.sequence)
            except FileNotFoundError:
                look.miss(part.records, f"{part.records} records are past their retention")
            except UNREADABLE:
                name = folders.relative(file.path)
                look.miss(part.records, f"`{name}` with {part.records} records cannot be read")
    rest.sort(key=lambda one: one.sequence)
    return (one for one in rest if one.time_ns >= since_ns)


def _in_file(file: record_files.RecordFile, look: _Look, first: int) -> Iterator[Outcome]:
    for sequence, row in record_files.numbered(file, first=first):
        yield outcome_of(row, file, sequence, inputs=look.inputs)


def _forget(folders: RecordFolders, at: Cursor, look: _Look, *, live: set[str], done: bool) -> None:
    """Let go of the segments that are gone, when all that they held was given."""
    for stem, place in list(at.places.items()):
        if stem in live or not done:
            continue
        if not place.filed:  # the journal told of it before this cursor began, or never
            filed = Filed(segment=stem, parts=tuple(_parts_of(folders, look.endpoint, stem)))
            look.outcomes += _rest(folders, filed, place, look, since_ns=0)
        del at.places[stem]


def _parts_of(folders: RecordFolders, endpoint: str, stem: str) -> Iterator[FiledPart]:
    for file in record_files.files_in(folders.parquet, RecordQuery(endpoint=endpoint)):
        if file.path.stem == stem:
            yield FiledPart(endpoint, file.hour, 0)


def _written(cursor: Cursor) -> str:
    return msgspec.json.encode(cursor).decode()


def _read(cursor: str) -> Cursor:
    try:
        return msgspec.json.decode(cursor, type=Cursor)
    except msgspec.DecodeError as error:
        raise CursorUnreadableError.of(cursor, error) from error
