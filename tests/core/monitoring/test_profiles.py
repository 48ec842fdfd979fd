"""Adding up windows, and which of them a look back takes."""

import sys
from dataclasses import replace
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from servewell.core.catalog.profile import (
    MINUTE_S,
    Bins,
    ColumnKind,
    Counts,
    ReferenceProfile,
    Side,
    TrafficWindow,
    WindowProfile,
)
from servewell.core.operations.monitoring.profiles import (
    DAY_S,
    HOUR_S,
    LEVELS,
    UNSEEN_NAMED,
    Kept,
    fewest_runs,
    finest_runs,
    finite,
    kept_at,
    merged,
    merged_traffic,
)

small = st.integers(0, 99)
exact = st.integers(-(2**20), 2**20).map(float)  # sums of these are exact
names = st.sampled_from(["", "a=1", "a=2"])
categories = st.dictionaries(st.text(max_size=3), st.integers(1, 9), max_size=UNSEEN_NAMED)
counts = st.builds(
    Counts,
    places=st.tuples(small, small, small),
    total=exact,
    squares=exact,
    least=st.none() | exact,
    greatest=st.none() | exact,
    unseen=categories,
)
windows = st.builds(
    lambda minute, rows, held: WindowProfile(
        endpoint="e",
        deployment="d",
        package="p",
        start=minute * MINUTE_S,
        seconds=MINUTE_S,
        rows=rows,
        counts=held,
    ),
    small,
    st.dictionaries(names, small),
    st.dictionaries(names, st.dictionaries(st.sampled_from("xyz"), counts)),
)


@settings(max_examples=60)
@given(st.lists(windows, min_size=1, max_size=5), st.data())
def test_adding_is_associative_and_commutative(these: list[WindowProfile], data: Any) -> None:  # noqa: ANN401 - Hypothesis has no type for it
    """In whatever order and groups windows are added, every count is the same."""
    whole = merged(these)
    shuffled = data.draw(st.permutations(these))
    assert merged(shuffled) == whole
    cut = data.draw(st.integers(1, len(these)))
    groups = [group for group in (shuffled[:cut], shuffled[cut:]) if group]
    assert merged([merged(group) for group in groups]) == whole


@settings(max_examples=60)
@given(st.lists(windows, min_size=1, max_size=5))
def test_no_row_is_lost_or_made_up(these: list[WindowProfile]) -> None:
    """Rows and places of the sum are the sums of those of the windows."""
    whole = merged(these)
    for name in ("", "a=1", "a=2"):
        assert whole.rows.get(name, 0) == sum(one.rows.get(name, 0) for one in these)
        held = [one.counts.get(name, {}) for one in these]
        for column in "xyz":
            rows = sum(one[column].rows for one in held if column in one)
            assert whole.counts.get(name, {}).get(column, Counts(places=())).rows == rows


def test_a_few_unseen_categories_are_named() -> None:
    """Always the same ones, each with all its rows."""
    one = WindowProfile(endpoint="e", deployment="d", package="p", start=0, seconds=60)
    many = [
        replace(one, counts={"": {"x": Counts(places=(0,), unseen={f"c{number % 40}": 1})}})
        for number in range(400)
    ]
    named = merged(many).counts[""]["x"].unseen
    assert len(named) == UNSEEN_NAMED
    assert set(named.values()) == {10}


def test_traffic_adds_up() -> None:
    """Every counter, each code, and the sketches as they are told to be merged."""
    one = TrafficWindow(
        endpoint="e",
        deployment="d",
        start=60,
        seconds=60,
        requests=9,
        failed=1,
        refused=2,
        slow=3,
        late=4,
        skewed=5,
        repeated=6,
        lost=7,
        damaged=8,
        codes={"SW-301": 2},
        latency=b"a",
    )
    both = merged_traffic(
        [one, replace(one, start=0, codes={"SW-302": 1}, latency=b"")], sketches=b"+".join
    )
    assert (both.start, both.seconds, both.requests, both.lost) == (0, 120, 18, 14)
    assert (both.failed, both.refused, both.slow, both.late) == (2, 4, 6, 8)
    assert (both.skewed, both.repeated, both.damaged, both.latency) == (10, 12, 16, b"a")
    assert both.codes == {"SW-301": 2, "SW-302": 1}
    assert merged_traffic([one]).latency == b""


def test_a_reference_can_be_written_whatever_its_numbers_are() -> None:
    """JSON holds no infinite number, so that the largest one stands for it."""
    huge = Counts(places=(1,), total=float("-inf"), squares=float("inf"))
    bins = Bins(column="x", side=Side.INPUT, kind=ColumnKind.NUMBER, edges=(0.0, float("inf")))
    made = ReferenceProfile(
        package="p", version="v:1", source="rows", bins=(bins,), counts={"": {"x": huge}}
    )
    kept = msgspec.json.decode(msgspec.json.encode(finite(made)), type=ReferenceProfile)
    assert kept.bins[0].edges == (0.0, sys.float_info.max)
    held = kept.counts[""]["x"]
    assert (held.total, held.squares) == (-sys.float_info.max, sys.float_info.max)


times = st.integers(0, 100 * DAY_S)
keeping = st.builds(
    lambda hour, days: Kept(minutes_from=(days * 24 + hour) * HOUR_S, hours_from=days * DAY_S),
    st.integers(0, 999),
    st.integers(0, 60),
)


def minutes_in(runs: list[tuple[int, int, int]]) -> int:
    """Return how many minutes these windows cover."""
    return sum((end - start) // MINUTE_S for _, start, end in runs)


@settings(max_examples=200)
@given(times, times, times, keeping)
def test_looks_that_meet_take_each_window_once(a: int, b: int, c: int, kept: Kept) -> None:
    """Two looks side by side take what one over both takes."""
    first, middle, last = sorted((a, b, c))
    for finest in LEVELS:
        whole = minutes_in(finest_runs(first, last, kept, finest=finest))
        halves = [
            minutes_in(finest_runs(*edges, kept, finest=finest))
            for edges in ((first, middle), (middle, last))
        ]
        assert sum(halves) == whole


@settings(max_examples=200)
@given(times, times, keeping)
def test_the_fewest_windows_cover_the_same_time(a: int, b: int, kept: Kept) -> None:
    """Only kept windows, at their own starts, in order, and few of them for any time."""
    since, until = sorted((a, b))
    few, fine = fewest_runs(since, until, kept), finest_runs(since, until, kept)
    assert minutes_in(few) == minutes_in(fine)
    assert [one[1] for one in few] == sorted(one[1] for one in few)
    for seconds, start, end in few:
        assert start % seconds == end % seconds == 0
        assert kept.has(seconds, start)
    assert sum((end - start) // seconds for seconds, start, end in few) <= 100 + 4 * 23 + 4 * 59


def test_what_is_kept_grows_coarser_with_age() -> None:
    """Minutes of two days, hours of sixty, each from a whole one of the next."""
    kept = kept_at(100 * DAY_S + 5_000)
    assert kept == Kept(minutes_from=98 * DAY_S + HOUR_S, hours_from=40 * DAY_S)
