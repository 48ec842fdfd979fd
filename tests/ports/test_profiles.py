"""The contract of `Profiles` and `ProfileParts`: the same tests for every adapter."""

from dataclasses import replace
from itertools import pairwise

import pytest
from datasketches import kll_floats_sketch  # type: ignore[import-untyped]  # has no types

from servewell.adapters.embedded.clock import SystemClock
from servewell.adapters.embedded.database import Database
from servewell.adapters.embedded.monitoring.profiles import SqlProfiles
from servewell.core.catalog.profile import (
    Bins,
    ColumnKind,
    Counts,
    ReferenceProfile,
    Side,
    TrafficWindow,
    WindowProfile,
)
from servewell.core.operations.monitoring.profiles import DAY_S, HOUR_S, unnamed
from servewell.ports.profiles import CountedPart, Part

DAY = 1_700_006_400  # a midnight, UTC
EVER = 10.0**10
PACKAGE = "a" * 64
WINDOW = WindowProfile(
    endpoint="flights",
    deployment="champion",
    package=PACKAGE,
    start=DAY,
    seconds=60,
    rows={"": 3, "origin=EWR": 1},
    counts={
        "": {
            "delay": Counts(places=(1, 0, 2), total=2.5, squares=6.25, least=-1.0, greatest=3.5),
            "carrier": Counts(places=(0, 2, 1), unseen={"ZZ": 1}),
        },
        "origin=EWR": {"delay": Counts(places=(0, 0, 1), total=1.0, squares=1.0)},
    },
)
TRAFFIC = TrafficWindow(
    endpoint="flights",
    deployment="champion",
    start=DAY,
    seconds=60,
    requests=5,
    failed=1,
    refused=1,
    slow=1,
    late=2,
    skewed=1,
    repeated=1,
    lost=1,
    codes={"SW-301": 1},
)
REFERENCE = ReferenceProfile(
    package=PACKAGE,
    version="late:1",
    source="held-out rows of flights:3",
    bins=(Bins(column="delay", side=Side.INPUT, kind=ColumnKind.NUMBER, edges=(0.0, 1.0)),),
    rows={"": 2},
    counts={"": {"delay": Counts(places=(0, 0, 1, 1, 0), total=1.0)}},
)


@pytest.fixture(params=[pytest.param(SqlProfiles, id="sql")])
def profiles(request: pytest.FixtureRequest, database: Database) -> SqlProfiles:
    """Each adapter in turn."""
    made: SqlProfiles = request.param(database, SystemClock())
    return made


def sketch(*values: float) -> bytes:
    """Return a KLL sketch of some milliseconds."""
    made = kll_floats_sketch(200)
    for value in values:
        made.update(value)
    data: bytes = made.serialize()
    return data


def part(stem: str, *windows: WindowProfile, **changes: object) -> CountedPart:
    """Return a part with these windows, and the traffic of one minute."""
    counted = CountedPart(
        part=Part(segment=stem, endpoint="flights", hour=DAY, records=5),
        windows=windows,
        traffic=(TRAFFIC,),
        waiting={},
    )
    return replace(counted, **changes)  # type: ignore[arg-type]  # of whatever field


def minute(number: int, rows: int = 1, **changes: object) -> WindowProfile:
    """Return a window of a minute of that day with so many rows."""
    counts = {"": {"delay": Counts(places=(rows,))}}
    made = replace(WINDOW, start=DAY + number * 60, rows={"": rows}, counts=counts)
    return replace(made, **changes)  # type: ignore[arg-type]  # of whatever field


def rows_in(profiles: SqlProfiles, since: float, until: float) -> tuple[int, int]:
    """Return how many rows a look back finds: in its windows, and in their total."""
    windows = profiles.windows("flights", "champion", since=since, until=until)
    total = profiles.total("flights", "champion", since=since, until=until)
    return sum(one.rows[""] for one in windows), total.rows[""] if total else 0


