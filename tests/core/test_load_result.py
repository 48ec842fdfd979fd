"""What a load test says of what it counted."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from servewell.core.performance.load_plan import Stage, StopRule
from servewell.core.performance.load_result import (
    Window,
    bucket,
    capacity_per_s,
    decide_stop,
    littles_law,
    percentile_ms,
    results,
    together,
)

STAGE = Stage(rate=100, until=100, duration_s=10)
GOOD = Window(
    stage=0,
    at=0,
    seconds=1,
    due=200,
    open_s=1,
    statuses={"200": 200},
    latency_sum_s=2.0,
    good_within=200,
    in_flight_s=2.0,
    buckets={bucket(10_000): 200},
)


@given(st.lists(st.floats(20, 1e7), min_size=1, max_size=300), st.sampled_from([50, 90, 99, 100]))
def test_percentiles_are_right_to_two_per_cent(latencies: list[float], percent: int) -> None:
    """The histogram answers what the sorted values would, at most 2 % more."""
    buckets: dict[int, int] = {}
    for one in latencies:
        buckets[bucket(one)] = buckets.get(bucket(one), 0) + 1
    exact = sorted(latencies)[max(0, -(-len(latencies) * percent // 100) - 1)] / 1e3
    found = percentile_ms(buckets, percent)
    assert found is not None
    assert exact * 0.9999 <= found <= exact * 1.021


def test_no_answer_has_no_percentile() -> None:
    """Nothing is said of nothing."""
    assert percentile_ms({}, 99) is None


def test_windows_add_up() -> None:
    """Putting windows together loses nothing."""
    whole = together([GOOD, replace(GOOD, at=1, statuses={"200": 150, "503": 50})])
    assert (whole.due, whole.ended, whole.statuses) == (400, 400, {"200": 350, "503": 50})
    assert sum(whole.buckets.values()) == 400


def test_a_stage_within_its_objective_is_carried() -> None:
    """The rate that was offered counts as capacity."""
    (found,) = results([STAGE], [GOOD], 100)
    assert found.carried
    assert capacity_per_s([found]) == 200
    assert found.littles_law.holds


@pytest.mark.parametrize(
    ("window", "because"),
    [
        (replace(GOOD, buckets={bucket(500_000): 200}), "over the objective"),
        (replace(GOOD, statuses={"200": 190, "503": 10}), "5.0% of the requests"),
        (replace(GOOD, due=300), "100 requests were still waiting"),
        (replace(GOOD, statuses={"503": 200}, buckets={}), "nothing was answered"),
    ],
)
def test_a_stage_that_is_not_carried_says_why(window: Window, because: str) -> None:
    """Latency, failures, a queue that grew, and silence each have their sentence."""
    (found,) = results([STAGE], [window], 100)
    assert not found.carried
    assert because in found.because
    assert capacity_per_s([found]) is None


def test_a_late_answer_belongs_to_the_stage_that_asked() -> None:
    """What ends in a later stage is in the percentiles and the law of its own, not of that one."""
    slow = replace(
        GOOD, due=0, open_s=0, seconds=0, statuses={"200": 20}, buckets={bucket(900_000): 20}
    )
    first = replace(GOOD, due=220)
    second = replace(GOOD, stage=1, at=1, earlier=(slow,))
    assert (second.whole.ended, second.whole.seconds, second.whole.stage) == (220, 1, 1)
    one, two = results([STAGE, STAGE], [first, second], 100)
    assert (one.carried, one.statuses, two.carried, two.statuses) == (
        False, {"200": 220}, True, {"200": 200},
    )  # fmt: skip
    assert one.because.startswith("p99 9")


def test_a_sender_that_was_late_is_told_of() -> None:
    """A latency that the sender's own lateness is part of says so; a little is not worth it."""
    over = replace(GOOD, buckets={bucket(500_000): 200})
    (told,) = results([STAGE], [replace(over, late_s=0.2)], 100)
    assert told.because.endswith("; the sender itself was up to 200 ms late")
    (untold,) = results([STAGE], [replace(over, late_s=0.002)], 100)
    assert untold.because.endswith("the objective of 100 ms")


def test_littles_law_finds_what_does_not_agree() -> None:
    """Twice as many in flight as rate and latency allow is no steady state."""
    assert littles_law(replace(GOOD, in_flight_s=4.0)).holds is False
    assert littles_law(replace(GOOD, statuses={"200": 5})).holds is None


def test_a_test_stops_where_nothing_more_is_learnt() -> None:
    """Three seconds of failures or of growing delay end it; two do not, nor do good answers."""
    rule = StopRule()
    failing = replace(GOOD, statuses={"503": 200})
    late = replace(GOOD, behind_s=6)
    assert decide_stop(rule, [failing] * 3).stop
    assert "503" in decide_stop(rule, [failing] * 3).because
    assert "every connection" in decide_stop(rule, [late] * 3).because
    assert "this machine" in decide_stop(rule, [replace(GOOD, late_s=1.5)] * 3).because
    assert not decide_stop(rule, [failing] * 2).stop
    assert not decide_stop(rule, [failing, GOOD, failing]).stop
