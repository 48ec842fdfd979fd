"""Bars side by side in groups, lying, so that long names can be read."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from servewell.charts.plot import RIGHT, WIDTH, Range, Scatter, frame, legend
from servewell.charts.svg import Axis, Scale, element, number, scale, title, width_of, words

BAR_PX: Final = 11
GAP_PX: Final = 14  # between groups
TOP: Final = 40
BOTTOM: Final = 48


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """One value, with an error bar where there is one."""

    value: float
    range: Range | None = None
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class BarSeries:
    """The bars of one colour, one for each group."""

    label: str
    bars: Sequence[Bar]
    colour: int = 0  # 0..5


def bars(axis: Axis, groups: Sequence[str], series: Sequence[BarSeries], *, line: float = 0) -> str:
    """Return bars as one SVG element, from 0, with an upright line at a value to compare with."""
    left = 24 + max(map(width_of, groups), default=0)
    height_of_group = len(series) * BAR_PX + GAP_PX
    bottom = TOP + len(groups) * height_of_group
    ends = [end for one in series for bar in one.bars for end in (bar.value, *(bar.range or ()))]
    across = scale(
        Axis(title=axis.title, low=0.0, high=axis.high),
        [*ends, line],
        start_px=left,
        end_px=WIDTH - RIGHT,
    )
    drawn = [*_grid(across, bottom)]
    for place, group in enumerate(groups):
        top = TOP + place * height_of_group + GAP_PX / 2
        middle = top + len(series) * BAR_PX / 2 + 4
        drawn.append(words(group, x=left - 8, y=middle, kind="tick end"))
        for row, one in enumerate(series):
            drawn.append(_bar(one.bars[place], across, top + row * BAR_PX, one))
    if line:
        drawn.append(
            element("line", x1=across(line), x2=across(line), y1=TOP, y2=bottom, kind="compare")
        )
    drawn += legend([Scatter(label=one.label, points=(), colour=one.colour) for one in series])
    drawn.append(words(axis.title, x=(left + WIDTH - RIGHT) / 2, y=bottom + 38, kind="middle"))
    return frame(drawn, height=bottom + BOTTOM)


def _grid(across: Scale, bottom: float) -> Iterator[str]:
    for tick in across.ticks():
        at = across(tick)
        yield element("line", x1=at, x2=at, y1=TOP, y2=bottom, kind="grid")
        yield words(number(tick), x=at, y=bottom + 18, kind="tick middle")


def _bar(bar: Bar, across: Scale, top: float, series: BarSeries) -> str:
    start, end = across(0), across(bar.value)
    parts = [
        title(bar.detail or f"{series.label}: {number(bar.value)}"),
        element(
            "rect",
            x=start,
            y=top + 1,
            width=max(end - start, 0.5),
            height=BAR_PX - 2,
            kind=f"bar c{series.colour}",
        ),
    ]
    if bar.range:
        low, high = map(across, bar.range)
        y = top + BAR_PX / 2
        parts.append(element("line", x1=low, x2=high, y1=y, y2=y, kind="whisker"))
    return element("g", "".join(parts))
