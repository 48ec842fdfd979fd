"""Streams of which it is known whether they drift, drawn from a seed."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from ours import Rows

Random = np.random.Generator
FLIGHTS = Path(__file__).parents[2] / "examples/flight-delays/data/flights.parquet"
NUMBERS = ("dep_minute", "distance", "temp", "humid", "wind_speed", "pressure", "visib")
TEXTS = ("carrier", "origin", "weekday")
REFERENCE_ROWS = 10_000
MOVED = "x00"  # the only column that moves, where one does


@dataclass(frozen=True, slots=True, kw_only=True)
class Stream:
    """Draws reference rows, and a window of rows."""

    name: str
    rows: int  # of a window
    drifts: bool
    before: Callable[[Random, int], Rows]
    now: Callable[[Random, int], Rows]
    reference_rows: int = REFERENCE_ROWS


def normal(random: Random, rows: int, *, columns: int = 30, shift: float = 0.0) -> Rows:
    """Return normal columns, the first of them shifted by so many standard deviations."""
    made = random.normal(size=(columns, rows))
    made[0] += shift
    return {f"x{at:02d}": made[at] for at in range(columns)}


def outlier(random: Random, rows: int) -> Rows:
    """Return the same with one value in 5,000 that is a million."""
    made = normal(random, rows)
    made["x00"][:: max(5_000, 1)] = 1e6
    return made


def categories(random: Random, rows: int, *, number: int, moved: float = 0.0) -> Rows:
    """Return columns of so many equal categories; of the first a share became the first one."""
    words = np.array([f"c{at:03d}" for at in range(number)])
    made = {f"x{at:02d}": words[random.integers(number, size=rows)] for at in range(10)}
    made["x00"] = np.where(random.random(rows) < moved, words[0], made["x00"])
    return made


class Permuted:
    """Rows of a real month, drawn so that any two samples are of the same world."""

    def __init__(self) -> None:
        table = pq.read_table(FLIGHTS, columns=["scheduled", *NUMBERS, *TEXTS])
        month = table["scheduled"].to_numpy().astype("datetime64[M]") == np.datetime64("2013-03")
        held = {one: table[one].to_numpy()[month].astype(np.float64) for one in NUMBERS}
        held |= {one: table[one].to_numpy()[month].astype(str) for one in TEXTS}
        self._held = held

    def __call__(self, random: Random, rows: int) -> Rows:
        """Return so many rows, drawn at random."""
        size = len(self._held["origin"])
        picked = random.integers(size, size=rows)
        return {name: column[picked] for name, column in self._held.items()}


def streams(sizes: tuple[int, ...]) -> list[Stream]:
    """Return all streams, with windows of so many rows where size is what is looked at."""
    flights = Permuted()
    found = [_still(f"30 normal columns, {rows:,} rows", normal, rows) for rows in sizes]
    small = "30 normal columns, 1,000 rows, reference of 1,000"
    found.append(replace(_still(small, normal, 1_000), reference_rows=1_000))
    found += [_still(f"flights permuted, {rows:,} rows", flights, rows) for rows in (500, 5_000)]
    for number in (2, 10, 100):
        found.append(_still(f"{number} categories, 2,000 rows", _of(number), 2_000))
    found.append(
        Stream(
            name="one outlier in 5,000, 5,000 rows",
            rows=5_000,
            drifts=False,
            before=normal,
            now=outlier,
        )
    )
    for shift in (0.1, 0.2, 0.3, 0.5, 1.0):
        for rows in (500, 5_000):
            found.append(
                Stream(
                    name=f"{shift:g} sigma in 1 of 30, {rows:,} rows",
                    rows=rows,
                    drifts=True,
                    before=normal,
                    now=lambda random, rows, by=shift: normal(random, rows, shift=by),
                )
            )
    for number in (2, 10, 100):
        found.append(
            Stream(
                name=f"a quarter of {number} categories moved, 2,000 rows",
                rows=2_000,
                drifts=True,
                before=_of(number),
                now=_of(number, 0.25),
            )
        )
    return found


def _still(name: str, drawn: Callable[[Random, int], Rows], rows: int) -> Stream:
    return Stream(name=name, rows=rows, drifts=False, before=drawn, now=drawn)


def _of(number: int, moved: float = 0.0) -> Callable[[Random, int], Rows]:
    return lambda random, rows: categories(random, rows, number=number, moved=moved)
