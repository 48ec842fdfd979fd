"""What a plot shows."""

from servewell.charts.plot import Line, plot
from servewell.charts.svg import Axis
from servewell.core.catalog.profile import Bins, ColumnKind, Side
from servewell.core.operations.monitoring.movement import place_names


def test_a_point_that_is_joined_to_none_is_a_mark() -> None:
    """A line of one point, or with one between two gaps, would show nothing there."""
    alone = [(0.0, None), (1.0, 2.0), (2.0, None)]
    assert "<circle" in plot(Axis(title="x"), Axis(title="y"), [Line(label="x", points=alone)])
    joined = [(0.0, 1.0), (1.0, 2.0), (2.0, None)]
    assert "<circle" not in plot(Axis(title="x"), Axis(title="y"), [Line(label="x", points=joined)])


def test_bins_of_single_numbers_are_named_by_them() -> None:
    """A yes and a no are 0 and 1, and a range is a range."""
    made = Bins(column="x", side=Side.INPUT, kind=ColumnKind.NUMBER, edges=(0.0, 1.0, 1.0 + 2**-52))
    assert place_names(made)[2:] == ("below 0", "0", "1", "above 1")
    made = Bins(column="x", side=Side.INPUT, kind=ColumnKind.NUMBER, edges=(0.0, 1.0, 2.5))
    assert place_names(made)[2:] == ("below 0", "0 to 1", "1 to 2.5", "above 2.5")
