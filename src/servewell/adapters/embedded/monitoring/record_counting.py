"""Counting the Parquet files of the prediction log with numpy, one file after the other."""

import errno
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import msgspec
import numpy as np

from servewell.adapters.embedded.atomic_file import storage_faults
from servewell.adapters.embedded.compaction import RecordFolders
from servewell.adapters.embedded.monitoring.cells import Cells, Mask
from servewell.adapters.embedded.monitoring.grouping import (
    Table,
    grouped,
    reference_of,
    slices_in,
)
from servewell.adapters.embedded.monitoring.part_reading import (
    Named,
    Portion,
    minutes_of,
    portions,
)
from servewell.adapters.embedded.monitoring.traffic_counting import (
    found_now,
    minute_by_minute,
    traffic_in,
)
from servewell.adapters.embedded.record_files import UNREADABLE, file_for
from servewell.adapters.embedded.record_journal import Filed, Position
from servewell.core.catalog.profile import (
    MINUTE_S,
    ReferenceProfile,
    TrafficWindow,
    WindowProfile,
)
from servewell.core.catalog.signature import Signature
from servewell.core.operations.monitoring.profiles import PARTS_KEPT_S, merged
from servewell.ports.profiles import CountedPart, Part
from servewell.ports.record_counting import FiledParts, References

DAMAGE: Final = (None, errno.ENOENT, errno.EIO)  # of a file that is corrupt or gone


class FileRecordCounting:
    """`RecordCounting` in the folder of the prediction log."""

    def __init__(self, root: Path) -> None:
        self._folders = RecordFolders(root)

    def filed(self, cursor: str, *, most: int, now: float) -> FiledParts:
        """See `RecordCounting.filed`."""
        since = msgspec.json.decode(cursor, type=Position) if cursor else (0, 0)
        parts: list[Part] = []
        journal = self._folders.journal
        with storage_faults(self._folders.root, doing="read"):
            is_other = since > journal.end()
            if is_other:
                since = journal.first_that_reaches(now - PARTS_KEPT_S)
            for line, behind in journal.lines(since):
                parts += _parts_of(line)
                since = behind
                if len(parts) >= most:
                    break
        at = msgspec.json.encode(since).decode()
        more = len(parts) >= most
        return FiledParts(parts=tuple(parts), cursor=at, more=more, is_other_log=is_other)

    def count(
        self, part: Part, *, references: References, objective_ms: float, now: float
    ) -> CountedPart:
        """See `RecordCounting.count`."""
        counting = _Counting(part, references, objective_ms=objective_ms, now=now)
        with storage_faults(self._folders.root, doing="read"):
            try:
                for portion in self._portions(part):
                    counting.take(portion)
            except UNREADABLE as error:
                _require_damage(error)
                counting = _Counting(part, references, objective_ms=objective_ms, now=now)
                counting.lose(part.records)
        counting.lose(part.missing, damaged=part.damaged_bytes)
        return counting.result()

    def count_package(
        self, part: Part, reference: ReferenceProfile, *, now: float
    ) -> tuple[WindowProfile, ...]:
        """See `RecordCounting.count_package`."""
        found: list[WindowProfile] = []
        for portion in self._readable([part]):
            is_of, _ = _of_package(portion, reference.package)
            found += _windows(part, portion, is_of, reference, now=now)
        return tuple(_by_window(found))

    def first_rows(
        self,
        parts: Sequence[Part],
        package: str,
        signature: Signature,
        *,
        most: int,
        slices: Sequence[str] = (),
    ) -> ReferenceProfile | None:
        """See `RecordCounting.first_rows`."""
        taken: list[tuple[Named, Named]] = []
        rows = 0
        for portion in self._readable(parts):
            is_of, live = _of_package(portion, package)
            first = is_of & live & (np.cumsum(is_of & live) <= most - rows)
            if first.any():
                taken.append(portion.cells(package, first))
                rows += int(first.sum())
            if rows == most:
                break
        if rows < most:
            return None
        table = Table(
            inputs=_joined([one for one, _ in taken]), outputs=_joined([two for _, two in taken])
        )
        source = f"the first {rows:,} rows that callers were answered"
        return reference_of(signature, table, rows=rows, slices=slices, source=source)

    def _portions(self, part: Part) -> Iterator[Portion]:
        if part.records:
            file = file_for(self._folders.parquet, part.endpoint, part.hour, part.segment)
            yield from portions(file.path)

    def _readable(self, parts: Sequence[Part]) -> Iterator[Portion]:
        """Yield the rows of parts, as far as they can be read. Raises: StorageError."""
        for part in parts:
            with storage_faults(self._folders.root, doing="read"):
                try:
                    yield from self._portions(part)
                except UNREADABLE as error:
                    _require_damage(error)