def forget(profiles: SqlProfiles, now: float) -> None:
    """Let go of what is past its time, with a clock that has gone on for an hour."""
    profiles.forget(now - HOUR_S)
    profiles.forget(now)


def test_a_reference_is_read_as_it_was_kept_and_never_changes(profiles: SqlProfiles) -> None:
    """The first one stays."""
    assert profiles.reference(PACKAGE) is None
    profiles.keep_reference(REFERENCE)
    profiles.keep_reference(replace(REFERENCE, source="other rows"))
    assert profiles.reference(PACKAGE) == REFERENCE


def test_windows_are_read_as_they_were_counted(profiles: SqlProfiles) -> None:
    """With every slice, column and moment; a text never seen is named in minutes alone."""
    assert profiles.add(part("w0", WINDOW))
    since, until = DAY, DAY + 60
    assert profiles.windows("flights", "champion", since=since, until=until) == (WINDOW,)
    for finest in (HOUR_S, DAY_S):
        found = profiles.windows("flights", "champion", since=since, until=until, finest=finest)
        assert found == (replace(unnamed(WINDOW), seconds=finest),)
    assert profiles.total("flights", "champion", since=since, until=until) == WINDOW
    assert profiles.windows("flights", "other", since=0, until=EVER) == ()
    assert profiles.total("fraud", "champion", since=0, until=EVER) is None
    assert profiles.traffic("flights", since=since, until=until) == (TRAFFIC,)
    assert profiles.traffic("fraud", since=since, until=until) == ()


def test_a_part_counts_once(profiles: SqlProfiles) -> None:
    """However often it is added; parts of the same minute add up."""
    first, second = part("w0", minute(0, 2)), part("w1", minute(0, 3))
    assert profiles.uncounted([first.part, second.part]) == (first.part, second.part)
    assert profiles.add(first)
    assert not profiles.add(first)
    assert profiles.uncounted([first.part, second.part]) == (second.part,)
    assert profiles.add(second)
    assert rows_in(profiles, DAY, DAY + 60) == (5, 5)
    [traffic] = profiles.traffic("flights", since=DAY, until=DAY + 60)
    assert traffic.requests == 2 * TRAFFIC.requests
    assert traffic.lost == 2 * TRAFFIC.lost


def test_windows_without_a_reference_wait_and_count_once(profiles: SqlProfiles) -> None:
    """The rest of the part counts at once."""
    counted = part("w0", waiting={PACKAGE: 40})
    assert profiles.add(counted)
    waits = replace(counted.part, records=40)
    assert profiles.waiting() == {PACKAGE: (waits,)}
    assert rows_in(profiles, DAY, DAY + 60) == (0, 0)
    assert profiles.add_waiting(waits, PACKAGE, [minute(0, 40)])
    assert not profiles.add_waiting(waits, PACKAGE, [minute(0, 40)])
    assert profiles.waiting() == {}
    assert rows_in(profiles, DAY, DAY + 60) == (40, 40)


def test_the_store_is_bounded_and_a_look_back_stays_whole(profiles: SqlProfiles) -> None:
    """Minutes go after two days, hours after sixty, days after two years; late parts still add."""
    days = range(0, 70, 5)
    for day in days:
        profiles.add(part(f"w{day}", *(minute(day * 1_440 + at) for at in (1, 61, 700))))
    now = DAY + 70 * DAY_S
    for at in (DAY, now - DAY_S, now, now):
        forget(profiles, at)
    assert rows_in(profiles, DAY, now) == (3 * len(days), 3 * len(days))
    found = profiles.windows("flights", "champion", since=DAY, until=now)
    assert [one.start for one in found] == sorted(one.start for one in found)
    assert {one.seconds for one in found} == {HOUR_S, DAY_S}
    profiles.add(part("late", minute(0), minute(65 * 1_440), minute(70 * 1_440 - 1)))
    assert rows_in(profiles, DAY, now) == (3 * len(days) + 3, 3 * len(days) + 3)
    forget(profiles, now + 731 * DAY_S)
    assert rows_in(profiles, DAY, now) == (0, 0)


