"""The scoring protocol of Azure Machine Learning: the server's headers, the endpoint's statuses.

Source: microsoft/azureml-inference-server, server/routes.py and docs/AzureMLInferenceServer.md;
MicrosoftDocs/azure-ai-docs, how-to-troubleshoot-online-endpoints.md.
"""

import os
from http import HTTPStatus
from typing import Final

import msgspec

from servewell import __version__
from servewell.core.catalog.key import Right
from servewell.core.catalog.signature import Signature
from servewell.serving.protocols.columns import Decoded
from servewell.serving.protocols.dialect import Answerable, Headers, Kind, Reply, Route, View
from servewell.serving.protocols.openapi import swagger_page
from servewell.serving.protocols.rows import RowReader, object_of, one_of, parsed
from servewell.serving.protocols.rows_answer import JSON, TEXT, faults_of, predictions, safe_id
from servewell.serving.refusals import (
    ContentRefusedError,
    HeadTooLargeError,
    NotReadyError,
    RequestError,
)

KEYS: Final = ("input_data", "data", "inputs")
EXAMPLE: Final = '`{"input_data": {"columns": ["…"], "data": [[0.5]]}}`'
TYPES: Final = (b"", b"application/json")  # without a type it is taken to be JSON
CLIENT_ID: Final = b"x-ms-client-request-id"
LEGACY_ID: Final = b"x-ms-request-id"
TRACE: Final = b"traceid"
IDS: Final = (b"x-request-id", LEGACY_ID, CLIENT_ID)
ID_LENGTH_MAX: Final = 100  # of what is sent
CLIENT_ID_LENGTH: Final = 40  # of what is echoed
SERVER: Final = b"x-ms-server-version: servewell/%b\r\n" % __version__.encode()
# HTTP status -> what the endpoint of Azure answers in its place.
STATUS: Final = {
    500: HTTPStatus.FAILED_DEPENDENCY,  # the model failed
    502: HTTPStatus.FAILED_DEPENDENCY,
    504: HTTPStatus.REQUEST_TIMEOUT,  # the request's time is over
}

OVERLOADED: Final = "SW-322"  # Azure calls it 429, as it does any limit

_encode = msgspec.json.Encoder().encode


class AzureMl:
    """See `Dialect`."""

    name = "azure"

    def reader(self, signature: Signature) -> "AzureReader":
        """See `Dialect.reader`."""
        return AzureReader(signature)

    def answer(self, one: Answerable) -> tuple[bytes, bytes]:
        """See `Dialect.answer`."""
        if one.served is None:
            raise AssertionError("an answer has a deployment")
        took_ms = one.infer_ns / 1_000_000
        head = b"%b%b%bx-ms-run-function-failed: False\r\nx-ms-run-fn-exec-ms: %.3f\r\n" % (
            JSON,
            one.served.head,
            _id_lines(one.headers, one.prediction_id),
            took_ms,
        )
        return head, _encode(predictions(one.outputs))

    def refuse(self, one: Answerable, error: RequestError, status: int) -> Reply:
        """See `Dialect.refuse`."""
        own = STATUS.get(status, status)
        if error.code == OVERLOADED:
            own = HTTPStatus.TOO_MANY_REQUESTS
        head = JSON + _id_lines(one.headers, one.prediction_id)
        if own == HTTPStatus.FAILED_DEPENDENCY:
            head += b"x-ms-run-function-failed: True\r\n%b" % _model_error(status)
        else:
            head += b"x-ms-run-function-failed: False\r\n"
        return int(own), head, _encode({"message": error.sentence, **faults_of(error)})


