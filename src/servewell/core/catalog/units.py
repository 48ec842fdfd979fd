"""Changes of unit that happen to data, by name."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Unit:
    """A change of unit by its name: now = factor x before + offset."""

    name: str
    factor: float
    offset: float = 0.0


def _both(one: str, other: str, factor: float, offset: float = 0.0) -> tuple[Unit, Unit]:
    there = Unit(f"{one} to {other}", factor, offset)
    return there, Unit(f"{other} to {one}", 1 / factor, -offset / factor)


UNITS: Final[tuple[Unit, ...]] = (
    *_both("degrees Fahrenheit", "Celsius", 5 / 9, -160 / 9),
    *_both("degrees Celsius", "kelvin", 1.0, 273.15),
    *_both("degrees Fahrenheit", "kelvin", 5 / 9, 273.15 - 160 / 9),
    *_both("miles", "kilometres", 1.609344),
    *_both("miles", "nautical miles", 0.868976),
    *_both("miles an hour", "metres a second", 0.44704),
    *_both("kilometres an hour", "metres a second", 1 / 3.6),
    *_both("knots", "metres a second", 0.514444),
    *_both("metres", "feet", 3.280840),
    *_both("inches", "millimetres", 25.4),
    *_both("inches", "centimetres", 2.54),
    *_both("millibars", "inches of mercury", 0.02953),
    *_both("pounds", "kilograms", 0.45359237),
    *_both("gallons", "litres", 3.785412),
    Unit("hours to minutes, or minutes to seconds", 60.0),
    Unit("minutes to hours, or seconds to minutes", 1 / 60),
    *_both("hours", "seconds", 3_600.0),
    *_both("days", "hours", 24.0),
    *(Unit(f"a factor of {size:,}", float(size)) for size in (10, 100, 1_000, 1_000_000)),
    *(Unit(f"a factor of 1/{size:,}", 1 / size) for size in (10, 100, 1_000, 1_000_000)),
    Unit("the other sign", -1.0),
)
