"""Bins of a reference profile: frozen places in which all later rows are counted.

Twenty quantiles of the reference rows are the edges of a column of numbers, ties merged; a column
of at most twenty different numbers has one bin for each. What is personal, too long or always
another text has no places but missing and there, and a text that a row or two have is not named.
"""

import hashlib
from collections.abc import Iterator, Mapping
from typing import Final

import numpy as np

from servewell.adapters.embedded.monitoring.cells import Cells, Numbers
from servewell.core.catalog.profile import Bins, ColumnKind, Side
from servewell.core.catalog.signature import Output, Signature
from servewell.core.operations.monitoring.profiles import category_digest

QUANTILES: Final = 20
CATEGORIES_MAX: Final = 100  # with a place of their own
NAMED_MIN: Final = 3  # rows of a text with a place of its own; what fewer have may be of a person
FEW: Final = 20  # different texts, that are categories however few rows there are
TEXTS_MAX: Final = 2_000  # different ones, beyond which a text is no category
TEXT_LENGTH_MAX: Final = 100  # characters
DIRECTIONS_MAX: Final = 32
ELEMENTS_MAX: Final = 4  # of a row, that are columns one by one
WIDTH_MAX: Final = 4_096  # of a row; what is wider is an image or a text
DIGITS: Final = 6  # of a direction, behind the point

CLASSES_TWO: Final = 2


def bins_of(
    signature: Signature, inputs: Mapping[str, Cells], outputs: Mapping[str, Cells]
) -> tuple[Bins, ...]:
    """Return the bins of everything that a version takes and gives, from reference rows."""
    bins: list[Bins] = []
    for one in signature.inputs:
        if one.name in inputs:
            bins += _of_tensor(one.name, Side.INPUT, inputs[one.name], personal=one.personal)
    taken = {one.column for one in bins}
    for output in signature.outputs:
        if output.name in outputs:
            bins += _of_output(output, outputs[output.name], taken)
    return tuple(bins)


def score_of(cells: Cells) -> Cells:
    """Return the score in a row of probabilities: of the second of two classes, or the largest."""
    numbers = cells.numbers
    if numbers is None or numbers.ndim == 1:
        return cells
    score = numbers[:, 1] if cells.width == CLASSES_TWO else numbers.max(axis=1)
    return Cells(there=cells.there, missing=cells.missing, numbers=score)


def projected(cells: Cells, direction: tuple[float, ...]) -> Cells:
    """Return the rows of many values on one direction; rows of another width are missing."""
    if cells.personal:
        return cells
    if cells.numbers is None or cells.width != len(direction):
        return Cells(
            there=cells.there,
            missing=np.ones(len(cells.there), np.bool_),
            numbers=np.full(len(cells.there), np.nan),
        )
    with np.errstate(invalid="ignore", over="ignore"):
        numbers: Numbers = cells.numbers.reshape(len(cells.there), -1) @ np.array(direction)
    return Cells(there=cells.there, missing=cells.missing, numbers=numbers)


def _of_output(output: Output, cells: Cells, taken: set[str]) -> Iterator[Bins]:
    if output.classes and cells.width == len(output.classes) and cells.width > 1:
        score = score_of(cells)
        yield _numbers(f"{output.name}:score", Side.SCORE, score, source=output.name)
        return
    name = f"{output.name}:output" if output.name in taken else output.name
    yield from _of_tensor(name, Side.OUTPUT, cells, source=output.name)


def _of_tensor(
    name: str, side: Side, cells: Cells, *, source: str = "", personal: bool = False
) -> Iterator[Bins]:
    source = source or name
    if personal or cells.personal or cells.width > WIDTH_MAX:
        yield Bins(column=name, side=side, kind=ColumnKind.PRESENCE, source=source)
    elif cells.texts is not None:
        yield _categories(name, side, cells, source)
    elif cells.width == 1:
        yield _numbers(name, side, cells, source=source)
    else:
        for column, direction in _directions(name, cells.width):
            on = projected(cells, direction)
            yield _numbers(column, Side.PROJECTION, on, source=source, direction=direction)


def _numbers(
    column: str, side: Side, cells: Cells, *, source: str, direction: tuple[float, ...] = ()
) -> Bins:
    return Bins(
        column=column,
        side=side,
        kind=ColumnKind.NUMBER,
        edges=_edges(cells),
        direction=direction,
        source=source,
    )


def _edges(cells: Cells) -> tuple[float, ...]:
    """Return the edges of the bins; those of a column without a number hold only zero."""
    numbers = cells.numbers if cells.numbers is not None else np.zeros(0)
    finite = numbers[np.isfinite(numbers) & cells.there & ~cells.missing]
    values = np.unique(finite) if len(finite) else np.zeros(1)
    if len(values) <= QUANTILES:
        return (*map(float, values), float(np.nextafter(values[-1], np.inf)))
    places = np.linspace(0, 1, QUANTILES + 1)
    edges = np.unique(np.quantile(finite, places, method="inverted_cdf"))
    return tuple(map(float, edges))


def _categories(name: str, side: Side, cells: Cells, source: str) -> Bins:
    texts = cells.texts
    assert texts is not None  # noqa: S101 - the caller looked
    there = texts[(texts >= 0) & cells.there]
    counts = np.bincount(there, minlength=len(cells.words))
    seen = [(-int(number), cells.words[at]) for at, number in enumerate(counts) if number]
    if len(seen) > TEXTS_MAX or (len(seen) > FEW and 2 * len(seen) > len(there)):
        return Bins(column=name, side=side, kind=ColumnKind.PRESENCE, source=source)
    ranked = sorted(seen)
    short = [text for less, text in ranked if -less >= NAMED_MIN and len(text) <= TEXT_LENGTH_MAX][
        :CATEGORIES_MAX
    ]
    named = frozenset(short)
    return Bins(
        column=name,
        side=side,
        kind=ColumnKind.CATEGORY,
        categories=tuple(short),
        unnamed=tuple(sorted({category_digest(one) for _, one in ranked if one not in named})),
        source=source,
    )


def _directions(name: str, width: int) -> Iterator[tuple[str, tuple[float, ...]]]:
    """Yield the directions on which rows of so many values are counted, always the same ones."""
    if width <= ELEMENTS_MAX:
        for at, unit in enumerate(np.eye(width)):
            yield f"{name}[{at}]", tuple(map(float, unit))
        return
    seed = int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest())
    drawn = np.random.default_rng(seed).standard_normal((min(DIRECTIONS_MAX, width), width))
    for at, one in enumerate(drawn / np.linalg.norm(drawn, axis=1, keepdims=True)):
        yield f"{name}:projection-{at:02d}", tuple(map(float, np.round(one, DIGITS)))
