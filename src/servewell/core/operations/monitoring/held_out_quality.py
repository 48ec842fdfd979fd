"""Freeze how right a version is on its held-out rows, so that it can be estimated later."""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import groupby, pairwise
from typing import Final

from servewell.core.catalog.profile import EVERYTHING, Counts
from servewell.core.catalog.quality import Figure
from servewell.core.catalog.quality_reference import Cell, LossModel, QualityReference, Task
from servewell.core.operations.monitoring.calibration import (
    Calibration,
    Scored,
    calibration,
    grouped,
    isotonic,
)
from servewell.core.operations.monitoring.cbpe import expected
from servewell.core.operations.monitoring.realised import Judged, area, realised, task_of
from servewell.core.operations.monitoring.row_blocks import (
    BLOCK_ROWS_MIN,
    BLOCKS,
    Block,
    Difference,
    blocks_of,
    deviation_of,
    deviation_of_figures,
    error_of,
)

PARTS_MAX: Final = 5  # of a place
PART_ROWS_MIN: Final = 20
ROWS_MIN: Final = 100  # fewer tell nothing of another time
SCALE_SHARE: Final = 0.99  # of the losses lie below what ADWIN takes as 1


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldOutRow:
    """One held-out row: its prediction beside the truth."""

    judged: Judged
    place: int  # of its score, among the counts of the score's column
    slices: tuple[str, ...] = ()  # `origin=EWR`


def held_out_quality(
    rows: Sequence[HeldOutRow], *, column: str = "", loss: LossModel | None = None
) -> QualityReference | None:
    """Return what held-out rows say of a version; None of too few that can be compared.

    `column` is that of the score in the profile. The rows are in the order of the data: where
    those of one time follow each other, blocks of them tell how far one time is from another.
    """
    task = task_of(one.judged for one in rows)
    same = [one for one in rows if one.judged.task is task]
    if task is None or len(same) < ROWS_MIN:
        return None
    put_right = calibration(_scored(same))
    blocks = blocks_of(len(same)) if len(same) >= BLOCKS * BLOCK_ROWS_MIN else ()
    return QualityReference(
        task=task,
        rows=len(same),
        column=column,
        cells=tuple(_cells(same, put_right)),
        calibrated=put_right.curve is not None,
        error_raw=put_right.error_raw,
        error_calibrated=put_right.error_calibrated,
        loss=loss,
        loss_scale=_scale(sorted(one.judged.loss for one in same), task),
        figures={name: _known(told, task) for name, told in _by_slice(same).items()},
        missed=_missed(same, blocks, put_right, task),
        varied=_varied(same, blocks, task),
    )


def _cells(rows: Sequence[HeldOutRow], put_right: Calibration) -> Iterable[Cell]:
    """Yield the rows of each place and predicted class, in a few parts by their score."""
    scored = sorted((r for r in rows if r.judged.score is not None), key=_cell_of)
    for (place, positive), found in groupby(scored, key=_cell_of):
        ordered = sorted((one.judged for one in found), key=lambda one: one.score or 0.0)
        parts = max(1, min(PARTS_MAX, len(ordered) // PART_ROWS_MIN))
        ends = [len(ordered) * part // parts for part in range(parts + 1)]
        for start, end in pairwise(ends):
            yield _cell(ordered[start:end], place, positive=positive, put_right=put_right)


def _cell_of(row: HeldOutRow) -> tuple[int, bool]:
    return row.place, row.judged.positive


def _cell(rows: Sequence[Judged], place: int, *, positive: bool, put_right: Calibration) -> Cell:
    scores = [one.score for one in rows if one.score is not None]
    curve = put_right.curve
    chances = scores if curve is None else [curve.chance(one) for one in scores]
    ordered = area([(one.score, one.hit) for one in rows if one.score is not None])
    return Cell(
        place=place,
        positive=positive,
        rows=len(rows),
        hits=sum(one.hit for one in rows),
        chance=sum(chances) / len(rows),
        score=sum(scores) / len(rows),
        squares=sum(one * one for one in scores) / len(rows),
        ordered=ordered.value if ordered else 0.5,
    )


def _missed(
    rows: Sequence[HeldOutRow], blocks: Sequence[Block], put_right: Calibration, task: Task
) -> dict[str, float]:
    """Return how far estimates of blocks of rows, made from all others, miss them beyond chance."""
    found: dict[str, list[Difference]] = {}
    for start, end in blocks:
        block, rest = rows[start:end], [*rows[:start], *rows[end:]]
        cells = tuple(_cells(rest, _again(rest, put_right)))
        came = realised([one.judged for one in block], task)
        for metric, guess in expected(cells, _counts(block), task).items():
            if metric in came:
                apart = guess.value - came[metric].value
                found.setdefault(metric, []).append((apart, error_of(guess)))
    return {name: deviation_of(those, freedom=len(those)) for name, those in found.items()}


def _again(rows: Sequence[HeldOutRow], put_right: Calibration) -> Calibration:
    """Return how scores are put right by these rows alone, if they are put right at all."""
    if put_right.curve is None:
        return put_right
    return replace(put_right, curve=isotonic(grouped(sorted(_scored(rows)))))


def _counts(rows: Sequence[HeldOutRow]) -> Counts:
    """Return rows as a window counts their scores."""
    places = Counter(one.place for one in rows if one.judged.score is not None)
    return Counts(
        places=tuple(places[place] for place in range(max(places, default=0) + 1)),
        total=sum(score for score, _ in _scored(rows)),
    )


def _varied(rows: Sequence[HeldOutRow], blocks: Sequence[Block], task: Task) -> dict[str, float]:
    """Return how far figures differ from block to block beyond chance."""
    found: dict[str, list[Figure]] = {}
    for start, end in blocks:
        for metric, figure in realised([one.judged for one in rows[start:end]], task).items():
            found.setdefault(metric, []).append(figure)
    return {name: deviation_of_figures(those) for name, those in found.items()}


def _scored(rows: Iterable[HeldOutRow]) -> list[Scored]:
    return [(r.judged.score, r.judged.hit) for r in rows if r.judged.score is not None]


def _known(rows: Sequence[Judged], task: Task) -> dict[str, Figure]:
    """Return the figures of rows; one row alone has an error without an interval, so none."""
    found = realised(rows, task)
    return {name: one for name, one in found.items() if math.isfinite(one.high)}


def _scale(losses: Sequence[float], task: Task) -> float:
    """Return the loss that ADWIN takes as 1: it asks for losses with a bound."""
    if task is not Task.NUMBER:
        return 1.0
    return losses[int(SCALE_SHARE * (len(losses) - 1))] or 1.0


def _by_slice(rows: Iterable[HeldOutRow]) -> dict[str, list[Judged]]:
    found: dict[str, list[Judged]] = {}
    for row in rows:
        for name in (EVERYTHING, *row.slices):
            found.setdefault(name, []).append(row.judged)
    return found
