"""The way of a request: authenticate, route, authorise, choose a deployment, decode.

Each step either goes on or raises a `RequestError`, which becomes the answer. Nothing here waits.
"""

import itertools
import os
from pathlib import Path
from time import perf_counter, perf_counter_ns
from typing import Final, NamedTuple

from servewell import __version__
from servewell.core.catalog.endpoint import BP_FULL, EndpointPolicy
from servewell.core.catalog.key import EVERY_ENDPOINT, RIGHTS, Grant, Right
from servewell.core.catalog.prediction_record import PINNED, STOPPED
from servewell.core.security.access import allows
from servewell.ports.clock import Clock
from servewell.serving.access import Gatekeeper
from servewell.serving.answering import Answering
from servewell.serving.errands import ErrandDesk
from servewell.serving.exchange import Exchange
from servewell.serving.feedback_desk import FeedbackDesk
from servewell.serving.limits import Limiter, Moment
from servewell.serving.protocols.columns import Decoded
from servewell.serving.protocols.compression import inflated
from servewell.serving.protocols.dialect import EndpointView, Headers, Kind, Route, View
from servewell.serving.protocols.feedback import ORIGIN
from servewell.serving.refusals import (
    DeploymentUnknownError,
    EndpointUnknownError,
    EndpointUnloadedError,
    EndpointUnnamedError,
    MethodRefusedError,
    NotPermittedError,
    NotReadyError,
    PathUnknownError,
    RequestError,
    StoppedError,
    StoppedUnansweredError,
)
from servewell.serving.routes import LIVE_PATHS, route_of
from servewell.serving.served import Served, ServedEndpoint, Stopped
from servewell.serving.stop_desk import StopDesk
from servewell.serving.table import Table
from servewell.serving.telemetry.exposition import metrics_page
from servewell.serving.turns import Turns
from servewell.serving.wishes import take_body_wishes, take_header_wishes

INFER: Final = Kind.INFER  # a member of an enum is slow to reach
CHANGES: Final = frozenset({Kind.LOAD, Kind.UNLOAD})
STOPS: Final = frozenset({Kind.STOP, Kind.RESUME})
FEEDBACK: Final = frozenset({Kind.FEEDBACK, Kind.SCRIPT})
NANOSECONDS: Final = 1_000_000_000
PINS: Final = (b"servewell-deployment", b"azureml-model-deployment")
ENCODING: Final = b"content-encoding"
OPTIONS: Final = "OPTIONS"  # what a browser asks before it sends something
ROUTES_MAX: Final = 4_096  # paths remembered
WORD: Final = (1 << 64) - 1


class Admission(NamedTuple):
    """What was decided by the head of a request, but for time and limits."""

    route: Route
    grant: Grant
    endpoint: str
    refuse_unrecorded: bool


