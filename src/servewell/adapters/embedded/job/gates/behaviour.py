"""Tries the behaviour tests that a user wrote down."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from servewell.adapters.embedded.job.gates.contenders import NoAnswerError, Runner
from servewell.adapters.embedded.job.gates.scoring import Numbers
from servewell.adapters.embedded.job.gates.slices import chosen_class
from servewell.adapters.embedded.job.graph import NUMPY_TYPES
from servewell.adapters.embedded.job.study.graphs import Array, Feed
from servewell.adapters.embedded.job.study.quality import Answered
from servewell.adapters.embedded.job.study.rows import count, part
from servewell.core.catalog.behaviour import BehaviourTest, Expectation, Value, answer_text
from servewell.core.catalog.signature import Datatype, Input, Output, example_row
from servewell.core.operations.gate_measures import Behaved

SLACK: Final = 1e-6  # answers are numbers of 32 bits


@dataclass(frozen=True, slots=True, kw_only=True)
class _Answer:
    """What a version said to some rows."""

    numbers: Numbers | None  # (rows, k)
    chosen: NDArray[np.str_] | None  # class of each row


@dataclass(frozen=True, slots=True, kw_only=True)
class _Held:
    """For which rows a test holds, and what is furthest from it."""

    rows: NDArray[np.bool_]
    off: Numbers  # by how much each row breaks it
    said: Sequence[str]  # of each row


def behaviour(
    runner: Runner, tests: Sequence[BehaviourTest], *, judged: str, feed: Feed | None
) -> tuple[Behaved, ...]:
    """Return what each test found. `judged` names the output; `feed` are the held-out rows."""
    output = next(one for one in runner.about.signature.outputs if one.name == judged)
    return tuple(_tried(runner, output, one, feed) for one in tests)


def _tried(runner: Runner, output: Output, test: BehaviourTest, feed: Feed | None) -> Behaved:
    about = test.about
    rows = _rows(runner, test, feed)
    if rows is None:
        return Behaved(name=test.name, about=about, rows=0, held=0, share_min=test.share)
    try:
        before = _answer(runner, output, rows)
        changed = _with(rows, test.change, runner.about.signature.inputs)
        after = _answer(runner, output, changed) if test.change else before
    except NoAnswerError as error:
        worst = f"the version gives no answer: {error}"
        return Behaved(
            name=test.name, about=about, rows=count(rows), held=0, share_min=test.share, worst=worst
        )
    found = _held(test, output, before, after)
    return Behaved(
        name=test.name,
        about=about,
        rows=len(found.rows),
        held=int(found.rows.sum()),
        share_min=test.share,
        worst="" if found.rows.all() else found.said[int(np.argmax(found.off))],
    )


def _rows(runner: Runner, test: BehaviourTest, feed: Feed | None) -> Feed | None:
    """Return the rows that a test begins with; None where it wants held-out rows of none."""
    inputs = runner.about.signature.inputs
    if test.rows == 1:
        row = example_row(runner.about.signature)
        plain = {one.name: _array(one, row[one.name], 1) for one in inputs}
        return _with(plain, test.row, inputs)
    if feed is None:
        return None
    places = np.linspace(0, count(feed) - 1, min(test.rows, count(feed))).astype(int)
    return _with(part(feed, places), test.row, inputs)


def _with(feed: Feed, values: dict[str, Value], inputs: Sequence[Input]) -> Feed:
    named = {one.name: one for one in inputs}
    rows = count(feed)
    return {
        **feed,
        **{name: _array(named[name], value, rows) for name, value in values.items()},
    }


def _array(one: Input, value: object, rows: int) -> Array:
    """Return one value for every row, as a request brings it."""
    kind = object if one.datatype is Datatype.BYTES else NUMPY_TYPES[one.datatype]
    if value is None:
        value = "" if one.datatype is Datatype.BYTES else np.nan
    plain = np.array(value, dtype=kind)
    shape = tuple(max(size, 1) for size in one.row_shape)
    return np.broadcast_to(plain.reshape(shape) if plain.size > 1 else plain, (rows, *shape)).copy()


def _answer(runner: Runner, output: Output, feed: Feed) -> _Answer:
    found: Answered = runner.answers(feed)[output.name]
    return _Answer(
        numbers=found.numbers, chosen=chosen_class(found.labels, found.numbers, output.classes)
    )


def _held(test: BehaviourTest, output: Output, before: _Answer, after: _Answer) -> _Held:
    if test.answer is not None and after.chosen is not None:
        return _chosen(after.chosen, np.full(len(after.chosen), answer_text(test.answer)))
    if after.numbers is None and before.chosen is not None and after.chosen is not None:
        return _chosen(after.chosen, before.chosen)
    assert before.numbers is not None  # noqa: S101 - an answer has classes or numbers
    assert after.numbers is not None  # noqa: S101 - as before
    if test.expect is Expectation.SAME and not test.of:
        return _unmoved(test, before.numbers, after.numbers)
    return _numbers(
        test, _column(test, output, before.numbers), _column(test, output, after.numbers)
    )


def _unmoved(test: BehaviourTest, before: Numbers, after: Numbers) -> _Held:
    """Look at every number of the answer: none may move."""
    off = np.nan_to_num(np.abs(after - before).max(axis=1), nan=np.inf)
    said = [f"it moved by {one:.4g}" for one in off.tolist()]
    return _Held(rows=np.asarray(off <= test.within + SLACK), off=off, said=said)


def _chosen(after: NDArray[np.str_], wanted: NDArray[np.str_]) -> _Held:
    same = np.asarray(after == wanted)
    said = [f"it answers {one}, not {other}" for one, other in zip(after, wanted, strict=True)]
    return _Held(rows=same, off=(~same).astype("float64"), said=said)


def _column(test: BehaviourTest, output: Output, numbers: Numbers) -> Numbers:
    """Return the number of each row that a test speaks of: the last class, unless it names one."""
    classes = output.classes or ()
    place = classes.index(test.of) if test.of in classes else -1
    return numbers[:, place]


def _numbers(test: BehaviourTest, before: Numbers, after: Numbers) -> _Held:
    match test.expect:
        case Expectation.SAME:
            off = np.abs(after - before)
        case Expectation.NOT_LOWER:
            off = before - after
        case Expectation.NOT_HIGHER:
            off = after - before
        case Expectation.ANSWER:
            off = _outside(test, after)
    pairs = zip(before.tolist(), after.tolist(), strict=True)
    said = [
        f"{one:.4g} became {other:.4g}" if test.change else f"it answers {other:.4g}"
        for one, other in pairs
    ]
    # What is no number breaks every test.
    off = np.nan_to_num(off, nan=np.inf, posinf=np.inf)
    return _Held(rows=np.asarray(off <= test.within + SLACK), off=off, said=said)


def _outside(test: BehaviourTest, numbers: Numbers) -> Numbers:
    """Return by how much numbers lie outside what a test asks for."""
    low = high = float(test.answer) if isinstance(test.answer, (int, float)) else None
    low = test.at_least if low is None else low
    high = test.at_most if high is None else high
    below = np.full(len(numbers), -np.inf) if low is None else low - numbers
    above = np.full(len(numbers), -np.inf) if high is None else numbers - high
    return np.where(np.isnan(numbers), np.inf, np.maximum(below, above))
