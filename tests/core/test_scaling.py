"""The decision on how many workers run."""

from hypothesis import given
from hypothesis import strategies as st

from servewell.core.operations.scaling import decide_scale


@given(st.integers(1, 64), st.integers(1, 64))
def test_what_is_wanted_is_done_where_it_differs(now: int, wanted: int) -> None:
    """The number that was asked for, and a sentence with it; nothing where it is so already."""
    decision = decide_scale(now, wanted=wanted)
    assert decision.workers == wanted
    assert decision.needed == (now != wanted)
    assert ("one worker" if wanted == 1 else f"{wanted} workers") in decision.because
