"""By how much two answers to the same rows differ."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from servewell.core.catalog.comparison import Half

# Upper ends of the bins in which differences are counted; what is larger has a bin of its own.
DIFFERENCES: Final = (0.0, 1e-6, 1e-5, 1e-4, 1e-3, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 10.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One row as both answered it."""

    prediction_id: str
    number: int  # within its request
    difference: float  # of any number, the largest; infinite where only one of both is a number
    changed: bool  # whether a text or a truth value is another one
    inputs: dict[str, Any]
    live: dict[str, Any]
    shadow: dict[str, Any]


def rows_of(live: Half, shadow: Half) -> Iterator[Row]:
    """Yield the rows of a request, of the outputs that both gave."""
    names = [name for name in live.outputs if live.outputs[name] and shadow.outputs.get(name)]
    if not names:
        return
    count = min(len(half.outputs[name]) for half in (live, shadow) for name in names)
    for number in range(count):
        ours = {name: live.outputs[name][number] for name in names}
        theirs = {name: shadow.outputs[name][number] for name in names}
        given = {name: v[number] for name, v in live.inputs.items() if number < len(v)}
        yield Row(
            prediction_id=live.prediction_id,
            number=number,
            difference=max(_difference(ours[name], theirs[name]) for name in names),
            changed=any(_changed(ours[name], theirs[name]) for name in names),
            inputs=given,
            live=ours,
            shadow=theirs,
        )


def _difference(a: Any, b: Any) -> float:  # noqa: ANN401 - outputs of any type
    if isinstance(a, list) and isinstance(b, list):
        if len(a) != len(b):
            return math.inf
        return max((_difference(x, y) for x, y in zip(a, b, strict=True)), default=0.0)
    if isinstance(a, str | bool) and isinstance(b, str | bool):
        return 0.0  # a label: it changes, or does not
    if _is_number(a) and _is_number(b):
        return float(abs(a - b))
    return 0.0 if _alike(a, b) else math.inf


def _changed(a: Any, b: Any) -> bool:  # noqa: ANN401 - outputs of any type
    if isinstance(a, list) and isinstance(b, list):
        return any(_changed(x, y) for x, y in zip(a, b, strict=False))
    return isinstance(a, str | bool | int) and isinstance(b, str | bool | int) and a != b


def _is_number(value: Any) -> bool:  # noqa: ANN401 - an output of any type
    return isinstance(value, int | float) and math.isfinite(value)


def _alike(a: Any, b: Any) -> bool:  # noqa: ANN401 - outputs of any type
    """Whether both are the same, also where it is not-a-number."""
    return bool(a == b or (a is not None and b is not None and a != a and b != b))  # noqa: PLR0124 - not-a-number alone differs from itself
