"""Binary tensors: what they mean, and what each fault of them says."""

import json
import math
import struct
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from servewell.core.catalog.limits import Priority
from servewell.core.catalog.signature import Datatype, Input, Output, Signature
from servewell.serving.protocols.columns import Decoded
from servewell.serving.protocols.faults import FaultKind, SignatureError
from servewell.serving.protocols.oip import DIALECT
from servewell.serving.protocols.oip_binary import BINARY_HEADER, tensor_bytes
from servewell.serving.refusals import BinaryTensorsError, BodyMalformedError, RequestError
from servewell.serving.runtimes.model import DTYPES
from serving.home import FLIGHT
from serving.test_validation import ALL_TYPES

ROWS_MAX = 5
NUMERIC = [one for one in Datatype if one is not Datatype.BYTES]
READER = DIALECT.reader(ALL_TYPES)


def body_of(
    tensors: list[tuple[dict[str, Any], bytes | None]],
    **fields: Any,  # noqa: ANN401  (any JSON)
) -> tuple[bytes, dict[bytes, bytes]]:
    """Return a body of tensors, each with its bytes or with its own `data`, and its headers."""
    inputs = [
        one if raw is None else one | {"parameters": {"binary_data_size": len(raw)}}
        for one, raw in tensors
    ]
    text = json.dumps({"inputs": inputs, **fields}).encode()
    tail = b"".join(raw for _, raw in tensors if raw is not None)
    return text + tail, {BINARY_HEADER: str(len(text)).encode()}


def told(reader: Any, body: bytes, headers: dict[bytes, bytes]) -> Any:  # noqa: ANN401  (a value or an error)
    """Return what a request means, with its columns as lists, or why it is refused."""
    try:
        decoded = reader.decode(body, headers=headers, rows_max=ROWS_MAX)
    except RequestError as error:
        return str(error)
    columns = [_listed(one) for one in decoded.columns]
    return decoded.request_id, decoded.rows, columns, decoded.wanted


def _listed(column: Any) -> list[Any]:  # noqa: ANN401  (of any type)
    values = column.tolist() if isinstance(column, np.ndarray) else column
    return [None if one is None or one != one else one for one in values]  # noqa: PLR0124  (not-a-number is null)


@st.composite
def elements(draw: st.DrawFn, declared: Input, count: int) -> list[Any]:
    """Return values that a tensor of an input's type can carry; most of them fit the input."""
    if declared.datatype is Datatype.BYTES:
        texts = st.sampled_from(declared.allowed or ("", "é", "x" * 70))
        return draw(st.lists(texts | st.text(max_size=2), min_size=count, max_size=count))
    if declared.datatype is Datatype.BOOL:
        return draw(st.lists(st.booleans(), min_size=count, max_size=count))
    if declared.datatype.is_integer:
        info = np.iinfo(DTYPES[declared.datatype])
        whole = st.integers(1, 9) | st.integers(int(info.min), int(info.max))
        return draw(st.lists(whole, min_size=count, max_size=count))
    width = 8 * np.dtype(DTYPES[declared.datatype]).itemsize
    good = st.floats(-1, 2, width=16)
    some = st.floats(allow_infinity=False, width=width)  # type: ignore[arg-type]  # 16, 32 or 64
    return draw(st.lists(good | good | some, min_size=count, max_size=count))


@st.composite
def twins(draw: st.DrawFn) -> tuple[bytes, bytes, dict[bytes, bytes]]:
    """Return a request in JSON, and the same with some or all of its tensors in binary."""
    rows = draw(st.sampled_from([1, 2, 3, 6, 0]))
    every = draw(st.booleans())
    plain, binary = [], []
    inputs = draw(st.permutations(ALL_TYPES.inputs)) if draw(st.booleans()) else ALL_TYPES.inputs
    for declared in inputs:
        count = math.prod((rows, *declared.row_shape))
        values = draw(elements(declared, count))
        shape = [rows, *declared.row_shape]
        if draw(st.integers(0, 30)) == 0:
            shape = draw(st.sampled_from([[rows], [rows + 1, *declared.row_shape], [rows, 7]]))
        datatype = draw(st.sampled_from([declared.datatype.value] * 40 + ["FP32"]))
        name = draw(st.sampled_from([declared.name] * 40 + ["zz"]))
        tensor = {"name": name, "shape": shape, "datatype": datatype}
        data = [None if one != one else one for one in values]  # noqa: PLR0124  (not-a-number is null)
        plain.append(tensor | {"data": data})
        if every or draw(st.booleans()):
            binary.append((tensor, tensor_bytes(values, declared.datatype)))
        else:
            binary.append((plain[-1], None))
    fields: dict[str, Any] = {"id": draw(st.text(max_size=2))}
    if draw(st.booleans()):
        fields["outputs"] = [{"name": draw(st.sampled_from(["out", "out", "two", "no"]))}]
    body, headers = body_of(binary, **fields)
    return json.dumps({"inputs": plain, **fields}).encode(), body, headers


