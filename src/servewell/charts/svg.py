"""SVG elements as text, and what the drawings share: scales, ticks and the size of words."""

import math
from dataclasses import dataclass
from html import escape
from typing import Final

FONT_PX: Final = 12
LETTER_PX: Final = 6.6  # mean width of a letter at that size
TICKS: Final = 6  # about so many on an axis
STEPS: Final = (1.0, 2.0, 2.5, 5.0, 10.0)


def element(name: str, content: str = "", **attributes: object) -> str:
    """Return one element. `_` in the name of an attribute stands for `-`; `kind` is its class."""
    told = "".join(
        f' {"class" if key == "kind" else key.replace("_", "-")}="{_value(value)}"'
        for key, value in attributes.items()
        if value is not None
    )
    return f"<{name}{told}>{content}</{name}>" if content else f"<{name}{told}/>"


def words(text: str, **attributes: object) -> str:
    """Return a piece of text; it is escaped here."""
    return element("text", escape(text), **attributes)


def title(text: str) -> str:
    """Return what shows while the mouse is over the element around it."""
    return element("title", escape(text))


def width_of(text: str) -> float:
    """Return about how wide a text is, in pixels."""
    return len(text) * LETTER_PX


def number(value: float) -> str:
    """Return a number as an axis shows it."""
    if value and (abs(value) >= 1e6 or abs(value) < 1e-4):  # noqa: PLR2004 - long to read
        return f"{value:.3g}"
    return f"{value:,.10g}"


def _value(value: object) -> str:
    return (
        f"{value:.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else escape(str(value))
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """One direction of a plot. Bounds that are None are taken from the data, with a margin."""

    title: str
    low: float | None = None
    high: float | None = None
    log: bool = False  # all values are above 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """From values to pixels."""

    low: float
    high: float
    start_px: float
    end_px: float
    log: bool = False

    def __call__(self, value: float) -> float:
        """Return where a value lies, never outside the scale."""
        low, high, at = (self._flat(one) for one in (self.low, self.high, value))
        share = (at - low) / (high - low)
        return self.start_px + min(max(share, 0.0), 1.0) * (self.end_px - self.start_px)

    def ticks(self) -> list[float]:
        """Return round values within the scale."""
        if self.log:
            return _decades(self.low, self.high)
        step = _step((self.high - self.low) / TICKS)
        first = math.ceil(self.low / step - 1e-9)
        last = math.floor(self.high / step + 1e-9)
        return [round(place * step, 12) for place in range(first, last + 1)]

    def _flat(self, value: float) -> float:
        return math.log10(max(value, 1e-300)) if self.log else value


def scale(axis: Axis, values: list[float], *, start_px: float, end_px: float) -> Scale:
    """Return the scale of an axis that holds these values."""
    finite = [value for value in values if math.isfinite(value) and (value > 0 or not axis.log)]
    low, high = min(finite, default=0.0), max(finite, default=1.0)
    if axis.log:
        low, high = low / 1.2, high * 1.2
    else:
        margin = 0.06 * (high - low) or abs(high) * 0.06 or 1.0
        low, high = low - margin, high + margin
    return Scale(
        low=low if axis.low is None else axis.low,
        high=high if axis.high is None else axis.high,
        start_px=start_px,
        end_px=end_px,
        log=axis.log,
    )


def _step(rough: float) -> float:
    """Return the round step that is next to a rough one."""
    power = 10.0 ** math.floor(math.log10(rough))
    return power * min(STEPS, key=lambda one: abs(one - rough / power))


def _decades(low: float, high: float) -> list[float]:
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    few = last - first <= 2  # noqa: PLR2004 - then decades alone say little
    factors = (1, 2, 5) if few else (1,)
    ticks = [factor * 10.0**power for power in range(first, last + 1) for factor in factors]
    return [one for one in ticks if low <= one <= high]
