"""Bodies in which a request is rows: what most scoring servers take.

Rows come as a list of objects or of lists, as a table (`columns` and `data`), as an object with a
list for each input, or, where the model has one input, as a plain list of its values. Names decide
where there are any; else the order of the signature does.

A body is parsed once, turned into columns, and checked column by column with types made from the
signature. What those do not take goes to `rows_examination`, which decides and explains. The law
between the two: what this takes, that takes as well, with the same columns.
"""

import re
from collections.abc import Sequence
from itertools import chain
from operator import itemgetter
from typing import Annotated, Any, Final, cast

import msgspec
from msgspec import Meta
from msgspec.structs import astuple

from servewell.core.catalog.signature import Input, Signature
from servewell.serving.protocols.columns import Column, Decoded
from servewell.serving.protocols.elements import Json, kind_of
from servewell.serving.protocols.oip_request import element_type
from servewell.serving.protocols.rows_examination import examine_rows, examine_table
from servewell.serving.refusals import BodyMalformedError

TABLE_KEYS: Final = frozenset({"columns", "index", "data"})
# A text, to its end or that of the body, or not-a-number outside of any.
NAN: Final = re.compile(rb'"(?:[^"\\]|\\.)*+"?|\bNaN\b', re.DOTALL)

_parse = msgspec.json.Decoder().decode


class RowReader:
    """Reads the rows of one signature."""

    def __init__(self, signature: Signature) -> None:
        inputs = signature.inputs
        self._signature = signature
        self._names = [one.name for one in inputs]
        self._pick = itemgetter(*self._names)
        self._type = _columns_type(inputs)
        self._typed = not any(-1 in one.row_shape for one in inputs)
        self._depths = [0 if one.row_shape == (1,) else len(one.row_shape) for one in inputs]
        self._deep = any(self._depths)

    def rows(self, value: Json, *, place: str, rows_max: int) -> Decoded:
        """Return rows that came as a list, or as an object of columns, under the key `place`.

        Raises: SignatureError.
        """
        columns = self._columns(value)
        if columns is not None:
            decoded = self._decoded(columns, rows_max)
            if decoded is not None:
                return decoded
        return examine_rows(value, self._signature, place=place, rows_max=rows_max)

    def table(self, value: Json, *, place: str, rows_max: int) -> Decoded:
        """Return rows that came as a table, an object with `data` and maybe `columns`, `index`.

        Raises: SignatureError.
        """
        if isinstance(value, dict) and value.get("columns") == self._names:
            columns = self._columns_of_lists(value.get("data"))
            decoded = columns and self._decoded(columns, rows_max)
            if decoded and TABLE_KEYS.issuperset(value):
                return decoded
        return examine_table(value, self._signature, place=place, rows_max=rows_max)

    def is_table(self, value: Json) -> bool:
        """Whether an object is a table, and not one list for each input."""
        if not isinstance(value, dict) or "data" not in value:
            return False
        return TABLE_KEYS.issuperset(value) and value.keys() != set(self._names)

    def _columns(self, value: Json) -> list[Sequence[Json]] | None:
        """Return the values of each input, or None where that takes a closer look."""
        try:
            if isinstance(value, dict):
                return [value[name] for name in self._names] if self._all_of(value) else None
            if isinstance(value, list) and value and isinstance(value[0], dict):
                return self._columns_of_objects(value)
        except (KeyError, TypeError, ValueError):
            return None
        return self._columns_of_lists(value)

    def _columns_of_objects(self, rows: list[Any]) -> list[Sequence[Json]] | None:
        if not all(map(self._all_of, rows)):
            return None
        if len(self._names) == 1:
            return [[row[self._names[0]] for row in rows]]
        return list(zip(*map(self._pick, rows), strict=True))

    def _columns_of_lists(self, rows: Json) -> list[Sequence[Json]] | None:
        if not isinstance(rows, list) or not rows:
            return None
        if len(self._names) == 1:
            return [rows]
        count = len(self._names)
        if all(type(row) is list and len(row) == count for row in rows):
            return list(zip(*rows, strict=True))
        return None

    def _all_of(self, row: dict[str, Json]) -> bool:
        return len(row) == len(self._names)

    def _decoded(self, columns: list[Sequence[Json]], rows_max: int) -> Decoded | None:
        if not self._typed:
            return None
        try:
            typed: list[Column] = list(astuple(msgspec.convert(columns, self._type)))
        except (msgspec.ValidationError, OverflowError):
            return None
        rows = len(typed[0])
        if not 0 < rows <= rows_max or any(len(column) != rows for column in typed):
            return None
        if self._deep:
            typed = [_flat(*one) for one in zip(typed, self._depths, strict=True)]
        return Decoded("", rows, typed, ())


def parsed(body: bytes, *, example: str) -> Json:
    """Return a JSON body; not-a-number, as pandas and NumPy write it, is null.

    Raises: BodyMalformedError.
    """
    try:
        return cast("Json", _parse(body))
    except UnicodeDecodeError as error:
        raise malformed(f"a text in it is not UTF-8 ({error.reason})", example=example) from None
    except (msgspec.MsgspecError, RecursionError) as error:
        plain = NAN.sub(_null, body) if b"NaN" in body else body
        if plain != body:
            return parsed(plain, example=example)
        raise malformed(str(error), example=example) from None


def object_of(value: Json, *, example: str) -> dict[str, Json]:
    """Return a value that has to be an object.

    Raises: BodyMalformedError.
    """
    if not isinstance(value, dict):
        why = f"it is {kind_of(value)}, and has to be an object"
        raise malformed(why, example=example)
    return value


def one_of(keys: tuple[str, ...], request: dict[str, Json], *, example: str) -> str:
    """Return the one of the keys under which a request holds its rows.

    Raises: BodyMalformedError.
    """
    found = [key for key in keys if key in request]
    if len(found) != 1:
        names = ", ".join(f"`{key}`" for key in keys)
        why = f"it has {len(found) or 'none'} of {names}, and has to have one of them"
        raise malformed(why, example=example)
    params = request.get("params")
    if params is not None and not isinstance(params, dict):
        why = f"`params` is {kind_of(params)}, and has to be an object"
        raise malformed(why, example=example)
    return found[0]


def malformed(why: str, *, example: str) -> BodyMalformedError:
    """Return the error of a body that is no request for predictions."""
    return BodyMalformedError("The body is no inference request.", why=why, fix=f"send {example}")


def _null(found: re.Match[bytes]) -> bytes:
    """Return what stands in the place of a text, which stays, or of not-a-number."""
    return b"null" if found[0] == b"NaN" else found[0]


def _columns_type(inputs: tuple[Input, ...]) -> type[msgspec.Struct]:
    """Return the type of a list with the values of each input; msgspec is fastest with structs."""
    fields = [(f"input{place}", list[_value_type(one)]) for place, one in enumerate(inputs)]  # type: ignore[misc]  # made at run time
    return msgspec.defstruct("Columns", fields, array_like=True, gc=False)


def _value_type(declared: Input) -> Any:  # noqa: ANN401  (a type made at run time)
    """Return the type of one row's value: of one element, or of lists nested as its shape says."""
    made = element_type(declared)
    if declared.row_shape == (1,):
        return made
    for size in reversed(declared.row_shape):
        nested = list[made]  # type: ignore[valid-type]  # made at run time
        made = Annotated[nested, Meta(min_length=max(size, 0), max_length=max(size, 0))]
    return made


def _flat(column: Column, depth: int) -> Column:
    values: Any = column
    for _ in range(depth):
        values = chain.from_iterable(values)
    return list(values) if depth else column
