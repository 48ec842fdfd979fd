"""The Open Inference Protocol V2 over HTTP.

Source: open-inference-protocol, specification/protocol/inference_rest.md.
"""

from typing import Final

import msgspec

from servewell.core.catalog.key import Right
from servewell.core.catalog.signature import Signature
from servewell.serving.protocols import oip_pages as pages
from servewell.serving.protocols.columns import Decoded
from servewell.serving.protocols.dialect import (
    Answerable,
    Headers,
    Kind,
    Page,
    Reply,
    Route,
)
from servewell.serving.protocols.faults import SignatureError
from servewell.serving.protocols.oip_answer import around_id, encode_answer, encode_formed
from servewell.serving.protocols.oip_binary import BINARY_HEADER
from servewell.serving.protocols.oip_binary_request import BinaryRequestDecoder
from servewell.serving.protocols.oip_pages import JSON
from servewell.serving.protocols.oip_request import RequestDecoder
from servewell.serving.protocols.oip_wishes import Form
from servewell.serving.refusals import ContentRefusedError, RequestError

JSON_TYPE: Final = b"application/json"
BINARY_TYPE: Final = b"application/octet-stream"
BINARY: Final = b"content-type: application/octet-stream\r\ninference-header-content-length: %d\r\n"


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
        if isinstance(decoded.form, Form):
            size, body = encode_formed(
                served.endpoint,
                served.version,
                {"prediction_id": one.prediction_id, "deployment": served.name},
                request_id=decoded.request_id,
                outputs=one.outputs,
                form=decoded.form,
                signature=served.signature,
            )
            return (BINARY % size if size else JSON) + served.head, body
        body = encode_answer(
            around_id(served.endpoint, served.version, served.name),
            prediction_id=one.prediction_id,
            request_id=decoded.request_id,
            outputs=one.outputs,
        )
        return JSON + served.head, body

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
        self._json = RequestDecoder(signature)
        self._binary = BinaryRequestDecoder(signature)

    def decode(self, body: object, *, headers: Headers, rows_max: int) -> Decoded:
        """See `Reader.decode`."""
        if not isinstance(body, bytes):
            raise TypeError("the body of an HTTP request is bytes")
        if BINARY_HEADER in headers:
            _check_content(headers, (JSON_TYPE, BINARY_TYPE, b""))
            return self._binary.decode(body, headers=headers, rows_max=rows_max)
        if headers.get(b"content-type") != JSON_TYPE:
            _check_content(headers, (JSON_TYPE, b""))
        return self._json.decode(body, rows_max=rows_max)


def _check_content(headers: Headers, taken: tuple[bytes, ...]) -> None:
    """Refuse a body of another type. Without a type it is taken to be what it has to be."""
    content = headers.get(b"content-type", b"").partition(b";")[0].strip().lower()
    if content not in taken:
        raise ContentRefusedError(
            "The body is in a form that is not read here.",
            why="bodies are `application/json`, or JSON with binary tensors behind it",
            fix="send `Content-Type: application/json`; with binary tensors, "
            "`Inference-Header-Content-Length` too",
        )


DIALECT: Final = OpenInference()


def _page(page: Page, *, methods: tuple[str, ...] = ("GET",), right: Right = Right.READ) -> Route:
    return Route(Kind.PAGE, DIALECT, page=page, methods=methods, right=right, of_endpoint=False)


LIVE: Final = Route(Kind.LIVE, DIALECT, page=pages.server_live, of_endpoint=False)
NOT_OFFERED: Final = _page(pages.not_offered, methods=("GET", "POST"))
FIXED: Final[dict[tuple[str, ...], Route]] = {
    ("v2",): _page(pages.server),
    ("v2", ""): _page(pages.server),
    ("v2", "health", "live"): LIVE,
    ("v2", "health", "ready"): _page(pages.server_ready),
    ("v2", "repository", "index"): _page(
        pages.repository_index, methods=("POST",), right=Right.ADMINISTER
    ),
    ("v2", "models", "stats"): NOT_OFFERED,
    ("v2", "trace", "setting"): NOT_OFFERED,
    ("v2", "logging"): NOT_OFFERED,
}
OF_MODEL: Final[dict[tuple[str, ...], Page]] = {
    (): pages.model,
    ("ready",): pages.model_ready,
    ("config",): pages.model_config,
}
NOT_OFFERED_OF_MODEL: Final = (("stats",), ("trace", "setting"))
CHANGES: Final = {"load": Kind.LOAD, "unload": Kind.UNLOAD}


def route(parts: tuple[str, ...]) -> Route | None:
    """Return what a path of this protocol asks for, or None where it is none."""
    known = FIXED.get(parts)
    if known is not None:
        return known
    match parts:
        case ("v2", "systemsharedmemory" | "cudasharedmemory", *_):
            return NOT_OFFERED
        case ("v2", "repository", "models", endpoint, "load" | "unload" as change) if endpoint:
            return Route(
                CHANGES[change],
                DIALECT,
                page=pages.repository_change,
                methods=("POST",),
                right=Right.ADMINISTER,
                endpoint=endpoint,
            )
        case ("v2", "models", endpoint, "versions", version, *rest) if endpoint and version:
            return _of_model(endpoint, version, tuple(rest))
        case ("v2", "models", endpoint, *rest) if endpoint:
            return _of_model(endpoint, "", tuple(rest))
        case _:
            return None


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
    if rest in NOT_OFFERED_OF_MODEL:
        return NOT_OFFERED
    page = OF_MODEL.get(rest)
    if page is None:
        return None
    return Route(Kind.PAGE, DIALECT, page=page, endpoint=endpoint, version=version)
