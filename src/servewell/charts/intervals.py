"""Values with their intervals below each other, lying, beside upright lines to compare with."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from servewell.charts.plot import RIGHT, WIDTH, Line, Range, Scatter, Series, frame, legend
from servewell.charts.svg import Axis, Scale, element, number, scale, title, width_of, words

ROW_PX: Final = 15
GAP_PX: Final = 12  # between groups
TOP: Final = 40
BOTTOM: Final = 48
MARK_PX: Final = 4.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A value, and the range in which it surely lies."""

    value: float
    range: Range
    detail: str = ""  # shown while the mouse is over it


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimates:
    """The values of one colour, one for each group; None where a group has none."""

    label: str
    values: Sequence[Estimate | None]
    colour: int = 0  # 0..5


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """An upright line at a value to compare with."""

    label: str
    at: float
    colour: int = 5  # 0..5
    dashed: bool = True


def intervals(
    axis: Axis,
    groups: Sequence[str],
    series: Sequence[Estimates],
    *,
    lines: Sequence[Compared] = (),
) -> str:
    """Return marks with their intervals as one SVG element; the axis need not begin at 0."""
    left = 24 + max(map(width_of, groups), default=0)
    height_of_group = len(series) * ROW_PX + GAP_PX
    bottom = TOP + len(groups) * height_of_group
    across = scale(axis, _ends(series, lines), start_px=left, end_px=WIDTH - RIGHT)
    drawn = [*_grid(across, bottom), *_upright(lines, across, bottom)]
    for place, group in enumerate(groups):
        top = TOP + place * height_of_group + GAP_PX / 2
        drawn.append(
            words(group, x=left - 8, y=top + len(series) * ROW_PX / 2 + 4, kind="tick end")
        )
        for row, one in enumerate(series):
            value = one.values[place]
            if value is not None:
                drawn.append(_mark(value, across, top + (row + 0.5) * ROW_PX, one))
    drawn += legend(_named(series, lines))
    drawn.append(words(axis.title, x=(left + WIDTH - RIGHT) / 2, y=bottom + 38, kind="middle"))
    return frame(drawn, height=bottom + BOTTOM)


def _ends(series: Sequence[Estimates], lines: Sequence[Compared]) -> list[float]:
    found = [one for kind in series for one in kind.values if one is not None]
    return [end for one in found for end in (one.value, *one.range)] + [one.at for one in lines]


def _grid(across: Scale, bottom: float) -> Iterator[str]:
    for tick in across.ticks():
        at = across(tick)
        yield element("line", x1=at, x2=at, y1=TOP, y2=bottom, kind="grid")
        yield words(number(tick), x=at, y=bottom + 18, kind="tick middle")


def _upright(lines: Sequence[Compared], across: Scale, bottom: float) -> Iterator[str]:
    for one in lines:
        kind = f"line c{one.colour}{' dashed' if one.dashed else ''}"
        at = across(one.at)
        line = element("line", x1=at, x2=at, y1=TOP - 6, y2=bottom, kind=kind)
        yield element("g", title(f"{one.label}: {number(one.at)}") + line)


def _mark(one: Estimate, across: Scale, y: float, series: Estimates) -> str:
    low, high = map(across, one.range)
    return element(
        "g",
        title(one.detail or f"{series.label}: {number(one.value)}")
        + element("line", x1=low, x2=high, y1=y, y2=y, kind=f"line c{series.colour}")
        + element("circle", cx=across(one.value), cy=y, r=MARK_PX, kind=f"mark c{series.colour}"),
    )


def _named(series: Sequence[Estimates], lines: Sequence[Compared]) -> list[Series]:
    marks = [Scatter(label=one.label, points=(), colour=one.colour) for one in series]
    return [
        *marks,
        *(Line(label=one.label, points=(), colour=one.colour, dashed=one.dashed) for one in lines),
    ]
