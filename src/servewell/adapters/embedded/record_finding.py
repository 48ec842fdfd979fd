"""Finding the records of many predictions at once.

The id of a prediction begins with the time at which it was made, so files of other times are not
opened, however far apart the times are; and within a file, groups of records whose ids lie
elsewhere are not read. Ids that tell no time are looked for in every file.
"""

from bisect import bisect_left
from collections.abc import Collection, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Final, Self

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from servewell.adapters.embedded.atomic_file import storage_faults
from servewell.adapters.embedded.compaction import RecordFolders
from servewell.adapters.embedded.record_files import HOUR_S, UNREADABLE, RecordFile
from servewell.adapters.embedded.record_reading import files_beside, open_segments
from servewell.adapters.embedded.record_tables import Row, completed, requests_in
from servewell.adapters.embedded.record_tail import Tail
from servewell.core.catalog.outcome import Outcome
from servewell.core.catalog.prediction_id import SLACK_S, made_at
from servewell.core.catalog.prediction_record import STAGES
from servewell.ports.records import RecordQuery

MICROSECONDS: Final = 1_000
AT_ONCE: Final = 50_000  # outcomes of a segment


def find(
    folders: RecordFolders, ids: Collection[str], *, inputs: bool = False
) -> Iterator[Outcome]:
    """Yield the live records of these predictions, in any order. Raises: StorageError."""
    wanted = sorted(set(ids))
    if not wanted:
        return
    with storage_faults(folders.root, doing="read"), ExitStack() as opened:
        segments = open_segments(folders, opened)
        asked = _Asked.of(wanted)
        for file in files_beside(folders, segments, asked.when):
            if those := asked.in_hour(file.hour):
                yield from _in_file(file, those, inputs=inputs)
        known = frozenset(wanted)
        for segment in segments:
            tail = Tail(segment)
            while found := tail.outcomes("", inputs=inputs, most=AT_ONCE):
                yield from (o for o in found if o.prediction_id in known and not o.is_shadow)


def outcome_of(row: Row, file: RecordFile, sequence: int, *, inputs: bool) -> Outcome:
    """Return a request that was read from a file."""
    return Outcome(
        row["prediction_id"],
        round(row["time"] * 1e6) * MICROSECONDS,
        row["deployment"],
        row["role"],
        row["status"],
        row["code"],
        row["snapshot"],
        row["rows"],
        tuple(row["stages_us"][stage] or 0 for stage in STAGES),
        row["outputs"],
        row["inputs"] if inputs else {},
        file.path.stem,
        sequence,
        file.endpoint,
    )


def _in_file(file: RecordFile, wanted: Sequence[str], *, inputs: bool) -> Iterator[Outcome]:
    try:
        with pq.ParquetFile(file.path, page_checksum_verification=True) as parquet:
            for group in range(parquet.num_row_groups):
                if _may_hold(parquet, group, wanted):
                    yield from _in_group(parquet, group, file, wanted, inputs=inputs)
    except UNREADABLE:  # read by nobody; `Records.read` names it
        return


def _in_group(
    parquet: pq.ParquetFile, group: int, file: RecordFile, wanted: Sequence[str], *, inputs: bool
) -> Iterator[Outcome]:
    table = completed(parquet.read_row_group(group))
    table = table.filter(pc.is_in(table["prediction_id"], pa.array(wanted)))
    if not table.num_rows:
        return
    begins = table.filter(pc.equal(table["row"].fill_null(0), 0))
    rows = requests_in(table, [file.endpoint] * begins.num_rows)
    for sequence, row in zip(begins["sequence"].to_pylist(), rows, strict=True):
        found = outcome_of(row, file, sequence, inputs=inputs)
        if not found.is_shadow:
            yield found


def _may_hold(parquet: pq.ParquetFile, group: int, wanted: Sequence[str]) -> bool:
    """Whether any of the ids, which are sorted, lies within the bounds of a group."""
    place = parquet.schema_arrow.names.index("prediction_id")
    bounds = parquet.metadata.row_group(group).column(place).statistics
    if bounds is None or not bounds.has_min_max:
        return True
    first = bisect_left(wanted, bounds.min)
    return first < len(wanted) and wanted[first] <= bounds.max


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """Ids, by when they were made."""

    timed: list[str]  # sorted, as their times are
    times: list[float]
    untimed: list[str]

    @classmethod
    def of(cls, wanted: Sequence[str]) -> Self:
        """Sort ids out; they come sorted."""
        told = [(one, made_at(one)) for one in wanted]
        return cls(
            timed=[one for one, at in told if at is not None],
            times=[at for _, at in told if at is not None],
            untimed=[one for one, at in told if at is None],
        )

    @property
    def when(self) -> RecordQuery:
        """The time of their records, as far as they tell."""
        if self.untimed:
            return RecordQuery(role="all")
        since, until = self.times[0] - SLACK_S, self.times[-1] + SLACK_S
        return RecordQuery(role="all", since=since, until=until)

    def in_hour(self, hour: int) -> list[str]:
        """Return those whose records may be of an hour, by its start (epoch seconds), sorted."""
        first = bisect_left(self.times, hour - SLACK_S)
        last = bisect_left(self.times, hour + HOUR_S + SLACK_S)
        return sorted([*self.untimed, *self.timed[first:last]])
