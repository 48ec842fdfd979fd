"""From rows to columns: what converts, what does not, and that nothing is changed on the way."""

import math
from contextlib import suppress
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from servewell.core.catalog.rows import (
    MetadataInvalidError,
    RowsInvalidError,
    inputs_of,
    to_columns,
    whole_bounds,
)
from servewell.core.catalog.signature import Datatype, Input

METADATA = {
    "name": "flight-delays",
    "inputs": [
        {"name": "carrier", "datatype": "BYTES", "shape": [-1, 1]},
        {"name": "wind", "datatype": "FP32", "shape": [-1, 1]},
        {"name": "minute", "datatype": "INT16", "shape": [-1, 1]},
        {"name": "holiday", "datatype": "BOOL", "shape": [-1, 1]},
    ],
}
INTEGERS = [one for one in Datatype if one.is_integer]


def sent(datatype: Datatype, value: object, row_shape: tuple[int, ...] = (1,)) -> object:
    """Return what is sent for one value."""
    declared = Input(name="x", datatype=datatype, row_shape=row_shape)
    return to_columns((declared,), [{"x": value}]).values["x"][0]


def test_inputs_come_from_the_metadata() -> None:
    """Names, types and the shape of a row, in the model's order."""
    assert inputs_of(METADATA) == (
        Input(name="carrier", datatype=Datatype.BYTES),
        Input(name="wind", datatype=Datatype.FP32),
        Input(name="minute", datatype=Datatype.INT16),
        Input(name="holiday", datatype=Datatype.BOOL),
    )


@pytest.mark.parametrize(
    "metadata", [{}, {"inputs": [{"name": "x"}]}, {"inputs": [{"name": "x", "datatype": "I64"}]}]
)
def test_other_metadata_is_refused_in_words(metadata: dict[str, object]) -> None:
    """What is not from the protocol is an error that says so."""
    with pytest.raises(MetadataInvalidError, match="metadata"):
        inputs_of(metadata)


def test_rows_become_columns() -> None:
    """One entry per row, missing values None; other columns are named, not sent."""
    rows = [
        {"carrier": "UA", "wind": 12.5, "minute": 300, "flight": 15},
        {"carrier": "", "wind": None, "minute": 301, "late": 1},
    ]
    columns = to_columns(inputs_of(METADATA), rows)
    assert columns.values == {
        "carrier": ["UA", ""],
        "wind": [12.5, None],
        "minute": [300, 301],
        "holiday": [None, None],
    }
    assert columns.ignored == ("flight", "late")
    assert columns.absent == ("holiday",)


@pytest.mark.parametrize(
    ("datatype", "value", "expected"),
    [
        (Datatype.BYTES, "007", "007"),
        (Datatype.BYTES, "", ""),
        (Datatype.BYTES, None, None),
        (Datatype.BOOL, "True", True),
        (Datatype.BOOL, " false ", False),
        (Datatype.BOOL, "", None),
        (Datatype.INT8, "-128", -128),
        (Datatype.INT8, " 127 ", 127),
        (Datatype.INT16, "300.0", 300),
        (Datatype.INT16, 300.0, 300),
        (Datatype.INT16, math.nan, None),
        (Datatype.INT16, "", None),
        (Datatype.UINT64, 2**64 - 1, 2**64 - 1),
        (Datatype.FP32, "1e-3", 0.001),
        (Datatype.FP32, "-.5", -0.5),
        (Datatype.FP64, 3, 3),
        (Datatype.FP64, "NaN", None),
        (Datatype.FP64, math.nan, None),
        (Datatype.FP64, "", None),
    ],
)
def test_text_becomes_the_type_of_the_input(
    datatype: Datatype, value: object, expected: object
) -> None:
    """CSV text and whole floats convert without loss; the type is that of the input."""
    found = sent(datatype, value)
    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize(
    ("datatype", "value"),
    [
        (Datatype.BYTES, 7),
        (Datatype.BYTES, True),
        (Datatype.BOOL, 1),
        (Datatype.BOOL, "yes"),
        (Datatype.INT8, 128),
        (Datatype.INT8, "-129"),
        (Datatype.UINT8, -1),
        (Datatype.INT32, "3.5"),
        (Datatype.INT32, 3.5),
        (Datatype.INT32, True),
        (Datatype.INT32, math.inf),
        (Datatype.INT64, "1_000"),
        (Datatype.INT64, "12e3"),
        (Datatype.INT64, "٣"),
        (Datatype.FP32, "12,5"),
        (Datatype.FP32, "inf"),
        (Datatype.FP32, "1e999"),
        (Datatype.FP32, "1_0.0"),
        (Datatype.FP64, math.inf),
        (Datatype.FP64, False),
        (Datatype.FP64, [1.0]),
        (Datatype.FP64, {"a": 1}),
    ],
)
def test_nothing_else_converts(datatype: Datatype, value: object) -> None:
    """What would have to be guessed or rounded is refused, and says what was found and allowed."""
    with pytest.raises(RowsInvalidError) as caught:
        sent(datatype, value)
    (fault,) = caught.value.faults
    assert str(datatype) in fault.allowed
    assert fault.found