class AzureReader:
    """See `Reader`."""

    def __init__(self, signature: Signature) -> None:
        self._rows = RowReader(signature)

    def decode(self, body: object, *, headers: Headers, rows_max: int) -> Decoded:
        """See `Reader.decode`."""
        if not isinstance(body, bytes):
            raise TypeError("the body of an HTTP request is bytes")
        _check_ids(headers)
        if headers.get(b"content-type", b"").partition(b";")[0].strip().lower() not in TYPES:
            raise _refused()
        request = object_of(parsed(body, example=EXAMPLE), example=EXAMPLE)
        key = one_of(KEYS, request, example=EXAMPLE)
        rows = request[key]
        read = self._rows.table if self._rows.is_table(rows) else self._rows.rows
        decoded = read(rows, place=key, rows_max=rows_max)
        decoded.request_id = _client_id(headers)
        return decoded


def _check_ids(headers: Headers) -> None:
    for name in IDS:
        if len(headers.get(name, b"")) > ID_LENGTH_MAX:
            raise HeadTooLargeError(
                "An id of the request is too long.",
                why=f"`{name.decode()}` may have {ID_LENGTH_MAX} characters",
                fix="send a shorter id, or none",
            )


def _client_id(headers: Headers) -> str:
    sent = headers.get(CLIENT_ID) or headers.get(LEGACY_ID, b"")
    return safe_id(sent, length_max=CLIENT_ID_LENGTH)


def _id_lines(headers: Headers, prediction_id: str) -> bytes:
    """Return the headers with the ids of an answer.

    The request's id is always a new one, as at an endpoint of Azure. The caller's own ids come
    back: `x-ms-request-id` is the old name of both, and is filled with what is there.
    """
    digits = prediction_id or os.urandom(16).hex()
    request_id = "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))
    client = _client_id(headers)
    legacy = safe_id(headers.get(LEGACY_ID, b""), length_max=CLIENT_ID_LENGTH)
    lines = f"x-request-id: {request_id}\r\nx-ms-request-id: {legacy or client or request_id}\r\n"
    if client:
        lines += f"x-ms-client-request-id: {client}\r\n"
    trace = safe_id(headers.get(TRACE, b""))
    if trace:
        lines += f"traceid: {trace}\r\n"
    return SERVER + lines.encode()


def _model_error(status: int) -> bytes:
    return b"ms-azureml-model-error-statuscode: %d\r\nms-azureml-model-error-reason: %b\r\n" % (
        status,
        HTTPStatus(status).phrase.encode(),
    )


def _refused() -> ContentRefusedError:
    return ContentRefusedError(
        "The body is in a form that is not read here.",
        why="bodies are `application/json`",
        fix="send `Content-Type: application/json`",
    )


DIALECT: Final = AzureMl()


def _healthy(view: View) -> Reply:
    """Answer a probe: with Azure's word, or with what KServe's V1 client reads at the same path.

    Source: kserve/kserve, python/kserve/kserve/inference_client.py, `is_server_live`.
    """
    _check_ids(view.headers)
    if view.endpoint is None or not view.endpoint.ready:
        raise NotReadyError.of(view.endpoint.name if view.endpoint else "")
    if b"application/json" in view.headers.get(b"accept", b""):
        return 200, JSON + _id_lines(view.headers, ""), b'{"status":"alive"}'
    return 200, TEXT + _id_lines(view.headers, ""), b"Healthy"


def _options(view: View) -> Reply:
    """Answer a browser that asks first; it is told of no origin that may read answers."""
    _check_ids(view.headers)
    return 200, TEXT + _id_lines(view.headers, ""), b""


ROUTES: Final[dict[tuple[str, ...], Route]] = {
    ("",): Route(Kind.PAGE, DIALECT, page=_healthy),
    ("score",): Route(
        Kind.INFER,
        DIALECT,
        page=_options,
        methods=("POST", "GET", "OPTIONS"),
        right=Right.INVOKE,
    ),
    ("swagger.json",): Route(Kind.PAGE, DIALECT, page=swagger_page),
}


def route(parts: tuple[str, ...]) -> Route | None:
    """Return what a path of this protocol asks for, or None where it is none."""
    return ROUTES.get(parts)
