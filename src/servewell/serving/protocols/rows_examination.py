"""Reading rows with care: what they hold, or everything that is wrong with them.

`rows` decodes most requests with types made from the signature. What those do not take comes here,
to be told why, or to be taken after all: a single value in a list of its own, columns in another
order, whole numbers written `3.0`, rows of any shape where the model leaves one open.
"""

import math
from collections import Counter
from collections.abc import Iterable
from typing import Any, Final

from servewell.core.catalog.signature import Input, Signature
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
from servewell.serving.protocols.faults import FAULTS_MAX, Fault, FaultKind, SignatureError

Shape = tuple[int, ...]

ROWS: Final = "a list of rows"
TABLE: Final = 'a table: `{"columns": […], "data": [[…]]}`'


def examine_rows(value: Json, signature: Signature, *, place: str, rows_max: int) -> Decoded:
    """Return the rows of a list, or of an object with a list for each input.

    Raises: SignatureError.
    """
    examination = _Examination(signature, place, rows_max)
    if isinstance(value, dict):
        examination.columns(value)
    elif not isinstance(value, list):
        examination.wrong_type(place, kind_of(value), ROWS)
    elif examination.count(len(value)):
        examination.rows(value)
    return examination.decoded()


def examine_table(value: Json, signature: Signature, *, place: str, rows_max: int) -> Decoded:
    """Return the rows of a table.

    Raises: SignatureError.
    """
    examination = _Examination(signature, place, rows_max)
    fields: dict[str, Json] = value if isinstance(value, dict) else {}
    data, names = fields.get("data"), fields.get("columns")
    if not isinstance(data, list):
        found = kind_of(value) if not fields else "`data` that is " + kind_of(data)
        examination.wrong_type(place, found, TABLE)
    elif not _are_names(names, signature):
        examination.wrong_type(place, "`columns` that are no names", TABLE)
    elif extra := fields.keys() - {"columns", "index", "data"}:
        examination.wrong_type(place, f"also {either(tuple(sorted(extra)))}", TABLE)
    elif examination.count(len(data)):
        examination.table(_ordered(names, signature), data)
    return examination.decoded()


class _Examination:
    """What has been found so far."""

    def __init__(self, signature: Signature, place: str, rows_max: int) -> None:
        self._signature = signature
        self._known = {one.name: one for one in signature.inputs}
        self._place = place
        self._rows_max = rows_max
        self._faults: list[Fault] = []
        self._columns: dict[str, list[Any]] = {name: [] for name in self._known}
        self._shapes: dict[str, Shape] = {one.name: one.row_shape for one in signature.inputs}
        self._count = 0

    def decoded(self) -> Decoded:
        """Return what the request holds.

        Raises: SignatureError.
        """
        if self._faults:
            raise SignatureError(self._faults)
        columns: list[Column] = list(self._columns.values())
        open_shape = any(-1 in one.row_shape for one in self._signature.inputs)
        shapes = tuple(self._shapes[name] for name in self._known) if open_shape else None
        return Decoded("", self._count, columns, (), shapes)

    def wrong_type(self, name: str, found: str, allowed: str, row: int | None = None) -> None:
        """Note something of another kind than is wanted."""
        self._add(FaultKind.WRONG_TYPE, name, found, allowed, row)

    def count(self, rows: int) -> bool:
        """Note how many rows there are, and return whether they are to be looked at."""
        self._count = rows
        if 0 < rows <= self._rows_max:
            return True
        kind = FaultKind.TOO_MANY_ROWS if rows else FaultKind.NO_ROWS
        self._add(kind, self._place, f"{rows} rows", f"1 to {self._rows_max} rows")
        return False

    def columns(self, columns: dict[str, Json]) -> None:
        """Look at an object that has a list for each input."""
        self._names(columns, None)
        known = {name: column for name, column in columns.items() if name in self._known}
        for name, column in known.items():
            if not isinstance(column, list):
                self.wrong_type(name, kind_of(column), "a list, one value for each row")
        listed = {name: one for name, one in known.items() if isinstance(one, list)}
        if not listed:
            return
        first, rows = next((name, len(one)) for name, one in listed.items())
        for name, column in listed.items():
            if len(column) != rows:
                allowed = f"{rows}, as many as `{first}` has"
                self._add(FaultKind.ROWS_DIFFER, name, f"{len(column)} rows", allowed)
        if self.count(rows):
            for name, column in listed.items():
                self._column(self._known[name], column)

    def rows(self, rows: list[Json]) -> None:
        """Look at a list of rows."""
        for number, row in enumerate(rows):
            if isinstance(row, dict):
                self._object(number, row)
            elif len(self._known) == 1:
                self._value(self._signature.inputs[0], number, _unwrapped(row, self._signature))
            else:
                self._positions(tuple(self._known), number, row)
            if len(self._faults) > FAULTS_MAX:
                return

    def table(self, names: tuple[str, ...], rows: list[Json]) -> None:
        """Look at rows whose values are named once for all."""
        vector = _vector(self._signature, names)
        if vector is not None:
            self._column(vector, rows)
            return
        if len(self._known) == 1 and names == tuple(self._known):
            self.rows(rows)
            return
        for name, times in Counter(names).items():
            if times > 1 and name in self._known:
                self._add(FaultKind.DUPLICATE_INPUT, name, "it twice", "each input once")
        self._names(names, None)
        for number, row in enumerate(rows if not self._faults else []):
            self._positions(names, number, row)
            if len(self._faults) > FAULTS_MAX:
                return

    def _names(self, names: Iterable[str], row: int | None) -> None:
        """Note the inputs that are unknown, and those that are missing."""
        found = set(names)
        for name in sorted(found - self._known.keys())[: FAULTS_MAX + 1]:
            known = either(tuple(self._known))
            unknown = "an input of that name"
            self._add(FaultKind.UNKNOWN_INPUT, shown(name), unknown, known, row)
        for name, declared in self._known.items():
            if name not in found:
                self._add(FaultKind.MISSING_INPUT, name, "nothing", allowed_of(declared), row)

    def _object(self, number: int, row: dict[str, Json]) -> None:
        if row.keys() != self._known.keys():
            self._names(row, number)
        for name, value in row.items():
            declared = self._known.get(name)
            if declared is not None:
                self._value(declared, number, value)

    def _positions(self, names: tuple[str, ...], number: int, row: Json) -> None:
        allowed = f"a row of {len(names)} values: {either(names)}"
        if not isinstance(row, list):
            self.wrong_type(self._place, kind_of(row), allowed, number)
            return
        if len(row) != len(names):
            found = "1 value" if len(row) == 1 else f"{len(row)} values"
            self._add(FaultKind.WRONG_COUNT, self._place, found, allowed, number)
            return
        for name, value in zip(names, row, strict=True):
            self._value(self._known[name], number, value)

    def _column(self, declared: Input, values: list[Json]) -> None:
        for number, value in enumerate(values):
            self._value(declared, number, value)
            if len(self._faults) > FAULTS_MAX:
                return

    def _value(self, declared: Input, row: int, value: Json) -> None:
        shape = self._shapes[declared.name]
        elements = _elements(value, shape)
        if elements is None:
            found = kind_of(value) if declared.personal else value_shown(value)
            self._add(FaultKind.WRONG_SHAPE, declared.name, found, _shape_words(shape), row)
            return
        if -1 in shape:  # the first row says what the others have to be
            self._shapes[declared.name] = _measured(value, shape)
        column = self._columns[declared.name]
        for element in elements:
            kind = fault_of(element, declared)
            if kind is None:
                column.append(taken(element, declared))
            else:
                self._faults.append(element_fault(kind, declared, row, element))
                if len(self._faults) > FAULTS_MAX:
                    return

    def _add(
        self, kind: FaultKind, name: str, found: str, allowed: str, row: int | None = None
    ) -> None:
        self._faults.append(Fault(kind=kind, name=name, row=row, found=found, allowed=allowed))


