"""Requests against the signature: what is taken, and what each fault says."""

import json
import math
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from servewell.core.catalog.signature import Datatype, Input, Output, Signature
from servewell.serving.protocols.columns import Decoded
from servewell.serving.protocols.faults import FAULTS_MAX, FaultKind, SignatureError
from servewell.serving.protocols.oip_examination import examine
from servewell.serving.protocols.oip_request import RequestDecoder
from servewell.serving.refusals import BodyMalformedError
from serving.conftest import Running
from serving.home import FLIGHT, request

ROWS_MAX = 50
ALL_TYPES = Signature(
    inputs=(
        *(Input(name=one.value.lower(), datatype=one, nullable=one.is_float) for one in Datatype),
        Input(name="wide", datatype=Datatype.FP32, row_shape=(2, 3)),
        Input(name="bounded", datatype=Datatype.FP64, minimum=-1.5, maximum=2.5),
        Input(name="some", datatype=Datatype.BYTES, allowed=("a", "b"), nullable=True),
        Input(name="ages", datatype=Datatype.INT16, minimum=0.5, maximum=9.5),
    ),
    outputs=(
        Output(name="out", datatype=Datatype.FP32),
        Output(name="two", datatype=Datatype.BOOL),
    ),
)
DECODER = RequestDecoder(ALL_TYPES)

numbers = (
    st.integers(-300, 300)
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from([65_504, 65_520, 3.4028235e38, 3.41e38, 1e308, 2.0, -0.0, 2**63, 2**64 - 1])
)
values = st.none() | st.booleans() | numbers | st.text(max_size=3) | st.sampled_from(["a", "b"])


@st.composite
def good_values(draw: st.DrawFn, declared: Input, count: int) -> list[Any]:
    """Return values that fit an input."""
    if declared.datatype is Datatype.BYTES:
        fitting: st.SearchStrategy[Any] = st.sampled_from(declared.allowed or ("x", "", "é"))
    elif declared.datatype is Datatype.BOOL:
        fitting = st.booleans()
    elif declared.datatype.is_integer:
        fitting = st.integers(1, 9)
    else:
        fitting = st.floats(-1, 2, width=16)
    return draw(st.lists(fitting, min_size=count, max_size=count))


CHANGES: list[Callable[[int], st.SearchStrategy[dict[str, Any]]]] = [
    lambda count: st.fixed_dictionaries({"data": st.lists(values, min_size=count, max_size=count)}),
    lambda _: st.fixed_dictionaries({"data": st.lists(values | st.lists(values, max_size=2))}),
    lambda _: st.fixed_dictionaries({"data": st.lists(st.lists(numbers, max_size=1), max_size=3)}),
    lambda _: st.fixed_dictionaries({"shape": st.lists(st.integers(-1, 3), max_size=4)}),
    lambda _: st.fixed_dictionaries({"datatype": st.sampled_from(["FP32", "X"])}),
    lambda _: st.fixed_dictionaries({"name": st.sampled_from(["fp32", "zz"])}),
]


@st.composite
def bodies(draw: st.DrawFn) -> bytes:
    """Return a request for `ALL_TYPES` that is good, or nearly."""
    rows = draw(st.sampled_from([1, 2, 3, 1, 2, 3, 0]))
    victims = draw(st.sets(st.sampled_from([one.name for one in ALL_TYPES.inputs]), max_size=1))
    tensors = []
    for declared in draw(st.permutations(ALL_TYPES.inputs)):
        count = math.prod([rows, *declared.row_shape])
        tensor = {
            "name": declared.name,
            "datatype": declared.datatype.value,
            "shape": [rows, *declared.row_shape],
            "data": draw(good_values(declared, count)),
        }
        if declared.name in victims:
            tensor |= draw(draw(st.sampled_from(CHANGES))(count))
        if declared.row_shape == (1,) and draw(st.booleans()):
            tensor["shape"] = tensor["shape"][:1]
        tensors.append(tensor)
    tensors += tensors[: draw(st.sampled_from([0] * 9 + [1]))]
    tensors = tensors[draw(st.sampled_from([0] * 9 + [1])) :]
    body: dict[str, Any] = {"inputs": tensors, "id": draw(st.text(max_size=3))}
    if draw(st.booleans()):
        names = st.sampled_from(["out", "two"] * 5 + ["three"])
        body["outputs"] = [{"name": name} for name in draw(st.lists(names, max_size=3))]
    return json.dumps(body).encode()