class RequestPath:
    """Takes requests from their headers to the model, or to a refusal."""

    def __init__(  # noqa: PLR0913  (what a worker has one of)
        self,
        turns: Turns,
        answering: Answering,
        *,
        desk: ErrandDesk,
        stop_desk: StopDesk,
        feedback_desk: FeedbackDesk,
        clock: Clock,
        pepper: bytes,
        redaction_key: bytes,
        counters: Path,
        limits: Limiter,
    ) -> None:
        self._turns = turns
        self._answering = answering
        self._desk = desk
        self._stop_desk = stop_desk
        self._feedback_desk = feedback_desk
        self._clock = clock
        self._pepper = pepper
        self._redaction_key = redaction_key
        self._counters = counters
        self._limits = limits
        self._process = os.urandom(4).hex()
        self._numbers = itertools.count()
        self._draws = int.from_bytes(os.urandom(8), "little")
        self.swap(Table())

    def swap(self, table: Table) -> None:
        """Serve from this table from now on. Requests that are under way keep the old one."""
        self.table = table
        self._gatekeeper = Gatekeeper(table.grants, self._pepper)
        self._admissions: dict[tuple[bytes, str, bytes | None], Admission] = {}
        self._limits.serve(
            table.grants.values(),
            [(one.name, one.policy) for one in table.endpoints.values()],
            perf_counter(),
        )
        sticky = [one.sticky.header for one in table.endpoints.values() if one.sticky]
        asked = [ORIGIN] if self._takes_feedback() else []
        self.more_headers = frozenset(one for one in (*sticky, *asked) if one)
        self._turns.serve(served for one in table.endpoints.values() for served in one.running)

    def open(self, exchange: Exchange) -> None:
        """Decide by the headers whether the request may go on; a refusal stands in `error`."""
        now = self._clock.now()
        exchange.time_ns = int(now * NANOSECONDS)
        exchange.snapshot = self.table.version
        try:
            if not self._admit_again(exchange, now):
                self._admit(exchange, now)
            if self._limits.active:
                self._limit(exchange, now)
        except RequestError as error:
            exchange.error = error
        exchange.authenticate_ns = perf_counter_ns() - exchange.opened_at

    def know(self, exchange: Exchange) -> None:
        """See `Requests.know`."""
        now = self._clock.now()
        exchange.time_ns = int(now * NANOSECONDS)
        exchange.snapshot = self.table.version
        try:
            self._identify(exchange, now)
        except RequestError as error:
            exchange.error = error

    def body_bytes_max(self, exchange: Exchange) -> int:
        """See `Requests.body_bytes_max`."""
        endpoint = self.table.endpoints.get(exchange.known_endpoint)
        policy = endpoint.policy if endpoint else _ANY_POLICY
        return policy.body_bytes_max

    def body_bytes_most(self) -> int:
        """See `Requests.body_bytes_most`."""
        policies = [one.policy for one in self.table.endpoints.values()]
        return max((one.body_bytes_max for one in policies), default=_ANY_POLICY.body_bytes_max)

    def submit(self, exchange: Exchange, body: bytes) -> None:
        """Take a request that has arrived whole to its answer."""
        exchange.started_at = started = perf_counter_ns()
        route = exchange.route
        try:
            if exchange.error is None and route is not None:
                if ENCODING in exchange.headers:
                    body = inflated(body, exchange.headers, bytes_max=self.body_bytes_max(exchange))
                if route.kind is INFER and (route.page is None or exchange.method != OPTIONS):
                    self._infer(exchange, route, body)
                    return
                self._read(exchange, route, body)
                if route.kind in CHANGES:
                    self._change(exchange, route)
                    return
                if route.kind in STOPS:
                    self._stop(exchange, route, body)
                    return
                if route.kind is Kind.FEEDBACK:
                    self._feedback(exchange, route, body)
                    return
        except RequestError as error:
            exchange.error = error
            exchange.decode_ns = perf_counter_ns() - started
        self._turns.finish(exchange)

    def _admit(self, exchange: Exchange, now: float) -> None:
        live = LIVE_PATHS.get(exchange.url)
        if live is not None:
            exchange.route, exchange.dialect = live, live.dialect
            _check_method(exchange.method, live)
            return
        known = self.table.routes.get(exchange.url)
        route = known or route_of(exchange.url)
        if route is not None:
            exchange.dialect = route.dialect  # a refusal, too, is told in the caller's protocol
            if route.kind in FEEDBACK:
                self._admit_feedback(exchange, route, now)
                return
        grant = self._identify(exchange, now)
        if route is None:
            raise _path_unknown()
        exchange.route = route
        if known is None:
            self._remember(exchange.url, route)
        _check_method(exchange.method, route)
        name = route.endpoint or (self._only(grant) if route.of_endpoint else "")
        _check_right(grant, route, name)
        if not name:
            return
        endpoint = self.table.endpoints.get(name)
        if endpoint is None:
            self._check_awaited(route, name)
            exchange.known_endpoint = name
            return
        exchange.known_endpoint = name
        exchange.refuse_unrecorded = endpoint.policy.refuse_unrecorded
        self._keep(Admission(route, grant, name, endpoint.policy.refuse_unrecorded), exchange)

    def _check_awaited(self, route: Route, name: str) -> None:
        """Let an endpoint be stopped whose models still load. Raises: EndpointUnknownError."""
        if route.kind not in STOPS or not self._stop_desk.knows(name):
            raise _endpoint_unknown()

    def _admit_feedback(self, exchange: Exchange, route: Route, now: float) -> None:
        """Admit what a browser may send without a key, or what asks for the component."""
        if route.kind is Kind.SCRIPT:
            if not self._takes_feedback():
                raise _path_unknown()
            exchange.route = route
            _check_method(exchange.method, route)
            return
        endpoint = self.table.endpoints.get(route.endpoint)
        self._feedback_desk.admit(exchange, route, endpoint, lambda: self._granted(exchange, now))

    def _takes_feedback(self) -> bool:
        return any(one.policy.feedback for one in self.table.endpoints.values())

    def _granted(self, exchange: Exchange, now: float) -> Grant:
        return self._gatekeeper.grant(exchange.headers, now, exchange.caller.peer)

    def _admit_again(self, exchange: Exchange, now: float) -> bool:
        """Admit a request like one that was admitted by this table; whether there was one."""
        like = exchange.url, exchange.method, exchange.headers.get(b"authorization")
        known = self._admissions.get(like)
        if known is None or exchange.caller.peer is not None:
            return False
        route, grant, name, refuse_unrecorded = known
        if grant.expires_at is not None and now >= grant.expires_at:
            return False
        exchange.route, exchange.dialect, exchange.grant = route, route.dialect, grant
        exchange.known_endpoint, exchange.refuse_unrecorded = name, refuse_unrecorded
        exchange.prediction_id = self._new_id(exchange.time_ns)
        exchange.redaction_key = self._redaction_key
        return True

    def _keep(self, admission: Admission, exchange: Exchange) -> None:
        authorization = exchange.headers.get(b"authorization")
        if authorization is None or exchange.caller.peer is not None:
            return
        if len(self._admissions) >= ROUTES_MAX:
            self._admissions.clear()
        self._admissions[exchange.url, exchange.method, authorization] = admission

    def _limit(self, exchange: Exchange, now: float) -> None:
        grant, route, name = exchange.grant, exchange.route, exchange.known_endpoint
        if grant is not None and route is not None and route.kind is INFER and name:
            self._limits.take_request(grant.id, name, Moment(perf_counter(), now))

    def _identify(self, exchange: Exchange, now: float) -> Grant:
        exchange.grant = grant = self._gatekeeper.grant(exchange.headers, now, exchange.caller.peer)
        exchange.prediction_id = self._new_id(exchange.time_ns)
        exchange.redaction_key = self._redaction_key
        return grant

    def _remember(self, url: bytes, route: Route) -> None:
        routes = self.table.routes
        if len(routes) >= ROUTES_MAX:
            routes.clear()
        routes[url] = route

    def _only(self, grant: Grant) -> str:
        """Return the one endpoint that a key reaches, for paths that name none.

        Raises: EndpointUnnamedError.
        """
        reached = self._reached(grant)
        if len(reached) == 1:
            return reached[0].name
        raise EndpointUnnamedError(
            "The path names no endpoint.",
            why=f"the key reaches {len(reached)} endpoints, and the path is for a key of one",
            fix="put `/endpoints/NAME` before the path, or use a key of one endpoint",
        )

    def _reached(self, grant: Grant) -> list[ServedEndpoint]:
        return [
            one
            for one in self.table.endpoints.values()
            if EVERY_ENDPOINT in grant.endpoints or one.name in grant.endpoints
        ]

    def _infer(self, exchange: Exchange, route: Route, body: bytes) -> None:
        endpoint = self._endpoint(exchange)
        decoded: Decoded | None = None
        if endpoint.stopped is not None:
            exchange.role = STOPPED
            served = _instead(endpoint, endpoint.stopped)
        elif endpoint.sticky is None:
            served = self._deployment(exchange, endpoint, route)
        else:
            served, decoded = self._sticking(exchange, endpoint, route, body)
        exchange.served = served
        exchange.size = len(body)
        take_header_wishes(exchange, endpoint.policy.timeout_ms)
        self._turns.check(exchange, served)
        if decoded is None:
            decoded = served.package.readers[exchange.dialect.name].decode(
                body if exchange.message is None else exchange.message,
                headers=exchange.headers,
                rows_max=endpoint.policy.rows_max,
            )
        exchange.decoded = decoded
        if decoded.timeout_us or decoded.priority is not None:
            take_body_wishes(exchange, decoded)
        if self._limits.active and exchange.grant is not None:
            moment = Moment(perf_counter(), exchange.time_ns / NANOSECONDS)
            self._limits.take_rows(exchange.grant.id, endpoint.name, decoded.rows, moment)
        exchange.queued_at = perf_counter_ns()
        exchange.decode_ns = exchange.queued_at - exchange.started_at
        self._turns.predict(exchange, served, decoded)

    def _deployment(self, exchange: Exchange, endpoint: ServedEndpoint, route: Route) -> Served:
        if not endpoint.loaded:
            raise EndpointUnloadedError.of(endpoint.name)
        headers = exchange.headers
        pinned = headers.get(PINS[0]) or headers.get(PINS[1])
        if pinned is not None:
            exchange.role = PINNED
            asked = _pinned(endpoint, pinned.decode("latin-1"), route.version)
            return _answering(asked, exchange.grant)
        if route.version:
            exchange.role = PINNED
            return _answering(_of_version(endpoint, route.version), exchange.grant)
        served = endpoint.only or endpoint.chosen(self._draw())
        if served is None:
            raise NotReadyError.of(endpoint.name)
        return served

    def _sticking(
        self, exchange: Exchange, endpoint: ServedEndpoint, route: Route, body: bytes
    ) -> tuple[Served, Decoded | None]:
        """Return who answers a caller that is to stay with one; and the rows, if they were read.

        Rows are read by the deployment with most traffic, and again by another that takes others.
        """
        sticky, headers, main = endpoint.sticky, exchange.headers, endpoint.main
        pinned = PINS[0] in headers or PINS[1] in headers or route.version
        if sticky is None or main is None or pinned:
            return self._deployment(exchange, endpoint, route), None
        decoded: Decoded | None = None
        value = headers.get(sticky.header, b"")
        if not sticky.header:
            exchange.served = main
            take_header_wishes(exchange, endpoint.policy.timeout_ms)
            self._check_any(exchange, endpoint)
            decoded = main.package.readers[exchange.dialect.name].decode(
                body if exchange.message is None else exchange.message,
                headers=headers,
                rows_max=endpoint.policy.rows_max,
            )
            value = sticky.value(decoded)
        served = endpoint.chosen_for(value) if value else endpoint.chosen(self._draw())
        if served is None:
            raise NotReadyError.of(endpoint.name)
        same = served is main or served.signature == main.signature
        return served, decoded if same else None

    def _check_any(self, exchange: Exchange, endpoint: ServedEndpoint) -> None:
        """Refuse what none of those who may answer it could answer in time, before it is read.

        Raises: OverloadedError, DeadlinePassedError.
        """
        refusal: RequestError | None = None
        for name, _ in endpoint.traffic:
            try:
                self._turns.check(exchange, endpoint.deployments[name])
            except RequestError as error:
                refusal = error
            else:
                return
        if refusal is not None:
            raise refusal

    def _read(self, exchange: Exchange, route: Route, body: bytes) -> None:
        """Answer what asks for no prediction."""
        if route.kind is Kind.METRICS:
            accept = exchange.headers.get(b"accept", b"")
            exchange.head, exchange.body = metrics_page(self._counters, accept)
        elif route.page is not None:
            view = self._view(exchange, route, body)
            exchange.status, exchange.head, exchange.body = route.page(view)

    def _change(self, exchange: Exchange, route: Route) -> None:
        """Have an endpoint changed; the answer waits until that is done."""
        self._desk.take(
            exchange,
            loaded=route.kind is Kind.LOAD,
            serving=lambda: self.table.endpoints.get(exchange.known_endpoint),
        )

    def _stop(self, exchange: Exchange, route: Route, body: bytes) -> None:
        """Have an endpoint stopped or resumed; the answer waits until that is done."""
        self._stop_desk.take(
            exchange,
            body,
            stop=route.kind is Kind.STOP,
            serving=lambda: self.table.endpoints.get(exchange.known_endpoint),
        )

    def _feedback(self, exchange: Exchange, route: Route, body: bytes) -> None:
        """Have feedback written; the answer waits until that is done."""
        endpoint, now = self.table.endpoints.get(route.endpoint), exchange.time_ns / NANOSECONDS
        desk = self._feedback_desk
        desk.take(exchange, body, endpoint, lambda: self._granted(exchange, now))

    def _view(self, exchange: Exchange, route: Route, body: bytes) -> View:
        endpoint = None
        if exchange.known_endpoint:
            endpoint = self._endpoint_view(self._endpoint(exchange), route, exchange.headers)
        grant = exchange.grant
        reached = self._reached(grant) if grant else []
        return View(
            url=exchange.url,
            headers=exchange.headers,
            body=body,
            release=__version__,
            ready=self.table.ready and not self._answering.draining,
            endpoint=endpoint,
            endpoints=tuple(self._endpoint_view(one) for one in reached),
            message=exchange.message,
        )

    def _endpoint_view(
        self, endpoint: ServedEndpoint, route: Route | None = None, headers: Headers | None = None
    ) -> EndpointView:
        version = route.version if route else ""
        pinned = headers and (headers.get(PINS[0]) or headers.get(PINS[1]))
        if not endpoint.loaded:
            served: Served | None = None
        elif pinned:
            served = _pinned(endpoint, pinned.decode("latin-1"), version)
        else:
            served = _of_version(endpoint, version) if version else endpoint.main
        return EndpointView(
            name=endpoint.name,
            ready=endpoint.answers and not self._answering.draining,
            versions=endpoint.versions,
            deployments={one.name: one.version for one in endpoint.deployments.values()},
            signature=served.signature if served else None,
            loaded=endpoint.loaded,
            feedback=endpoint.policy.feedback,
        )

    def _endpoint(self, exchange: Exchange) -> ServedEndpoint:
        """Return the endpoint. It may have gone since the headers were read."""
        endpoint = self.table.endpoints.get(exchange.known_endpoint)
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


