"""What each path means: each protocol knows its own."""

from typing import Final
from urllib.parse import unquote

import httptools

from servewell.core.catalog.key import Right
from servewell.serving.protocols import oip
from servewell.serving.protocols.dialect import Dialect, Kind, Route

LIVE_PATH: Final = b"/v2/health/live"
METRICS: Final = Route(Kind.METRICS, oip.DIALECT, right=Right.OBSERVE, of_endpoint=False)

DIALECTS: Final[tuple[Dialect, ...]] = (oip.DIALECT,)
ROUTERS: Final = (oip.route,)


def route_of(url: bytes) -> Route | None:
    """Return what a request target asks for, or None where nothing is served there."""
    try:
        path = httptools.parse_url(url).path
    except httptools.HttpParserInvalidURLError:
        return None
    parts = tuple(unquote(part.decode("latin-1")) for part in (path or b"").split(b"/")[1:])
    if parts == ("metrics",):
        return METRICS
    return next((route for one in ROUTERS if (route := one(parts)) is not None), None)
