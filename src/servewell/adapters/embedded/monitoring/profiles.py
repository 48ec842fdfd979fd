"""Profiles in the database of the state."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Final, TypeVar

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from servewell.adapters.embedded.database import Database
from servewell.adapters.embedded.monitoring.window_rows import (
    merged_sketches,
    profile_of,
    profile_row,
    sketch_of,
    traffic_of,
    traffic_row,
)
from servewell.adapters.embedded.state_tables import (
    PROFILE_MARK,
    PROFILE_PART,
    PROFILE_REFERENCE,
    PROFILE_WAITING,
    PROFILE_WINDOW,
    TRAFFIC_WINDOW,
)
from servewell.core.catalog.profile import (
    MINUTE_S,
    ReferenceProfile,
    TrafficWindow,
    WindowProfile,
)
from servewell.core.operations.monitoring.profiles import (
    DAY_S,
    KEPT_S,
    LEVELS,
    PARTS_KEPT_S,
    Kept,
    Run,
    Steady,
    fewest_runs,
    finest_runs,
    healed,
    kept_at,
    merged,
    merged_traffic,
    unnamed,
)
from servewell.ports.clock import Clock
from servewell.ports.profiles import CountedPart, Part

CURSOR: Final = "journal"
MINUTES: Final = "minutes from"
HOURS: Final = "hours from"
CLOCK: Final = "clock steady since, seen"

Window = TypeVar("Window", WindowProfile, TrafficWindow)
Rows = sa.ColumnCollection[str, sa.Column[object]]


class SqlProfiles:
    """`Profiles` and `ProfileParts` in SQLite or PostgreSQL."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def keep_reference(self, reference: ReferenceProfile) -> None:
        """See `Profiles.keep_reference`."""
        same = PROFILE_REFERENCE.c.package == reference.package
        with self._database.writing() as connection:
            if connection.execute(sa.select(PROFILE_REFERENCE.c.package).where(same)).first():
                return
            connection.execute(
                sa.insert(PROFILE_REFERENCE).values(
                    package=reference.package,
                    made_at=self._clock.now(),
                    body=msgspec.msgpack.encode(reference),
                )
            )

    def reference(self, package: str) -> ReferenceProfile | None:
        """See `Profiles.reference`."""
        query = sa.select(PROFILE_REFERENCE.c.body).where(PROFILE_REFERENCE.c.package == package)
        with self._database.reading() as connection:
            body = connection.execute(query).scalar()
        return None if body is None else msgspec.msgpack.decode(body, type=ReferenceProfile)

    def windows(
        self, endpoint: str, deployment: str, *, since: float, until: float, finest: int = MINUTE_S
    ) -> tuple[WindowProfile, ...]:
        """See `Profiles.windows`."""
        with self._database.reading() as connection:
            runs = finest_runs(since, until, _kept(connection), finest=finest)
            return _profiles(connection, endpoint, deployment, runs)

    def total(
        self, endpoint: str, deployment: str, *, since: float, until: float
    ) -> WindowProfile | None:
        """See `Profiles.total`."""
        with self._database.reading() as connection:
            kept = _kept(connection)
            fine = finest_runs(since, until, kept)
            package = _newest_package(connection, endpoint, deployment, fine)
            if package is None:
                return None
            runs = fewest_runs(since, until, kept)
            return merged(_profiles(connection, endpoint, deployment, runs, package=package))

    def traffic(
        self, endpoint: str, *, since: float, until: float, finest: int = MINUTE_S
    ) -> tuple[TrafficWindow, ...]:
        """See `Profiles.traffic`."""
        rows = TRAFFIC_WINDOW.c
        with self._database.reading() as connection:
            runs = finest_runs(since, until, _kept(connection), finest=finest)
            query = sa.select(TRAFFIC_WINDOW).where(rows.endpoint == endpoint, _within(rows, runs))
            found = connection.execute(query.order_by(rows.start, rows.deployment)).mappings()
            return tuple(map(traffic_of, found))

    def latency_ms(
        self, windows: Sequence[TrafficWindow], shares: Sequence[float]
    ) -> tuple[float, ...] | None:
        """See `Profiles.latency_ms`."""
        sketch = sketch_of([one.latency for one in windows if one.latency])
        return None if sketch.is_empty() else tuple(sketch.get_quantiles(list(shares), True))  # noqa: FBT003  (inclusive, has no name)

    def add(self, counted: CountedPart) -> bool:
        """See `ProfileParts.add`."""
        part = counted.part
        key = {"segment": part.segment, "endpoint": part.endpoint, "hour": part.hour}
        with self._database.writing() as connection:
            if connection.execute(_same(PROFILE_PART, key)).first():
                return False
            mark = key | {"records": part.records, "counted_at": self._clock.now()}
            connection.execute(sa.insert(PROFILE_PART).values(mark))
            _add_profiles(connection, counted.windows)
            _add_traffic(connection, counted.traffic)
            for package, rows in counted.waiting.items():
                waits = key | {"package": package, "records": rows}
                connection.execute(sa.insert(PROFILE_WAITING).values(waits))
        return True

    def uncounted(self, parts: Sequence[Part]) -> tuple[Part, ...]:
        """See `ProfileParts.uncounted`."""
        rows = PROFILE_PART.c
        segments = sorted({one.segment for one in parts})
        query = sa.select(rows.segment, rows.endpoint, rows.hour).where(rows.segment.in_(segments))
        with self._database.reading() as connection:
            known = {tuple(row) for row in connection.execute(query)}
        return tuple(one for one in parts if (one.segment, one.endpoint, one.hour) not in known)

    def cursor(self) -> str:
        """See `ProfileParts.cursor`."""
        with self._database.reading() as connection:
            return _marks(connection).get(CURSOR, "")

    def advance(self, cursor: str) -> None:
        """See `ProfileParts.advance`."""
        with self._database.writing() as connection:
            _mark(connection, CURSOR, cursor)

    def waiting(self) -> dict[str, tuple[Part, ...]]:
        """See `ProfileParts.waiting`."""
        rows = PROFILE_WAITING.c
        query = sa.select(PROFILE_WAITING).order_by(rows.package, rows.hour, rows.segment)
        found: dict[str, list[Part]] = {}
        with self._database.reading() as connection:
            for package, *fields in connection.execute(query):
                segment, endpoint, hour, records = fields
                part = Part(segment=segment, endpoint=endpoint, hour=hour, records=records)
                found.setdefault(package, []).append(part)
        return {package: tuple(parts) for package, parts in found.items()}

    def add_waiting(self, part: Part, package: str, windows: Sequence[WindowProfile]) -> bool:
        """See `ProfileParts.add_waiting`."""
        rows = PROFILE_WAITING.c
        same = (
            rows.package == package,
            rows.segment == part.segment,
            rows.endpoint == part.endpoint,
            rows.hour == part.hour,
        )
        with self._database.writing() as connection:
            if connection.execute(sa.delete(PROFILE_WAITING).where(*same)).rowcount == 0:
                return False
            _add_profiles(connection, windows)
        return True

    def forget(self, now: float) -> None:
        """See `ProfileParts.forget`."""
        with self._database.reading() as connection:
            kept, steady = _kept(connection), _steady(connection)
        mended, looked, later = healed(kept, now), steady.at(now), kept_at(now)
        due = looked.may_forget(now) and later.minutes_from > mended.minutes_from  # once an hour
        if (mended, looked) == (kept, steady) and not due:
            return
        with self._database.writing() as connection:
            _mark(connection, CLOCK, msgspec.json.encode((looked.since, looked.seen)).decode())
            if due:
                mended = replace(later, hours_from=max(later.hours_from, mended.hours_from))
                _let_go(connection, later, now)
            _mark(connection, MINUTES, str(mended.minutes_from))
            _mark(connection, HOURS, str(mended.hours_from))


