"""What one element of an input may be: the rule, and the words that tell of it.

Every protocol that reads values one by one holds them to these, so that the same value gives the
same fault whatever the protocol.
"""

import json
from typing import Any, Final, cast

from servewell.core.catalog.signature import Datatype, Input
from servewell.serving.protocols.bounds import maximum_of, minimum_of
from servewell.serving.protocols.columns import NUMBER_BOUNDS
from servewell.serving.protocols.faults import FAULTS_MAX, FOUND_LENGTH_MAX, Fault, FaultKind

# What JSON holds, and the bytes that a binary tensor holds in place of a text.
Json = dict[str, Any] | list[Any] | str | int | float | bool | bytes | None

KINDS: Final[dict[type, str]] = {
    type(None): "null",
    bool: "true or false",
    str: "a text",
    bytes: "bytes that are not UTF-8",
    int: "a number",
    float: "a number",
    list: "a list",
}


def fault_of(value: Json, declared: Input) -> FaultKind | None:
    """Return what is wrong with one element, or None."""
    if value is None:
        return None if may_be_null(declared) else FaultKind.NULL
    if declared.datatype is Datatype.BYTES:
        return _text_fault(value, declared)
    if declared.datatype is Datatype.BOOL:
        return None if isinstance(value, bool) else FaultKind.WRONG_TYPE
    return _number_fault(value, declared)


def allowed_of(declared: Input) -> str:
    """Return in words what one element of an input may hold."""
    if declared.datatype is Datatype.BYTES:
        words = f"one of {either(declared.allowed)}" if declared.allowed else "a text"
    elif declared.datatype is Datatype.BOOL:
        words = "true or false"
    else:
        words = f"a {'whole ' if declared.datatype.is_integer else ''}number{_bounds(declared)}"
    return (
        f"{words} ({declared.datatype}), or null"
        if may_be_null(declared)
        else (f"{words} ({declared.datatype})")
    )


def _bounds(declared: Input) -> str:
    low = f" from {declared.minimum:g}" if declared.minimum is not None else ""
    high = f" up to {declared.maximum:g}" if declared.maximum is not None else ""
    return low + high


def may_be_null(declared: Input) -> bool:
    """Return whether an element may be null: in a number it travels as not-a-number."""
    return declared.nullable and (declared.datatype.is_float or declared.datatype is Datatype.BYTES)


def _text_fault(value: Json, declared: Input) -> FaultKind | None:
    if not isinstance(value, str):
        return FaultKind.WRONG_TYPE
    if declared.allowed is not None and value not in declared.allowed:
        return FaultKind.NOT_ALLOWED
    return None


def _number_fault(value: Json, declared: Input) -> FaultKind | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return FaultKind.WRONG_TYPE
    if declared.datatype.is_integer and isinstance(value, float) and not value.is_integer():
        return FaultKind.WRONG_TYPE
    least, most = NUMBER_BOUNDS[declared.datatype]
    if not least <= value <= most:
        return FaultKind.OUT_OF_RANGE
    if value < minimum_of(declared):
        return FaultKind.BELOW_MINIMUM
    if value > maximum_of(declared):
        return FaultKind.ABOVE_MAXIMUM
    return None


def taken(value: Json, declared: Input) -> Json:
    """Return an element as the model takes it; it has no fault."""
    if value is None or declared.datatype in (Datatype.BYTES, Datatype.BOOL):
        return value
    number = cast("int | float", value)
    return int(number) if declared.datatype.is_integer else float(number)


def element_fault(kind: FaultKind, declared: Input, row: int, value: Json) -> Fault:
    """Return the fault of one element; the value of a personal input is not repeated."""
    found = kind_of(value) if declared.personal else value_shown(value)
    return Fault(kind=kind, name=declared.name, row=row, found=found, allowed=allowed_of(declared))


def either(names: tuple[str, ...]) -> str:
    """Return names in words."""
    told = ", ".join(shown(name) for name in names[:FAULTS_MAX])
    return told if len(names) <= FAULTS_MAX else f"{told} and {len(names) - FAULTS_MAX} more"


def shown(text: str) -> str:
    """Return a text between ticks, cut where it is long."""
    cut = text if len(text) <= FOUND_LENGTH_MAX else text[:FOUND_LENGTH_MAX] + "…"
    return f"`{cut}`"


def value_shown(value: Json) -> str:
    """Return a value in words."""
    if value is None or isinstance(value, dict | bytes):
        return kind_of(value)
    if isinstance(value, str):
        return f"the text {shown(value)}"
    try:
        return shown(json.dumps(value, ensure_ascii=False))
    except RecursionError:  # lists as deep as could just be read
        return kind_of(value)


def kind_of(value: Json) -> str:
    """Return in words what kind of value it is."""
    return KINDS.get(type(value), "an object")