def outcome(decode: Any, body: bytes) -> Any:  # noqa: ANN401  (an outcome is a value or an error)
    """Return what a decoder makes of a body."""
    try:
        return decode(body)
    except (SignatureError, BodyMalformedError) as error:
        return str(error)


@given(bodies())
def test_the_fast_way_and_the_careful_way_agree(body: bytes) -> None:
    """What the generated types take, the examination takes, with the same columns and types."""
    fast = outcome(lambda one: DECODER.decode(one, rows_max=ROWS_MAX), body)
    careful = outcome(lambda one: examine(one, ALL_TYPES, rows_max=ROWS_MAX), body)
    assert repr(fast) == repr(careful)


def test_a_good_flat_request_takes_the_fast_way() -> None:
    """The generated types take it, so that the examination costs nothing where nothing is wrong."""
    body = json.dumps(request(2, delay=[1, None]) | {"outputs": [{"name": "echo"}]}).encode()
    assert RequestDecoder(FLIGHT)._decode_typed(body, ROWS_MAX)  # noqa: SLF001  (which way it went shows nowhere else)


@given(bodies(), st.lists(st.integers(0, 2_000), max_size=3), st.binary(min_size=1, max_size=3))
def test_no_damage_breaks_a_decoder(body: bytes, places: list[int], noise: bytes) -> None:
    """Any bytes give rows or one of the two refusals."""
    damaged = bytearray(body)
    for place in places:
        damaged[place % len(damaged) : place % len(damaged) + 1] = noise
    found = outcome(lambda one: DECODER.decode(one, rows_max=ROWS_MAX), bytes(damaged))
    assert isinstance(found, Decoded | str)


@given(
    st.recursive(values, lambda one: st.lists(one, max_size=3) | st.dictionaries(st.text(), one))
)
def test_no_json_breaks_a_decoder(anything: Any) -> None:  # noqa: ANN401  (any JSON at all)
    """Any JSON, as a request, a tensor or its data, gives rows or a refusal."""
    tensor = {"name": "fp32", "shape": [1], "datatype": "FP32", "data": anything}
    for body in (anything, {"inputs": anything}, {"inputs": [anything]}, {"inputs": [tensor]}):
        encoded = json.dumps(body).encode()
        found = outcome(lambda one: DECODER.decode(one, rows_max=ROWS_MAX), encoded)
        assert isinstance(found, str)


FAULTS: dict[str, tuple[dict[str, Any], FaultKind, str, int | None, str, str]] = {
    "a missing input": (
        request(delay=None),
        FaultKind.MISSING_INPUT,
        "delay",
        None,
        "nothing",
        "a number up to 1000 (FP32), or null",
    ),
    "a text in a number": (
        request(delay=["x"]),
        FaultKind.WRONG_TYPE,
        "delay",
        0,
        "the text `x`",
        "a number up to 1000 (FP32), or null",
    ),
    "a bool in a number": (
        request(delay=[True]),
        FaultKind.WRONG_TYPE,
        "delay",
        0,
        "`true`",
        "a number",
    ),
    "a number too large": (
        request(2, delay=[1, 1000.5]),
        FaultKind.ABOVE_MAXIMUM,
        "delay",
        1,
        "`1000.5`",
        "up to 1000",
    ),
    "a number too small": (
        request(seats=[-1]),
        FaultKind.BELOW_MINIMUM,
        "seats",
        0,
        "`-1`",
        "from 0",
    ),
    "a fraction in a whole number": (
        request(seats=[1.5]),
        FaultKind.WRONG_TYPE,
        "seats",
        0,
        "`1.5`",
        "a whole number",
    ),
    "a number outside its type": (
        request(seats=[2**63]),
        FaultKind.OUT_OF_RANGE,
        "seats",
        0,
        "`9223372036854775808`",
        "INT64",
    ),
    "a null where none may be": (
        request(seats=[None]),
        FaultKind.NULL,
        "seats",
        0,
        "null",
        "a whole number",
    ),
    "a null in a text": (
        request(2, carrier=["AA", None]),
        FaultKind.NULL,
        "carrier",
        1,
        "null",
        "one of `AA`, `UA`, `DL`",
    ),
    "a text that is not allowed": (
        request(carrier=["XX"]),
        FaultKind.NOT_ALLOWED,
        "carrier",
        0,
        "the text `XX`",
        "`AA`",
    ),
    "a number in a text": (
        request(carrier=[1]),
        FaultKind.WRONG_TYPE,
        "carrier",
        0,
        "`1`",
        "one of",
    ),
    "a personal value": (
        request(name=[12345]),
        FaultKind.WRONG_TYPE,
        "name",
        0,
        "a number",
        "a text",
    ),
    "too few values": (
        request(2, delay=[1.0]),
        FaultKind.WRONG_COUNT,
        "delay",
        None,
        "1 value",
        "2, as the shape [2, 1] says",
    ),
    "ragged data": (
        request(2, delay=[[1.0], [2.0, 3.0]]),
        FaultKind.RAGGED,
        "delay",
        None,
        "nested",
        "[2, 1]",
    ),
    "data that is no list": (
        request(delay=3.0),
        FaultKind.WRONG_TYPE,
        "delay",
        None,
        "a number",
        "a list",
    ),  # type: ignore[arg-type]
}


