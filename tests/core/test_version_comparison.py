"""What is shown of two deployments, and what is not."""

from dataclasses import replace
from random import Random  # noqa: TID251 - seeded

from hypothesis import given
from hypothesis import strategies as st

from core.profiles_made import HOUR, NOON, bins_of, counted
from servewell.core.catalog.profile import (
    EVERYTHING,
    ReferenceProfile,
    TrafficWindow,
    WindowProfile,
)
from servewell.core.catalog.quality import Figure
from servewell.core.catalog.quality_reference import Task
from servewell.core.catalog.version_comparison import Compared, Shown, VersionComparison
from servewell.core.operations.monitoring.realised import Judged
from servewell.core.operations.monitoring.version_comparison import (
    Side,
    compare_versions,
    difference_of,
)


def side(  # noqa: PLR0913 - what a deployment may differ by
    name: str,
    *,
    requests: int = 4_000,
    failed: int = 40,
    shift: float = 0.0,
    wrong: float = 0.2,
    start: int = NOON,
    edges_from: float = 0.0,
) -> Side:
    """Return a deployment with a column `delay` of a normal distribution, and labels."""
    draw = Random(name)
    values = [draw.gauss(shift, 1) for _ in range(requests)]
    bins = bins_of("delay", [draw.gauss(edges_from, 1) // 0.25 * 0.25 for _ in range(2_000)])
    window = WindowProfile(
        endpoint="flights",
        deployment=name,
        package=name,
        start=start,
        seconds=HOUR,
        rows={EVERYTHING: requests},
        counts={EVERYTHING: {"delay": counted(bins, values)}},
    )
    traffic = TrafficWindow(
        endpoint="flights", deployment=name, start=start, seconds=60, requests=requests,
        failed=failed,
    )  # fmt: skip
    rows = [Judged(task=Task.CLASSES, loss=float(n < wrong * 500), hit=n >= wrong * 500)
            for n in range(500)]  # fmt: skip
    return Side(
        deployment=name,
        version=f"flights:{name}",
        traffic=(traffic,),
        latency={"p50": Figure(value=5, low=4, high=6)},
        profile=window,
        reference=ReferenceProfile(package=name, version=name, source="", bins=(bins,)),
        judged=tuple(rows),
    )


def told(first: Side, second: Side) -> VersionComparison:
    """Return their comparison."""
    return compare_versions("flights", first, second, since=NOON, until=NOON + HOUR)


def measure(found: VersionComparison, name: str) -> Compared:
    """Return one measure of a comparison."""
    return next(one for one in found.measures if one.measure == name)


def test_alike_shows_nothing() -> None:
    """Two deployments that differ by chance alone show no difference in anything."""
    found = told(side("v1"), side("v2", failed=46))
    assert {one.shown for one in found.measures} == {Shown.NOT_SHOWN}
    assert [one.shown for one in found.columns] == [Shown.NOT_SHOWN]
    assert found.together == 1
    assert "no measure shows a difference" in found.because


def test_what_differs_is_shown_with_its_direction() -> None:
    """More failures, other inputs and fewer errors by labels are told, each for itself."""
    found = told(side("v1", wrong=0.3), side("v2", failed=120, shift=0.6, wrong=0.1))
    assert measure(found, "failed").shown is Shown.FIRST
    assert measure(found, "accuracy").shown is Shown.SECOND
    [column] = found.columns
    assert column.shown is Shown.DIFFERENT
    assert column.distributions is not None


def test_versions_with_other_bins_are_compared_by_the_edges_that_both_have() -> None:
    """Bins that differ make no shift of their own, and hide none."""
    alike = told(side("v1"), side("v2", edges_from=0.4))
    shifted = told(side("v1"), side("v2", edges_from=0.4, shift=0.6))
    assert [one.shown for one in alike.columns] == [Shown.NOT_SHOWN]
    assert [one.shown for one in shifted.columns] == [Shown.DIFFERENT]
    other = side("v2")
    assert other.reference is not None
    [bins] = other.reference.bins
    strange = replace(bins, edges=tuple(edge + 0.01 for edge in bins.edges))
    nothing = told(side("v1"), replace(other, reference=replace(other.reference, bins=(strange,))))
    assert [one.shown for one in nothing.columns] == [Shown.CANNOT_TELL]


def test_too_little_tells_nothing() -> None:
    """Few requests and few labels show nothing, whatever they say."""
    small = replace(side("v2", requests=10, failed=10), judged=side("v2").judged[:5])
    found = told(side("v1"), small)
    assert measure(found, "failed").shown is Shown.CANNOT_TELL
    assert measure(found, "accuracy").shown is Shown.CANNOT_TELL


def test_other_times_are_said() -> None:
    """Where the two did not answer at the same time, that may be what differs."""
    found = told(side("v1"), side("v2", start=NOON + HOUR))
    assert found.together == 0
    assert "different times" in found.because


def test_labels_that_were_left_out_are_said() -> None:
    """Of which side, and how many count."""
    whole = side("v1")
    found = told(whole, replace(side("v2"), cut=True))
    assert f"of `v2` the newest {len(whole.judged):,} labels count" in found.because
    assert "of `v1`" not in found.because


figures = (
    st.tuples(*[st.floats(0, 100)] * 3)
    .map(sorted)
    .map(lambda three: Figure(low=three[0], value=three[1], high=three[2]))
)


@given(figures, figures)
def test_the_difference_lies_within_its_interval(first: Figure, second: Figure) -> None:
    """It is no wider than both intervals together, and turns its sign with its sides."""
    found, turned = difference_of(first, second), difference_of(second, first)
    assert found.low <= found.value <= found.high
    assert found.low >= second.low - first.high - 1e-9
    assert found.high <= second.high - first.low + 1e-9
    assert (turned.low, turned.high) == (-found.high, -found.low)
