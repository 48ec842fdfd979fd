"""Find which of several requests makes the model fail, with few calls of it."""

from collections.abc import Callable, Sequence
from typing import TypeVar

from servewell.errors import untraced
from servewell.serving.model_failures import concerns_all, ended_process
from servewell.serving.runtimes.model import ModelRunError

Item = TypeVar("Item")
Result = TypeVar("Result")
Attempt = Callable[[Sequence[Item]], list[Result]]


def isolated(attempt: Attempt[Item, Result], items: Sequence[Item]) -> list[Result | ModelRunError]:
    """Return what each item gives, or the error that it raises by itself.

    `attempt` gives the results of all items together, or raises ModelRunError. One bad item of n
    costs at most 2 log2(n) + 1 further calls, n bad ones n + log2(n). No item fails for another.

    Source: binary splitting for group tests (R. Dorfman, "The Detection of Defective Members of
    Large Populations", 1943; F. K. Hwang, 1972): where the first half of a bad group is good, the
    rest is bad and is split without being tried whole. Where all of the first half is bad, the
    rest probably is, and is tried one by one.
    Where the process of the model ended, halves would end it again and again: then each item is
    tried alone, and as many processes end as there are bad items.
    """
    try:
        return [*attempt(items)]
    except ModelRunError as error:
        if len(items) == 1:
            return [untraced(error)]
        if ended_process(error):
            return [isolated(attempt, [one])[0] for one in items]
        if concerns_all(error):
            return [untraced(error)] * len(items)
    return _split(attempt, items)


def _split(attempt: Attempt[Item, Result], items: Sequence[Item]) -> list[Result | ModelRunError]:
    """Return the same for items of which one is thought to be bad."""
    if len(items) == 1:  # together they failed, which does not prove that it does by itself
        return isolated(attempt, items)
    half = len(items) // 2
    first, rest = isolated(attempt, items[:half]), items[half:]
    bad = sum(isinstance(one, ModelRunError) for one in first)
    if bad == 0:
        return first + _split(attempt, rest)
    if bad == half:
        return first + [isolated(attempt, [one])[0] for one in rest]
    return first + isolated(attempt, rest)


def failing_row(fails: Callable[[int, int], bool], rows: int) -> int | None:
    """Return a row, counted from 0, that fails by itself, among `rows` that fail together.

    `fails(start, end)` runs the rows from `start` to before `end`. It is called at most
    log2(rows) + 2 times, over at most twice as many rows altogether. None where no row does.
    What `fails` raises goes on to the caller.
    """
    start, end = 0, rows
    while end - start > 1:
        middle = (start + end) // 2
        if fails(start, middle):
            end = middle
        else:
            start = middle
    return start if fails(start, end) else None
