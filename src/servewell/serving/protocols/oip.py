"""The Open Inference Protocol V2 over HTTP.

Source: open-inference-protocol, specification/protocol/inference_rest.md.
"""

from typing import Final

import msgspec

from servewell.core.catalog.key import Right
from servewell.core.catalog.signature import Signature
from servewell.serving.protocols import oip_answer
from servewell.serving.protocols.columns import Decoded
from servewell.serving.protocols.dialect import (
    Answerable,
    Headers,
    Kind,
    Page,
    Reply,
    Route,
    View,
)
from servewell.serving.protocols.faults import SignatureError
from servewell.serving.protocols.oip_request import RequestDecoder
from servewell.serving.refusals import (
    BinaryTensorsError,
    ContentRefusedError,
    NotReadyError,
    RequestError,
)

JSON: Final = b"content-type: application/json\r\n"
JSON_TYPE: Final = b"application/json"
BINARY_HEADER: Final = b"inference-header-content-length"


class OpenInference:
    """See `Dialect`."""

    name = "oip"

    def reader(self, signature: Signature) -> "OpenInferenceReader":
        """See `Dialect.reader`."""
        return OpenInferenceReader(signature)

    def answer(self, one: Answerable) -> tuple[bytes, bytes]:
        """See `Dialect.answer`."""
        served, decoded = one.served, one.decoded
        if served is None or decoded is None:
            raise AssertionError("an answer has a deployment and a request")
        body = oip_answer.encode_answer(
            served.endpoint,
            served.version,
            {"prediction_id": one.prediction_id, "deployment": served.name},
            request_id=decoded.request_id,
            outputs=one.outputs,
        )
        return b"%b%b" % (JSON, served.head), body

    def refuse(self, one: Answerable, error: RequestError, status: int) -> Reply:
        """See `Dialect.refuse`."""
        del one
        told: dict[str, object] = {"error": error.sentence, "code": error.code}
        if isinstance(error, SignatureError):
            told["faults"] = error.faults
        return status, JSON, msgspec.json.encode(told)


class OpenInferenceReader:
    """See `Reader`."""

    def __init__(self, signature: Signature) -> None:
        self._decoder = RequestDecoder(signature)

    def decode(self, body: object, *, headers: Headers, rows_max: int) -> Decoded:
        """See `Reader.decode`."""
        if headers.get(b"content-type") != JSON_TYPE or BINARY_HEADER in headers:
            _check_content(headers)
        if not isinstance(body, bytes):
            raise TypeError("the body of an HTTP request is bytes")
        return self._decoder.decode(body, rows_max=rows_max)


def _check_content(headers: Headers) -> None:
    """Refuse a body that is not plain JSON. Without a type it is taken to be JSON."""
    if BINARY_HEADER in headers:
        raise BinaryTensorsError(
            "Binary tensors are not read here.",
            why="the request has the header `Inference-Header-Content-Length`",
            fix="send the data as JSON; in tritonclient, "
            "`set_data_from_numpy(values, binary_data=False)`",
        )
    content = headers.get(b"content-type", b"").partition(b";")[0].strip().lower()
    if content not in (JSON_TYPE, b""):
        raise ContentRefusedError(
            "The body is in a form that is not read here.",
            why="bodies are `application/json`",
            fix="send `Content-Type: application/json`",
        )


DIALECT: Final = OpenInference()


def _server_live(view: View) -> Reply:
    del view
    return 200, JSON, oip_answer.server_live()


def _server_ready(view: View) -> Reply:
    return 200 if view.ready else 503, JSON, oip_answer.server_ready(ready=view.ready)


def _server(view: View) -> Reply:
    return 200, JSON, oip_answer.server_metadata(view.release)


def _model_ready(view: View) -> Reply:
    endpoint = view.endpoint
    ready = endpoint is not None and endpoint.ready
    name = endpoint.name if endpoint else ""
    return 200 if ready else 503, JSON, oip_answer.model_ready(name, ready=ready)


def _model(view: View) -> Reply:
    endpoint = view.endpoint
    if endpoint is None or endpoint.signature is None:
        raise NotReadyError.of(endpoint.name if endpoint else "")
    body = oip_answer.model_metadata(endpoint.name, endpoint.versions, endpoint.signature)
    return 200, JSON, body


LIVE: Final = Route(Kind.LIVE, DIALECT, page=_server_live, of_endpoint=False)
FIXED: Final[dict[tuple[str, ...], Route]] = {
    ("v2",): Route(Kind.PAGE, DIALECT, page=_server, of_endpoint=False),
    ("v2", ""): Route(Kind.PAGE, DIALECT, page=_server, of_endpoint=False),
    ("v2", "health", "live"): LIVE,
    ("v2", "health", "ready"): Route(Kind.PAGE, DIALECT, page=_server_ready, of_endpoint=False),
}
OF_MODEL: Final[dict[tuple[str, ...], Page]] = {(): _model, ("ready",): _model_ready}


def route(parts: tuple[str, ...]) -> Route | None:
    """Return what a path of this protocol asks for, or None where it is none."""
    match parts:
        case ("v2", "models", endpoint, "versions", version, *rest) if endpoint and version:
            return _of_model(endpoint, version, tuple(rest))
        case ("v2", "models", endpoint, *rest) if endpoint:
            return _of_model(endpoint, "", tuple(rest))
        case _:
            return FIXED.get(parts)


def _of_model(endpoint: str, version: str, rest: tuple[str, ...]) -> Route | None:
    if rest == ("infer",):
        return Route(
            Kind.INFER,
            DIALECT,
            methods=("POST",),
            right=Right.INVOKE,
            endpoint=endpoint,
            version=version,
        )
    page = OF_MODEL.get(rest)
    if page is None:
        return None
    return Route(Kind.PAGE, DIALECT, page=page, endpoint=endpoint, version=version)