def test_a_clock_that_leaps_destroys_nothing(profiles: SqlProfiles) -> None:
    """Nothing goes for an hour; marks that a wrong clock set are drawn back when it is right."""
    now = DAY + 2 * HOUR_S
    profiles.add(part("w0", minute(0), minute(61)))
    forget(profiles, now)
    leap = now + 1_000 * DAY_S
    for after in (0, 5, HOUR_S - 1):
        profiles.forget(leap + after)
    assert {
        one.seconds for one in profiles.windows("flights", "champion", since=DAY, until=now)
    } == {60}
    profiles.forget(leap + HOUR_S)
    assert rows_in(profiles, DAY, EVER) == (0, 0)
    profiles.forget(now)
    profiles.add(part("w1", minute(125), minute(181)))
    assert rows_in(profiles, DAY, EVER) == (2, 2)
    found = profiles.windows("flights", "champion", since=DAY, until=EVER)
    assert [one.seconds for one in found] == [DAY_S]
    later = minute(1_440 + 5)
    profiles.add(part("w2", later))
    found = profiles.windows("flights", "champion", since=DAY + DAY_S, until=EVER)
    assert [(one.start, one.seconds) for one in found] == [(later.start, 60)]


def test_rows_do_not_wait_for_ever(profiles: SqlProfiles) -> None:
    """What waits for a reference profile for sixty days waits in vain."""
    profiles.add(part("w0", waiting={PACKAGE: 40}))
    forget(profiles, DAY + 60 * DAY_S)
    assert set(profiles.waiting()) == {PACKAGE}
    forget(profiles, DAY + 62 * DAY_S)
    assert profiles.waiting() == {}


def test_looks_that_meet_share_no_row(profiles: SqlProfiles) -> None:
    """A look of any length finds in the fewest windows what it finds in the finest."""
    profiles.add(part("w0", *(minute(at) for at in range(0, 3 * 1_440, 7))))
    forget(profiles, DAY + 3 * DAY_S)
    edges = [DAY, DAY + 90, DAY + 5_000, DAY + DAY_S + 61, DAY + 3 * DAY_S - 1, DAY + 4 * DAY_S]
    pieces = [rows_in(profiles, *edge) for edge in pairwise(edges)]
    assert all(windows == total for windows, total in pieces)
    assert sum(windows for windows, _ in pieces) == rows_in(profiles, DAY, EVER)[0] == 618


def test_the_total_is_of_the_package_that_answered_last(profiles: SqlProfiles) -> None:
    """Two packages have bins of their own, which do not add up."""
    later = minute(9, 2, package="b" * 64)
    profiles.add(part("w0", minute(0), later))
    total = profiles.total("flights", "champion", since=DAY, until=EVER)
    assert total is not None
    assert (total.package, total.rows, total.counts) == (later.package, later.rows, later.counts)
    assert len(profiles.windows("flights", "champion", since=DAY, until=EVER)) == 2


def test_latencies_of_windows_add_up(profiles: SqlProfiles) -> None:
    """Quantiles are of all their requests; where none was answered there are none."""
    for number, values in enumerate(((1.0, 2.0), (3.0, 4.0), ())):
        latency = sketch(*values) if values else b""
        traffic = replace(TRAFFIC, latency=latency)
        profiles.add(part(f"w{number}", traffic=(traffic,)))
    [found] = profiles.traffic("flights", since=DAY, until=DAY + 60)
    assert profiles.latency_ms([found, found], (0.0, 0.5, 1.0)) == (1.0, 2.0, 4.0)
    assert profiles.latency_ms([TRAFFIC], (0.5,)) is None
    assert profiles.latency_ms([], (0.5,)) is None


def test_the_place_in_the_journal_is_kept(profiles: SqlProfiles) -> None:
    """Empty at first, then the last one."""
    assert profiles.cursor() == ""
    profiles.advance("[1,20]")
    profiles.advance("[1,40]")
    assert profiles.cursor() == "[1,40]"
