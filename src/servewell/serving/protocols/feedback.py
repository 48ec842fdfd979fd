"""The paths of feedback: what people say of an answer, and the component that asks them.

Browsers may ask from the pages whose origins an endpoint names, and from its own; all others are
refused. The component itself is code for everybody, and says nothing of the home.
"""

import base64
import hashlib
from importlib.resources import files
from typing import Final

import msgspec

from servewell.core.catalog.feedback import Corrections, FeedbackPolicy
from servewell.core.catalog.key import Right
from servewell.core.operations.monitoring.feedback import text_digest
from servewell.core.operations.monitoring.feedback_reading import (
    COMMENT_CHARS_MAX,
    CORRECTION_CHARS_MAX,
    FieldFault,
)
from servewell.serving.feedback_refusals import FeedbackFieldsError
from servewell.serving.protocols.dialect import Answerable, Headers, Kind, Reply, Route, View
from servewell.serving.protocols.oip import OpenInference
from servewell.serving.protocols.oip_pages import JSON
from servewell.serving.refusals import RequestError

ORIGIN: Final = b"origin"
BODY_BYTES_MAX: Final = 16 << 10
METHODS: Final = ("GET", "POST", "DELETE", "OPTIONS")
SCRIPT: Final = files("servewell.serving.protocols").joinpath("feedback.js").read_bytes()
DIGEST: Final = hashlib.sha384(SCRIPT).digest()
INTEGRITY: Final = f"sha384-{base64.b64encode(DIGEST).decode()}"
NAME: Final = "servewell-feedback.js"
NAME_OF_VERSION: Final = f"servewell-feedback.{DIGEST.hex()[:16]}.js"
SCRIPT_HEAD: Final = (
    b"content-type: text/javascript; charset=utf-8\r\n"
    b"x-content-type-options: nosniff\r\n"
    b"access-control-allow-origin: *\r\n"
    b"cross-origin-resource-policy: cross-origin\r\n"
)
FOR_EVER: Final = b"cache-control: public, max-age=31536000, immutable\r\n"
FOR_NOW: Final = b"cache-control: public, max-age=300\r\n"
PREFLIGHT: Final = (
    b"access-control-allow-methods: GET, POST, DELETE\r\n"
    b"access-control-allow-headers: authorization, content-type\r\n"
    b"access-control-max-age: 600\r\n"
)


class FeedbackDialect(OpenInference):
    """See `Dialect`. It takes no predictions; its refusals say which fields are wrong."""

    name = "feedback"

    def __init__(self, cors: bytes = b"") -> None:
        """`cors` are the header lines that let the page of the request read the answer."""
        self.cors = cors

    def refuse(self, one: Answerable, error: RequestError, status: int) -> Reply:
        """See `Dialect.refuse`."""
        del one
        told: dict[str, object] = {"error": error.sentence, "code": error.code}
        if isinstance(error, FeedbackFieldsError):
            told["fields"] = error.faults
        return status, JSON + self.cors, msgspec.json.encode(told)


CLOSED: Final = FeedbackDialect()


def is_welcome(policy: FeedbackPolicy | None, headers: Headers) -> bool:
    """Whether a request is of no browser, of a page of this host, or of an origin that is named."""
    origin = headers.get(ORIGIN)
    if origin is None:
        return True
    text = origin.decode("latin-1")
    own = text.partition("://")[2] == headers.get(b"host", b"").decode("latin-1")
    return own or (policy is not None and text in policy.origins)


def dialect_for(policy: FeedbackPolicy | None, headers: Headers) -> FeedbackDialect:
    """Return what speaks to the page of a request: to one that is not welcome, without CORS."""
    origin = headers.get(ORIGIN)
    if origin is None:
        return CLOSED
    named = b"access-control-allow-origin: %b\r\n" % origin if is_welcome(policy, headers) else b""
    return FeedbackDialect(b"%bvary: origin\r\n" % named)


def told_in(body: bytes) -> dict[str, object]:
    """Return what a body says. Raises: FeedbackFieldsError."""
    try:
        return msgspec.json.decode(body or b"{}", type=dict[str, object])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        allowed = 'one JSON object, such as {"rating": "up"}'
        raise FeedbackFieldsError((FieldFault(field="(body)", allowed=allowed),)) from None


def asked_page(endpoint: str, policy: FeedbackPolicy, prediction_id: str) -> bytes:
    """Return what a page needs to know before it asks somebody."""
    asked = policy.consent
    consent = asked and {
        "version": asked.version,
        "text": asked.text,
        "scope": asked.scope,
        "digest": text_digest(asked.text),
    }
    return msgspec.json.encode(
        {
            "endpoint": endpoint,
            "prediction_id": prediction_id,
            "consent": consent,
            "corrections": policy.corrections is not Corrections.IGNORE,
            "component": {"src": f"/feedback/{NAME_OF_VERSION}", "integrity": INTEGRITY},
            "comment_chars_max": COMMENT_CHARS_MAX,
            "correction_chars_max": CORRECTION_CHARS_MAX,
        }
    )


def script_page(view: View) -> Reply:
    """Return the component; under the name of its content it never changes."""
    kept = FOR_EVER if NAME_OF_VERSION.encode() in view.url else FOR_NOW
    return 200, SCRIPT_HEAD + kept, SCRIPT


OF_ENDPOINT: Final = Route(Kind.FEEDBACK, CLOSED, methods=METHODS, right=Right.FEEDBACK)
COMPONENT: Final = Route(Kind.SCRIPT, CLOSED, page=script_page, of_endpoint=False)
ROUTES: Final[dict[tuple[str, ...], Route]] = {
    ("feedback",): OF_ENDPOINT,
    ("feedback", NAME): COMPONENT,
    ("feedback", NAME_OF_VERSION): COMPONENT,
}


def route(parts: tuple[str, ...]) -> Route | None:
    """Return what a path of feedback asks for, or None where it is none."""
    return ROUTES.get(parts)
