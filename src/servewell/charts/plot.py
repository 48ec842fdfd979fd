"""Points with error bars, and lines, between two axes."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Final

from servewell.charts.svg import (
    FONT_PX,
    Axis,
    Scale,
    element,
    number,
    scale,
    title,
    width_of,
    words,
)

WIDTH: Final = 860
HEIGHT: Final = 460
LEFT: Final = 76
RIGHT: Final = 24
TOP: Final = 40
BOTTOM: Final = 52
MARK_PX: Final = 6
CAP_PX: Final = 4

Range = tuple[float, float]
Box = tuple[float, float, float, float]  # left, top, right, bottom


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One mark, with its name beside it and error bars where there are any."""

    x: float
    y: float
    name: str = ""
    detail: str = ""  # shown while the mouse is over it
    x_range: Range | None = None
    y_range: Range | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Scatter:
    """Marks of one kind."""

    label: str
    points: Sequence[Point]
    colour: int = 0  # 0..5
    diamond: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """Points joined in their order. A gap is a y that is None."""

    label: str
    points: Sequence[tuple[float, float | None]]
    colour: int = 0  # 0..5
    dashed: bool = False


Series = Scatter | Line


def plot(x: Axis, y: Axis, series: Sequence[Series]) -> str:
    """Return a plot as one SVG element; it is styled by the page."""
    across = scale(x, list(_all_x(series)), start_px=LEFT, end_px=WIDTH - RIGHT)
    up = scale(y, list(_all_y(series)), start_px=HEIGHT - BOTTOM, end_px=TOP)
    drawn = [_line(one, across, up) for one in series if isinstance(one, Line)]
    scatters = [one for one in series if isinstance(one, Scatter)]
    drawn += [_scatter(one, across, up) for one in scatters]
    drawn += _names(scatters, across, up)
    return frame([*_grid(across, up), *drawn, *legend(series), *_axis_titles(x, y)], height=HEIGHT)


def frame(parts: Iterable[str], *, height: float) -> str:
    """Return parts as one SVG element that is as wide as the page."""
    box = f"0 0 {WIDTH} {height:g}"
    return element(
        "svg", "".join(parts), viewBox=box, role="img", xmlns="http://www.w3.org/2000/svg"
    )


def legend(series: Sequence[Series]) -> Iterator[str]:
    """Yield a line of marks and names above a plot."""
    at = float(LEFT)
    for one in series:
        colour = f"c{one.colour}"
        if isinstance(one, Line):
            dashes = f"line {colour}{' dashed' if one.dashed else ''}"
            yield element("line", x1=at, x2=at + 18, y1=16, y2=16, kind=dashes)
        else:
            yield _mark(at + 9, 16, colour=colour, diamond=one.diamond)
        yield words(one.label, x=at + 24, y=20)
        at += 24 + width_of(one.label) + 20


def _all_x(series: Sequence[Series]) -> Iterator[float]:
    for one in series:
        for point in one.points:
            if isinstance(point, Point):
                yield from (point.x, *(point.x_range or ()))
            else:
                yield point[0]


def _all_y(series: Sequence[Series]) -> Iterator[float]:
    for one in series:
        for point in one.points:
            if isinstance(point, Point):
                yield from (point.y, *(point.y_range or ()))
            elif point[1] is not None:
                yield point[1]


def _grid(across: Scale, up: Scale) -> Iterator[str]:
    left, right, top, bottom = LEFT, WIDTH - RIGHT, TOP, HEIGHT - BOTTOM
    for tick in up.ticks():
        yield element("line", x1=left, x2=right, y1=up(tick), y2=up(tick), kind="grid")
        yield words(number(tick), x=left - 8, y=up(tick) + 4, kind="tick end")
    for tick in across.ticks():
        at = across(tick)
        yield element("line", x1=at, x2=at, y1=top, y2=bottom, kind="grid")
        yield words(number(tick), x=at, y=bottom + 18, kind="tick middle")
    yield element("line", x1=left, x2=right, y1=bottom, y2=bottom, kind="axis")
    yield element("line", x1=left, x2=left, y1=top, y2=bottom, kind="axis")


def _axis_titles(x: Axis, y: Axis) -> Iterator[str]:
    middle = (TOP + HEIGHT - BOTTOM) / 2
    yield words(x.title, x=(LEFT + WIDTH - RIGHT) / 2, y=HEIGHT - 10, kind="middle")
    yield words(y.title, x=14, y=middle, kind="middle", transform=f"rotate(-90 14 {middle:g})")


