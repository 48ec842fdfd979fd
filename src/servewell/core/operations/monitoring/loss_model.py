"""What error to expect of the rows of a window, from the counts of their columns alone.

The error of a row is taken to be a mean and what each place of some columns adds to it. Of many
rows the mean error is then that of the counts, exactly as if it were asked of each row.

Source: NannyML, "Direct loss estimation": a model of the error, from the inputs and the prediction.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Final

from servewell.core.catalog.quality import Figure
from servewell.core.catalog.quality_reference import LossModel

Z: Final = 1.96


def expected_loss(
    model: LossModel, counts: Mapping[str, Sequence[int]], *, rows: int
) -> Figure | None:
    """Return the mean error to expect of a window, None where a column of the model is not counted.

    Units: as the output. The interval of 95 % is that of the mean which the labels of these rows
    would give: it holds what the model leaves open in them, and that of its own effects.
    """
    value = model.mean
    variance = model.spread**2 * (1 / rows + 1 / _rows_of(model)) if rows else math.inf
    for column, effects in model.effects.items():
        places = counts.get(column)
        if places is None or len(places) != len(effects) or not sum(places):
            return None
        shares = [count / sum(places) for count in places]
        known = model.rows[column]
        value += math.fsum(share * one for share, one in zip(shares, effects, strict=True))
        variance += _of_effects(model, shares, known)
    reach = Z * math.sqrt(variance)
    return Figure(value=max(0.0, value), low=max(0.0, value - reach), high=value + reach)


def _rows_of(model: LossModel) -> int:
    return max((sum(known) for known in model.rows.values()), default=1)


def _of_effects(model: LossModel, shares: Sequence[float], known: Sequence[int]) -> float:
    """Return the variance of a column's part: of the shares that differ from the held-out ones.

    A place without held-out rows counts as if it had one.
    """
    total = sum(known)
    moved = (share - rows / total for share, rows in zip(shares, known, strict=True))
    return math.fsum(
        model.spread**2 * move * move / max(rows, 1)
        for move, rows in zip(moved, known, strict=True)
    )
