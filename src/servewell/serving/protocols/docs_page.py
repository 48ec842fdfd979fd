"""A page to try an endpoint with: a form made from its signature, the answer, and snippets.

It is whole in itself: it asks for nothing from elsewhere, and its policy lets nothing in.
"""

import base64
import hashlib
import html
import re
from collections.abc import Mapping
from importlib.resources import files
from typing import Any, Final
from urllib.parse import quote

import msgspec

from servewell.core.catalog.signature import Input, Signature
from servewell.serving.protocols.dialect import EndpointView, Reply, View
from servewell.serving.protocols.elements import may_be_null
from servewell.serving.protocols.openapi import described
from servewell.serving.protocols.openapi_schemas import example_of

PARTS: Final = files("servewell.serving.protocols")
TEMPLATE: Final = PARTS.joinpath("docs_page.html").read_text(encoding="utf-8")
STYLE: Final = PARTS.joinpath("docs_page.css").read_text(encoding="utf-8")
SCRIPT: Final = PARTS.joinpath("docs_page.js").read_text(encoding="utf-8")

MARKS: Final = re.compile(r"(\{[a-z]+\})")


def _source(text: str) -> str:
    """Return what lets a policy know an inline script or style: its hash.

    Source: Content Security Policy Level 3, section 2.3.1.
    """
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest())
    return f"'sha256-{digest.decode()}'"


POLICY: Final = (
    f"default-src 'none'; script-src {_source(SCRIPT)}; style-src {_source(STYLE)}; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEAD: Final = (
    "content-type: text/html; charset=utf-8\r\n"
    f"content-security-policy: {POLICY}\r\n"
    "x-content-type-options: nosniff\r\n"
    "referrer-policy: no-referrer\r\n"
    "cache-control: no-store\r\n"
).encode()


def docs_page(view: View) -> Reply:
    """Return the page of an endpoint."""
    endpoint, signature = described(view)
    told = msgspec.json.encode(_told(endpoint, signature)).decode()
    parts = {
        "{title}": html.escape(endpoint.name),
        "{style}": STYLE,
        "{script}": SCRIPT,
        "{endpoint}": told.replace("<", "\\u003c"),  # a name may hold what would end the script
    }
    return 200, HEAD, _filled(TEMPLATE, parts).encode()


def _filled(template: str, parts: Mapping[str, str]) -> str:
    """Return a template with each part in its place; what a part holds is never looked at."""
    return "".join(parts.get(piece, piece) for piece in MARKS.split(template))


def _told(endpoint: EndpointView, signature: Signature) -> dict[str, Any]:
    example = example_of(signature)
    name = quote(endpoint.name, safe="")
    return {
        "name": endpoint.name,
        "ready": endpoint.ready,
        "versions": endpoint.versions,
        "deployments": endpoint.deployments,
        "inputs": [_input(one, example[one.name]) for one in signature.inputs],
        "outputs": [one.name for one in signature.outputs],
        "classes": {one.name: one.classes for one in signature.outputs if one.classes},
        "paths": [
            ("Open Inference", f"/v2/models/{name}/infer"),
            ("MLflow", f"/endpoints/{name}/invocations"),
            ("KServe V1", f"/v1/models/{name}:predict"),
            ("Azure ML", f"/endpoints/{name}/score"),
        ],
    }


def _input(declared: Input, example: object) -> dict[str, Any]:
    return {
        "name": declared.name,
        "datatype": declared.datatype,
        "row_shape": declared.row_shape,
        "may_be_null": may_be_null(declared),
        "description": declared.description,
        "categories": declared.categories,
        "allowed": declared.allowed,
        "minimum": declared.minimum,
        "maximum": declared.maximum,
        "minimum_seen": declared.minimum_seen,
        "maximum_seen": declared.maximum_seen,
        "example": example,
    }