def _let_go(connection: Connection, kept: Kept, now: float) -> None:
    ends = (kept.minutes_from, kept.hours_from, int(now) - KEPT_S[DAY_S])
    for seconds, end in zip(LEVELS, ends, strict=True):
        for table in (PROFILE_WINDOW, TRAFFIC_WINDOW):
            past = (table.c.seconds == seconds, table.c.start < end)
            connection.execute(sa.delete(table).where(*past))
    last = connection.execute(sa.select(sa.func.max(PROFILE_PART.c.counted_at))).scalar()
    old = PROFILE_PART.c.counted_at < (last or 0.0) - PARTS_KEPT_S
    connection.execute(sa.delete(PROFILE_PART).where(old))
    in_vain = PROFILE_WAITING.c.hour < kept.hours_from
    connection.execute(sa.delete(PROFILE_WAITING).where(in_vain))


def _profiles(
    connection: Connection,
    endpoint: str,
    deployment: str,
    runs: Sequence[Run],
    *,
    package: str | None = None,
) -> tuple[WindowProfile, ...]:
    query = sa.select(PROFILE_WINDOW).where(_of(endpoint, deployment, runs))
    if package is not None:
        query = query.where(PROFILE_WINDOW.c.package == package)
    ordered = query.order_by(PROFILE_WINDOW.c.start, PROFILE_WINDOW.c.package)
    return tuple(map(profile_of, connection.execute(ordered).mappings()))


