"""Drift is significant, large and lasting; what is none of it is no drift, and rows are counted."""

from collections.abc import Mapping
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chi2_contingency

from core.profiles_made import DAY, HOUR, NOON, Values, normal, reference_of, window_of
from servewell.core.catalog.drift import ColumnDrift, DriftReport, DriftVerdict, FeedFault
from servewell.core.catalog.profile import Bins, ColumnKind, ReferenceProfile, Side, WindowProfile
from servewell.core.catalog.workload_monitoring import DriftRules
from servewell.core.operations.monitoring.drift import Look, judge
from servewell.core.operations.monitoring.looking import Seen, looks_of, window_length
from servewell.core.operations.monitoring.profiles import merged
from servewell.core.operations.monitoring.two_samples import cells, difference, rows_needed

RULES = DriftRules()
DRIFT, WATCH = DriftVerdict.DRIFT, DriftVerdict.WATCH
FINE, CANNOT_TELL = DriftVerdict.FINE, DriftVerdict.CANNOT_TELL
TWENTY = Bins(
    column="x",
    side=Side.INPUT,
    kind=ColumnKind.NUMBER,
    edges=tuple(float(edge) for edge in range(21)),
)
Columns = Mapping[str, Values]
counts = st.lists(st.integers(0, 500), min_size=24, max_size=24)


def judged(
    reference: ReferenceProfile, *windows: Columns, rules: DriftRules = RULES
) -> DriftReport:
    """Return the verdict on windows of an hour that follow each other."""
    looks = [
        Look(window=window_of(reference, one, start=NOON + place * HOUR))
        for place, one in enumerate(windows)
    ]
    return judge(reference, looks, rules=rules)


def one(report: DriftReport, column: str, part: str = "") -> ColumnDrift:
    """Return what is said of one column."""
    return next(some for some in report.columns if (some.column, some.slice) == (column, part))


def columns_of(draw: np.random.Generator, rows: int, count: int = 30) -> dict[str, Values]:
    """Return columns of normal numbers."""
    return {f"x{place}": normal(draw, rows) for place in range(count)}


@given(before=counts, now=counts)
@settings(max_examples=40, deadline=None)
def test_cells_hold_all_rows_and_enough_of_them(before: list[int], now: list[int]) -> None:
    """No row is lost by merging, five are expected in each cell, and the test is scipy's."""
    one_row, other = cells(TWENTY, before, now)
    if not sum(before) or not sum(now):
        assert (one_row, other) == ((), ())
        return
    if one_row:
        assert (sum(one_row), sum(other)) == (sum(before), sum(now))
    fewer = min(sum(before), sum(now)) / (sum(before) + sum(now))
    assert all((a + b) * fewer >= 5 - 1e-9 for a, b in zip(one_row, other, strict=True))
    if len(one_row) > 1:
        known = chi2_contingency([one_row, other], correction=False).pvalue
        assert difference(TWENTY, before, now).p == pytest.approx(known, rel=1e-6, abs=1e-12)


def test_half_a_sigma_is_found_at_500_rows() -> None:
    """One column of thirty moves by 0.5 standard deviations: watched at once, then drift."""
    draw = np.random.default_rng(1)
    reference = reference_of(columns_of(draw, 3_000))
    for _ in range(20):
        moved = [{**columns_of(draw, 500), "x7": normal(draw, 500, centre=0.5)} for _ in "ab"]
        first, second = judged(reference, moved[0]), judged(reference, *moved)
        assert (one(first, "x7").verdict, one(second, "x7").verdict) == (WATCH, DRIFT)
        assert (first.verdict, second.verdict) == (WATCH, DRIFT)
        assert [some.column for some in second.columns if some.verdict is DRIFT] == ["x7"]
        assert "`x7`" in second.because
        assert "median" in one(second, "x7").what


@pytest.mark.parametrize(("held", "rows"), [(3_000, 500), (1_000, 300), (400, 400)])
def test_nothing_drifts_where_nothing_moved(held: int, rows: int) -> None:
    """Hours of thirty columns that stay as they were raise no alarm, however few the rows."""
    draw = np.random.default_rng(2)
    reference = reference_of(columns_of(draw, held))
    hours = [columns_of(draw, rows) for _ in range(25)]
    assert DRIFT not in {judged(reference, *pair).verdict for pair in pairwise(hours)}


