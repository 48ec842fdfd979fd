"""Show that something happens more often to one deployment than to another."""

import math
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from servewell.core.catalog.evidence import Tally
from servewell.core.operations.e_process import counted, p_worse, ratio_interval, share_interval

WINDOW = st.tuples(st.integers(0, 60), st.integers(0, 60)).flatmap(
    lambda n: st.tuples(st.just(n), st.tuples(st.integers(0, n[0]), st.integers(0, n[1])))
)


def _tally(windows: list[tuple[tuple[int, int], tuple[int, int]]]) -> Tally:
    tally = Tally()
    for requests, events in windows:
        tally = counted(tally, requests=requests, events=events)
    return tally


@given(st.lists(WINDOW, max_size=12))
def test_every_number_is_finite_and_in_its_range(
    windows: list[tuple[tuple[int, int], tuple[int, int]]],
) -> None:
    """Whatever comes, no number is NaN, and each stays in the range that it has."""
    tally = _tally(windows)
    assert all(map(math.isfinite, (*tally.spread, *tally.growth, tally.peak)))
    assert 0 < p_worse(tally) <= 1
    low, high = ratio_interval(tally, 0.05)
    assert 0 <= low <= 64
    assert high is None or low < high <= 64
    share = share_interval(tally.requests[1], tally.events[1], 0.05)
    assert 0 <= share[0] <= share[1] <= 1


@pytest.mark.parametrize(
    ("requests", "events"),
    list(product([(20, 5), (10, 10), (6, 30)], [1, 4, 9, 13, 15])),
)
def test_no_window_is_expected_to_gain_where_both_are_alike(
    requests: tuple[int, int], events: int
) -> None:
    """Over all ways in which chance may allot what happened, the mean of the factor is below 1."""
    allotted = stats.hypergeom(sum(requests), events, requests[1])
    ways = range(max(0, events - requests[0]), min(events, requests[1]) + 1)
    grown = [counted(Tally(), requests=requests, events=(events - x, x)).growth for x in ways]
    chances = [float(allotted.pmf(x)) for x in ways]
    begun = 1 - 0.5 / (1 + math.log(2))
    for ratio in zip(*grown, strict=True):
        mean = sum(c * math.exp(g) for c, g in zip(chances, ratio, strict=True))
        assert mean <= begun * (1 + 1e-9)


@given(WINDOW)
def test_a_window_in_which_it_happened_to_none_or_to_all_shows_nothing(
    window: tuple[tuple[int, int], tuple[int, int]],
) -> None:
    """A fault that both share, or none, changes no chance."""
    requests = window[0]
    for events in ((0, 0), requests):
        assert counted(Tally(), requests=requests, events=events).growth == ()


def test_a_window_without_one_of_them_shows_nothing() -> None:
    """An arm without traffic is added up and compared with nothing."""
    tally = counted(Tally(), requests=(0, 9), events=(0, 4))
    assert tally.requests == (0, 9)
    assert tally.windows == 0


@given(st.lists(WINDOW, max_size=6), WINDOW)
def test_p_never_rises(
    windows: list[tuple[tuple[int, int], tuple[int, int]]],
    more: tuple[tuple[int, int], tuple[int, int]],
) -> None:
    """What was shown stays shown."""
    before = _tally(windows)
    assert p_worse(counted(before, requests=more[0], events=more[1])) <= p_worse(before)


@given(st.integers(1, 8))
def test_more_failures_of_the_candidate_show_more(events: int) -> None:
    """With the same number of failures, p falls with the candidate's part of them."""

    def p(mine: int) -> float:
        return p_worse(_tally([((90, 10), (8 - mine, mine))] * 3))

    assert p(events) <= p(events - 1)


def test_it_finds_a_candidate_that_turns_bad_late() -> None:
    """After a long time without a difference, a fault is found within a few windows."""
    good = _tally([((75, 25), (3, 1))] * 2_000)
    assert p_worse(good) > 0.2
    bad = good
    for _ in range(30):
        bad = counted(bad, requests=(75, 25), events=(1, 4))
    assert p_worse(bad) < 0.01


def test_the_ratio_is_that_of_the_data_under_any_shares() -> None:
    """A true ratio of three lies in the interval though the share goes from 5 to 50 %."""
    tally = _tally([((950, 50), (19, 3))] * 40 + [((500, 500), (10, 30))] * 40)
    low, high = ratio_interval(tally, 0.05)
    assert high is not None
    assert low < 3.0 < high
    assert low > 2.4
    assert high < 4.0


@pytest.mark.parametrize(("requests", "events"), [(1_000, 0), (1_000, 7), (50_000, 900)])
def test_an_anytime_bound_is_wider_than_one_for_a_single_look(requests: int, events: int) -> None:
    """It holds Garwood's interval for a Poisson mean, and is at most twice and a half as wide."""
    low, high = share_interval(requests, events, 0.05)
    exact = (
        stats.gamma.ppf(0.025, events) / requests if events else 0.0,
        stats.gamma.ppf(0.975, events + 1) / requests,
    )
    assert low <= exact[0]
    assert high >= exact[1]
    assert high - low < 2.5 * (exact[1] - exact[0])
