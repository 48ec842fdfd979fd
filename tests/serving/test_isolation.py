"""One bad request, or row, is found with few calls of the model."""

from collections.abc import Mapping, Sequence
from math import ceil, log2

import pytest
from hypothesis import given
from hypothesis import strategies as st

from servewell.serving.calls import answered
from servewell.serving.isolation import failing_row, isolated
from servewell.serving.package import Package
from servewell.serving.protocols.columns import Decoded
from servewell.serving.runtimes.model import (
    Array,
    ModelAbsentError,
    ModelBusyError,
    ModelLostError,
    ModelRunError,
    ModelSlowError,
)
from servewell.serving.runtimes.onnx import OnnxModel
from servewell.serving.tensors import Gatherer
from serving.home import FLIGHT, flight_model


class Model:
    """A model that fails on some items, and counts."""

    def __init__(self, bad: set[int], most: int = 1_000) -> None:
        self.bad, self.most = bad, most
        self.calls = 0

    def run(self, items: Sequence[int]) -> list[str]:
        """Return each item as text."""
        self.calls += 1
        if self.bad & set(items) or len(items) > self.most:
            raise ModelRunError("Bad")
        return [str(one) for one in items]


@given(st.integers(1, 200).flatmap(lambda n: st.tuples(st.just(n), st.sets(st.integers(0, n - 1)))))
def test_no_item_fails_for_another(case: tuple[int, set[int]]) -> None:
    """Each item gets its own result, or its own error, in few calls."""
    count, bad = case
    model = Model(bad)
    outcomes = isolated(model.run, range(count))
    for item, outcome in enumerate(outcomes):
        assert isinstance(outcome, ModelRunError) == (item in bad)
        assert item in bad or outcome == str(item)
    depth = ceil(log2(count))
    assert model.calls <= 1 + len(bad) * (2 * depth + 1)
    if len(bad) == count:
        assert model.calls <= 1 + count + depth


def test_a_good_batch_is_one_call() -> None:
    """Nothing is tried twice where nothing fails."""
    model = Model(set())
    assert isolated(model.run, range(128)) == [str(one) for one in range(128)]
    assert model.calls == 1


@given(st.integers(0, 127))
def test_one_bad_request_of_128_costs_at_most_15_calls(bad: int) -> None:
    """Two a halving and the proof, after the first."""
    model = Model({bad})
    isolated(model.run, range(128))
    assert model.calls <= 16


def test_a_model_that_takes_no_batch_still_answers_all() -> None:
    """Failing together proves nothing against anybody alone."""
    model = Model(set(), most=1)
    assert isolated(model.run, range(10)) == [str(one) for one in range(10)]


def test_a_model_that_is_not_there_is_asked_once() -> None:
    """An error that concerns no rows is everybody's, and not looked into."""
    calls = []

    def busy(items: Sequence[int]) -> list[str]:
        calls.append(items)
        raise ModelBusyError(3)

    outcomes = isolated(busy, range(50))
    assert all(isinstance(one, ModelBusyError) for one in outcomes)
    assert len(calls) == 1


@given(st.integers(2, 60).flatmap(lambda n: st.tuples(st.just(n), st.sets(st.integers(0, n - 1)))))
def test_as_many_processes_end_as_there_are_culprits(case: tuple[int, set[int]]) -> None:
    """What ends its process costs one of the batch and one of its own, and no other item."""
    count, bad = case
    deaths = 0

    def run(items: Sequence[int]) -> list[int]:
        nonlocal deaths
        if bad & set(items):
            deaths += 1
            raise ModelLostError("it ended")
        return list(items)

    for item, outcome in enumerate(isolated(run, range(count))):
        assert isinstance(outcome, ModelLostError) if item in bad else outcome == item
    assert deaths == (len(bad) + 1 if bad else 0)


@given(st.integers(1, 5_000).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n - 1))))
def test_a_bad_row_is_named(case: tuple[int, int]) -> None:
    """One bad row of n is found in at most log2(n) + 2 calls, over at most 2 n rows."""
    rows, bad = case
    calls: list[int] = []

    def fails(start: int, end: int) -> bool:
        calls.append(end - start)
        return start <= bad < end

    assert failing_row(fails, rows) == bad
    assert len(calls) <= log2(rows) + 2
    assert sum(calls) <= 2 * rows


def test_no_row_is_blamed_that_does_not_fail_alone() -> None:
    """Rows that fail only together name none."""
    assert failing_row(lambda start, end: end - start > 1, 100) is None


@pytest.mark.parametrize(
    "error",
    [
        ModelBusyError(1),
        ModelSlowError("late"),
        ModelAbsentError("gone", retry_after_s=1),
        ModelLostError("ended"),
    ],
)
def test_no_row_is_blamed_for_what_concerns_all(error: ModelRunError) -> None:
    """Where the model goes, or the time ends, while the row is looked for, none is named."""
    package = Package(
        digest="",
        signature=FLIGHT,
        model=OnnxModel(flight_model(2.0), FLIGHT),
        readers={},
        gatherer=Gatherer(FLIGHT),
        batches=True,
    )
    errors = [ModelRunError("Bad"), error]

    def run(_feed: Mapping[str, Array], _wanted: Sequence[str], _rows: int) -> list[Array]:
        raise errors.pop(0)

    [outcome] = answered(
        package, [Decoded("", 4, [[1.0] * 4, ["AA"] * 4, [1] * 4, ["x"] * 4], ())], run
    )
    assert isinstance(outcome, ModelRunError)
    assert (str(outcome), outcome.row, errors) == ("Bad", None, [])
