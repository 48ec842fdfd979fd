"""What each path means: each protocol knows its own."""

from typing import Final
from urllib.parse import unquote

import httptools
import msgspec

from servewell.core.catalog.key import Right
from servewell.serving.protocols import (
    azure,
    documents,
    feedback,
    grpc,
    kserve_v1,
    mlflow,
    oip,
    stop,
)
from servewell.serving.protocols.dialect import Dialect, Kind, Route

LIVE_PATHS: Final = {b"/v2/health/live": oip.LIVE} | grpc.LIVE
METRICS: Final = Route(Kind.METRICS, oip.DIALECT, right=Right.OBSERVE, of_endpoint=False)

DIALECTS: Final[tuple[Dialect, ...]] = (
    oip.DIALECT,
    mlflow.DIALECT,
    kserve_v1.DIALECT,
    azure.DIALECT,
    grpc.DIALECT,
)
ROUTERS: Final = (
    oip.route,
    mlflow.route,
    kserve_v1.route,
    azure.route,
    grpc.route,
    documents.route,
    stop.route,
    feedback.route,
)


def route_of(url: bytes) -> Route | None:
    """Return what a request target asks for, or None where nothing is served there."""
    try:
        path = httptools.parse_url(url).path
    except httptools.HttpParserInvalidURLError:
        return None
    parts = tuple(unquote(part.decode("latin-1")) for part in (path or b"").split(b"/")[1:])
    if parts == ("metrics",):
        return METRICS
    if len(parts) > 2 and parts[0] == "endpoints" and parts[1]:  # noqa: PLR2004  (prefix, name)
        return _of_endpoint(parts[1], _route(parts[2:]))
    return _route(parts)


def _route(parts: tuple[str, ...]) -> Route | None:
    return next((route for one in ROUTERS if (route := one(parts)) is not None), None)


def _of_endpoint(name: str, route: Route | None) -> Route | None:
    """Return the route of a path of one endpoint; the path itself may name it, too."""
    if route is None or not route.of_endpoint or route.endpoint not in ("", name):
        return None
    return msgspec.structs.replace(route, endpoint=name)