def test_all_faults_are_told_with_their_rows() -> None:
    """Every fault of the batch is kept, numbered as in the file; the message shows the first."""
    rows = [{"carrier": 1, "wind": "x"}, {"carrier": "UA"}] * 30
    with pytest.raises(RowsInvalidError) as caught:
        to_columns(inputs_of(METADATA), rows, first_row=201)
    faults = caught.value.faults
    assert [fault.row for fault in faults] == [row for n in range(30) for row in [201 + 2 * n] * 2]
    assert {fault.column for fault in faults} == {"carrier", "wind"}
    assert "60 values" in caught.value.what
    assert "row 201, `wind`: found the text `x`; allowed: a number (FP32)" in caught.value.why
    assert "and 40 more" in caught.value.why


def test_a_long_value_is_cut() -> None:
    """A fault does not repeat a megabyte."""
    with pytest.raises(RowsInvalidError) as caught:
        sent(Datatype.FP32, "9" * 100 + "x" * 1_000_000)
    assert len(caught.value.faults[0].found) < 100


@pytest.mark.parametrize("value", [[1, 2, 3, 4], [[1, 2], [3, 4]], "[1, 2, 3.0, 4]"])
def test_a_row_may_hold_a_list(value: object) -> None:
    """Nested, flat and, in CSV, as JSON: it is sent flat and row-major."""
    assert sent(Datatype.FP32, value, (2, 2)) == [1, 2, 3, 4]


def test_lists_of_missing_and_open_size() -> None:
    """A missing list is a list of nulls; where the model leaves the size open, any size goes."""
    assert sent(Datatype.FP32, None, (3,)) == [None, None, None]
    assert sent(Datatype.INT64, [1, 2, None], (-1,)) == [1, 2, None]


@pytest.mark.parametrize("value", [[1, 2], [1, 2, 3, "x"], 5, "[1, 2", '"text"', {}])
def test_a_list_of_another_size_is_refused(value: object) -> None:
    """A list must have the size and the types that the model declares."""
    with pytest.raises(RowsInvalidError) as caught:
        sent(Datatype.FP32, value, (2, 2))
    assert "list (2 x 2)" in caught.value.faults[0].allowed


@given(number=st.integers(), datatype=st.sampled_from(INTEGERS))
def test_whole_numbers_arrive_unchanged_or_not_at_all(number: int, datatype: Datatype) -> None:
    """As number and as text: the same number where the type holds it, else a fault."""
    low, high = whole_bounds(datatype)
    for value in (number, str(number)):
        if low <= number <= high:
            assert sent(datatype, value) == number
        else:
            with pytest.raises(RowsInvalidError):
                sent(datatype, value)


@given(number=st.floats(allow_nan=False, allow_infinity=False))
def test_floats_survive_text(number: float) -> None:
    """The text that Python and CSV writers give for a float converts back to it exactly."""
    assert sent(Datatype.FP64, repr(number)) == number


@given(value=st.text() | st.integers() | st.floats() | st.booleans() | st.none())
def test_any_value_converts_or_is_a_fault(value: object) -> None:
    """Nothing in a file can raise anything but a fault, whatever the input is."""
    for datatype, shape in product(Datatype, ((1,), (2,), (-1,))):
        with suppress(RowsInvalidError):
            sent(datatype, value, shape)