def _comparable(sentence: Any) -> Any:  # noqa: ANN401  (a value or an error)
    """Return an outcome without the counts of a wrong size: bytes there, values here."""
    return "wrong count" if isinstance(sentence, str) and "the shape" in sentence else sentence


@given(twins())
def test_a_binary_request_means_what_its_twin_in_json_means(
    twin: tuple[bytes, bytes, dict[bytes, bytes]],
) -> None:
    """Same rows, columns and outputs; or the same faults, word for word."""
    plain, binary, headers = twin
    assert _comparable(told(READER, binary, headers)) == _comparable(told(READER, plain, {}))


@given(twins())
def test_what_is_read_once_is_read_the_same_again(
    twin: tuple[bytes, bytes, dict[bytes, bytes]],
) -> None:
    """A reader that knows the JSON of a request already answers as one that does not."""
    _, binary, headers = twin
    fresh = DIALECT.reader(ALL_TYPES)
    first = told(fresh, binary, headers)
    assert first == told(fresh, binary, headers) == told(READER, binary, headers)


@given(
    twins(),
    st.lists(st.integers(0, 3_000), max_size=3),
    st.binary(max_size=5),
    st.integers(-3, 3) | st.integers(-5_000, 5_000),
)
def test_no_damage_breaks_the_reader(
    twin: tuple[bytes, bytes, dict[bytes, bytes]], places: list[int], noise: bytes, shift: int
) -> None:
    """Any bytes under any header give rows or a refusal."""
    _, binary, headers = twin
    damaged = bytearray(binary)
    for place in places:
        damaged[place % len(damaged) : place % len(damaged) + len(noise)] = noise
    size = str(int(headers[BINARY_HEADER]) + shift).encode()
    for reader in (READER, DIALECT.reader(FLIGHT)):
        assert told(reader, bytes(damaged), {BINARY_HEADER: size}) is not None


def of_one(
    datatype: Datatype,
    *,
    row_shape: tuple[int, ...] = (1,),
    **rules: Any,  # noqa: ANN401  (rules of an input)
) -> Any:  # noqa: ANN401  (a reader)
    """Return the reader of a model with one input."""
    declared = Input(name="x", datatype=datatype, row_shape=row_shape, **rules)
    outputs = (Output(name="y", datatype=Datatype.FP32, row_shape=(3,)),)
    return DIALECT.reader(Signature(inputs=(declared,), outputs=outputs))


def decoded_of(reader: Any, shape: list[int], datatype: Datatype, raw: bytes) -> Decoded:  # noqa: ANN401
    """Return what a request with one binary tensor holds."""
    tensor = {"name": "x", "shape": shape, "datatype": datatype.value}
    body, headers = body_of([(tensor, raw)])
    found: Decoded = reader.decode(body, headers=headers, rows_max=ROWS_MAX)
    return found


@pytest.mark.parametrize("datatype", NUMERIC)
def test_numbers_are_little_endian_and_whole(datatype: Datatype) -> None:
    """Every type of number arrives as the array that the model takes."""
    values = np.array([0, 1, 1], DTYPES[datatype])
    raw = values.astype(values.dtype.newbyteorder("<")).tobytes()
    [column] = decoded_of(of_one(datatype), [3, 1], datatype, raw).columns
    assert isinstance(column, np.ndarray)
    assert (column.dtype, column.tolist()) == (values.dtype, values.tolist())
    assert column.flags.aligned


def test_a_tensor_that_lies_right_is_not_copied() -> None:
    """The column is a view of the body, wherever the JSON ends at a multiple of its element."""
    reader = of_one(Datatype.FP32, row_shape=(2,))
    raw = struct.pack("<4f", 1, 2, 3, 4)
    for spaces in range(4):
        text = (
            json.dumps(
                {
                    "inputs": [
                        {
                            "name": "x",
                            "shape": [2, 2],
                            "datatype": "FP32",
                            "parameters": {"binary_data_size": 16},
                        }
                    ]
                }
            ).encode()
            + b" " * spaces
        )
        body = text + raw
        found = reader.decode(body, headers={BINARY_HEADER: b"%d" % len(text)}, rows_max=9)
        [column] = found.columns
        assert column.tolist() == [1, 2, 3, 4]
        assert np.shares_memory(column, np.frombuffer(body, np.uint8)) == (len(text) % 4 == 0)


