"""Profiles of numbers and categories drawn by chance, to judge."""

import math
from bisect import bisect_right
from collections.abc import Mapping, Sequence

import numpy as np

from servewell.core.catalog.profile import (
    EVERYTHING,
    Bins,
    ColumnKind,
    Counts,
    ReferenceProfile,
    Side,
    WindowProfile,
)

HOUR = 3_600
DAY = 86_400
NOON = 1_700_006_400  # a whole number of days since the epoch

Values = Sequence[float | str | None]


def bins_of(column: str, values: Values, *, most: int = 100) -> Bins:
    """Return twenty quantile bins of numbers, or the categories of texts."""
    texts = sorted({one for one in values if isinstance(one, str)})
    if texts:
        return Bins(
            column=column,
            side=Side.INPUT,
            kind=ColumnKind.CATEGORY,
            categories=tuple(texts[:most]),
            unnamed=tuple(range(len(texts[most:]))),
        )
    numbers = sorted(one for one in values if isinstance(one, (int, float)) and math.isfinite(one))
    edges = sorted({numbers[(len(numbers) - 1) * k // 20] for k in range(21)})
    return Bins(column=column, side=Side.INPUT, kind=ColumnKind.NUMBER, edges=tuple(edges))


def counted(bins: Bins, values: Values, *, rest: Sequence[str] = ()) -> Counts:
    """Return the counts of values; `rest` are the texts seen that have no place of their own."""
    places = [0] * bins.places
    unseen: dict[str, int] = {}
    for value in values:
        place = _place(bins, value, rest)
        places[place] += 1
        if isinstance(value, str) and place == bins.places - 1:
            unseen[value] = unseen.get(value, 0) + 1
    numbers = [one for one in values if isinstance(one, (int, float)) and math.isfinite(one)]
    return Counts(
        places=tuple(places),
        total=sum(numbers),
        squares=sum(one * one for one in numbers),
        least=min(numbers, default=None),
        greatest=max(numbers, default=None),
        unseen=unseen,
    )


def _place(bins: Bins, value: float | str | None, rest: Sequence[str]) -> int:
    if value is None:
        return 0
    if isinstance(value, str):
        named = dict(zip(bins.categories, range(1, bins.places), strict=False))
        return named.get(value, bins.places - (2 if value in rest else 1))
    if not math.isfinite(value):
        return 1
    if value == bins.edges[-1]:
        return bins.places - 2
    return 2 + bisect_right(bins.edges, value)


def reference_of(
    columns: Mapping[str, Values], *, slices: Mapping[str, Mapping[str, Values]] | None = None
) -> ReferenceProfile:
    """Return the reference profile of columns, and of slices of them."""
    bins = tuple(bins_of(name, values) for name, values in columns.items())
    parts = {EVERYTHING: columns, **(slices or {})}
    return ReferenceProfile(
        package="package",
        version="flights:1",
        source="made up",
        bins=bins,
        rows={name: len(next(iter(part.values()))) for name, part in parts.items()},
        counts={
            name: {one.column: counted(one, part[one.column]) for one in bins}
            for name, part in parts.items()
        },
    )


def window_of(
    reference: ReferenceProfile,
    columns: Mapping[str, Values],
    *,
    start: int = NOON,
    seconds: int = HOUR,
    slices: Mapping[str, Mapping[str, Values]] | None = None,
) -> WindowProfile:
    """Return the profile of a window, counted in the bins of the reference."""
    parts = {EVERYTHING: columns, **(slices or {})}
    return WindowProfile(
        endpoint="flights",
        deployment="v1",
        package=reference.package,
        start=start,
        seconds=seconds,
        rows={name: len(next(iter(part.values()))) for name, part in parts.items()},
        counts={
            name: {one.column: counted(one, part[one.column]) for one in reference.bins}
            for name, part in parts.items()
        },
    )


def normal(
    draw: np.random.Generator, rows: int, *, centre: float = 0.0, spread: float = 1.0
) -> list[float]:
    """Return normal numbers."""
    return [float(one) for one in draw.normal(centre, spread, rows)]
