"""Rows in every shape: what is taken, what each fault says, and the law between the two readers."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from servewell.core.catalog.signature import Datatype, Input, Output, Signature
from servewell.serving.protocols import azure, kserve_v1, mlflow, oip
from servewell.serving.protocols.columns import Decoded, OutputTensor
from servewell.serving.protocols.dialect import Dialect
from servewell.serving.protocols.elements import Json
from servewell.serving.protocols.faults import FAULTS_MAX, SignatureError
from servewell.serving.protocols.rows import RowReader, parsed
from servewell.serving.protocols.rows_answer import predictions, safe_id
from servewell.serving.protocols.rows_csv import table_of_csv
from servewell.serving.protocols.rows_examination import examine_rows, examine_table
from servewell.serving.refusals import BodyMalformedError, RequestError
from serving.home import FLIGHT
from serving.rows_bodies import ROW, bodies, columns, row, row_lists, tables

ROWS_MAX = 50
OUTPUTS = (Output(name="out", datatype=Datatype.FP32),)
READER = RowReader(FLIGHT)
GOOD = [[2.0], ["AA"], [10], ["Ada"]]
VECTOR = Signature(
    inputs=(Input(name="features", datatype=Datatype.FP32, row_shape=(3,)),), outputs=OUTPUTS
)
MATRIX = Signature(
    inputs=(
        Input(name="image", datatype=Datatype.UINT8, row_shape=(2, 2)),
        Input(name="label", datatype=Datatype.BYTES, row_shape=()),
    ),
    outputs=OUTPUTS,
)
OPEN = Signature(
    inputs=(Input(name="words", datatype=Datatype.INT64, row_shape=(-1,)),), outputs=OUTPUTS
)
ONE = Signature(inputs=(Input(name="x", datatype=Datatype.FP64),), outputs=OUTPUTS)


def read(value: Json, signature: Signature = FLIGHT) -> Decoded:
    """Return rows as a protocol reads them."""
    return RowReader(signature).rows(value, place="instances", rows_max=ROWS_MAX)


def table(value: Json, signature: Signature = FLIGHT) -> Decoded:
    """Return a table as a protocol reads it."""
    return RowReader(signature).table(value, place="dataframe_split", rows_max=ROWS_MAX)


@pytest.mark.parametrize(
    "value",
    [
        [ROW],
        [list(ROW.values())],
        {name: [value] for name, value in ROW.items()},
        {name: [[value]] for name, value in ROW.items()},
        [{name: [value] for name, value in ROW.items()}],
        [dict(reversed(ROW.items()))],
        [row(seats=10.0, delay=2)],
    ],
)
def test_takes_rows_in_each_shape(value: Json) -> None:
    """Objects, lists and columns give the same columns; names decide, not their order."""
    assert read(value).columns == GOOD


@pytest.mark.parametrize(
    "value",
    [
        {"columns": list(ROW), "data": [list(ROW.values())]},
        {"columns": list(reversed(ROW)), "index": [7], "data": [list(reversed(ROW.values()))]},
        {"columns": [0, 1, 2, 3], "data": [list(ROW.values())]},
        {"data": [list(ROW.values())]},
        {"columns": None, "data": [list(ROW.values())]},
    ],
)
def test_takes_tables(value: Json) -> None:
    """A table is read by its names, in any order; without names by the order of the signature."""
    assert table(value).columns == GOOD


@pytest.mark.parametrize("value", [[[1, 2, 3]], [{"features": [1, 2, 3]}], [[[1, 2, 3]]]])
def test_takes_a_row_of_a_vector(value: Json) -> None:
    """Where one input is a vector, a row is its list."""
    assert read(value, VECTOR).columns == [[1.0, 2.0, 3.0]]


def test_takes_a_table_for_a_vector() -> None:
    """A model of one matrix takes a table of its width in the order of its columns."""
    value = {"columns": ["a", "b", "c"], "data": [[1, 2, 3], [4, 5, 6]]}
    assert table(value, VECTOR).columns == [[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]]


def test_takes_values_of_the_only_input() -> None:
    """Where there is one input of one value, a list of values is a list of rows."""
    assert read([1, 2], ONE).columns == read([[1], [2]], ONE).columns == [[1.0, 2.0]]


def test_takes_nested_values() -> None:
    """A value of several dimensions comes nested as its shape says."""
    decoded = read([{"image": [[1, 2], [3, 4]], "label": "a"}], MATRIX)
    assert decoded.columns == [[1, 2, 3, 4], ["a"]]


def test_measures_an_open_dimension() -> None:
    """Where the model leaves a dimension open, the first row says what the others have."""
    decoded = read([[1, 2], [3, 4]], OPEN)
    assert (decoded.columns, decoded.row_shapes) == ([[1, 2, 3, 4]], ((2,),))
    with pytest.raises(SignatureError, match="row 1: found `\\[3\\]`"):
        read([[1, 2], [3]], OPEN)


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ([], "Input `instances`: found 0 rows; allowed: 1 to 50 rows."),
        ([ROW] * 51, "Input `instances`: found 51 rows; allowed: 1 to 50 rows."),
        ("x", "Input `instances`: found a text; allowed: a list of rows."),
        ([[1, 2]], "row 0: found 2 values; allowed: a row of 4 values"),
        ([5], "Input `instances`, row 0: found a number; allowed: a row of 4 values"),
        ([row(seats=...)], "Input `seats`, row 0: found nothing; allowed: a whole number"),
        ([ROW, row(seats=-1)], "Input `seats`, row 1: found `-1`; allowed: a whole number from 0"),
        ([row(carrier="XX")], "Input `carrier`, row 0: found the text `XX`; allowed: one of `AA`"),
        ([row(delay="2")], "Input `delay`, row 0: found the text `2`; allowed: a number"),
        ([row(name=5)], "Input `name`, row 0: found a number; allowed: a text (BYTES), or null."),
        ([row(name=[5, 6])], "Input `name`, row 0: found a list; allowed: one value."),
        ([row(seats=None)], "Input `seats`, row 0: found null"),
        ({"delay": 2.0}, "Input `delay`: found a number; allowed: a list, one value for each row."),
        ({"delay": [1], "carrier": []}, "Input `carrier`: found 0 rows; allowed: 1, as many as"),
    ],
)
def test_tells_what_is_wrong(value: Json, told: str) -> None:
    """A fault names input, row, what was found and what is allowed; personal values never."""
    with pytest.raises(SignatureError) as caught:
        read(value)
    assert told in str(caught.value.sentence)


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (5, "found a number; allowed: a table"),
        ({"columns": []}, "found `data` that is null"),
        ({"columns": [], "data": []}, "found `columns` that are no names"),
        ({"columns": "abcd", "data": []}, "found `columns` that are no names"),
        ({"data": [], "more": 1}, "found also `more`"),
        ({"columns": ["delay"] * 4, "data": [[1, 2, 3, 4]]}, "Input `delay`: found it twice"),
        ({"columns": list(ROW), "data": [[1]]}, "row 0: found 1 value;"),
        ({"columns": list(ROW), "data": [ROW]}, "row 0: found an object"),
    ],
)
def test_tells_what_is_wrong_with_a_table(value: Json, told: str) -> None:
    """A table that is none is told of as such."""
    with pytest.raises(SignatureError) as caught:
        table(value)
    assert told in caught.value.sentence


def test_tells_of_few_faults() -> None:
    """A body full of faults gets no more sentences than a person reads."""
    for value in ([ROW | {"x": 1}] * 50, [[None] * 4] * 50, {"seats": [None] * 50}):
        with pytest.raises(SignatureError) as caught:
            read(value)
        assert len(caught.value.faults) <= FAULTS_MAX


def outcome(reader: Callable[..., Decoded], *rows: Any) -> str:  # noqa: ANN401  (whatever it reads)
    """Return what a reader makes of rows: them, or its refusal."""
    try:
        return repr(reader(*rows, place="instances", rows_max=ROWS_MAX))
    except SignatureError as error:
        return error.sentence


@given(value=row_lists | columns)
def test_reads_fast_what_it_reads_with_care(value: Json) -> None:
    """What the typed reader takes, the careful one takes as well, with the same columns."""
    assert outcome(READER.rows, value) == outcome(examine_rows, value, FLIGHT)


@given(value=tables)
def test_reads_tables_fast_as_with_care(value: Json) -> None:
    """A table that is taken has the columns that the careful reader finds."""
    assert outcome(READER.table, value) == outcome(examine_table, value, FLIGHT)


@given(rows=st.lists(st.integers(1, 9), min_size=1, max_size=5), signature=st.just(MATRIX))
def test_flattens_as_the_careful_reader_does(rows: list[int], signature: Signature) -> None:
    """Values of several dimensions come out row by row, fast or not."""
    value = [{"image": [[one, 2], [3, one]], "label": str(one)} for one in rows]
    careful = examine_rows(value, signature, place="instances", rows_max=ROWS_MAX)
    assert read(value, signature) == careful


@pytest.mark.parametrize("dialect", [mlflow.DIALECT, kserve_v1.DIALECT, azure.DIALECT])
@pytest.mark.parametrize(
    "media", [b"application/json", b"text/csv", b"application/cloudevents+json"]
)
@given(body=bodies)
def test_takes_or_refuses_anything(dialect: Dialect, media: bytes, body: bytes) -> None:
    """Whatever the bytes are, they are rows or a refusal, and never anything else."""
    reader = dialect.reader(FLIGHT)
    try:
        decoded = reader.decode(body, headers={b"content-type": media}, rows_max=ROWS_MAX)
    except RequestError:
        return
    assert decoded.rows > 0
    assert all(len(column) == decoded.rows for column in decoded.columns)


@pytest.mark.parametrize(
    ("dialect", "body"),
    [
        (mlflow.DIALECT, '{"instances": [{"delay": %s}]}'),
        (azure.DIALECT, '{"data": [[2, "AA", 1, %s]]}'),
        (kserve_v1.DIALECT, '{"inputs": {"delay": %s}}'),
        (oip.DIALECT, '{"inputs": [{"name": "delay", "datatype": "FP32", "shape": %s}]}'),
    ],
)
def test_refuses_lists_of_any_depth(dialect: Dialect, body: str) -> None:
    """Lists that can just be read can be told of, and deeper ones are malformed."""
    reader = dialect.reader(FLIGHT)
    for depth in range(850, 1_010):
        nested = body % ("[" * depth + "]" * depth)
        with pytest.raises(RequestError):
            reader.decode(nested.encode(), headers={}, rows_max=ROWS_MAX)


def test_says_the_same_in_each_protocol() -> None:
    """The same bad row has the same code and the same faults whatever protocol brings it."""
    told = set()
    bad = [row(seats=-1, carrier="XX")]
    for dialect, key in (
        (mlflow.DIALECT, "instances"), (kserve_v1.DIALECT, "instances"), (azure.DIALECT, "data"),
    ):  # fmt: skip
        with pytest.raises(SignatureError) as caught:
            dialect.reader(FLIGHT).decode(
                json.dumps({key: bad}).encode(), headers={}, rows_max=ROWS_MAX
            )
        told.add(caught.value.sentence)
    assert len(told) == 1


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("delay,carrier,seats,name\n2.0,AA,10,Ada\n", [[2.0, "AA", 10, "Ada"]]),
        (",delay,carrier,seats,name\n0,2.0,AA,10,Ada\n", [[2.0, "AA", 10, "Ada"]]),
        ('name,seats,carrier,delay\r\n"A,\nda",1e1,AA,\r\n', [["A,\nda", 10.0, "AA", None]]),
        ("delay,carrier,seats,name\nNaN,,x,\n\n", [[None, "", "x", None]]),
    ],
)
def test_reads_csv_as_a_table(text: str, rows: list[list[Any]]) -> None:
    """Cells get the types of their inputs; the index of pandas is left out."""
    assert table_of_csv(text.encode(), FLIGHT)["data"] == rows


@pytest.mark.parametrize("body", [b"", b'a\n"', b"\xff", b"a\n" + b"x" * 200_000])
def test_refuses_what_is_no_csv(body: bytes) -> None:
    """What cannot be read as CSV is malformed."""
    with pytest.raises(BodyMalformedError):
        table_of_csv(body, FLIGHT)


def test_reads_words_of_csv_as_truth() -> None:
    """A boolean column takes the words that pandas writes."""
    signature = Signature(inputs=(Input(name="b", datatype=Datatype.BOOL),), outputs=OUTPUTS)
    assert table_of_csv(b"b\nTrue\nfalse\nno\n", signature)["data"] == [[True], [False], ["no"]]


def test_takes_not_a_number_as_null() -> None:
    """What pandas and NumPy write for a missing number is null; infinity is no number."""
    assert parsed(b'{"a NaN": [NaN, 1, "NaN \\" NaN"]}', example="") == {
        "a NaN": [None, 1, 'NaN " NaN']
    }
    for body in (
        b"[NaN, Infinity]",
        b"[NaN",
        b"[" * 100_000 + b"NaN",
        b'["\\ud800", NaN]',
        b'"' + b'\\"NaN' * 200_000,
    ):
        with pytest.raises(BodyMalformedError):
            parsed(body, example="")


@pytest.mark.parametrize(
    ("outputs", "expected"),
    [
        ([("a", (2, 1), [1.0, 2.0])], [1.0, 2.0]),
        ([("a", (2,), [1.0, 2.0])], [1.0, 2.0]),
        ([("a", (2, 2), [1, 2, 3, 4])], [[1, 2], [3, 4]]),
        ([("a", (1, 2, 2), [1, 2, 3, 4])], [[[1, 2], [3, 4]]]),
        (
            [("a", (2,), [1, 2]), ("b", (2, 2), [1, 2, 3, 4])],
            [{"a": 1, "b": [1, 2]}, {"a": 2, "b": [3, 4]}],
        ),
    ],
)
def test_gives_predictions_by_row(outputs: list[Any], expected: list[Any]) -> None:
    """One output is a list of its values, several a list of objects."""
    tensors = [OutputTensor(name, "FP32", shape, data) for name, shape, data in outputs]
    assert predictions(tensors) == expected


@given(value=st.binary(max_size=200))
def test_makes_ids_safe(value: bytes) -> None:
    """What comes back of a caller's id can stand in a header, whatever it was."""
    assert all(one.isascii() and (one.isalnum() or one in "-_") for one in safe_id(value))
    assert len(safe_id(value, length_max=40)) <= 40