FAULTY = {
    "infinity": (Datatype.FP32, {}, struct.pack("<2f", 1, math.inf), FaultKind.OUT_OF_RANGE, 1),
    "not-a-number": (Datatype.FP64, {}, struct.pack("<2d", math.nan, 1), FaultKind.NULL, 0),
    "too small": (
        Datatype.INT16, {"minimum": 2}, struct.pack("<2h", 2, 1), FaultKind.BELOW_MINIMUM, 1,
    ),
    "too large": (
        Datatype.FP16, {"maximum": 2}, struct.pack("<2e", 2, 3), FaultKind.ABOVE_MAXIMUM, 1,
    ),
    "no bool": (Datatype.BOOL, {}, b"\x01\x02", FaultKind.WRONG_TYPE, 1),
    "not allowed": (
        Datatype.BYTES, {"allowed": ("a",)}, b"\x01\0\0\0a\x01\0\0\0b", FaultKind.NOT_ALLOWED, 1,
    ),
    "not UTF-8": (
        Datatype.BYTES, {}, b"\x01\0\0\0\xff\x01\0\0\0b", FaultKind.WRONG_TYPE, 0,
    ),
    "too few bytes": (Datatype.INT8, {}, b"\x01", FaultKind.WRONG_COUNT, None),
    "half an element": (Datatype.INT64, {}, b"\x01" * 15, FaultKind.WRONG_COUNT, None),
    "too many texts": (Datatype.BYTES, {}, b"\0" * 12, FaultKind.WRONG_COUNT, None),
}  # fmt: skip


@pytest.mark.parametrize("case", FAULTY.values(), ids=FAULTY.keys())
@pytest.mark.parametrize("personal", [False, True])
def test_a_fault_names_the_row_and_no_personal_value(
    case: tuple[Datatype, dict[str, Any], bytes, FaultKind, int | None], *, personal: bool
) -> None:
    """Elements are held to the signature as in JSON, and what is personal is not repeated."""
    datatype, rules, raw, kind, row = case
    with pytest.raises(SignatureError) as caught:
        decoded_of(of_one(datatype, personal=personal, **rules), [2, 1], datatype, raw)
    [fault] = caught.value.faults
    assert (fault.kind, fault.name, fault.row) == (kind, "x", row)
    if personal and row is not None:
        assert "`" not in fault.found


def test_a_fraction_at_its_bound_is_within_it() -> None:
    """0.1 as FP32 is a little more than 0.1, and is what a caller means by it."""
    reader = of_one(Datatype.FP32, maximum=0.1, minimum=-0.1)
    raw = np.array([0.1, -0.1], np.float32).tobytes()
    assert decoded_of(reader, [2], Datatype.FP32, raw).rows == 2
    tensor = {"name": "x", "shape": [2], "datatype": "FP32"}
    for data in ([0.1, -0.1], [float(np.float32(0.1)), float(np.float32(-0.1))]):
        body = json.dumps({"inputs": [tensor | {"data": data}]}).encode()
        assert reader.decode(body, headers={}, rows_max=9).rows == 2
    above = np.nextafter(np.float32(0.1), np.float32(1)).tobytes()
    with pytest.raises(SignatureError):
        decoded_of(reader, [1], Datatype.FP32, above)


TENSOR = {"name": "x", "shape": [2], "datatype": "INT8"}


@pytest.mark.parametrize(
    ("size", "tail"),
    [("", b"\1\2"), ("-1", b"\1\2"), ("x", b"\1\2"), ("99999", b"\1\2"), ("1" * 5_000, b"\1\2"),
     ("+0", b"\1\2"), ("all", b"\1"), ("all", b"\1\2\3"), ("all", b"")],
)  # fmt: skip
def test_what_does_not_match_its_header_is_refused(size: str, tail: bytes) -> None:
    """A wrong header, missing bytes and bytes too many are told as what they are."""
    text = json.dumps({"inputs": [TENSOR | {"parameters": {"binary_data_size": 2}}]}).encode()
    header = str(len(text)) if size == "all" else size
    with pytest.raises(BinaryTensorsError):
        of_one(Datatype.INT8).decode(
            text + tail, headers={BINARY_HEADER: header.encode()}, rows_max=9
        )


@pytest.mark.parametrize(
    ("parameters", "error"),
    [
        ({"binary_data_size": -1}, BinaryTensorsError),
        ({"binary_data_size": True}, BinaryTensorsError),
        ({"binary_data_size": "2"}, BinaryTensorsError),
        ({"binary_data_size": 2**70}, BinaryTensorsError),
        ({"binary_data_size": {}}, BodyMalformedError),
        ([], BodyMalformedError),
        ({"content_type": "np", "binary_data_size": 2}, None),
    ],
)
def test_parameters_of_a_tensor_have_to_make_sense(
    parameters: object,
    error: type[RequestError] | None,
) -> None:
    """A size is a number of bytes that are there; other parameters are read past."""
    text = json.dumps({"inputs": [TENSOR | {"parameters": parameters}]}).encode()
    reader, headers = of_one(Datatype.INT8), {BINARY_HEADER: str(len(text)).encode()}
    if error is None:
        assert reader.decode(text + b"\1\2", headers=headers, rows_max=9).rows == 2
        return
    with pytest.raises(error):
        reader.decode(text + b"\1\2", headers=headers, rows_max=9)


