"""Reading an OIP V2 request with care: what it holds, or everything that is wrong with it.

`oip_request` and `oip_binary_request` decode most requests with types made from the signature.
What those do not take comes here, to be told why, or to be taken after all: nested data, whole
numbers written `3.0`, tensors in JSON beside binary ones.
"""

import math
from collections.abc import Iterator
from itertools import chain
from typing import Any, Final, cast

import msgspec

from servewell.core.catalog.signature import Datatype, Input, Signature
from servewell.serving.protocols.columns import Column, Decoded
from servewell.serving.protocols.elements import (
    Json,
    allowed_of,
    either,
    element_fault,
    fault_of,
    kind_of,
    shown,
    taken,
    value_shown,
)
from servewell.serving.protocols.faults import (
    FAULTS_MAX,
    FOUND_LENGTH_MAX,
    Fault,
    FaultKind,
    SignatureError,
)
from servewell.serving.protocols.oip_binary import (
    elements_of,
    item_bytes,
    mismatch,
    not_taken,
    numbers_of,
)
from servewell.serving.protocols.oip_wishes import Parameters, take_wishes
from servewell.serving.refusals import BodyMalformedError
from servewell.serving.runtimes.model import Array

Shape = tuple[int, ...]

REQUEST_SHOWN: Final = (
    '`{"inputs": [{"name": "…", "shape": [1, 1], "datatype": "FP32", "data": [0.5]}]}`'
)


def examine(
    body: bytes | memoryview,
    signature: Signature,
    *,
    rows_max: int,
    tensors: memoryview | None = None,
) -> Decoded:
    """Return what a request holds: `body` is its JSON, `tensors` what follows it, if anything may.

    Raises: BodyMalformedError where it is no inference request; BinaryTensorsError where its
    tensors are not where it says; SignatureError with all that does not fit the signature;
    ParameterRefusedError.
    """
    request = _object(_parsed(body), "The request")
    examination = _Examination(signature, rows_max, tensors)
    examination.inputs(_list(request.get("inputs"), "`inputs`"))
    entries = _list(request.get("outputs") or [], "`outputs`")
    outputs = [_wanted_output(one) for one in entries]
    wanted = examination.outputs([name for name, _ in outputs])
    parameters = _parameters(request.get("parameters"), "the request")
    if examination.faults:
        raise SignatureError(examination.faults)
    decoded = Decoded(
        request_id=_text(request.get("id") or "", "`id`"),
        rows=examination.rows,
        columns=[examination.columns[one.name] for one in signature.inputs],
        wanted=wanted,
        row_shapes=examination.row_shapes(),
    )
    take_wishes(decoded, parameters, outputs, signature=signature)
    return decoded


