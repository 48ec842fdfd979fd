"""ADWIN finds a change of the mean, and none where there is none."""

import math

import msgspec
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from servewell.core.catalog.loss_watch import Adwin, Bucket
from servewell.core.operations.monitoring.adwin import BUCKETS, watched


def stream(seed: int, *parts: tuple[int, float]) -> list[tuple[float, float]]:
    """Return so many losses of 0 and 1 of each mean, one a second."""
    drawn = np.random.default_rng(seed)
    losses = [float(drawn.random() < mean) for rows, mean in parts for _ in range(rows)]
    return list(enumerate(losses))


def test_a_stream_without_change_is_never_cut() -> None:
    """No alarm over 8,000 rows of an unchanged loss, whatever is drawn."""
    for seed in range(6):
        _, cuts = watched(Adwin(), stream(seed, (8_000, 0.21)))
        assert cuts == ()


def test_a_break_is_found_within_300_rows() -> None:
    """A loss that rises as much as that of the rain series is found in time, and dated well."""
    delays = []
    for seed in range(6):
        _, cuts = watched(Adwin(), stream(seed, (4_000, 0.21), (1_000, 0.4)))
        first = cuts[0]
        delays.append(first.found_at - 4_000)
        assert abs(first.at - 4_000) <= 200
        assert math.isclose(first.before, 0.21, abs_tol=0.03)
        assert first.now > 0.3
    assert max(delays) <= 300
    assert min(delays) > 0


def test_what_is_dropped_is_the_older_part() -> None:
    """Behind a break the window holds the new losses alone, so that it finds the next one."""
    state, cuts = watched(Adwin(), stream(1, (2_000, 0.1), (2_000, 0.6), (2_000, 0.1)))
    assert len(cuts) == 2
    assert cuts[0].now > cuts[0].before
    assert cuts[1].now < cuts[1].before
    assert state.buckets[0].first_at >= 3_900


@settings(max_examples=40, deadline=None)
@given(
    values=st.lists(st.floats(-1, 2), min_size=1, max_size=300),
    parts=st.integers(1, 5),
)
def test_it_may_be_fed_in_parts_and_kept_as_json(values: list[float], parts: int) -> None:
    """A stream in parts, with the state kept as JSON between them, ends as one at once."""
    told = list(enumerate(values))
    whole, cuts = watched(Adwin(), told)
    state, found = Adwin(), []
    for part in range(parts):
        state, more = watched(
            state, told[part * len(told) // parts : (part + 1) * len(told) // parts]
        )
        state = msgspec.json.decode(msgspec.json.encode(state), type=Adwin)
        found += more
    assert (state, tuple(found)) == (whole, cuts)


@settings(max_examples=40, deadline=None)
@given(values=st.lists(st.floats(0, 1), min_size=1, max_size=600))
def test_the_histogram_is_small_and_exact(values: list[float]) -> None:
    """The buckets hold the sum and the spread of all values, and are a few of each size."""
    half = [(at, 0.5 + (value - 0.5) / 1_000) for at, value in enumerate(values)]
    state, cuts = watched(Adwin(), half)
    assert cuts == ()
    kept = [one.count for one in state.buckets]
    assert sum(kept) == len(values)
    assert kept == sorted(kept, reverse=True)
    assert all(kept.count(size) <= BUCKETS for size in kept)
    mean = math.fsum(value for _, value in half) / len(half)
    assert math.isclose(math.fsum(one.total for one in state.buckets) / len(half), mean)
    assert math.isclose(
        _deviations(state.buckets, mean),
        math.fsum((value - mean) ** 2 for _, value in half),
        abs_tol=1e-12,
    )


def _deviations(buckets: tuple[Bucket, ...], mean: float) -> float:
    return math.fsum(one.deviations + one.count * (one.mean - mean) ** 2 for one in buckets)
