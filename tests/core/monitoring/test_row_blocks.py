"""What differs from block to block beyond chance widens intervals; chance does not."""

import math
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from servewell.core.catalog.quality import Figure
from servewell.core.catalog.quality_reference import QualityReference, Task
from servewell.core.operations.monitoring.cbpe import BRIER
from servewell.core.operations.monitoring.held_out_quality import HeldOutRow, held_out_quality
from servewell.core.operations.monitoring.quality import beyond
from servewell.core.operations.monitoring.realised import Judged
from servewell.core.operations.monitoring.row_blocks import (
    blocks_of,
    deviation_of,
    deviation_of_figures,
    widened,
)


def reference(storms: NDArray[np.float64], rows: int) -> QualityReference:
    """Return the quality on rows whose chance of a hit is off by what each block's storm adds."""
    drawn = np.random.default_rng(1)
    scores = drawn.uniform(0.2, 0.6, rows)
    hits = drawn.random(rows) < scores + np.repeat(storms, rows // len(storms))
    found = held_out_quality(
        [
            HeldOutRow(
                judged=Judged(
                    task=Task.TWO_CLASSES,
                    loss=(score - hit) ** 2,
                    score=score,
                    positive=score >= 0.5,
                    hit=hit,
                ),
                place=2 + int(score * 10),
            )
            for score, hit in zip(scores.tolist(), hits.tolist(), strict=True)
        ]
    )
    assert found is not None
    return found


def test_rows_in_no_order_widen_nothing() -> None:
    """Of independent rows no figure varies beyond chance, and no estimate misses beyond it."""
    found = reference(np.zeros(8), 4_000)
    assert found.missed[BRIER] == 0
    assert found.varied[BRIER] == 0
    figure = Figure(value=0.2, low=0.18, high=0.22)
    assert widened(figure, 0.0) == figure


def test_rows_of_storms_say_how_far_one_time_is_from_another() -> None:
    """Storms that no score sees are missed by about what they change, and the band holds that."""
    storms = np.array([0.0, 0.25, 0.0, 0.0, 0.25, -0.15, 0.0, 0.25])
    found = reference(storms, 4_000)
    assert 0.01 < found.missed[BRIER] < 0.05
    assert found.varied[BRIER] > 0.01
    wide = widened(Figure(value=0.2, low=0.196, high=0.204), found.missed[BRIER], highest=1.0)
    assert wide.high - wide.value > 2.3 * found.missed[BRIER]


def test_a_stormy_week_proves_nothing_where_weeks_differ() -> None:
    """What is beyond doubt of independent rows is not where blocks of rows differed as much."""
    held = Figure(value=0.155, low=0.153, high=0.157)
    week = Figure(value=0.2, low=0.194, high=0.206)
    assert beyond(week, held, better="lower")
    assert not beyond(week, held, better="lower", varied=0.03)
    assert beyond(replace_value(week, 0.4), held, better="lower", varied=0.03)


def test_a_proven_difference_that_matters_to_nobody_is_not_worse() -> None:
    """A million labels tell 0.1000 from 0.1012, and that is no reason to train."""
    held = Figure(value=0.1, low=0.0998, high=0.1002)
    now = Figure(value=0.1012, low=0.101, high=0.1014)
    assert beyond(now, held, better="lower")
    assert not beyond(now, held, better="lower", least=0.005)
    assert beyond(replace_value(now, 0.106), held, better="lower", least=0.005)


def replace_value(figure: Figure, value: float) -> Figure:
    """Return a figure moved to another value."""
    moved = value - figure.value
    return Figure(value=value, low=figure.low + moved, high=figure.high + moved)


def test_the_deviation_is_what_chance_leaves() -> None:
    """The variance between blocks is that of the differences less that of chance."""
    assert deviation_of([(0.1, 0.01), (-0.1, 0.01)] * 4, freedom=8) == math.sqrt(0.01 - 0.0001)
    assert deviation_of([(0.01, 0.01), (-0.01, 0.01)] * 4, freedom=8) == 0
    assert deviation_of([(0.1, 0.01), (-0.1, 0.0)] * 4, freedom=8) == 0
    assert deviation_of([(0.1, 0.01)] * 3, freedom=3) == 0
    assert deviation_of_figures([]) == 0


def test_blocks_hold_each_row_once() -> None:
    """They follow each other without a gap."""
    blocks = blocks_of(1_003)
    assert blocks[0][0] == 0
    assert blocks[-1][1] == 1_003
    assert all(one[1] == other[0] for one, other in pairwise(blocks))
