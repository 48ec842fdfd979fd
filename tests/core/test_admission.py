"""Who is let in, who goes first, who is told to come again."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from servewell.core.catalog.limits import Priority
from servewell.core.reliability.admission import (
    BURST,
    MARGIN,
    STANDING_S,
    Load,
    retry_after_s,
    wait_max_s,
)
from servewell.core.reliability.precedence import HANDICAPS_NS, next_rank, rank_of
from servewell.core.reliability.token_bucket import TokenBucket

TIMES = st.floats(1e-6, 100.0)
RANKS = st.integers(0, 2)
COUNTED = 20  # times the objective, and as long before


@given(TIMES, TIMES, TIMES, RANKS)
def test_a_request_that_is_let_in_meets_the_objective(
    objective_s: float, service_s: float, wait_s: float, rank: int
) -> None:
    """In a queue that stands nobody waits longer than leaves time for the model, or one call."""
    load = Load(wait_s=wait_s, service_s=service_s, standing_s=STANDING_S)
    if wait_s <= wait_max_s(objective_s, load, rank=rank):
        assert wait_s + service_s <= max(MARGIN * objective_s, 2 * service_s) * (1 + 1e-9)


@given(TIMES, TIMES, st.floats(0, 1))
def test_lower_ranks_are_refused_first(
    objective_s: float, service_s: float, standing_s: float
) -> None:
    """Whatever the load, no rank may wait longer than a higher one."""
    load = Load(wait_s=0.0, service_s=service_s, standing_s=standing_s)
    waits = [wait_max_s(objective_s, load, rank=rank) for rank in (0, 1, 2)]
    assert waits == sorted(waits, reverse=True)
    assert waits[2] > 0


def _answered_in_time(*, objective_s: float, row_s: float, fixed: float, factor: float) -> float:
    """Return what share of its time a model spends on answers in time, at a multiple of its peak.

    One call at a time takes all that waits, up to as many rows as half of the objective allows; a
    call takes as long as `fixed` rows, and its rows. Arrivals are steady; those of the burst that
    they begin with do not count.
    """
    rows_max = max(1, int(objective_s / 2 / row_s - fixed))
    service_s = (fixed + rows_max) * row_s
    waiting: list[float] = []
    running: list[float] = []
    ends = busy_since = good = 0.0
    for number in range(int(2 * COUNTED * objective_s * factor * rows_max / service_s)):
        now = number * service_s / rows_max / factor
        while running and ends <= now:
            if now > COUNTED * objective_s:
                good += sum(ends - came <= objective_s for came in running)
            running, waiting = waiting[:rows_max], waiting[rows_max:]
            if running:
                ends += (fixed + len(running)) * row_s
        if not running:
            running, busy_since, ends = [now], now, now + (fixed + 1) * row_s
            continue
        wait_s = ends - now + len(waiting) / rows_max * service_s
        load = Load(wait_s=wait_s, service_s=service_s, standing_s=now - busy_since)
        if wait_s <= wait_max_s(objective_s, load, rank=1):
            waiting.append(now)
    return good * service_s / rows_max / (COUNTED * objective_s)


@settings(max_examples=30, deadline=None)
@given(
    st.floats(0.1, 1.0),
    st.floats(0.01, 0.1),
    st.floats(0.0, 4.0),
    st.sampled_from([2.0, 3.0, 5.0]),
)
def test_more_load_than_can_be_carried_costs_little(
    objective_s: float, row: float, fixed: float, factor: float
) -> None:
    """Beyond what a model can do it does over 0.9 of the most that it does in time at any load.

    So where a call takes at most half of the objective: with more, two cannot be in time.
    """
    goods = {
        one: _answered_in_time(
            objective_s=objective_s, row_s=row * objective_s, fixed=fixed, factor=one
        )
        for one in (0.8, 0.9, 1.0, 1.5, factor)
    }
    assert goods[factor] > 0.9 * max(goods.values())


def test_a_burst_may_wait_longer_than_a_queue_that_stands() -> None:
    """The bound falls at the moment from which a queue counts as standing."""
    young, old = (
        wait_max_s(0.1, Load(wait_s=0.0, service_s=0.01, standing_s=one), rank=0)
        for one in (STANDING_S * 0.99, STANDING_S)
    )
    assert young == pytest.approx(BURST * old)


@given(st.floats(0, 1e6), st.floats(0, 1))
def test_a_refused_caller_is_never_told_zero(drain_s: float, draw: float) -> None:
    """By the time that is told the queue is empty, and callers are spread over as long again."""
    after = retry_after_s(drain_s, draw=draw)
    assert after >= max(1, drain_s)
    assert after <= 2 * (drain_s + 1)


@given(st.sampled_from(Priority), st.sampled_from(Priority))
def test_a_wish_only_lowers(most: Priority, wish: Priority) -> None:
    """A request is never more urgent than its key allows."""
    assert rank_of(most, wish) >= rank_of(most, Priority.HIGH)
    assert rank_of(most, Priority.LOW) == rank_of(Priority.LOW, most) == 2


@given(st.lists(st.one_of(st.none(), st.integers(0, 10**11)), min_size=3, max_size=3))
def test_high_goes_first_and_nobody_waits_for_ever(heads: list[int | None]) -> None:
    """A rank goes before a higher one only where it came earlier by the difference in slack."""
    rank = next_rank(heads)
    if rank is None:
        assert heads == [None] * 3
        return
    chosen = heads[rank]
    assert chosen is not None
    for other, came in enumerate(heads):
        if came is not None:
            assert chosen + HANDICAPS_NS[rank] <= came + HANDICAPS_NS[other]


@given(
    st.floats(0.01, 1e5),
    st.lists(st.tuples(st.floats(0, 2), st.integers(1, 50)), max_size=200),
)
def test_a_bucket_never_gives_more_than_its_rate(
    rate: float, asked: list[tuple[float, int]]
) -> None:
    """Over any asking, what is given is at most a second's worth and the rate times the time."""
    now, given_ = 0.0, 0
    bucket = TokenBucket(rate, now)
    for pause, amount in asked:
        now += pause
        if amount <= bucket.capacity and not bucket.wait_s(amount, now):
            bucket.charge(amount)
            given_ += amount
        assert given_ <= bucket.capacity + rate * now + 1e-6 * (1 + rate * now)


@given(st.floats(0.01, 1e5), st.integers(0, 10_000), st.floats(0, 10))
def test_the_wait_of_a_bucket_is_honest(rate: float, debt: int, after: float) -> None:
    """Who waits as long as was said gets it, and who comes clearly sooner does not."""
    bucket = TokenBucket(rate, 0.0)
    bucket.charge(debt)
    wait_s = bucket.wait_s(1, after)
    if wait_s > 0:
        assert bucket.wait_s(1, after + 0.99 * wait_s) > 0
        assert bucket.wait_s(1, after + wait_s + 1e-6) <= 1e-6
    else:
        assert bucket.wait_s(1, after) == 0