def _elements(value: Json, shape: Shape) -> list[Json] | None:
    """Return the elements of one row's value, or None where it does not have that shape."""
    if not isinstance(value, list):
        return [value] if shape in ((), (1,)) else None
    measured = _measured(value, shape)
    if len(measured) != len(shape) or not _matches(measured, shape):
        return None
    values: list[Any] = value
    for size in measured[1:]:
        if any(not isinstance(one, list) or len(one) != size for one in values):
            return None
        values = [one for nested in values for one in nested]
    return None if any(isinstance(one, list) for one in values) else values


def _measured(value: Json, shape: Shape) -> Shape:
    """Return the shape of nested lists by the first of each, as deep as a shape goes."""
    found: list[int] = []
    while isinstance(value, list) and len(found) < len(shape):
        found.append(len(value))
        value = value[0] if value else None
    return tuple(found)


def _matches(found: Shape, wanted: Shape) -> bool:
    pairs = zip(found, wanted, strict=True)
    return all(size == want or (want == -1 and size > 0) for size, want in pairs)


def _unwrapped(row: Json, signature: Signature) -> Json:
    """Return the value of a row of the only input, which may stand in a list of its own."""
    shape = signature.inputs[0].row_shape
    if isinstance(row, list) and len(row) == 1:
        deeper = (*shape, 1)
        if len(_measured(row, deeper)) == len(deeper):
            return row[0]  # type: ignore[no-any-return]  # JSON has no static type
    return row


def _shape_words(shape: Shape) -> str:
    if shape in ((), (1,)):
        return "one value"
    if len(shape) == 1 and shape[0] != -1:
        return f"a list of {shape[0]} values"
    sizes = " of ".join("any" if size == -1 else str(size) for size in shape)
    return f"lists nested {sizes} values"


def _are_names(names: Json, signature: Signature) -> bool:
    if names is None or names == list(range(_width(signature))):
        return True
    return isinstance(names, list) and names != [] and all(isinstance(one, str) for one in names)


def _ordered(names: Json, signature: Signature) -> tuple[str, ...]:
    """Return the columns of a table; one without names has them in the order of the signature."""
    if isinstance(names, list) and names and isinstance(names[0], str):
        return tuple(names)
    return tuple(one.name for one in signature.inputs)


def _vector(signature: Signature, names: tuple[str, ...]) -> Input | None:
    """Return the only input where each column of a table is one of its elements.

    A model trained on a matrix knows no names, so a table of its width is taken in its order.
    """
    only = signature.inputs[0]
    if len(signature.inputs) > 1 or len(only.row_shape) != 1 or only.row_shape == (1,):
        return None
    if names == (only.name,):
        return None
    return only if len(names) == only.row_shape[0] else None


def _width(signature: Signature) -> int:
    """Return how many values a row has when it is written without names."""
    if len(signature.inputs) > 1:
        return len(signature.inputs)
    return max(1, math.prod(signature.inputs[0].row_shape))