class _Counting:
    """The counts of one part."""

    def __init__(
        self, part: Part, references: References, *, objective_ms: float, now: float
    ) -> None:
        self._part = part
        self._references = references
        self._objective_ms = objective_ms
        self._now = now
        self._windows: list[WindowProfile] = []
        self._traffic: list[TrafficWindow] = []
        self._waiting: dict[str, int] = {}

    def take(self, portion: Portion) -> None:
        """Count some rows."""
        self._traffic += traffic_in(
            self._part, portion, objective_ms=self._objective_ms, now=self._now
        )
        _, packages = portion.coded("package")
        for package in filter(None, packages):
            is_of, live = _of_package(portion, package)
            reference = self._references(package)
            if reference is None:
                rows = int((is_of & live).sum())
                if rows:  # a shadow's make no reference, so that they would wait in vain
                    self._waiting[package] = self._waiting.get(package, 0) + rows
            else:
                self._windows += _windows(self._part, portion, is_of, reference, now=self._now)

    def lose(self, records: int, *, damaged: int = 0) -> None:
        """Count records that cannot be read, and bytes of which nobody knows what they were."""
        if records or damaged:
            lost = found_now(self._part, "", self._now, lost=records, damaged=damaged)
            self._traffic.append(lost)

    def result(self) -> CountedPart:
        """Return what was counted, one window for each minute."""
        return CountedPart(
            part=self._part,
            windows=tuple(_by_window(self._windows)),
            traffic=tuple(minute_by_minute(self._traffic)),
            waiting=self._waiting,
        )


def _require_damage(error: Exception) -> None:
    """Raise an error again that may be none the next time, such as too many open files."""
    if isinstance(error, OSError) and error.errno not in DAMAGE:
        raise error


def _parts_of(line: Filed) -> list[Part]:
    """Return the parts of a segment; the first one tells what is missing of it."""
    parts = [
        Part(
            segment=line.segment,
            endpoint=one.endpoint,
            hour=one.hour,
            records=one.records,
            missing=0 if number else line.missing,
            damaged_bytes=0 if number else line.damaged_bytes,
        )
        for number, one in enumerate(line.parts)
    ]
    if not parts and (line.missing or line.damaged_bytes):
        nowhere = Part(
            segment=line.segment,
            endpoint="",
            hour=0,
            records=0,
            missing=line.missing,
            damaged_bytes=line.damaged_bytes,
        )
        return [nowhere]
    return parts


def _of_package(portion: Portion, package: str) -> tuple[Mask, Mask]:
    """Return which rows are to be profiled for a package, and which are no shadow's."""
    codes, packages = portion.coded("package")
    at = packages.index(package) if package in packages else len(packages)
    return (codes == at) & portion.valued(), ~portion.shadows()


def _windows(
    part: Part, portion: Portion, rows: Mask, reference: ReferenceProfile, *, now: float
) -> Iterator[WindowProfile]:
    """Yield a window for each deployment and minute of these rows, which are of one package."""
    if not rows.any():
        return
    deployments, names = portion.coded("deployment")
    minutes, _ = minutes_of(portion.times[rows], now)
    keys = np.stack([deployments[rows], minutes])
    distinct, groups = np.unique(keys, axis=1, return_inverse=True)
    inputs, outputs = portion.cells(reference.package, rows)
    table = Table(inputs=inputs, outputs=outputs)
    number = distinct.shape[1]
    found = grouped(reference.bins, slices_in(reference), table, groups.reshape(-1), number)
    for (deployment, start), group in zip(distinct.T.tolist(), found, strict=True):
        yield WindowProfile(
            endpoint=part.endpoint,
            deployment=names[deployment],
            package=reference.package,
            start=start,
            seconds=MINUTE_S,
            rows=group.rows,
            counts=group.counts,
        )


def _by_window(windows: Sequence[WindowProfile]) -> Iterator[WindowProfile]:
    groups: dict[tuple[str, str, int], list[WindowProfile]] = {}
    for one in windows:
        groups.setdefault((one.deployment, one.package, one.start), []).append(one)
    return map(merged, groups.values())


def _joined(portions: Sequence[Named]) -> Named:
    """Return the values of several portions one after the other; names that all of them have."""
    names = [name for name in portions[0] if all(name in one for one in portions)]
    return {name: Cells.joined([one[name] for one in portions]) for name in names}
