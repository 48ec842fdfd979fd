"""What each path means."""

from collections.abc import Iterable
from enum import Enum
from typing import Final
from urllib.parse import unquote

import httptools
import msgspec

from servewell.core.catalog.key import Right
from servewell.serving.served import ServedEndpoint

LIVE_PATH: Final = b"/v2/health/live"


class Kind(Enum):
    """What a path asks for."""

    LIVE = "live"
    READY = "ready"
    SERVER = "server"
    METRICS = "metrics"
    MODEL = "model"
    MODEL_READY = "model-ready"
    INFER = "infer"

    @property
    def method(self) -> str:
        """The one method that the path takes."""
        return "POST" if self is Kind.INFER else "GET"


# What each path needs, beside a key; nothing anonymous but `LIVE`.
RIGHTS: Final[dict[Kind, Right]] = {
    Kind.READY: Right.READ,
    Kind.SERVER: Right.READ,
    Kind.METRICS: Right.OBSERVE,
    Kind.MODEL: Right.READ,
    Kind.MODEL_READY: Right.READ,
    Kind.INFER: Right.INVOKE,
}


class Route(msgspec.Struct, frozen=True, gc=False):
    """A path, understood."""

    kind: Kind
    endpoint: str = ""  # as the caller wrote it; it may not exist
    version: str = ""


FIXED: Final[dict[tuple[str, ...], Route]] = {
    ("v2",): Route(Kind.SERVER),
    ("v2", "health", "live"): Route(Kind.LIVE),
    ("v2", "health", "ready"): Route(Kind.READY),
    ("metrics",): Route(Kind.METRICS),
}

OF_MODEL: Final[dict[tuple[str, ...], Kind]] = {
    (): Kind.MODEL,
    ("ready",): Kind.MODEL_READY,
    ("infer",): Kind.INFER,
}


def route_of(url: bytes) -> Route | None:
    """Return what a request target asks for, or None where nothing is served there."""
    try:
        path = httptools.parse_url(url).path
    except httptools.HttpParserInvalidURLError:
        return None
    parts = tuple(unquote(part.decode("latin-1")) for part in (path or b"").split(b"/")[1:])
    if parts == ("v2", ""):
        parts = ("v2",)
    return FIXED.get(parts) or _of_model(parts)


def _of_model(parts: tuple[str, ...]) -> Route | None:
    match parts:
        case ("v2", "models", endpoint, "versions", version, *rest):
            kind = OF_MODEL.get(tuple(rest))
        case ("v2", "models", endpoint, *rest):
            kind, version = OF_MODEL.get(tuple(rest)), ""
        case _:
            return None
    return Route(kind, endpoint, version) if kind and endpoint else None


def known_routes(endpoints: Iterable[ServedEndpoint]) -> dict[bytes, Route]:
    """Return the routes of the paths that are asked for most, so that none need be parsed."""
    paths = [b"/v2", b"/v2/", LIVE_PATH, b"/v2/health/ready", b"/metrics"]
    for endpoint in endpoints:
        stem = f"/v2/models/{endpoint.name}".encode()
        stems = [stem, *(b"%b/versions/%b" % (stem, one.encode()) for one in endpoint.versions)]
        paths += [one + tail for one in stems for tail in (b"", b"/ready", b"/infer")]
    return {path: route for path in paths if (route := route_of(path))}