class _Examination:
    """What has been found so far."""

    def __init__(
        self, signature: Signature, rows_max: int, tensors: memoryview | None = None
    ) -> None:
        self.faults: list[Fault] = []
        self.columns: dict[str, Column] = {}
        self.rows = 0
        self._shapes: dict[str, Shape] = {}
        self._signature = signature
        self._known = {one.name: one for one in signature.inputs}
        self._rows_max = rows_max
        self._tensors = tensors
        self._read = 0  # bytes of `tensors`

    def inputs(self, tensors: list[Json]) -> None:
        """Look at every tensor, then at what they have in common."""
        seen: set[str] = set()
        for tensor in tensors:
            fields = _object(tensor, "Each of `inputs`")
            name = _text(fields.get("name"), "The `name` of an input")
            raw = self._raw(fields)
            if name not in self._known:
                self._unknown_input(name)
            elif name in seen:
                self._add(FaultKind.DUPLICATE_INPUT, name, "it twice", "each input once")
            else:
                self._tensor(self._known[name], fields, raw)
            seen.add(name)
        if self._tensors is not None and self._read != len(self._tensors):
            raise mismatch(
                f"{len(self._tensors)} bytes follow the JSON, and `binary_data_size` of the inputs "
                f"sums to {self._read}"
            )
        for missing in (one for one in self._signature.inputs if one.name not in seen):
            self._add(FaultKind.MISSING_INPUT, missing.name, "nothing", allowed_of(missing))
        self._rows()

    def outputs(self, names: list[str]) -> tuple[str, ...]:
        """Return the names of the outputs asked for, in the order of the signature."""
        known = tuple(one.name for one in self._signature.outputs)
        for name in dict.fromkeys(names):
            if name not in known:
                self._add(
                    FaultKind.UNKNOWN_OUTPUT, shown(name), "it asked for", either(known), raw=True
                )
        return tuple(name for name in known if name in names)

    def row_shapes(self) -> tuple[Shape, ...] | None:
        """Return the shape of one row of each input, where the model leaves one open."""
        if not any(-1 in one.row_shape for one in self._signature.inputs):
            return None
        return tuple(self._shapes[one.name][1:] for one in self._signature.inputs)

    def _add(
        self, kind: FaultKind, name: str, found: str, allowed: str, *, raw: bool = False
    ) -> None:
        label = name if raw else name[:FOUND_LENGTH_MAX]
        self.faults.append(Fault(kind=kind, name=label, row=None, found=found, allowed=allowed))

    def _unknown_input(self, name: str) -> None:
        known = either(tuple(self._known))
        self._add(FaultKind.UNKNOWN_INPUT, shown(name), "an input of that name", known, raw=True)

    def _raw(self, fields: dict[str, Json]) -> memoryview | None:
        """Return the bytes of a tensor behind the JSON; None where it stands in the JSON.

        Without a header that announces them there are none, whatever the parameters say.
        """
        parameters = _parameters(fields.get("parameters"), "an input")
        size = (parameters or {}).get("binary_data_size")
        if size is None or self._tensors is None:
            return None
        left = len(self._tensors) - self._read
        if type(size) is not int or not 0 <= size <= left:
            raise mismatch(f"a `binary_data_size` is not a number of bytes from 0 to {left}")
        if "data" in fields:
            raise mismatch("an input has both `data` and `binary_data_size`")
        self._read += size
        return self._tensors[self._read - size : self._read]

    def _tensor(self, declared: Input, fields: dict[str, Json], raw: memoryview | None) -> None:
        if fields.get("datatype") != declared.datatype:
            found = value_shown(fields.get("datatype"))
            self._add(FaultKind.WRONG_DATATYPE, declared.name, found, f"`{declared.datatype}`")
            return
        shape = _shape_of(fields.get("shape"), declared)
        if shape is None:
            found = value_shown(fields.get("shape"))
            self._add(FaultKind.WRONG_SHAPE, declared.name, found, _shapes_allowed(declared))
            return
        self._shapes[declared.name] = shape
        if raw is not None:
            self._binary(declared, shape, raw)
            return
        values = self._flat(declared, shape, fields.get("data"))
        if values is not None:
            self._elements(declared, shape, values)

    def _binary(self, declared: Input, shape: Shape, raw: memoryview) -> None:
        size, count = item_bytes(declared.datatype), math.prod(shape)
        elements = [_text_or_bytes(one) for one in elements_of(raw)] if not size else None
        if len(raw) != size * count if elements is None else len(elements) != count:
            found = f"{len(raw)} bytes" if elements is None else _count(len(elements))
            allowed = f"{count * size} bytes" if elements is None else f"{count}"
            said = f"{allowed}, as the shape {list(shape)} says"
            self._add(FaultKind.WRONG_COUNT, declared.name, found, said)
        elif elements is None:
            self._numbers(declared, shape, numbers_of(raw, declared.datatype))
        else:
            self._elements(declared, shape, elements)

    def _numbers(self, declared: Input, shape: Shape, array: Array) -> None:
        """Look at the elements of an array; those of BOOL come as UINT8."""
        width = math.prod(shape[1:])
        for place in not_taken(array, declared).nonzero()[0].tolist():
            value = array[place].item()
            value = None if value != value else value  # noqa: PLR0124  (not-a-number is null)
            kind = fault_of(value, declared) or FaultKind.OUT_OF_RANGE
            self.faults.append(element_fault(kind, declared, place // width, value))
            if len(self.faults) > FAULTS_MAX:
                return
        is_bool = declared.datatype is Datatype.BOOL
        self.columns[declared.name] = array.view(bool) if is_bool else array

    def _flat(self, declared: Input, shape: Shape, data: Json) -> list[Json] | None:
        if not isinstance(data, list):
            self._add(FaultKind.WRONG_TYPE, declared.name, kind_of(data), "`data` as a list")
            return None
        count = math.prod(shape)
        if any(isinstance(one, list) for one in data):
            flat = _unnested(data, shape)
            if flat is None:
                allowed = f"lists nested as the shape {list(shape)} says, or one flat list"
                self._add(FaultKind.RAGGED, declared.name, "nested lists of other sizes", allowed)
            return flat
        if len(data) != count:
            found, allowed = _count(len(data)), f"{count}, as the shape {list(shape)} says"
            self._add(FaultKind.WRONG_COUNT, declared.name, found, allowed)
            return None
        return data

    def _elements(self, declared: Input, shape: Shape, values: list[Json]) -> None:
        width = math.prod(shape[1:])
        column: list[Any] = []
        for place, value in enumerate(values):
            kind = fault_of(value, declared)
            if kind is not None:
                fault = element_fault(kind, declared, place // width, value)
                self.faults.append(fault)
                if len(self.faults) > FAULTS_MAX:
                    return
            else:
                column.append(taken(value, declared))
        self.columns[declared.name] = column

    def _rows(self) -> None:
        counts = {name: shape[0] for name, shape in self._shapes.items()}
        if not counts:
            return
        first, self.rows = next(iter(counts.items()))
        for name, rows in counts.items():
            if rows != self.rows:
                allowed = f"{self.rows}, as many as `{first}` has"
                self._add(FaultKind.ROWS_DIFFER, name, f"{rows} rows", allowed)
        if self.rows == 0:
            self._add(FaultKind.NO_ROWS, first, "0 rows", f"1 to {self._rows_max} rows")
        if self.rows > self._rows_max:
            found, allowed = f"{self.rows} rows", f"1 to {self._rows_max} rows"
            self._add(FaultKind.TOO_MANY_ROWS, first, found, allowed)


def _shape_of(shape: Json, declared: Input) -> Shape | None:
    """Return the shape with all its dimensions, or None where it is not one of this input."""
    if not isinstance(shape, list) or not all(type(one) is int and one >= 0 for one in shape):
        return None
    full = (*shape, 1) if declared.row_shape == (1,) and len(shape) == 1 else tuple(shape)
    if len(full) != len(declared.row_shape) + 1:
        return None
    pairs = zip(full[1:], declared.row_shape, strict=True)
    return full if all(found == want or (want == -1 and found) for found, want in pairs) else None


def _shapes_allowed(declared: Input) -> str:
    words = ", ".join("any" if one == -1 else str(one) for one in declared.row_shape)
    full = f"`[rows, {words}]`" if words else "`[rows]`"
    return f"`[rows]` or {full}" if declared.row_shape == (1,) else full


def _unnested(data: list[Json], shape: Shape) -> list[Json] | None:
    """Return nested data as one list, or None where it is not nested as the shape says."""
    if _nests(data, shape):
        return _flattened(data, len(shape) - 1)
    if shape[1:] == (1,) and _nests(data, shape[:1]):
        return data
    return None


def _nests(data: Json, shape: Shape) -> bool:
    if not shape:
        return not isinstance(data, list)
    if not isinstance(data, list) or len(data) != shape[0]:
        return False
    return all(_nests(one, shape[1:]) for one in data)


def _flattened(data: list[Any], depth: int) -> list[Json]:
    values: Iterator[Any] = iter(data)
    for _ in range(depth):
        values = chain.from_iterable(values)
    return list(values)


def _parsed(body: bytes | memoryview) -> Json:
    try:
        return cast("Json", msgspec.json.decode(body))
    except UnicodeDecodeError as error:
        raise _malformed(f"a text in it is not UTF-8 ({error.reason})") from None
    except (msgspec.MsgspecError, RecursionError) as error:
        raise _malformed(str(error)) from None


def _object(value: Json, what: str) -> dict[str, Json]:
    if not isinstance(value, dict):
        raise _malformed(f"{_lowered(what)} is {kind_of(value)}, and has to be an object")
    return value


def _list(value: Json, what: str) -> list[Json]:
    if not isinstance(value, list):
        raise _malformed(f"{_lowered(what)} is {kind_of(value)}, and has to be a list")
    return value


def _text(value: Json, what: str) -> str:
    if not isinstance(value, str):
        raise _malformed(f"{_lowered(what)} is {kind_of(value)}, and has to be a text")
    return value


def _wanted_output(entry: Json) -> tuple[str, Parameters | None]:
    fields = _object(entry, "Each of `outputs`")
    return _text(fields.get("name"), "`name`"), _parameters(fields.get("parameters"), "an output")


def _parameters(value: Json, of: str) -> Parameters | None:
    if value is None:
        return None
    found = _object(value, f"`parameters` of {of}")
    if not all(isinstance(one, str | int | float | bool) for one in found.values()):
        raise _malformed(f"a parameter of {of} is neither a text nor a number nor true or false")
    return cast("Parameters", found)


def _text_or_bytes(element: bytes) -> Json:
    try:
        return element.decode()
    except UnicodeDecodeError:
        return element


def _lowered(what: str) -> str:
    return what[:1].lower() + what[1:]


def _malformed(why: str) -> BodyMalformedError:
    return BodyMalformedError(
        "The body is no inference request.", why=why, fix=f"send JSON such as {REQUEST_SHOWN}"
    )


def _count(number: int) -> str:
    return f"{number} value" if number == 1 else f"{number} values"
