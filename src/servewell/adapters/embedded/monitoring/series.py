"""Figures over time in the database of the state, in samples of three lengths."""

from collections.abc import Iterable, Sequence
from itertools import groupby, pairwise
from typing import Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from servewell.adapters.embedded.database import Database
from servewell.adapters.embedded.state_tables import SERIES, SERIES_SAMPLE, next_number
from servewell.core.catalog.series import (
    LEVELS,
    SERIES_MAX,
    Level,
    Sample,
    SeriesPoint,
    cut,
    gathered,
    sample_of,
)
from servewell.core.catalog.series_names import is_vital

ROWS = SERIES_SAMPLE.c
PLACE: Final = sa.and_(
    ROWS.series == sa.bindparam("of_series"),
    ROWS.step == sa.bindparam("of_step"),
    ROWS.start == sa.bindparam("of_start"),
)


class SqlSeries:
    """`Series` in SQLite or PostgreSQL. The steps of `levels` divide each other, and an hour."""

    def __init__(
        self,
        database: Database,
        *,
        levels: tuple[Level, ...] = LEVELS,
        series_max: int = SERIES_MAX,
    ) -> None:
        self._database = database
        self._levels = levels
        self._series_max = series_max

    def add(self, points: Sequence[SeriesPoint], *, now: float) -> int:
        """See `Series.add`."""
        if not points:
            return 0
        ordered = sorted(points, key=lambda one: one.name)
        with self._database.writing() as connection:
            numbers = self._numbered(connection, ordered)
            for name, of_series in groupby(ordered, key=lambda one: one.name):
                if name in numbers:
                    self._add(connection, numbers[name], list(of_series), now)
        return sum(one.name not in numbers for one in ordered)

    def read(self, name: str, *, since: float, until: float, step: int) -> tuple[Sample, ...]:
        """See `Series.read`."""
        with self._database.reading() as connection:
            number = connection.execute(
                sa.select(SERIES.c.id).where(SERIES.c.name == name)
            ).scalar_one_or_none()
            if number is None:
                return ()
            found: list[Sample] = []
            for level in self._from(step):
                bound = found[0].start - level.step_s + 1 if found else until
                found = [*_between(connection, number, level, since, bound), *found]
        return gathered(found, step_s=step)

    def newest(self, prefix: str = "") -> dict[str, int]:
        """See `Series.newest`."""
        query = sa.select(SERIES.c.name, SERIES.c.newest).where(
            SERIES.c.name.startswith(prefix, autoescape=True)
        )
        with self._database.reading() as connection:
            return {str(name): int(newest) for name, newest in connection.execute(query)}

    def sweep(self, now: float) -> int:
        """See `Series.sweep`."""
        gone = 0
        with self._database.writing() as connection:
            for level in self._levels:
                past = (ROWS.step == level.step_s, ROWS.start < cut(level, now=now))
                gone += connection.execute(sa.delete(SERIES_SAMPLE).where(*past)).rowcount
            forgotten = SERIES.c.newest < cut(self._levels[-1], now=now)
            connection.execute(sa.delete(SERIES).where(forgotten))
        return gone

    def _numbered(self, connection: Connection, ordered: Sequence[SeriesPoint]) -> dict[str, int]:
        """Return the numbers of the series of these points, new ones made where there is room."""
        known = {
            str(row.name): (int(row.id), int(row.newest))
            for row in connection.execute(sa.select(SERIES))
        }
        following = next_number(connection, SERIES.c.id)
        room = self._series_max - sum(not is_vital(name) for name in known)
        newest: dict[str, int] = {}
        for one in ordered:
            newest[one.name] = max(one.start, newest.get(one.name, one.start))
        for name, start in newest.items():
            if name in known and known[name][1] < start:
                connection.execute(
                    sa.update(SERIES).where(SERIES.c.name == name).values(newest=start)
                )
            elif name not in known and (room > 0 or is_vital(name)):
                room -= not is_vital(name)
                known[name] = (following, start)
                connection.execute(sa.insert(SERIES).values(id=following, name=name, newest=start))
                following += 1
        return {name: known[name][0] for name in newest if name in known}

    def _add(
        self, connection: Connection, number: int, points: list[SeriesPoint], now: float
    ) -> None:
        fresh: dict[int, dict[int, Sample]] = {one.step_s: {} for one in self._levels}
        settled: dict[int, list[Sample]] = {one.step_s: [] for one in self._levels}
        for point in points:
            own, kept = self._level(point), self._kept(point, now)
            if own is kept:
                sample = sample_of(point, step_s=own.step_s)
                fresh[own.step_s][sample.start] = sample
            elif kept is not None:
                settled[kept.step_s].append(sample_of(point, step_s=kept.step_s))
        for level in self._levels:
            _put(connection, number, level, fresh[level.step_s].values())
            _put(connection, number, level, _empty(connection, number, level, settled))
        for finer, level in pairwise(self._levels):
            _renew(connection, number, level, finer, fresh)

    def _level(self, point: SeriesPoint) -> Level:
        """Return the coarsest level that a point needs no other of its time for."""
        fitting = [one for one in self._levels if one.step_s <= point.seconds]
        return fitting[-1] if fitting else self._levels[0]

    def _kept(self, point: SeriesPoint, now: float) -> Level | None:
        """Return the finest level from the point's own on that still keeps its time."""
        own = self._levels.index(self._level(point))
        for level in self._levels[own:]:
            if point.start >= cut(level, now=now):
                return level
        return None

    def _from(self, step: int) -> tuple[Level, ...]:
        """Return the coarsest level that a step can be made of, and the coarser ones behind it."""
        fitting = [one for one in self._levels if step % one.step_s == 0] or [self._levels[0]]
        return self._levels[self._levels.index(fitting[-1]) :]


