"""Which deployment answers one request."""

from collections import Counter
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from servewell.core.catalog.endpoint import BP_FULL
from servewell.core.operations.routing import choose, choose_sticky, is_copied

cuts = st.lists(st.integers(0, BP_FULL), max_size=4).map(sorted)
draws = st.integers(0, BP_FULL - 1)


def split(cuts: list[int]) -> list[tuple[str, int]]:
    """Return a traffic map whose shares sum to the whole."""
    edges = [0, *cuts, BP_FULL]
    return [(f"d{at}", end - start) for at, (start, end) in enumerate(pairwise(edges))]


@given(cuts)
def test_every_draw_once_gives_exactly_the_shares(cuts: list[int]) -> None:
    """Over all 10 000 draws each deployment answers exactly its basis points."""
    traffic = split(cuts)
    answered = Counter(choose(traffic, draw) for draw in range(BP_FULL))
    assert answered == {name: share for name, share in traffic if share}


@given(cuts, draws, st.data())
def test_the_rest_share_the_requests_of_one_left_out(
    cuts: list[int], draw: int, data: st.DataObject
) -> None:
    """A request is answered as long as any deployment that is left has a share."""
    traffic = split(cuts)
    traffic.remove(data.draw(st.sampled_from(traffic)))
    chosen = choose(traffic, draw)
    if any(share for _, share in traffic):
        assert dict(traffic)[chosen or ""] > 0
    else:
        assert chosen is None


def test_no_deployment_answers_where_there_is_none() -> None:
    """An endpoint without deployments has nothing to choose."""
    assert choose([], 0) is None


weights = st.lists(st.integers(0, BP_FULL), min_size=2, max_size=5)
callers = st.lists(st.binary(min_size=1, max_size=12), min_size=1, max_size=40, unique=True)


def named(weights: list[int]) -> list[tuple[str, int]]:
    """Return a traffic map of these shares."""
    return [(f"d{at}", share) for at, share in enumerate(weights)]


@given(weights, callers, st.data())
def test_a_share_that_grows_only_draws_callers_to_it(
    weights: list[int], callers: list[bytes], data: st.DataObject
) -> None:
    """Whoever moves when one share grows moves to it, and back when it shrinks again."""
    grows = data.draw(st.integers(0, len(weights) - 1))
    larger = weights.copy()
    larger[grows] += data.draw(st.integers(0, BP_FULL))
    for caller in callers:
        before = choose_sticky(named(weights), caller)
        after = choose_sticky(named(larger), caller)
        assert after in (before, f"d{grows}")


@given(cuts, callers)
def test_a_caller_stays_whatever_the_order_and_scale_of_the_shares(
    cuts: list[int], callers: list[bytes]
) -> None:
    """Only what the shares are to each other counts."""
    traffic = split(cuts)
    half = [(name, share * 2) for name, share in reversed(traffic)]
    for caller in callers:
        chosen = choose_sticky(traffic, caller)
        assert chosen == choose_sticky(half, caller)
        assert dict(traffic)[chosen or ""] > 0


@given(st.integers(1, BP_FULL - 1), st.integers(1, BP_FULL - 1))
def test_a_canary_that_grows_keeps_the_callers_that_it_has(one: int, other: int) -> None:
    """Of two deployments: whoever gets the candidate at a small share gets it at a larger one."""
    small, large = sorted((one, other))
    for number in range(50):
        caller = str(number).encode()
        chosen = choose_sticky([("live", BP_FULL - small), ("new", small)], caller)
        if chosen == "new":
            assert choose_sticky([("live", BP_FULL - large), ("new", large)], caller) == "new"


def test_callers_are_split_as_the_shares_say() -> None:
    """Of 20 000 callers each deployment gets its share, within four standard deviations."""
    traffic = [("a", 7_000), ("b", 2_500), ("c", 500)]
    got = Counter(choose_sticky(traffic, str(caller).encode()) for caller in range(20_000))
    for name, share in traffic:
        part = share / BP_FULL
        assert abs(got[name] - 20_000 * part) < 4 * (20_000 * part * (1 - part)) ** 0.5


def test_endpoints_are_split_apart_from_each_other() -> None:
    """Who gets the candidate of one endpoint says nothing of another one."""
    traffic = [("a", 5_000), ("b", 5_000)]
    both = sum(
        choose_sticky(traffic, str(one).encode(), salt="x")
        == choose_sticky(traffic, str(one).encode(), salt="y")
        for one in range(4_000)
    )
    assert abs(both - 2_000) < 4 * 1_000**0.5
    assert choose_sticky([], b"caller") is None


@given(st.text("0123456789abcdef", min_size=32, max_size=32), draws, draws)
def test_a_larger_share_of_copies_holds_a_smaller_one(name: str, one: int, other: int) -> None:
    """Whether a request was offered to a shadow can be found out again from its id."""
    small, large = sorted((one, other))
    assert is_copied(name, BP_FULL)
    assert not is_copied(name, 0)
    assert is_copied(name, large) or not is_copied(name, small)


def test_copies_are_the_share_that_was_asked_for() -> None:
    """Of the ids that a worker gives, one after the other, within four standard deviations."""
    ids = [
        f"{1_700_000_000_000_000_000 + 90_000 * one:016x}89abcdef{one:08x}" for one in range(10_000)
    ]
    copied = sum(is_copied(one, 1_000) for one in ids)
    assert abs(copied - 1_000) < 4 * (10_000 * 0.1 * 0.9) ** 0.5
