"""The way of a request: authenticate, route, authorise, choose a deployment, decode.

Each step either goes on or raises a `RequestError`, which becomes the answer. Nothing here waits.
"""

import itertools
import os
from pathlib import Path
from time import perf_counter_ns
from typing import Final

from servewell import __version__
from servewell.core.catalog.endpoint import BP_FULL, EndpointPolicy
from servewell.core.catalog.key import EVERY_ENDPOINT, RIGHTS, Grant
from servewell.core.security.access import allows
from servewell.ports.clock import Clock
from servewell.serving import routes
from servewell.serving.access import Gatekeeper
from servewell.serving.answers import JSON
from servewell.serving.exchange import Exchange
from servewell.serving.metrics import CONTENT_TYPE, exposition
from servewell.serving.protocols import oip_answer
from servewell.serving.refusals import (
    BinaryTensorsError,
    ContentRefusedError,
    DeploymentUnknownError,
    EndpointUnknownError,
    MethodRefusedError,
    NotPermittedError,
    NotReadyError,
    PathUnknownError,
    RequestError,
)
from servewell.serving.routes import LIVE_PATH, Kind, Route, route_of
from servewell.serving.served import Served, ServedEndpoint
from servewell.serving.table import Table
from servewell.serving.turns import Turns

NANOSECONDS: Final = 1_000_000_000
PIN: Final = b"servewell-deployment"
JSON_TYPE: Final = b"application/json"
OF_CONTENT: Final = frozenset({b"content-encoding", b"inference-header-content-length"})
WORD: Final = (1 << 64) - 1


class RequestPath:
    """Takes requests from their headers to the model, or to a refusal."""

    def __init__(
        self, turns: Turns, *, clock: Clock, pepper: bytes, redaction_key: bytes, counters: Path
    ) -> None:
        self._turns = turns
        self._clock = clock
        self._pepper = pepper
        self._redaction_key = redaction_key
        self._counters = counters
        self._process = os.urandom(4).hex()
        self._numbers = itertools.count()
        self._draws = int.from_bytes(os.urandom(8), "little")
        self.swap(Table())

    def swap(self, table: Table) -> None:
        """Serve from this table from now on. Requests that are under way keep the old one."""
        self.table = table
        self._gatekeeper = Gatekeeper(table.grants, self._pepper)

    def open(self, exchange: Exchange) -> None:
        """Decide by the headers whether the request may go on; a refusal stands in `error`."""
        now = self._clock.now()
        exchange.time_ns = int(now * NANOSECONDS)
        exchange.snapshot = self.table.version
        try:
            self._admit(exchange, now)
        except RequestError as error:
            exchange.error = error
        exchange.authenticate_ns = perf_counter_ns() - exchange.started_at

    def body_bytes_max(self, exchange: Exchange) -> int:
        """Return the most bytes that the body may have."""
        endpoint = self.table.endpoints.get(exchange.known_endpoint)
        policy = endpoint.policy if endpoint else _ANY_POLICY
        return policy.body_bytes_max

    def submit(self, exchange: Exchange, body: bytes) -> None:
        """Take a request that has arrived whole to its answer."""
        exchange.started_at = started = perf_counter_ns()
        route = exchange.route
        try:
            if exchange.error is None and route is not None:
                if route.kind is Kind.INFER:
                    self._infer(exchange, route, body)
                    return
                self._read(exchange, route)
        except RequestError as error:
            exchange.error = error
            exchange.decode_ns = perf_counter_ns() - started
        self._turns.finish(exchange)

    def _admit(self, exchange: Exchange, now: float) -> None:
        if exchange.url == LIVE_PATH:
            exchange.route = self.table.routes[LIVE_PATH]
            _check_method(exchange.method, exchange.route)
            return
        exchange.grant = grant = self._gatekeeper.grant(exchange.headers, now)
        exchange.prediction_id = self._new_id(exchange.time_ns)
        exchange.redaction_key = self._redaction_key
        exchange.route = route = self.table.routes.get(exchange.url) or _parsed(exchange.url)
        _check_method(exchange.method, route)
        endpoint = self.table.endpoints.get(route.endpoint)
        _check_right(grant, route)
        if endpoint is not None:
            exchange.known_endpoint = endpoint.name
            exchange.refuse_unrecorded = endpoint.policy.refuse_unrecorded
        elif route.endpoint:
            raise _endpoint_unknown()

    def _infer(self, exchange: Exchange, route: Route, body: bytes) -> None:
        headers = exchange.headers
        if headers.get(b"content-type") != JSON_TYPE or not headers.keys().isdisjoint(OF_CONTENT):
            _check_content(headers)
        endpoint = self._endpoint(route)
        exchange.served = served = self._deployment(endpoint, route, headers)
        exchange.decoded = decoded = served.package.decoder.decode(
            body, rows_max=endpoint.policy.rows_max
        )
        exchange.queued_at = perf_counter_ns()
        exchange.decode_ns = exchange.queued_at - exchange.started_at
        self._turns.predict(exchange, served, decoded)

    def _deployment(
        self, endpoint: ServedEndpoint, route: Route, headers: dict[bytes, bytes]
    ) -> Served:
        pinned = headers.get(PIN)
        if pinned is not None:
            return _pinned(endpoint, pinned.decode("latin-1"), route.version)
        if route.version:
            return _of_version(endpoint, route.version)
        served = endpoint.chosen(self._draw())
        if served is None:
            raise _not_ready(endpoint)
        return served

    def _read(self, exchange: Exchange, route: Route) -> None:
        """Answer what asks for no prediction."""
        exchange.head = JSON
        match route.kind:
            case Kind.LIVE:
                exchange.body = oip_answer.server_live()
            case Kind.READY:
                ready = self.table.ready and not self._turns.draining
                exchange.status = 200 if ready else 503
                exchange.body = oip_answer.server_ready(ready=ready)
            case Kind.SERVER:
                exchange.body = oip_answer.server_metadata(__version__)
            case Kind.METRICS:
                exchange.head = CONTENT_TYPE
                exchange.body = exposition(self._counters)
            case _:
                self._read_model(exchange, route)

    def _read_model(self, exchange: Exchange, route: Route) -> None:
        endpoint = self._endpoint(route)
        if route.kind is Kind.MODEL_READY:
            ready = not self._turns.draining and _is_ready(endpoint, route.version)
            exchange.status = 200 if ready else 503
            exchange.body = oip_answer.model_ready(endpoint.name, ready=ready)
            return
        pinned = exchange.headers.get(PIN)
        if pinned is not None:
            served: Served | None = _pinned(endpoint, pinned.decode("latin-1"), route.version)
        else:
            served = _of_version(endpoint, route.version) if route.version else endpoint.main
        if served is None:
            raise _not_ready(endpoint)
        exchange.body = oip_answer.model_metadata(
            endpoint.name, endpoint.versions, served.package.signature
        )

    def _endpoint(self, route: Route) -> ServedEndpoint:
        """Return the endpoint. It may have gone since the headers were read."""
        endpoint = self.table.endpoints.get(route.endpoint)
        if endpoint is None:
            raise _endpoint_unknown()
        return endpoint

    def _draw(self) -> int:
        """Return a number in 0..9 999. Source: D. E. Knuth's MMIX linear congruential generator."""
        self._draws = (self._draws * 6364136223846793005 + 1442695040888963407) & WORD
        return (self._draws >> 33) % BP_FULL

    def _new_id(self, time_ns: int) -> str:
        """Return 32 hex digits: the time, then this process, then a number within it."""
        return f"{time_ns:016x}{self._process}{next(self._numbers) & 0xFFFFFFFF:08x}"


