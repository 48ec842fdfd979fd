"""Numbers are counted fast, and as one by one."""

import math
from bisect import bisect_right

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from servewell.adapters.embedded.monitoring.cells import Cells
from servewell.adapters.embedded.monitoring.number_counting import BELOW, grid_of, number_counts
from servewell.core.catalog.profile import Bins, ColumnKind, Side

FINITE = st.floats(allow_nan=False, allow_infinity=False)
EDGES = st.lists(FINITE, min_size=2, max_size=22, unique=True).map(lambda some: tuple(sorted(some)))
ROW = st.tuples(
    st.one_of(st.floats(-1e6, 1e6), st.sampled_from((0.0, 1.0, 2.5, -7.0, math.nan, math.inf))),
    st.booleans(),
    st.integers(-1, 3),
)
ROWS = st.lists(ROW, min_size=1, max_size=60)


def place(edges: tuple[float, ...], number: float) -> int:
    """Return the place of one number, by its definition."""
    return bisect_right(edges, number) + BELOW - (number == edges[-1])


@given(EDGES, st.lists(FINITE, max_size=30))
def test_every_number_finds_its_bin(edges: tuple[float, ...], numbers: list[float]) -> None:
    """Also one that is an edge, next to one, or at the end of what a number can be."""
    near = [math.nextafter(one, towards) for one in edges for towards in (-math.inf, math.inf)]
    asked = [one for one in (*numbers, *edges, *near) if math.isfinite(one)]
    found = grid_of(edges).places(np.array(asked)).tolist()
    assert found == [place(edges, one) for one in asked]


@given(ROWS)
def test_groups_are_counted_in_any_order(rows: list[tuple[float, bool, int]]) -> None:
    """A row that is missing, not finite, not there or of no group counts as that, and once."""
    edges = (-7.0, 0.0, 1.0, 2.5)
    bins = Bins(column="x", side=Side.INPUT, kind=ColumnKind.NUMBER, edges=edges)
    numbers = np.array([one for one, _, _ in rows])
    there = np.array([one for _, one, _ in rows])
    cells = Cells(there=there, missing=np.isnan(numbers), numbers=numbers)
    found = number_counts(bins, cells, np.array([one for _, _, one in rows]), 4)
    for group, counts in enumerate(found):
        mine = [one for one, is_there, of in rows if is_there and of == group]
        finite = [one for one in mine if math.isfinite(one)]
        assert counts.places[0] == sum(math.isnan(one) for one in mine)
        assert counts.places[1] == sum(math.isinf(one) for one in mine)
        assert sum(counts.places[BELOW:]) == len(finite)
        assert counts.least == min(finite, default=None)
        assert counts.greatest == max(finite, default=None)
        for one in set(finite):
            at = place(edges, one)
            assert counts.places[at] == sum(place(edges, other) == at for other in finite)
        assert counts.total is not None
        assert math.isclose(counts.total, math.fsum(finite), rel_tol=1e-9, abs_tol=1e-6)