def _newest_package(
    connection: Connection, endpoint: str, deployment: str, runs: Sequence[Run]
) -> str | None:
    rows = PROFILE_WINDOW.c
    query = sa.select(rows.package).where(_of(endpoint, deployment, runs))
    newest_first = query.order_by(rows.start.desc(), rows.rows.desc()).limit(1)
    return connection.execute(newest_first).scalar()


def _of(endpoint: str, deployment: str, runs: Sequence[Run]) -> sa.ColumnElement[bool]:
    rows = PROFILE_WINDOW.c
    return sa.and_(rows.endpoint == endpoint, rows.deployment == deployment, _within(rows, runs))


def _add_profiles(connection: Connection, minutes: Sequence[WindowProfile]) -> None:
    kept = _kept(connection)
    for level in LEVELS:
        news = [one for one in _at_level(minutes, level) if kept.has(level, one.start)]
        together = merged if level == MINUTE_S else _without_texts
        _add(connection, PROFILE_WINDOW, news, profile_of, profile_row, together)


def _without_texts(windows: Sequence[WindowProfile]) -> WindowProfile:
    """Return the sum of windows that are kept for long, without a text that callers sent."""
    return unnamed(merged(windows))


def _add_traffic(connection: Connection, minutes: Sequence[TrafficWindow]) -> None:
    kept = _kept(connection)
    for level in LEVELS:
        news = [one for one in _at_level(minutes, level) if kept.has(level, one.start)]
        _add(connection, TRAFFIC_WINDOW, news, traffic_of, traffic_row, _traffic_together)


def _traffic_together(windows: Sequence[TrafficWindow]) -> TrafficWindow:
    return merged_traffic(windows, sketches=merged_sketches)


def _at_level(minutes: Iterable[Window], seconds: int) -> list[Window]:
    """Return the windows as parts of longer ones."""
    return [replace(one, start=one.start - one.start % seconds, seconds=seconds) for one in minutes]


def _add(  # noqa: PLR0913, PLR0917  (what a table's rows are, thrice)
    connection: Connection,
    table: sa.Table,
    news: Sequence[Window],
    value: Callable[[sa.RowMapping], Window],
    row: Callable[[Window], dict[str, object]],
    together: Callable[[Sequence[Window]], Window],
) -> None:
    """Add windows of one length and endpoint to those that are kept."""
    if not news:
        return
    rows = table.c
    first, last = min(one.start for one in news), max(one.start for one in news)
    there = (
        rows.endpoint == news[0].endpoint,
        rows.seconds == news[0].seconds,
        rows.start >= first,
        rows.start <= last,
    )
    groups: dict[tuple[object, ...], list[Window]] = {_key(one): [] for one in news}
    for found in connection.execute(sa.select(table).where(*there)).mappings():
        window = value(found)
        if _key(window) in groups:
            groups[_key(window)].append(window)
    replaced = [group[0] for group in groups.values() if group]
    for one in news:
        groups[_key(one)].append(one)
    for one in replaced:
        connection.execute(sa.delete(table).where(_is(table, row(one))))
    connection.execute(sa.insert(table), [row(together(group)) for group in groups.values()])


def _key(window: WindowProfile | TrafficWindow) -> tuple[object, ...]:
    package = window.package if isinstance(window, WindowProfile) else ""
    return window.deployment, package, window.start


def _is(table: sa.Table, row: dict[str, object]) -> sa.ColumnElement[bool]:
    keys = [column.name for column in table.primary_key]
    return sa.and_(*(table.c[name] == row[name] for name in keys))


def _same(table: sa.Table, key: dict[str, object]) -> sa.Select[tuple[object, ...]]:
    return sa.select(table).where(*(table.c[name] == value for name, value in key.items()))


def _within(rows: Rows, runs: Sequence[Run]) -> sa.ColumnElement[bool]:
    return sa.or_(
        sa.false(),
        *(
            sa.and_(rows.seconds == seconds, rows.start >= start, rows.start < end)
            for seconds, start, end in runs
        ),
    )


def _kept(connection: Connection) -> Kept:
    marks = _marks(connection)
    return Kept(
        minutes_from=int(marks.get(MINUTES, "0")),
        hours_from=int(marks.get(HOURS, "0")),
    )


def _steady(connection: Connection) -> Steady:
    found = _marks(connection).get(CLOCK)
    since, seen = msgspec.json.decode(found, type=tuple[float, float]) if found else (0.0, 0.0)
    return Steady(since=since, seen=seen)


def _marks(connection: Connection) -> dict[str, str]:
    return {row.name: row.value for row in connection.execute(sa.select(PROFILE_MARK))}


def _mark(connection: Connection, name: str, value: str) -> None:
    connection.execute(sa.delete(PROFILE_MARK).where(PROFILE_MARK.c.name == name))
    connection.execute(sa.insert(PROFILE_MARK).values(name=name, value=value))
