"""What an endpoint tells of itself: its OpenAPI document, and a page to try it with."""

from typing import Final

from servewell.serving.protocols.dialect import Answerable, Kind, Reply, Route
from servewell.serving.protocols.docs_page import docs_page
from servewell.serving.protocols.oip import OpenInference
from servewell.serving.protocols.openapi import openapi_page
from servewell.serving.refusals import RequestError

ACCEPT: Final = b"accept"
HTML: Final = b"text/html"
UNAUTHENTICATED: Final = 401
ASK_FOR_KEY: Final = b'www-authenticate: Basic realm="servewell", charset="UTF-8"\r\n'


class Documents(OpenInference):
    """See `Dialect`. It takes no predictions, and refuses as the Open Inference Protocol does."""

    name = "documents"

    def refuse(self, one: Answerable, error: RequestError, status: int) -> Reply:
        """See `Dialect.refuse`; a browser is asked for the key in the one way that it knows."""
        _, headers, body = super().refuse(one, error, status)
        if status == UNAUTHENTICATED and HTML in one.headers.get(ACCEPT, b""):
            headers += ASK_FOR_KEY
        return status, headers, body


DIALECT: Final = Documents()
ROUTES: Final[dict[tuple[str, ...], Route]] = {
    ("openapi.json",): Route(Kind.PAGE, DIALECT, page=openapi_page),
    ("docs",): Route(Kind.PAGE, DIALECT, page=docs_page),
}


def route(parts: tuple[str, ...]) -> Route | None:
    """Return what a path of a document asks for, or None where it is none."""
    return ROUTES.get(parts)
