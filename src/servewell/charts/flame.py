"""Flame graphs: what stands on what, as wide as it takes.

Source: Brendan Gregg, "The flame graph", Communications of the ACM 59 (2016). The root lies on
top here, as in icicle charts, so that the page begins with the whole.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from servewell.charts.plot import WIDTH, frame
from servewell.charts.svg import LETTER_PX, element, title, words

ROW_PX: Final = 26
LETTERS_MIN: Final = 3  # of a name that is worth showing in its box


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """A part of the whole. What its parts do not take is its own."""

    name: str
    value: float
    detail: str = ""  # shown while the mouse is over it
    colour: int = 0  # 0..5
    parts: Sequence["Frame"] = ()


def flame(root: Frame) -> str:
    """Return a flame graph as one SVG element; its names can be read, or show on hovering."""
    drawn = list(_drawn(root, left=0.0, width=float(WIDTH), row=0))
    return frame(drawn, height=_depth(root) * ROW_PX)


def _drawn(one: Frame, *, left: float, width: float, row: int) -> Iterator[str]:
    yield _box(one, left=left, width=width, row=row)
    whole = max(one.value, sum(part.value for part in one.parts)) or 1.0
    for part in one.parts:
        own = width * part.value / whole
        yield from _drawn(part, left=left, width=own, row=row + 1)
        left += own


def _box(one: Frame, *, left: float, width: float, row: int) -> str:
    top = row * ROW_PX
    letters = int((width - 8) / LETTER_PX)
    parts = [
        title(one.detail or one.name),
        element(
            "rect",
            x=left,
            y=top + 1,
            width=max(width - 1, 0.3),
            height=ROW_PX - 2,
            rx=2,
            kind=f"box c{one.colour}",
        ),
    ]
    if letters >= LETTERS_MIN:
        parts.append(words(_cut(one.name, letters), x=left + 5, y=top + 17, kind="inside"))
    return element("g", "".join(parts))


def _cut(name: str, letters: int) -> str:
    return name if len(name) <= letters else f"{name[: letters - 1]}…"


def _depth(one: Frame) -> int:
    return 1 + max(map(_depth, one.parts), default=0)