def test_a_tensor_stands_in_one_place() -> None:
    """`data` and a size together say two things, and are refused."""
    body, headers = body_of([(TENSOR | {"data": [1, 2]}, b"\1\2")])
    with pytest.raises(BinaryTensorsError, match="both"):
        of_one(Datatype.INT8).decode(body, headers=headers, rows_max=9)


@pytest.mark.parametrize(
    ("datatype", "row_shape", "body", "values"),
    [
        (Datatype.FP32, (3,), struct.pack("<3f", 1, 2, 3), [1, 2, 3]),
        (Datatype.FP32, (-1, 2), struct.pack("<4f", 1, 2, 3, 4), [1, 2, 3, 4]),
        (Datatype.BYTES, (1,), b"as it is", ["as it is"]),
        (Datatype.BYTES, (), b"\x01\0\0\0", ["\x01\0\0\0"]),
        (Datatype.BYTES, (-1,), b"one text", ["one text"]),
    ],
)
def test_a_body_without_json_is_one_row_of_the_one_input(
    datatype: Datatype, row_shape: tuple[int, ...], body: bytes, values: list[Any]
) -> None:
    """A raw request needs no words, and its outputs come as bytes."""
    reader = of_one(datatype, row_shape=row_shape)
    found = reader.decode(body, headers={BINARY_HEADER: b"0"}, rows_max=9)
    assert (found.rows, found.as_arrays, list(found.columns[0])) == (1, True, values)
    assert found.form.binary == {"y"}


@pytest.mark.parametrize(
    ("row_shape", "body", "error"),
    [
        ((3,), b"12345678", SignatureError),
        ((-1,), b"12345", SignatureError),
        ((-1,), b"", SignatureError),
        ((-1, -1), b"1234", BinaryTensorsError),
    ],
)
def test_a_body_without_json_has_to_be_the_input(
    row_shape: tuple[int, ...], body: bytes, error: type[RequestError]
) -> None:
    """Bytes that are not a row, and a shape that nothing says, are refused."""
    with pytest.raises(error):
        of_one(Datatype.FP32, row_shape=row_shape).decode(
            body, headers={BINARY_HEADER: b"0"}, rows_max=9
        )


def test_a_body_without_json_needs_a_model_of_one_input() -> None:
    """Which input it is cannot be said."""
    with pytest.raises(BinaryTensorsError, match="4 inputs"):
        DIALECT.reader(FLIGHT).decode(b"1234", headers={BINARY_HEADER: b"0"}, rows_max=9)


@pytest.mark.parametrize("binary", [False, True])
@pytest.mark.parametrize(
    ("fields", "found"),
    [
        ({"parameters": {"timeout": 5_000}}, (5_000, None)),
        ({"parameters": {"timeout": 2**80, "priority": 1}}, (2**63 - 1, Priority.HIGH)),
        ({"parameters": {"priority": 2, "mine": "x"}}, (0, Priority.NORMAL)),
        ({"parameters": {"priority": 3, "sequence_id": 7}}, (0, Priority.LOW)),
        ({"parameters": {"priority": 0}}, (0, None)),
        ({"parameters": {"timeout": -1}}, "timeout"),
        ({"parameters": {"timeout": 1.5}}, "timeout"),
        ({"parameters": {"priority": True}}, "priority"),
        ({"parameters": {"binary_data_output": 1}}, "binary_data_output"),
        ({"outputs": [{"name": "y", "parameters": {"binary_data": "yes"}}]}, "binary_data"),
        ({"outputs": [{"name": "y", "parameters": {"classification": -1}}]}, "classification"),
        ({"parameters": {"mine": None}}, "neither a text"),
        ({"parameters": []}, "a list"),
        ({"outputs": [{"name": "y", "parameters": 1}]}, "a number"),
    ],
)
def test_wishes_are_read_and_wrong_ones_refused(
    fields: dict[str, Any], found: tuple[int, Priority | None] | str, *, binary: bool
) -> None:
    """Parameters that mean something hold what they may; the others are read past."""
    body, headers = body_of([(TENSOR, b"\1\2")] if binary else [(TENSOR | {"data": [1, 2]}, None)],
                            **fields)  # fmt: skip
    reader = of_one(Datatype.INT8)
    sent = headers if binary else {}
    if isinstance(found, str):
        with pytest.raises(RequestError, match=found):
            reader.decode(body, headers=sent, rows_max=9)
    else:
        decoded = reader.decode(body, headers=sent, rows_max=9)
        assert (decoded.timeout_us, decoded.priority) == found
        assert not decoded.as_arrays