def test_one_outlier_in_5000_is_nothing() -> None:
    """However far out it lies, of either side."""
    draw = np.random.default_rng(3)
    reference = reference_of({"x": normal(draw, 3_000)})
    for far in (1e12, -1e12):
        hours = [{"x": [*normal(draw, 4_999), far]} for _ in "abc"]
        assert one(judged(reference, *hours), "x").verdict is FINE


def test_too_few_rows_are_told_in_rows_needed() -> None:
    """With 60 rows nothing can be said, and with as many as are asked for it can."""
    draw = np.random.default_rng(4)
    reference = reference_of(columns_of(draw, 3_000))
    few = judged(reference, columns_of(draw, 60))
    needed = few.columns[0].rows_needed
    assert few.verdict is CANNOT_TELL
    assert needed is not None
    assert f"{needed:,}" in few.because
    assert judged(reference, columns_of(draw, needed)).verdict is not CANNOT_TELL
    small = judged(reference_of(columns_of(draw, 200)), columns_of(draw, 5_000))
    assert small.columns[0].rows_needed is None
    assert "reference profile has too few rows" in small.because


@given(index=st.floats(0.05, 1.0), held=st.integers(1_000, 100_000))
@settings(max_examples=20, deadline=None)
def test_the_rows_needed_have_the_power(index: float, held: int) -> None:
    """A larger index and a larger reference never take more rows."""
    places = [held // 20] * 20
    needed = rows_needed(places, index=index, chance=1e-4)
    more = rows_needed([2 * one for one in places], index=index, chance=1e-4)
    larger = rows_needed(places, index=2 * index, chance=1e-4)
    if needed is not None:
        assert more is not None
        assert larger is not None
        assert more <= needed
        assert larger < needed


BROKEN: Mapping[FeedFault, Columns] = {
    FeedFault.UNIT: {
        "temp": [
            (one - 32) * 5 / 9
            for one in normal(np.random.default_rng(5), 500, centre=60, spread=15)
        ]
    },
    FeedFault.CONSTANT: {"temp": [60.0] * 500},
    FeedFault.NULLS: {
        "temp": [*normal(np.random.default_rng(5), 400, centre=60, spread=15), *[None] * 100]
    },
    FeedFault.UNSEEN: {"origin": [*["EWR", "JFK"] * 200, *["XXX"] * 100]},
}


@pytest.mark.parametrize("fault", list(FeedFault))
def test_what_breaks_a_feed_is_told_after_one_window(fault: FeedFault) -> None:
    """Another unit, one value, nulls and categories never seen, in the units of the column."""
    draw = np.random.default_rng(5)
    whole = {"temp": normal(draw, 500, centre=60, spread=15), "origin": ["EWR", "JFK"] * 250}
    reference = reference_of(
        {"temp": normal(draw, 3_000, centre=60, spread=15), "origin": ["EWR", "JFK"] * 1_500}
    )
    column = next(iter(BROKEN[fault]))
    report = judged(reference, whole, {**whole, **BROKEN[fault]})
    found = one(report, column)
    assert (found.verdict, found.faults) == (DRIFT, (fault,))
    assert fault in report.because
    told = {
        FeedFault.UNIT: "degrees Fahrenheit to Celsius",
        FeedFault.CONSTANT: "one value only",
        FeedFault.NULLS: "missing rose from 0.0% to 20.0%",
        FeedFault.UNSEEN: "20.0% never seen before",
    }
    assert told[fault] in found.what


def test_a_column_that_never_had_two_values_has_not_become_constant() -> None:
    """A month that changes is no broken feed: it had one value in every window."""
    reference = reference_of({"month": [1.0, 2.0, 3.0] * 1_000})
    report = judged(reference, {"month": [1.0] * 500}, {"month": [2.0] * 500})
    assert one(report, "month").faults == ()
    may = judged(
        reference, {"month": [1.0] * 500}, {"month": [2.0] * 500}, rules=DriftRules(may=("month",))
    )
    assert (may.verdict, one(may, "month").verdict) == (FINE, WATCH)
    assert may.because.endswith("`month` moved, as it may")


@pytest.mark.parametrize(("was", "is_now", "fault"), [(0.2, 0.32, True), (0.2, 0.25, False)])
def test_a_rise_of_missing_values_counts_however_small_its_index(
    was: float, is_now: float, *, fault: bool
) -> None:
    """From 20 to 32 % has an index of 0.08, and is more than may be missing all the same."""
    draw = np.random.default_rng(11)

    def hour(missing: float, rows: int = 2_000) -> Columns:
        return {"x": [*normal(draw, int(rows * (1 - missing))), *[None] * int(rows * missing)]}

    reference = reference_of(hour(was, 3_000))
    found = one(judged(reference, hour(was), hour(is_now)), "x")
    assert found.psi < RULES.index
    assert found.faults == ((FeedFault.NULLS,) if fault else ())
    assert (found.verdict is DRIFT) is fault


def test_the_same_hours_excuse_no_day_on_which_the_feed_broke() -> None:
    """What the nights miss every day is no fault; a day that broke does not excuse the next."""
    draw = np.random.default_rng(12)
    reference = reference_of({"x": [*normal(draw, 2_400), *[None] * 600]})
    for broken, faults in ((12, ()), (0, (FeedFault.NULLS,))):  # nights only, or all day long
        hours = [
            window_of(
                reference,
                {"x": [*normal(draw, missing), *[None] * (600 - missing)]},
                start=NOON + place * HOUR,
            )
            for place in range(48)
            for missing in [400 if place % 24 >= broken else 560]
        ]
        seen = Seen(hours=hours, days=[_day(hours[:24]), _day(hours[24:])])
        looks = looks_of(seen, seconds=HOUR, rules=RULES, now=NOON + 47 * HOUR)
        assert one(judge(reference, looks, rules=RULES), "x").faults == faults


def test_categories_without_a_place_make_room_for_new_ones() -> None:
    """Where the reference holds many rare texts, a text never seen is nothing new."""
    draw = np.random.default_rng(6)
    tails = [f"N{one}" for one in draw.integers(0, 5_000, 3_000)]
    reference = reference_of({"tail": tails})
    hours = [{"tail": [f"N{one}" for one in draw.integers(0, 5_000, 500)]} for _ in "abc"]
    assert one(judged(reference, *hours), "tail").verdict is not DRIFT


def test_a_slice_is_judged_by_itself() -> None:
    """A column that moves for one origin alone is found there, and the whole says where."""
    draw = np.random.default_rng(7)
    calm = {"x": normal(draw, 3_000)}
    reference = reference_of(calm, slices={"origin=EWR": calm, "origin=JFK": calm})
    windows = [
        window_of(
            reference,
            {"x": normal(draw, 600)},
            start=NOON + place * HOUR,
            slices={
                "origin=EWR": {"x": normal(draw, 600, centre=1.0)},
                "origin=JFK": {"x": normal(draw, 60)},
            },
        )
        for place in range(2)
    ]
    report = judge(reference, [Look(window=some) for some in windows], rules=RULES)
    verdicts = {part: one(report, "x", part).verdict for part in reference.rows}
    assert verdicts == {"": FINE, "origin=EWR": DRIFT, "origin=JFK": CANNOT_TELL}
    assert report.verdict is DRIFT
    assert "`x` of origin=EWR" in report.because
    calm_parts = {name: {"x": normal(draw, 60)} for name in ("origin=EWR", "origin=JFK")}
    window = window_of(reference, {"x": normal(draw, 600)}, slices=calm_parts)
    fine = judge(reference, [Look(window=window)], rules=RULES)
    assert fine.verdict is FINE
    assert "none of 1 columns" in fine.because
    assert "2 columns of slices have too few rows" in fine.because


def test_a_column_may_move_as_far_as_it_does_within_the_reference() -> None:
    """What the parts of the reference do by themselves is no drift, within reason."""
    draw = np.random.default_rng(8)
    reference = reference_of({"x": normal(draw, 3_000)})
    moved = [{"x": normal(draw, 500, centre=0.6)} for _ in "ab"]
    assert judged(reference, *moved).verdict is DRIFT
    assert judged(replace(reference, usual={"x": 0.45}), *moved).verdict is WATCH
    far = [{"x": normal(draw, 500, centre=1.5)} for _ in "ab"]
    assert judged(replace(reference, usual={"x": 9.0}), *far).verdict is DRIFT


def days_of(reference: ReferenceProfile, draw: np.random.Generator, *, shift_from: int) -> Seen:
    """Return three days of hours by day and night; from an hour on all is moved."""
    hours = []
    for place in range(72):
        centre = 1.5 if place % 24 < 12 else -1.5
        moved = 2.5 if place >= shift_from else 0.0
        values = {"x": normal(draw, 600, centre=centre + moved)}
        hours.append(window_of(reference, values, start=NOON + place * HOUR))
    days = [_day(hours[first : first + 24]) for first in (0, 24, 48)]
    return Seen(hours=hours, days=days)


def _day(hours: list[WindowProfile]) -> WindowProfile:
    return replace(merged(hours), seconds=DAY)


def test_the_time_of_day_is_no_drift_and_hides_none() -> None:
    """Nights that differ from days are calm once a day is known; a shift within them is found."""
    draw = np.random.default_rng(9)
    both = [*normal(draw, 1_500, centre=1.5), *normal(draw, 1_500, centre=-1.5)]
    reference = reference_of({"x": both})
    calm = days_of(reference, draw, shift_from=99)
    for hour in (3, 9, 15, 20):  # of the first day, which cannot tell night from drift
        at = NOON + hour * HOUR
        early = judge(reference, looks_of(calm, seconds=HOUR, rules=RULES, now=at), rules=RULES)
        assert early.verdict in (WATCH, CANNOT_TELL)
        assert "time of day" in one(early, "x").what
    for hour in (30, 40, 55, 70):
        at = NOON + hour * HOUR
        later = judge(reference, looks_of(calm, seconds=HOUR, rules=RULES, now=at), rules=RULES)
        assert later.verdict is FINE
        assert "hours of the days before" in one(later, "x").what
    seen = days_of(reference, draw, shift_from=60)
    looks = looks_of(seen, seconds=HOUR, rules=RULES, now=NOON + 62 * HOUR)
    assert judge(reference, looks, rules=RULES).verdict is DRIFT


def quiet_days(
    reference: ReferenceProfile, draw: np.random.Generator, *, factor_from: int, hours: int = 86
) -> Seen:
    """Return days of 20 rows an hour; from an hour on `x` comes in another unit."""
    made = []
    for place in range(hours):
        factor = 0.001 if place >= factor_from else 1.0
        values = {
            "x": [factor * one for one in normal(draw, 20, centre=50, spread=9)],
            "hour": [float(place % 24)] * 20,
            "day": [f"day {place // 24 % 7}"] * 20,
        }
        made.append(window_of(reference, values, start=NOON + place * HOUR))
    days = [_day(made[first : first + 24]) for first in range(0, hours, 24)]
    return Seen(hours=made, days=days)


def test_a_feed_that_broke_is_not_left_to_wait_for_the_end_of_a_window() -> None:
    """Where a window is a day, a unit that changed in the morning is found the same morning."""
    draw = np.random.default_rng(13)
    reference = reference_of(
        {
            "x": normal(draw, 3_000, centre=50, spread=9),
            "hour": [float(place % 24) for place in range(3_000)],
            "day": [f"day {place % 7}" for place in range(3_000)],
        }
    )
    broken = quiet_days(reference, draw, factor_from=76)
    calm = quiet_days(reference, draw, factor_from=999)
    for seen, now, faults in (
        (calm, 80, ()),
        (broken, 76, ()),
        (broken, 80, (FeedFault.UNIT,)),
    ):
        parts = Seen(
            hours=[one for one in seen.hours if one.start < NOON + now * HOUR], days=seen.days
        )
        looks = looks_of(parts, seconds=DAY, rules=RULES, now=NOON + now * HOUR)
        report = judge(reference, looks, rules=RULES)
        assert one(report, "x").faults == faults
        # a part of a day has few hours, and one day of the week
        assert next(look.window.start for look in looks if look.open) == NOON + 66 * HOUR
        assert not {*one(report, "hour").faults, *one(report, "day").faults}
        assert report.until == NOON + 72 * HOUR
    assert one(report, "x").since == NOON + 78 * HOUR  # of the six hours that show it alone


def test_the_days_since_a_whole_week_are_each_looked_at() -> None:
    """A week that is not over is looked at by its days, for what breaks a feed alone."""
    draw = np.random.default_rng(14)
    reference = reference_of({"x": normal(draw, 3_000)})
    hours = [
        window_of(reference, {"x": normal(draw, 20)}, start=NOON + place * HOUR)
        for place in range(10 * 24)
    ]
    week = NOON // (7 * DAY) * 7 * DAY
    seen = Seen(hours=hours, days=[_day(hours[at : at + 24]) for at in range(0, 240, 24)])
    looks = looks_of(seen, seconds=7 * DAY, rules=RULES, now=week + 9.5 * DAY)
    assert [(look.open, look.window.start) for look in looks if look.open] == [
        (True, week + 6 * DAY),
        (True, week + 7 * DAY),
        (True, week + 8 * DAY),
        (True, week + 9 * DAY),
    ]
    assert looks[-1].window.seconds == DAY // 2
    assert [look.window.seconds for look in looks if not look.open] == [7 * DAY]


def test_a_feed_that_broke_late_stays_broken_over_midnight_until_it_is_mended() -> None:
    """The day that ends hides it, and the first hours of the next say nothing; rows enough do."""
    draw = np.random.default_rng(18)
    reference = reference_of({"x": normal(draw, 3_000)})

    def hour(place: int) -> Columns:
        whole = normal(draw, 30)
        return {"x": [None, *whole[1:]] if place < 66 else [*[None] * 8, *whole[8:]]}

    def told(mended: int, now: int) -> tuple[FeedFault, ...]:
        hours = [
            window_of(
                reference,
                {"x": normal(draw, 30)} if place >= mended else hour(place),
                start=NOON + place * HOUR,
            )
            for place in range(now)
        ]
        days = [_day(hours[at : at + 24]) for at in range(0, now, 24)]
        looks = looks_of(
            Seen(hours=hours, days=days), seconds=DAY, rules=RULES, now=NOON + now * HOUR
        )
        return one(judge(reference, looks, rules=RULES), "x").faults

    assert told(99, 71) == (FeedFault.NULLS,)
    assert told(99, 73) == (FeedFault.NULLS,)
    assert told(99, 76) == (FeedFault.NULLS,)
    assert told(72, 73) == (FeedFault.NULLS,)
    assert told(72, 76) == ()


def test_drift_within_a_window_that_is_not_over_is_not_told() -> None:
    """Only what breaks a feed is; the morning differs from the day."""
    draw = np.random.default_rng(15)
    reference = reference_of({"x": normal(draw, 3_000)})
    calm, moved = (
        window_of(reference, {"x": normal(draw, 900, centre=centre)}, start=NOON + place * DAY)
        for place, centre in enumerate((0.0, 1.0))
    )
    report = judge(reference, [Look(window=calm), Look(window=moved, open=True)], rules=RULES)
    assert (report.verdict, report.until) == (FINE, NOON + HOUR)


def test_a_verdict_by_hours_stays_one_in_the_night() -> None:
    """Hours of few rows leave the length, and what was told of the day, as they are."""
    draw = np.random.default_rng(16)
    reference = reference_of({"x": normal(draw, 3_000)})
    rules = DriftRules(seasons=False)
    for centre, verdict in ((0.0, FINE), (1.0, DRIFT)):
        hours = [
            window_of(
                reference,
                {"x": normal(draw, 600 if place % 24 < 12 else 9, centre=centre)},
                start=NOON + place * HOUR,
            )
            for place in range(24)
        ]
        for night in (12, 14, 23):
            seen, now = Seen(hours=hours[:night]), NOON + night * HOUR
            assert window_length(reference, seen, rules=rules, now=now) == HOUR
            report = judge(
                reference, looks_of(seen, seconds=HOUR, rules=rules, now=now), rules=rules
            )
            assert (report.verdict, report.until) == (verdict, NOON + 12 * HOUR)
            assert report.rows == 600


def test_rows_that_come_once_a_day_have_one_length_at_every_hour() -> None:
    """Two of the hours of two days are full, whenever somebody looks."""
    draw = np.random.default_rng(17)
    reference = reference_of({"x": normal(draw, 3_000)})
    hour = window_of(reference, {"x": normal(draw, 900)})
    seen = Seen(hours=[replace(hour, start=NOON + place * DAY) for place in range(4)])
    lengths = {
        window_length(reference, seen, rules=RULES, now=NOON + place * HOUR)
        for place in range(25, 97)
    }
    assert lengths == {HOUR}


@pytest.mark.parametrize(
    ("rows", "seconds"), [(600, HOUR), (120, 6 * HOUR), (30, DAY), (1, 7 * DAY)]
)
def test_windows_are_as_short_as_the_traffic_allows(rows: int, seconds: int) -> None:
    """The shortest whose newest two hold rows enough; the longest where none does."""
    draw = np.random.default_rng(10)
    reference = reference_of({"x": normal(draw, 3_000)})
    hour = window_of(reference, {"x": normal(draw, rows)})
    hours = [replace(hour, start=NOON + place * HOUR) for place in range(72)]
    seen = Seen(hours=hours)
    now = NOON + 72 * HOUR
    assert window_length(reference, seen, rules=RULES, now=now) == seconds
    assert window_length(reference, seen, rules=DriftRules(window_length_s=600), now=now) == 600
