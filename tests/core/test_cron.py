"""Times by a cron expression, also where a zone changes to and from summer time."""

from collections import Counter
from datetime import UTC, date, datetime, timedelta
from itertools import islice, takewhile
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from servewell.core.catalog.cron import cron_fault, moments, zone_fault

BERLIN = ZoneInfo("Europe/Berlin")  # forward on 2026-03-29 at 02:00, back on 2026-10-25 at 03:00
ZONES = ("Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Tehran", "UTC")


def at(text: str, zone: ZoneInfo = BERLIN, *, fold: int = 0) -> float:
    """Return the time that is written, in that zone, in seconds since the epoch."""
    return datetime.fromisoformat(text).replace(tzinfo=zone, fold=fold).timestamp()


def told(expression: str, *, after: float, count: int) -> list[str]:
    """Return the next times as a clock on the wall of Berlin shows them."""
    found = islice(moments(expression, "Europe/Berlin", after=after), count)
    return [datetime.fromtimestamp(one, BERLIN).isoformat() for one in found]


@settings(max_examples=60)
@given(
    hour=st.integers(0, 23),
    minute=st.integers(0, 59),
    zone=st.sampled_from(ZONES),
    first=st.dates(date(2025, 1, 1), date(2026, 12, 31)),
)
def test_a_time_of_day_comes_once_a_day(hour: int, minute: int, zone: str, first: date) -> None:
    """Rising, and once on each day of the zone, whatever its clocks do in the year."""
    begin = datetime.combine(first, datetime.min.time(), tzinfo=ZoneInfo(zone))
    end = (begin.replace(tzinfo=None) + timedelta(days=370)).replace(tzinfo=begin.tzinfo)
    found = list(
        takewhile(
            lambda one: one < end.timestamp(),
            moments(f"{minute} {hour} * * *", zone, after=begin.timestamp() - 1),
        )
    )
    days = Counter(datetime.fromtimestamp(one, begin.tzinfo).date() for one in found)
    assert found == sorted(set(found))
    assert len(days) == 370
    assert set(days.values()) == {1}


@settings(max_examples=60)
@given(
    expression=st.sampled_from(("30 2 * * *", "*/20 * * * *", "0,30 1-3 * * *", "5 */2 * * *")),
    start=st.integers(int(at("2026-03-28T00:00")), int(at("2026-03-30T12:00")))
    | st.integers(int(at("2026-10-24T00:00")), int(at("2026-10-26T12:00"))),
)
def test_looking_from_anywhere_gives_the_same_times(expression: str, start: int) -> None:
    """Whoever asks from one of the times on gets the rest: none is told twice, none left out."""
    found = list(islice(moments(expression, "Europe/Berlin", after=start), 12))
    assert found == sorted(set(found))
    again = [next(moments(expression, "Europe/Berlin", after=one)) for one in found[:-1]]
    assert again == found[1:]


def test_a_time_that_is_left_out_counts_at_the_change() -> None:
    """02:30 is not on the clock that day; with 03:00 it is one moment."""
    expected = ["2026-03-28T02:30:00+01:00", "2026-03-29T03:00:00+02:00"]
    assert told("30 2 * * *", after=at("2026-03-28T00:00"), count=2) == expected
    expected = ["2026-03-29T03:00:00+02:00", "2026-03-29T03:30:00+02:00"]
    assert told("0,30 2,3 * * *", after=at("2026-03-29T01:59"), count=2) == expected


def test_a_time_that_comes_twice_counts_the_first_time() -> None:
    """Also for whoever asks within the second one."""
    expected = ["2026-10-25T02:30:00+02:00", "2026-10-26T02:30:00+01:00"]
    assert told("30 2 * * *", after=at("2026-10-25T01:00"), count=2) == expected
    second = at("2026-10-25T02:10", fold=1)
    assert told("30 2 * * *", after=second, count=1) == expected[1:]


def test_a_rule_by_the_hour_goes_by_the_time_that_passes() -> None:
    """Each real hour has its time, in the hour that comes twice too."""
    expected = [f"2026-10-25T0{hour}:15:00+0{zone}:00" for hour, zone in ((2, 2), (2, 1), (3, 1))]
    assert told("15 * * * *", after=at("2026-10-25T02:00"), count=3) == expected


@pytest.mark.parametrize(
    "wrong", ["", "* * * *", "61 * * * *", "0 0 31 2 *", "daily", "0 0 30 2 *"]
)
def test_a_wrong_expression_is_told(wrong: str) -> None:
    """Also one whose day never comes."""
    assert cron_fault(wrong)


@pytest.mark.parametrize("right", ["0 3 * * *", "*/5 * * * MON-FRI", "0 0 L * *", "0 0 29 2 *"])
def test_a_right_expression_has_no_fault(right: str) -> None:
    """And it has a next time."""
    assert not cron_fault(right)
    assert next(moments(right, "UTC", after=datetime(2026, 1, 1, tzinfo=UTC).timestamp()))


def test_a_zone_is_a_name_of_the_database() -> None:
    """Not a path, and nothing made up."""
    assert not zone_fault("Europe/Berlin")
    assert all(
        zone_fault(wrong) for wrong in ("Mars/Base", "../etc/passwd", "/etc/localtime", "\0")
    )
