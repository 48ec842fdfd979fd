"""The KServe V1 protocol, with CloudEvents.

Source: kserve/website, v1-protocol.md; kserve/kserve, python/kserve/kserve/protocol/dataplane.py;
CloudEvents 1.0.2, HTTP protocol binding.
"""

import base64
import binascii
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import quote

import msgspec

from servewell.core.catalog.key import Right
from servewell.core.catalog.signature import Signature
from servewell.serving.protocols.columns import Decoded
from servewell.serving.protocols.dialect import Answerable, Headers, Kind, Reply, Route, View
from servewell.serving.protocols.rows import RowReader, malformed, object_of, one_of, parsed
from servewell.serving.protocols.rows_answer import JSON, faults_of, predictions, safe_id
from servewell.serving.refusals import (
    ContentRefusedError,
    ExplanationsNotOfferedError,
    NotReadyError,
    RequestError,
)

KEYS: Final = ("instances", "inputs")
EXAMPLE: Final = '`{"instances": [{"…": 0.5}]}`'
EVENT_EXAMPLE: Final = "a CloudEvent 1.0 whose `data` is " + EXAMPLE
STRUCTURED: Final = b"application/cloudevents+json"
# What is read as JSON, as KServe does (`JSON_HEADERS`); without a type it is taken to be JSON.
TYPES: Final = (
    b"",
    b"application/json",
    STRUCTURED,
    b"application/ld+json",
    b"application/octet-stream",
)
SPEC_VERSION: Final = "1.0"
ANSWER_TYPE: Final = "io.kserve.inference.response"
ANSWER_SOURCE: Final = "io.kserve.inference."
NANOSECONDS: Final = 1_000_000_000

_encode = msgspec.json.Encoder().encode


class KserveV1:
    """See `Dialect`."""

    name = "kserve-v1"

    def reader(self, signature: Signature) -> "KserveReader":
        """See `Dialect.reader`."""
        return KserveReader(signature)

    def answer(self, one: Answerable) -> tuple[bytes, bytes]:
        """See `Dialect.answer`; a CloudEvent is answered with one, in the mode that it came in."""
        served = one.served
        if served is None:
            raise AssertionError("an answer has a deployment")
        body: dict[str, Any] = {
            "predictions": predictions(one.outputs),
            "prediction_id": one.prediction_id,
            "deployment": served.name,
        }
        if _is_binary_event(one.headers):
            attributes = "".join(f"ce-{name}: {value}\r\n" for name, value in _attributes(one))
            return b"%b%b%b" % (JSON, attributes.encode(), served.head), _encode(body)
        if _media_type(one.headers) == STRUCTURED:
            event = dict(_attributes(one)) | {"datacontenttype": "application/json", "data": body}
            return b"content-type: %b\r\n%b" % (STRUCTURED, served.head), _encode(event)
        return JSON + served.head, _encode(body)

    def refuse(self, one: Answerable, error: RequestError, status: int) -> Reply:
        """See `Dialect.refuse`."""
        del one
        return status, JSON, _encode({"error": error.sentence, **faults_of(error)})


class KserveReader:
    """See `Reader`."""

    def __init__(self, signature: Signature) -> None:
        self._rows = RowReader(signature)

    def decode(self, body: object, *, headers: Headers, rows_max: int) -> Decoded:
        """See `Reader.decode`."""
        if not isinstance(body, bytes):
            raise TypeError("the body of an HTTP request is bytes")
        media = _media_type(headers)
        if media not in TYPES:
            raise _refused()
        request_id = headers.get(b"ce-id") or headers.get(b"x-request-id", b"")
        if media == STRUCTURED and not _is_binary_event(headers):
            name, value = _data_of(body)
            request_id = name.encode()
        else:
            value = parsed(body, example=EXAMPLE)
        request = object_of(value, example=EXAMPLE)
        key = one_of(KEYS, request, example=EXAMPLE)
        decoded = self._rows.rows(request[key], place=key, rows_max=rows_max)
        decoded.request_id = safe_id(request_id)
        return decoded