def _between(
    connection: Connection, number: int, level: Level, since: float, until: float
) -> list[Sample]:
    query = (
        sa.select(ROWS.start, ROWS.weight, ROWS.total, ROWS.least, ROWS.greatest)
        .where(ROWS.series == number, ROWS.step == level.step_s)
        .where(ROWS.start >= since, ROWS.start < until)
        .order_by(ROWS.start)
    )
    return [
        Sample(
            start=row.start,
            seconds=level.step_s,
            weight=row.weight,
            total=row.total,
            least=row.least,
            greatest=row.greatest,
        )
        for row in connection.execute(query)
    ]


def _put(connection: Connection, number: int, level: Level, samples: Iterable[Sample]) -> None:
    """Keep samples in place of those of the same start."""
    found = list(samples)
    if not found:
        return
    connection.execute(
        sa.delete(SERIES_SAMPLE).where(PLACE),
        [{"of_series": number, "of_step": level.step_s, "of_start": one.start} for one in found],
    )
    connection.execute(
        sa.insert(SERIES_SAMPLE),
        [
            {
                "series": number,
                "step": level.step_s,
                "start": one.start,
                "weight": one.weight,
                "total": one.total,
                "least": one.least,
                "greatest": one.greatest,
            }
            for one in found
        ],
    )


def _empty(
    connection: Connection, number: int, level: Level, settled: dict[int, list[Sample]]
) -> list[Sample]:
    """Return the settled samples of a level for whose time it has none yet."""
    found = gathered(settled[level.step_s], step_s=level.step_s)
    if not found:
        return []
    until = found[-1].start + 1
    taken = {one.start for one in _between(connection, number, level, found[0].start, until)}
    return [one for one in found if one.start not in taken]


def _renew(
    connection: Connection,
    number: int,
    level: Level,
    finer: Level,
    fresh: dict[int, dict[int, Sample]],
) -> None:
    """Make the samples of a level anew that what came lies in, from all of the finer one."""
    step = level.step_s
    starts = {start // step * step for start in fresh[finer.step_s]}
    if not starts:
        return
    all_finer = _between(connection, number, finer, min(starts), max(starts) + step)
    renewed = [one for one in gathered(all_finer, step_s=step) if one.start in starts]
    _put(connection, number, level, renewed)
    fresh[step] |= {one.start: one for one in renewed}
