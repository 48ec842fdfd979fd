"""Predictions row by row, and what every protocol of rows tells of an error."""

from collections.abc import Iterator
from typing import Any, Final

from servewell.serving.protocols.columns import OutputTensor
from servewell.serving.protocols.faults import SignatureError
from servewell.serving.refusals import RequestError

JSON: Final = b"content-type: application/json\r\n"
TEXT: Final = b"content-type: text/plain; charset=utf-8\r\n"
ID_LENGTH_MAX: Final = 100  # characters of an id that a caller gives its request


def predictions(outputs: list[OutputTensor]) -> list[Any]:
    """Return what the model gave for each row.

    One output gives its value, several give an object with each by its name: what a pandas
    DataFrame of them is as records, which is how MLflow answers.
    """
    columns = [_by_row(one) for one in outputs]
    if len(columns) == 1:
        return columns[0]
    names = [one.name for one in outputs]
    return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]


def faults_of(error: RequestError) -> dict[str, object]:
    """Return what an answer tells programs of an error beside its sentence."""
    told: dict[str, object] = {"code": error.code}
    if isinstance(error, SignatureError):
        told["faults"] = error.faults
    return told


def safe_id(value: bytes, *, length_max: int = ID_LENGTH_MAX) -> str:
    """Return the letters, digits, `-` and `_` of an id that came in a header, cut to a length."""
    if not value:  # the usual case
        return ""
    text = value.decode("latin-1")
    return "".join(one for one in text if one.isascii() and (one.isalnum() or one in "-_"))[
        :length_max
    ]


def _by_row(one: OutputTensor) -> list[Any]:
    """Return an output as one value for each row: nested, where a row has several."""
    data: list[Any] = one.data if isinstance(one.data, list) else one.data.reshape(-1).tolist()
    for size in reversed(one.shape[2:] if one.shape[1:] != (1,) else ()):
        data = list(_chunks(data, size))
    return data if one.shape[1:] in ((), (1,)) else list(_chunks(data, one.shape[1]))


def _chunks(values: list[Any], size: int) -> Iterator[list[Any]]:
    for start in range(0, len(values), size):
        yield values[start : start + size]