def _data_of(body: bytes) -> tuple[str, Any]:
    """Return the id of a structured CloudEvent and its data.

    Raises: BodyMalformedError.
    """
    event: dict[str, Any] = object_of(parsed(body, example=EVENT_EXAMPLE), example=EVENT_EXAMPLE)
    for name in ("specversion", "id", "source", "type"):
        if not isinstance(event.get(name), str) or not event[name]:
            raise malformed(f"the event has no `{name}`", example=EVENT_EXAMPLE)
    if event["specversion"] != SPEC_VERSION:
        raise malformed(f"the event is not of version {SPEC_VERSION}", example=EVENT_EXAMPLE)
    encoded = event.get("data_base64")
    if encoded is None:
        return event["id"], event.get("data")
    try:
        content = base64.b64decode(encoded, validate=True)
    except (binascii.Error, TypeError, ValueError):
        raise malformed("its `data_base64` is no base64", example=EVENT_EXAMPLE) from None
    return event["id"], parsed(content, example=EVENT_EXAMPLE)


def _attributes(one: Answerable) -> list[tuple[str, str]]:
    """Return the attributes of the event that answers; its id is that of the prediction."""
    endpoint = one.served.endpoint if one.served else ""
    time = datetime.fromtimestamp(one.time_ns / NANOSECONDS, UTC)
    return [
        ("specversion", SPEC_VERSION),
        ("id", one.prediction_id),
        ("source", ANSWER_SOURCE + quote(endpoint, safe="")),
        ("type", ANSWER_TYPE),
        ("time", time.isoformat().replace("+00:00", "Z")),
    ]


def _is_binary_event(headers: Headers) -> bool:
    return b"ce-specversion" in headers and b"ce-id" in headers


def _media_type(headers: Headers) -> bytes:
    return headers.get(b"content-type", b"").partition(b";")[0].strip().lower()


def _refused() -> ContentRefusedError:
    return ContentRefusedError(
        "The body is in a form that is not read here.",
        why="bodies are `application/json` or one event as `application/cloudevents+json`",
        fix="send `Content-Type: application/json`",
    )


DIALECT: Final = KserveV1()


def _models(view: View) -> Reply:
    return 200, JSON, _encode({"models": [one.name for one in view.endpoints]})


def _model(view: View) -> Reply:
    """Tell whether an endpoint is ready; KServe's client takes a 503 for the only other answer."""
    if view.endpoint is None or not view.endpoint.ready:
        raise NotReadyError.of(view.endpoint.name if view.endpoint else "")
    return 200, JSON, _encode({"name": view.endpoint.name, "ready": True})


def _explain(view: View) -> Reply:
    del view
    raise ExplanationsNotOfferedError(
        "Explanations are not given here.",
        why="the endpoint serves predictions, and no explainer",
        fix="send `:predict` for the prediction alone",
    )


def route(parts: tuple[str, ...]) -> Route | None:
    """Return what a path of this protocol asks for, or None where it is none."""
    match parts:
        case ("v1", "models"):
            return Route(Kind.PAGE, DIALECT, page=_models, of_endpoint=False)
        case ("v1", "models", name) if name:
            return _of_model(*name.rpartition(":"))
        case _:
            return None


def _of_model(endpoint: str, colon: str, verb: str) -> Route | None:
    if not colon:
        return Route(Kind.PAGE, DIALECT, page=_model, endpoint=verb)
    if verb == "predict" and endpoint:
        return Route(Kind.INFER, DIALECT, methods=("POST",), right=Right.INVOKE, endpoint=endpoint)
    if verb == "explain" and endpoint:
        return Route(
            Kind.PAGE,
            DIALECT,
            page=_explain,
            methods=("POST",),
            right=Right.INVOKE,
            endpoint=endpoint,
        )
    return None
