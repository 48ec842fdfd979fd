"""How wrong a prediction was, and what a file of labels says."""

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from servewell.core.catalog.label import Measure, Told, Truth
from servewell.core.operations.label_loss import loss_of
from servewell.core.operations.told_labels import (
    Fault,
    LabelColumns,
    LabelFaultsError,
    require_columns,
    told_in,
)

COLUMNS = LabelColumns()


@pytest.mark.parametrize(
    ("outputs", "truth", "value", "measure"),
    [
        ({"label": 1, "probabilities": [0.25, 0.75]}, 1, 0.0625, Measure.BRIER),
        ({"label": 1, "probabilities": [0.25, 0.75]}, "0", 0.5625, Measure.BRIER),
        ({"probability": 0.5}, True, 0.25, Measure.BRIER),
        ({"probability": 0.5}, "no", 0.25, Measure.BRIER),
        ({"score": 0.5}, 0.0, 0.25, Measure.BRIER),
        ({"label": 2, "probabilities": [0.1, 0.2, 0.7]}, 2, 0.0, Measure.WRONG),
        ({"label": "late", "probabilities": [0.1, 0.9]}, "early", 1.0, Measure.WRONG),
        ({"label": "late"}, "late", 0.0, Measure.WRONG),
        ({"sure": True}, "true", 0.0, Measure.WRONG),
        ({"delay": 12.5}, "10", 2.5, Measure.ABSOLUTE),
        ({"delay": 12.5}, 1, 11.5, Measure.ABSOLUTE),
        ({"delay": 12.5, "carrier": "AA"}, 10, 2.5, Measure.ABSOLUTE),
        ({"delay": 12.5, "carrier": "AA"}, "AA", 0.0, Measure.WRONG),
        ({"class": "1"}, 1.0, 0.0, Measure.WRONG),
    ],
)
def test_the_loss_is_that_of_what_was_predicted(
    outputs: dict[str, Any],
    truth: Truth,
    value: float,
    measure: Measure,
) -> None:
    """A probability by its Brier score, a class by whether it is another, a number by distance."""
    found = loss_of(outputs, truth)
    assert found is not None
    assert found.value == pytest.approx(value)
    assert found.measure is measure


@pytest.mark.parametrize(
    ("outputs", "truth"),
    [
        ({}, 1),
        ({"delay": 12.5}, "late"),
        ({"delay": math.nan}, 1.0),
        ({"embedding": [0.1] * 3}, 1),
        ({"delay": 12.5}, 1e200),
        ({"delay": 12.5}, 10**400),
        ({"delay": 12.5}, math.inf),
    ],
)
def test_what_does_not_speak_of_the_label_has_no_loss(
    outputs: dict[str, Any],
    truth: Truth,
) -> None:
    """It is no zero and no error."""
    assert loss_of(outputs, truth) is None


@given(chance=st.floats(0, 1), truth=st.booleans())
def test_a_brier_score_is_bounded(chance: float, truth: bool) -> None:  # noqa: FBT001 - a label
    """However wrong and however sure, one label weighs at most one."""
    found = loss_of({"probability": chance}, truth)
    assert found is not None
    assert 0 <= found.value <= 1


def test_labels_are_read_with_every_fault() -> None:
    """Each row gives a label, or everything that is wrong with it."""
    rows: list[dict[str, object]] = [
        {"prediction_id": " a ", "label": "1"},
        {"prediction_id": "b", "label": 2.5, "row": "3"},
        {"prediction_id": None, "label": None, "row": -1},
        {"prediction_id": "c", "label": math.inf, "row": 2.0},
        {"prediction_id": "d", "label": [1], "row": 0.5},
        {"prediction_id": 5, "label": True, "row": True},
    ]
    found = list(told_in(rows, COLUMNS, first=11))
    assert found == [
        Told(prediction_id="a", row=0, value="1"),
        Told(prediction_id="b", row=3, value=2.5),
        Fault(row=13, what="`prediction_id` is no text"),
        Fault(row=13, what="`label` is missing"),
        Fault(row=13, what="`row` is no whole number from 0 on"),
        Fault(row=14, what="`label` is not a finite number"),
        Fault(row=15, what="`label` is no number, text or truth value"),
        Fault(row=15, what="`row` is no whole number from 0 on"),
        Fault(row=16, what="`prediction_id` is no text"),
        Fault(row=16, what="`row` is no whole number from 0 on"),
    ]


def test_a_file_without_its_columns_says_which_it_has() -> None:
    """And which options name them."""
    with pytest.raises(LabelFaultsError, match=r"no column `prediction_id` and no column `label`"):
        require_columns({"id": 1, "truth": 2}, COLUMNS, name="truth.csv")
    renamed = LabelColumns(prediction_id="id", label="truth")
    require_columns({"id": 1, "truth": 2}, renamed, name="truth.csv")
