"""Where a shadow disagrees most: by the values of text inputs, and row by row."""

import math
from collections.abc import Iterable
from typing import Any, Final

from servewell.core.catalog.comparison import Comparison, Example, Slice
from servewell.core.operations.row_difference import Row

VALUES_MAX: Final = 20  # of one input; one with more is not sliced
INPUTS_MAX: Final = 20
EXAMPLES_MAX: Final = 20
SHOWN_INPUTS_MAX: Final = 40  # of one example
TEXT_MAX: Final = 80  # characters of a text in an example

Slices = dict[str, dict[str, Slice]]


def sliced(
    comparison: Comparison, rows: Iterable[Row], differing: Iterable[Row]
) -> tuple[Slices, tuple[str, ...]]:
    """Return the slices with more rows, and the inputs that have too many values for it."""
    slices = {name: dict(values) for name, values in comparison.slices.items()}
    unsliced = list(comparison.unsliced)
    worse = {(row.prediction_id, row.number) for row in differing}
    for row in rows:
        differs = (row.prediction_id, row.number) in worse
        for name, value in row.inputs.items():
            if isinstance(value, str) and name not in unsliced:
                _count(slices, name, value[:TEXT_MAX], differs=differs)
                if len(slices.get(name, ())) > VALUES_MAX or len(slices) > INPUTS_MAX:
                    del slices[name]
                    unsliced.append(name)
    return slices, tuple(unsliced)


def worst_first(examples: tuple[Example, ...], rows: Iterable[Row]) -> tuple[Example, ...]:
    """Return the rows that differ most: changed labels first, then by the difference."""
    found = [*examples, *map(_example, rows)]
    found.sort(key=lambda one: (one.changed, one.difference), reverse=True)
    return tuple(found[:EXAMPLES_MAX])


def _count(slices: Slices, name: str, value: str, *, differs: bool) -> None:
    values = slices.setdefault(name, {})
    known = values.get(value, Slice())
    values[value] = Slice(rows=known.rows + 1, differing=known.differing + differs)


def _example(row: Row) -> Example:
    return Example(
        prediction_id=row.prediction_id,
        row=row.number,
        difference=row.difference if math.isfinite(row.difference) else math.inf,
        changed=row.changed,
        inputs=_shown(row.inputs),
        live=_shown(row.live),
        shadow=_shown(row.shadow),
    )


def _shown(values: dict[str, Any]) -> dict[str, object]:
    return {
        name: value[:TEXT_MAX] if isinstance(value, str | list) else value
        for name, value in list(values.items())[:SHOWN_INPUTS_MAX]
    }
