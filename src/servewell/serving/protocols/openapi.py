"""The OpenAPI document of an endpoint, made from its signature.

Source: OpenAPI Specification 3.1.1.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import Any, Final
from urllib.parse import parse_qs, quote, urlsplit

import msgspec

from servewell import __version__
from servewell.core.catalog.feedback import FeedbackPolicy
from servewell.core.catalog.signature import Signature
from servewell.serving.protocols import openapi_operations
from servewell.serving.protocols.dialect import EndpointView, Reply, View
from servewell.serving.protocols.openapi_older import as_2_0, as_3_0
from servewell.serving.protocols.openapi_schemas import schemas
from servewell.serving.protocols.rows_answer import JSON
from servewell.serving.refusals import NotReadyError, PathUnknownError

DOCUMENTS_MAX: Final = 256  # kept, so that each is made once for a version of an endpoint
OLDER: Final[dict[str, Callable[[Any], Any]]] = {"2": as_2_0, "3": as_3_0}
SECURITY: Final[dict[str, Any]] = {
    "bearer": {"type": "http", "scheme": "bearer"},
    "apiKey": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
    "basic": {
        "type": "http",
        "scheme": "basic",
        "description": "For clients that know no other: the password is the key.",
    },
}
DESCRIPTION: Final = (
    "Made from the signature of the model. The paths under `/endpoints/NAME` are at the root, "
    "too, for a key that reaches this endpoint alone."
)


def openapi_page(view: View) -> Reply:
    """Return the document of an endpoint."""
    endpoint, signature = described(view)
    return (
        200,
        JSON,
        _document(endpoint.name, tuple(endpoint.versions), signature, endpoint.feedback),
    )


def swagger_page(view: View) -> Reply:
    """Return the scoring protocol of Azure Machine Learning, in the version that is asked for.

    Raises: PathUnknownError where there is no such version.
    """
    endpoint, signature = described(view)
    asked = parse_qs(urlsplit(view.url.decode("latin-1")).query)
    version = asked.get("version", ["2"])[0]
    if version not in (*OLDER, "3.1"):
        raise PathUnknownError(
            "There is no document of that version.",
            why="`version` is 2, 3 or 3.1",
            fix="ask for one of those",
        )
    prefix = "/" if view.url.startswith(b"/swagger.json") else _prefix(endpoint.name)
    return 200, JSON, _swagger(version, endpoint.name, prefix, signature)


def described(view: View) -> tuple[EndpointView, Signature]:
    """Return the endpoint of a page, and its signature.

    Raises: NotReadyError.
    """
    endpoint = view.endpoint
    if endpoint is None or endpoint.signature is None:
        raise NotReadyError.of(endpoint.name if endpoint else "")
    return endpoint, endpoint.signature


@lru_cache(DOCUMENTS_MAX)
def _document(
    name: str, versions: tuple[str, ...], signature: Signature, feedback: FeedbackPolicy | None
) -> bytes:
    paths = openapi_operations.paths(name, versions, signature, feedback)
    return msgspec.json.encode(_with(name, paths, signature, server="/"))


@lru_cache(DOCUMENTS_MAX)
def _swagger(version: str, name: str, prefix: str, signature: Signature) -> bytes:
    paths = openapi_operations.azure("", signature)
    document = _with(name, paths, signature, server=prefix)
    older = OLDER.get(version)
    return msgspec.json.encode(older(document) if older else document)


def _with(name: str, paths: dict[str, Any], signature: Signature, *, server: str) -> dict[str, Any]:
    """Return a document with these paths."""
    return {
        "openapi": "3.1.0",
        "info": {"title": name, "version": __version__, "description": DESCRIPTION},
        "servers": [{"url": server}],
        "security": [{one: []} for one in SECURITY],
        "paths": paths,
        "components": {
            "securitySchemes": SECURITY,
            "schemas": schemas(signature) | openapi_operations.error_schemas(),
        },
    }


def _prefix(name: str) -> str:
    return f"/endpoints/{quote(name, safe='')}"