def _path_unknown() -> PathUnknownError:
    return PathUnknownError(
        "Nothing is served under that path.",
        why="it is none of the paths of the protocols that are spoken here",
        fix="send predictions to `POST /v2/models/ENDPOINT/infer`",
    )


def _endpoint_unknown() -> EndpointUnknownError:
    return EndpointUnknownError(
        "There is no endpoint of that name.",
        why="the name in the path is not one that is served here",
        fix="`servewell endpoints list` shows those of this home",
    )


def _check_method(method: str, route: Route) -> None:
    if method not in route.methods:
        raise MethodRefusedError(", ".join(route.methods))


def _check_right(grant: Grant, route: Route, name: str) -> None:
    right = route.right
    if name:
        allowed = allows(grant, right, name)
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


def _instead(endpoint: ServedEndpoint, stopped: Stopped) -> Served:
    """Return who answers by an emergency stop, whatever a request asks for.

    Raises: StoppedError, StoppedUnansweredError.
    """
    if stopped.served is not None:
        return stopped.served
    refusal = StoppedUnansweredError if stopped.lacks else StoppedError
    raise refusal.of(endpoint.name)


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


def _answering(served: Served, grant: Grant | None) -> Served:
    """Return the deployment that somebody chose. What a shadow answers is for administrators.

    Raises: NotPermittedError.
    """
    if not served.is_shadow or (grant and allows(grant, Right.ADMINISTER, served.endpoint)):
        return served
    raise NotPermittedError(
        "The deployment is a shadow, and answers nobody.",
        why=f"`{served.name}` gets copies of requests, and no rollout has let it answer callers",
        fix="leave out what names it; `servewell shadow show` compares its answers, and the key of "
        "an administrator may ask it",
    )


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
