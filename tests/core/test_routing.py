"""Which deployment answers one request."""

from collections import Counter
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from servewell.core.catalog.endpoint import BP_FULL
from servewell.core.operations.routing import choose

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
