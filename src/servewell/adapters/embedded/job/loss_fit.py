"""Fit what error to expect of a row, by the places of its columns, on held-out rows.

Ridge regression on the places, one term for each. It is used only where it beats the plain mean on
rows it was not fitted on: blocks of rows that follow each other, since rows of one time are alike.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from servewell.core.catalog.profile import Bins, ColumnKind
from servewell.core.catalog.quality_reference import LossModel
from servewell.core.operations.monitoring.row_blocks import (
    BLOCK_ROWS_MIN,
    blocks_of,
    deviation_of,
)

COLUMNS_MAX: Final = 6
SHRINK: Final = 20.0  # rows of the mean that each place is mixed with
ROWS_MIN: Final = 250
SURE: Final = 2.0  # standard errors by which it has to beat the mean

Numbers = NDArray[np.float64]
Places = Mapping[str, NDArray[np.int64]]  # column -> place of each row
Effects = dict[str, Numbers]


def fit_loss(
    losses: Numbers, places: Places, bins: Sequence[Bins]
) -> tuple[LossModel | None, str, float]:
    """Return what error to expect of a row, or None, why, and how far it missed blocks of rows.

    Units: as the losses, which are absolute errors of a number.
    """
    count = len(losses)
    if count < ROWS_MIN:
        return None, f"{count:,} held-out rows are too few to tell where errors are larger", 0.0
    sizes = {one.column: one.places for one in bins if one.column in places}
    plain, fitted = _crossed(losses, places, sizes)
    spared, sure = _spared(losses, plain, fitted)
    if spared <= 0 or not sure:
        return None, "nothing in the inputs or the prediction tells where errors are larger", 0.0
    effects = _fit(losses, _best(losses, places, sizes), sizes)
    left = losses - losses.mean() - _effect(effects, places, count)
    by_column = {one.column: one for one in bins}
    model = LossModel(
        mean=float(losses.mean()),
        effects={name: _filled(one, by_column[name]) for name, one in effects.items()},
        rows={name: _rows(places[name], sizes[name]) for name in effects},
        spread=float(left.std()),
        gain=spared,
    )
    names = ", ".join(f"`{name}`" for name in effects)
    because = f"{names} tell {spared:.1%} of how errors differ on rows not fitted on"
    return model, because, _missed(losses, fitted)


def _crossed(losses: Numbers, places: Places, sizes: Mapping[str, int]) -> tuple[Numbers, Numbers]:
    """Return the mean, and what is fitted to each row, from the other blocks of rows."""
    count = len(losses)
    plain, fitted = np.empty(count), np.empty(count)
    for start, end in blocks_of(count):
        kept = np.arange(start, end)
        rest = np.r_[0:start, end:count]
        known = {name: one[rest] for name, one in places.items()}
        effects = _fit(losses[rest], _best(losses[rest], known, sizes), sizes)
        asked = {name: places[name][kept] for name in effects}
        plain[kept] = losses[rest].mean()
        fitted[kept] = plain[kept] + _effect(effects, asked, len(kept))
    return plain, fitted


def _spared(losses: Numbers, plain: Numbers, fitted: Numbers) -> tuple[float, bool]:
    """Return the share of the squared error that is spared, and whether that is no chance."""
    before, after = (losses - plain) ** 2, (losses - fitted) ** 2
    better = before - after
    sure = better.mean() > SURE * better.std() / np.sqrt(len(losses))
    return float(better.sum() / before.sum()) if before.sum() else 0.0, bool(sure)


def _missed(losses: Numbers, fitted: Numbers) -> float:
    """Return how far the mean error expected of blocks missed what came, beyond chance."""
    count, spread = len(losses), float((losses - fitted).std())
    found = [
        (
            float(fitted[start:end].mean() - losses[start:end].mean()),
            spread * math.sqrt(1 / (end - start) + 1 / (count - end + start)),
        )
        for start, end in blocks_of(count)
        if end - start >= BLOCK_ROWS_MIN
    ]
    return deviation_of(found, freedom=len(found))


def _best(losses: Numbers, places: Places, sizes: Mapping[str, int]) -> Places:
    """Return the few columns that alone tell most."""
    away = losses - losses.mean()

    def told(name: str) -> float:
        rows = np.bincount(places[name], minlength=sizes[name])
        sums = np.bincount(places[name], weights=away, minlength=sizes[name])
        return float((sums**2 / (rows + SHRINK)).sum())

    names = sorted(sizes, key=told, reverse=True)[:COLUMNS_MAX]
    return {name: places[name] for name in names}


def _fit(losses: Numbers, places: Places, sizes: Mapping[str, int]) -> Effects:
    """Solve the ridge regression by its normal equations, which are counts of pairs of places."""
    names = [*places]
    away = losses - losses.mean()
    square = np.block([[_pairs(places, a, b, sizes) for b in names] for a in names])
    square += SHRINK * np.eye(len(square))
    sums = np.concatenate(
        [np.bincount(places[one], weights=away, minlength=sizes[one]) for one in names]
    )
    solved = np.linalg.solve(square, sums)
    ends = np.cumsum([sizes[one] for one in names])[:-1]
    return dict(zip(names, np.split(solved, ends), strict=True))


def _pairs(places: Places, a: str, b: str, sizes: Mapping[str, int]) -> Numbers:
    pair = places[a] * sizes[b] + places[b]
    counts = np.bincount(pair, minlength=sizes[a] * sizes[b])
    return counts.reshape(sizes[a], sizes[b]).astype("float64")


def _effect(effects: Effects, places: Places, count: int) -> Numbers:
    total = np.zeros(count)
    for name, one in effects.items():
        total += one[places[name]]
    return total


def _filled(effects: Numbers, bins: Bins) -> tuple[float, ...]:
    """Return the effects; a number below or above all is as the nearest that was seen."""
    filled = effects.copy()
    if bins.kind is ColumnKind.NUMBER and len(bins.edges) > 1:
        filled[2], filled[-1] = filled[3], filled[-2]
    return tuple(map(float, filled))


def _rows(places: NDArray[np.int64], size: int) -> tuple[int, ...]:
    return tuple(map(int, np.bincount(places, minlength=size)))
