"""The protocol of the MLflow scoring server.

Source: mlflow 3.17, `mlflow/pyfunc/scoring_server/__init__.py` and `client.py`.
"""

from typing import Final

import msgspec

from servewell.core.catalog.key import Right
from servewell.core.catalog.signature import Signature
from servewell.serving.protocols.columns import Decoded
from servewell.serving.protocols.dialect import Answerable, Headers, Kind, Reply, Route, View
from servewell.serving.protocols.rows import RowReader, object_of, one_of, parsed
from servewell.serving.protocols.rows_answer import JSON, TEXT, faults_of, predictions, safe_id
from servewell.serving.protocols.rows_csv import table_of_csv
from servewell.serving.refusals import ContentRefusedError, NotReadyError, RequestError

KEYS: Final = ("dataframe_split", "dataframe_records", "instances", "inputs")
EXAMPLE: Final = '`{"dataframe_split": {"columns": ["…"], "data": [[0.5]]}}`'
CSV: Final = b"text/csv"
JSON_TYPE: Final = b"application/json"
TYPES: Final = (b"", JSON_TYPE, CSV)  # without a type it is taken to be JSON
HTTP_UNSUPPORTED: Final = 415
# HTTP status -> what MLflow calls it. Source: mlflow/exceptions.py, ERROR_CODE_TO_HTTP_STATUS.
ERROR_CODES: Final = {
    400: "BAD_REQUEST",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "ENDPOINT_NOT_FOUND",
    429: "REQUEST_LIMIT_EXCEEDED",
    500: "INTERNAL_ERROR",
    501: "NOT_IMPLEMENTED",
    503: "TEMPORARILY_UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}

_encode = msgspec.json.Encoder().encode


class Mlflow:
    """See `Dialect`."""

    name = "mlflow"

    def reader(self, signature: Signature) -> "MlflowReader":
        """See `Dialect.reader`."""
        return MlflowReader(signature)

    def answer(self, one: Answerable) -> tuple[bytes, bytes]:
        """See `Dialect.answer`."""
        served = one.served
        if served is None:
            raise AssertionError("an answer has a deployment")
        body = {
            "predictions": predictions(one.outputs),
            "prediction_id": one.prediction_id,
            "deployment": served.name,
        }
        return JSON + served.head, _encode(body)

    def refuse(self, one: Answerable, error: RequestError, status: int) -> Reply:
        """See `Dialect.refuse`; of a body that it does not read, MLflow tells in plain text."""
        del one
        if status == HTTP_UNSUPPORTED:
            return status, TEXT, error.sentence.encode()
        code = ERROR_CODES.get(status, ERROR_CODES[400])
        told = {"error_code": code, "message": error.sentence, **faults_of(error)}
        return status, JSON, _encode(told)


class MlflowReader:
    """See `Reader`."""

    def __init__(self, signature: Signature) -> None:
        self._rows = RowReader(signature)
        self._signature = signature

    def decode(self, body: object, *, headers: Headers, rows_max: int) -> Decoded:
        """See `Reader.decode`."""
        if not isinstance(body, bytes):
            raise TypeError("the body of an HTTP request is bytes")
        content = headers.get(b"content-type", b"")
        if _media_type(content) == CSV:
            table = table_of_csv(body, self._signature)
            decoded = self._rows.table(table, place="text/csv", rows_max=rows_max)
        else:
            decoded = self._json(body, rows_max)
        decoded.request_id = safe_id(headers.get(b"x-request-id", b""))
        return decoded

    def _json(self, body: bytes, rows_max: int) -> Decoded:
        request = object_of(parsed(body, example=EXAMPLE), example=EXAMPLE)
        key = one_of(KEYS, request, example=EXAMPLE)
        read = self._rows.table if key == KEYS[0] else self._rows.rows
        return read(request[key], place=key, rows_max=rows_max)


def _media_type(content: bytes) -> bytes:
    """Return the media type of a body that is read here.

    Raises: ContentRefusedError where it, its charset or another parameter of it is none of ours.
    """
    if content == JSON_TYPE:  # the usual case
        return content
    media, _, rest = content.lower().partition(b";")
    parameters = [one.strip() for one in rest.split(b";") if one.strip()]
    utf_8 = (b"charset=utf-8", b'charset="utf-8"')
    if media.strip() in TYPES and all(one in utf_8 for one in parameters):
        return media.strip()
    raise ContentRefusedError(
        "The body is in a form that is not read here.",
        why="bodies are `application/json` or `text/csv`, in UTF-8",
        fix="send `Content-Type: application/json`",
    )


DIALECT: Final = Mlflow()


def _ping(view: View) -> Reply:
    if view.endpoint is None or not view.endpoint.ready:
        raise NotReadyError.of(view.endpoint.name if view.endpoint else "")
    return 200, TEXT, b"\n"


def _version(view: View) -> Reply:
    return 200, TEXT, view.release.encode()


PING: Final = Route(Kind.PAGE, DIALECT, page=_ping)
ROUTES: Final[dict[tuple[str, ...], Route]] = {
    ("ping",): PING,
    ("health",): PING,
    ("version",): Route(Kind.PAGE, DIALECT, page=_version),
    ("invocations",): Route(Kind.INFER, DIALECT, methods=("POST",), right=Right.INVOKE),
}


def route(parts: tuple[str, ...]) -> Route | None:
    """Return what a path of this protocol asks for, or None where it is none."""
    return ROUTES.get(parts)