@pytest.mark.parametrize("case", FAULTS.values(), ids=FAULTS.keys())
def test_a_fault_names_input_row_found_and_allowed(
    running: Running, case: tuple[dict[str, Any], FaultKind, str, int | None, str, str]
) -> None:
    """A 400 says where, what was found and what is allowed; the record says it without values."""
    body, kind, name, row, found, allowed = case
    reply = running.infer(body)
    assert (reply.status, reply.json["code"]) == (400, "SW-313")
    [fault] = reply.json["faults"]
    assert (fault["kind"], fault["name"], fault["row"]) == (kind, name, row)
    assert found in fault["found"]
    assert allowed in fault["allowed"]
    assert str(fault["found"]) in reply.json["error"]
    prediction = reply.headers["servewell-prediction-id"]
    [record] = [one for one in running.home.records() if one.prediction_id == prediction]
    suffix = "" if row is None else f" row {row}"
    assert record.reason == f"{kind} {name}{suffix}"
    assert (record.status, record.code, record.inputs) == (400, "SW-313", [])


def changed(**fields: Any) -> dict[str, Any]:  # noqa: ANN401  (any JSON)
    """Return a request whose first tensor has other fields."""
    body = request()
    body["inputs"][0] |= fields
    return body


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (changed(name="zz"), FaultKind.UNKNOWN_INPUT),
        (changed(name="seats", datatype="INT64"), FaultKind.DUPLICATE_INPUT),
        (changed(datatype="INT64"), FaultKind.WRONG_DATATYPE),
        (changed(datatype=None), FaultKind.WRONG_DATATYPE),
        (changed(shape=[-1, 1]), FaultKind.WRONG_SHAPE),
        (changed(shape=[1, 2]), FaultKind.WRONG_SHAPE),
        (changed(shape=[]), FaultKind.WRONG_SHAPE),
        (changed(shape=[1, 1, 1]), FaultKind.WRONG_SHAPE),
        (changed(shape=[True]), FaultKind.WRONG_SHAPE),
        (changed(shape=None), FaultKind.WRONG_SHAPE),
        (changed(shape=[2, 1], data=[1, 2]), FaultKind.ROWS_DIFFER),
        (request(0), FaultKind.NO_ROWS),
        (request(5_001), FaultKind.TOO_MANY_ROWS),
        ({"inputs": []}, FaultKind.MISSING_INPUT),
        (request() | {"outputs": [{"name": "zz"}]}, FaultKind.UNKNOWN_OUTPUT),
    ],
)
def test_a_request_that_does_not_fit_is_refused(
    running: Running, body: dict[str, Any], kind: FaultKind
) -> None:
    """Names, datatypes, shapes, row counts and outputs are held to the signature."""
    reply = running.infer(body)
    assert reply.status == 400
    assert kind in {fault["kind"] for fault in reply.json["faults"]}


def test_all_faults_of_a_request_are_told_together() -> None:
    """Three faults in three inputs are three sentences, not one at a time."""
    body = json.dumps(request(2, delay=["x", None], seats=[1, 2.5], carrier=["AA", "ZZ"])).encode()
    with pytest.raises(SignatureError) as caught:
        examine(body, FLIGHT, rows_max=ROWS_MAX)
    assert {(one.name, one.row) for one in caught.value.faults} == {
        ("delay", 0), ("seats", 1), ("carrier", 1),
    }  # fmt: skip