def _line(line: Line, across: Scale, up: Scale) -> str:
    steps, marks = [], []
    for known, run in groupby(line.points, key=lambda point: point[1] is not None):
        places = [(across(x), up(y)) for x, y in run if y is not None] if known else []
        steps += [f"{'L' if at else 'M'}{x:.1f} {y:.1f}" for at, (x, y) in enumerate(places)]
        if len(places) == 1:  # joined to none, so that a line alone would not show it
            marks.append(_mark(*places[0], colour=f"c{line.colour}", diamond=False))
    kind = f"line c{line.colour}{' dashed' if line.dashed else ''}"
    return element("path", title(line.label), d=" ".join(steps), kind=kind) + "".join(marks)


def _scatter(series: Scatter, across: Scale, up: Scale) -> str:
    return "".join(_point(one, series, across, up) for one in series.points)


def _point(one: Point, series: Scatter, across: Scale, up: Scale) -> str:
    x, y, colour = across(one.x), up(one.y), f"c{series.colour}"
    parts = [title(one.detail or one.name)]
    if one.x_range:
        low, high = map(across, one.x_range)
        parts.append(_bar((low, y), (high, y), colour))
    if one.y_range:
        low, high = map(up, one.y_range)
        parts.append(_bar((x, low), (x, high), colour))
    parts.append(_mark(x, y, colour=colour, diamond=series.diamond))
    return element("g", "".join(parts))


def _bar(start: Range, end: Range, colour: str) -> str:
    """Return an error bar with caps across its ends."""
    upright = start[0] == end[0]
    dx, dy = (CAP_PX, 0) if upright else (0, CAP_PX)
    steps = [f"M{start[0]:.1f} {start[1]:.1f}L{end[0]:.1f} {end[1]:.1f}"]
    for x, y in (start, end):
        steps.append(f"M{x - dx:.1f} {y - dy:.1f}L{x + dx:.1f} {y + dy:.1f}")
    return element("path", d="".join(steps), kind=f"error {colour}")


def _mark(x: float, y: float, *, colour: str, diamond: bool) -> str:
    if diamond:
        size = MARK_PX + 2
        corners = f"{x:.1f},{y - size:.1f} {x + size:.1f},{y:.1f} {x:.1f},{y + size:.1f}"
        return element("polygon", points=f"{corners} {x - size:.1f},{y:.1f}", kind=f"mark {colour}")
    return element("circle", cx=x, cy=y, r=MARK_PX, kind=f"mark {colour}")


def _names(scatters: Sequence[Scatter], across: Scale, up: Scale) -> Iterator[str]:
    """Yield the names of the points, each where it covers no mark and no other name."""
    places = [(across(one.x), up(one.y), one) for series in scatters for one in series.points]
    taken: list[Box] = [(x - MARK_PX, y - MARK_PX, x + MARK_PX, y + MARK_PX) for x, y, _ in places]
    for x, y, one in places:
        if not one.name:
            continue
        box = _free(x, y, width_of(one.name), taken)
        taken.append(box)
        left, top, right, bottom = box
        nearest = min(max(x, left), right), min(max(y, top), bottom)
        if abs(nearest[0] - x) + abs(nearest[1] - y) > 3 * MARK_PX:
            yield element("line", x1=x, y1=y, x2=nearest[0], y2=nearest[1], kind="leader")
        yield words(one.name, x=left, y=bottom - 3, kind="name")


def _free(x: float, y: float, width: float, taken: Sequence[Box]) -> Box:
    """Return the box nearest to a point that a name fits in; the best there is, where none is."""
    found = [
        (x + dx - (width if dx < 0 else 0), y + dy - FONT_PX / 2 - 2)
        for far in (11, 24, 38, 54, 72, 96)
        for dx, dy in (
            (MARK_PX + 4, -far),
            (-MARK_PX - 4, -far),
            (MARK_PX + 4, far),
            (-MARK_PX - 4, far),
        )
    ]
    boxes = [(left, top, left + width, top + FONT_PX + 4) for left, top in found]
    inside = [one for one in boxes if _inside(one)] or boxes
    free = [one for one in inside if not any(_overlap(one, other) for other in taken)]
    return (free or inside)[0]


def _inside(box: Box) -> bool:
    return box[0] > LEFT and box[1] > TOP and box[2] < WIDTH and box[3] < HEIGHT - BOTTOM


def _overlap(one: Box, other: Box) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]