_ANY_POLICY: Final = EndpointPolicy()


def _parsed(url: bytes) -> Route:
    route = route_of(url)
    if route is None:
        raise PathUnknownError(
            "Nothing is served under that path.",
            why="the paths are those of the Open Inference Protocol V2, without extensions",
            fix="send predictions to `POST /v2/models/ENDPOINT/infer`",
        )
    return route


def _endpoint_unknown() -> EndpointUnknownError:
    return EndpointUnknownError(
        "There is no endpoint of that name.",
        why="the name in the path is not one that is served here",
        fix="`servewell endpoints list` shows those of this home",
    )


def _check_method(method: str, route: Route) -> None:
    if method != route.kind.method:
        raise MethodRefusedError(route.kind.method)


def _check_right(grant: Grant, route: Route) -> None:
    right = routes.RIGHTS[route.kind]
    if route.endpoint:
        allowed = allows(grant, right, route.endpoint)
    elif route.kind is Kind.METRICS:  # they tell of every endpoint
        allowed = allows(grant, right, EVERY_ENDPOINT)
    else:
        allowed = right in RIGHTS[grant.role]
    if not allowed:
        raise NotPermittedError(
            "The key does not permit this.",
            why=f"it does not carry the right to {right.value} here",
            fix="ask the owner of the endpoint for a key with that right; "
            "`servewell keys create` makes one",
        )


def _check_content(headers: dict[bytes, bytes]) -> None:
    """Refuse a body that is not plain JSON. Without a type it is taken to be JSON."""
    if b"inference-header-content-length" in headers:
        raise BinaryTensorsError(
            "Binary tensors are not read here.",
            why="the request has the header `Inference-Header-Content-Length`",
            fix="send the data as JSON; in tritonclient, "
            "`set_data_from_numpy(values, binary_data=False)`",
        )
    content = headers.get(b"content-type", b"").partition(b";")[0].strip().lower()
    encoding = headers.get(b"content-encoding", b"identity").strip().lower()
    if content not in (JSON_TYPE, b"") or encoding != b"identity":
        raise ContentRefusedError(
            "The body is in a form that is not read here.",
            why="bodies are `application/json`, not compressed",
            fix="send `Content-Type: application/json` and no `Content-Encoding`",
        )


def _pinned(endpoint: ServedEndpoint, name: str, version: str) -> Served:
    served = endpoint.deployments.get(name)
    if served is None or version not in ("", served.version):
        names = ", ".join(f"`{one}`" for one in endpoint.deployments) or "none"
        raise DeploymentUnknownError(
            f"The endpoint `{endpoint.name}` has no such deployment.",
            why=f"the header `servewell-deployment` has to name one of: {names}",
            fix="name one of those, or leave the header out to follow the traffic",
        )
    return served


def _of_version(endpoint: ServedEndpoint, version: str) -> Served:
    served = endpoint.of_version(version)
    if served is None:
        live = ", ".join(endpoint.versions) or "none"
        raise DeploymentUnknownError(
            f"The endpoint `{endpoint.name}` does not serve that version.",
            why=f"the versions that are live are: {live}",
            fix="ask for one of those, or leave `/versions/…` out to follow the traffic",
        )
    return served


def _is_ready(endpoint: ServedEndpoint, version: str) -> bool:
    return _of_version(endpoint, version) is not None if version else endpoint.ready


def _not_ready(endpoint: ServedEndpoint) -> NotReadyError:
    return NotReadyError(
        f"The endpoint `{endpoint.name}` is not ready.",
        why="none of its deployments with traffic is loaded",
        fix="`servewell status` says why; send the request again when it is ready",
    )