def test_a_thousand_faults_are_cut_short() -> None:
    """A body full of faults gets a bounded answer."""
    body = json.dumps(request(40, seats=[None] * 40)).encode()
    with pytest.raises(SignatureError, match="more faults") as caught:
        examine(body, FLIGHT, rows_max=ROWS_MAX)
    assert len(caught.value.faults) == FAULTS_MAX


@given(st.text(min_size=1), st.integers() | st.floats(allow_nan=False, allow_infinity=False))
def test_a_personal_value_is_repeated_nowhere(text: str, number: float) -> None:
    """Neither the answer nor the reason shows what a personal input held."""
    assume(len(str(number)) > 4)
    body = json.dumps(request(name=[number], delay=["q"])).encode()
    with pytest.raises(SignatureError) as caught:
        examine(body, FLIGHT, rows_max=ROWS_MAX)
    assert str(number) not in str(caught.value)
    body = json.dumps(request(delay=[f"secret{text}"])).encode()
    with pytest.raises(SignatureError) as caught:
        examine(body, FLIGHT, rows_max=ROWS_MAX)
    assert "secret" not in caught.value.reason


def test_names_that_the_caller_made_up_are_not_recorded() -> None:
    """The reason has no name that is not of the signature."""
    body = json.dumps(changed(name="Ada Lovelace") | {"outputs": [{"name": "Ada"}]}).encode()
    with pytest.raises(SignatureError) as caught:
        examine(body, FLIGHT, rows_max=ROWS_MAX)
    assert "Ada" in caught.value.what
    assert "Ada" not in caught.value.reason


def test_whole_numbers_may_be_written_with_a_point() -> None:
    """`3.0` is a whole number, and is handed to the model as one."""
    body = json.dumps(request(seats=[3.0])).encode()
    decoded = RequestDecoder(FLIGHT).decode(body, rows_max=ROWS_MAX)
    assert repr(decoded.columns[2]) == "[3]"


@pytest.mark.parametrize("datatype", [Datatype.INT64, Datatype.UINT64, Datatype.INT8])
@pytest.mark.parametrize(
    "bounds", [{"minimum": 1e20}, {"maximum": -1e20}, {"minimum": 2.0**63}, {"minimum": -1e20}]
)
@pytest.mark.parametrize("value", [-(2**63), 0, 2**63 - 1, 2**64 - 1])
def test_bounds_beyond_every_integer_are_kept(
    datatype: Datatype, bounds: dict[str, float], value: int
) -> None:
    """A bound that no 64-bit integer reaches breaks no decoder, and refuses what it says."""
    declared = Input(name="x", datatype=datatype, **bounds)  # type: ignore[arg-type]  # bounds alone
    signature = Signature(inputs=(declared,), outputs=(Output(name="y", datatype=Datatype.FP32),))
    tensor = {"name": "x", "datatype": datatype.value, "shape": [1, 1], "data": [value]}
    body = msgspec.json.encode({"inputs": [tensor]})
    fast = outcome(lambda one: RequestDecoder(signature).decode(one, rows_max=ROWS_MAX), body)
    careful = outcome(lambda one: examine(one, signature, rows_max=ROWS_MAX), body)
    assert repr(fast) == repr(careful)
    within = bounds.get("minimum", value) <= value <= bounds.get("maximum", value)
    assert within or isinstance(fast, str)


def test_an_open_dimension_takes_any_width() -> None:
    """Where the model leaves a dimension open, the request decides, and it is kept."""
    signature = Signature(
        inputs=(Input(name="x", datatype=Datatype.FP32, row_shape=(-1,)),),
        outputs=(Output(name="y", datatype=Datatype.FP32),),
    )
    tensor = {"name": "x", "datatype": "FP32", "shape": [2, 3], "data": [[1, 2, 3], [4, 5, 6]]}
    decoded = RequestDecoder(signature).decode(
        msgspec.json.encode({"inputs": [tensor]}), rows_max=ROWS_MAX
    )
    assert decoded.row_shapes == ((3,),)
    assert decoded.columns == [[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]]
