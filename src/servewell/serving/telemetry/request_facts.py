"""What is told of one request in its span and in the log, taken from what was found out on its way.

Never a value of the request, a key, or the path as the caller wrote it.
"""

from typing import Final, NamedTuple, Protocol
from urllib.parse import unquote

import msgspec

from servewell.serving.metrics import Spoken
from servewell.serving.protocols.columns import Decoded
from servewell.serving.protocols.dialect import Deployed, Headers, Route
from servewell.serving.refusals import RequestError
from servewell.serving.telemetry.trace_context import PARENT, parent_of, state_of, trace_id_of

METHODS: Final = frozenset(
    {"GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"}
)
SPAN_ID_AT: Final = 16  # the last half of a prediction id is unique to its process and request


class Exchanged(Protocol):
    """A request that was answered. Times are in nanoseconds, `..._at` by one clock."""

    @property
    def method(self) -> str: ...  # noqa: D102  (what they are is said in `Exchange`)
    @property
    def url(self) -> bytes: ...  # noqa: D102
    @property
    def headers(self) -> Headers: ...  # noqa: D102
    @property
    def dialect(self) -> Spoken: ...  # noqa: D102
    @property
    def route(self) -> Route | None: ...  # noqa: D102
    @property
    def served(self) -> Deployed | None: ...  # noqa: D102
    @property
    def decoded(self) -> Decoded | None: ...  # noqa: D102
    @property
    def error(self) -> RequestError | None: ...  # noqa: D102
    @property
    def status(self) -> int: ...  # noqa: D102
    @property
    def known_endpoint(self) -> str: ...  # noqa: D102
    @property
    def prediction_id(self) -> str: ...  # noqa: D102
    @property
    def batch_rows(self) -> int: ...  # noqa: D102
    @property
    def time_ns(self) -> int: ...  # noqa: D102
    @property
    def opened_at(self) -> int: ...  # noqa: D102
    @property
    def started_at(self) -> int: ...  # noqa: D102
    @property
    def queued_at(self) -> int: ...  # noqa: D102
    @property
    def authenticate_ns(self) -> int: ...  # noqa: D102
    @property
    def decode_ns(self) -> int: ...  # noqa: D102
    @property
    def queue_ns(self) -> int: ...  # noqa: D102
    @property
    def infer_ns(self) -> int: ...  # noqa: D102
    @property
    def encode_ns(self) -> int: ...  # noqa: D102


class Turn(NamedTuple):
    """When a turn of the loop recorded and sent its answers, in nanoseconds by the same clock."""

    recording_at: int
    recorded_at: int
    sent_at: int


class Stage(NamedTuple):
    """One stage of a request, in nanoseconds since the epoch."""

    name: str
    start: int
    end: int


class RequestFacts(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One request. Texts and numbers that are not known are empty, or 0."""

    trace_id: str  # 32 hex digits
    span_id: str  # 16 hex digits
    parent_id: str  # of the caller's span
    state: str  # of the trace
    method: str
    route: str  # the path as a template
    protocol: str
    endpoint: str
    deployment: str
    version: str
    prediction_id: str
    status: int
    code: str  # of the error
    rows: int
    batch_rows: int
    start: int  # nanoseconds since the epoch
    end: int
    stages: tuple[Stage, ...]

    @property
    def took_ms(self) -> float:
        """Return how long the whole request took, in milliseconds."""
        return (self.end - self.start) / 1_000_000


def facts_of(one: Exchanged, turn: Turn) -> RequestFacts:
    """Return what is told of a request that was answered in a turn."""
    parent = parent_of(one.headers[PARENT]) if PARENT in one.headers else None
    served, decoded, error = one.served, one.decoded, one.error
    return RequestFacts(
        trace_id=trace_id_of(one.headers, one.prediction_id),
        span_id=span_id_of(one.prediction_id),
        parent_id=parent.span_id if parent else "",
        state=state_of(one.headers) if parent else "",
        method=one.method if one.method in METHODS else "_OTHER",
        route=_template(one.url, one.route) if one.route else "",
        protocol=one.dialect.name,
        endpoint=one.known_endpoint,
        deployment=served.name if served else "",
        version=served.version if served else "",
        prediction_id=one.prediction_id,
        status=one.status,
        code=error.code if error else "",
        rows=decoded.rows if decoded else 0,
        batch_rows=one.batch_rows,
        start=one.time_ns,
        end=one.time_ns + turn.sent_at - one.opened_at,
        stages=_stages(one, turn),
    )


def span_id_of(prediction_id: str) -> str:
    """Return the id of the span of a prediction."""
    return prediction_id[SPAN_ID_AT:]


def _stages(one: Exchanged, turn: Turn) -> tuple[Stage, ...]:
    to_epoch = one.time_ns - one.opened_at
    authenticated_at = one.opened_at + one.authenticate_ns
    inferring_at = one.queued_at + one.queue_ns
    inferred_at = inferring_at + one.infer_ns
    spans = (
        ("authenticate", one.opened_at, authenticated_at),
        ("read", authenticated_at, one.started_at),
        ("decode", one.started_at, one.started_at + one.decode_ns),
        ("queue", one.queued_at, inferring_at),
        ("infer", inferring_at, inferred_at),
        ("encode", inferred_at, inferred_at + one.encode_ns),
        ("record", turn.recording_at, turn.recorded_at),
        ("write", turn.recorded_at, turn.sent_at),
    )
    return tuple(
        Stage(name, start + to_epoch, end + to_epoch) for name, start, end in spans if end > start
    )


def _template(url: bytes, route: Route) -> str:
    """Return the path with its variable parts named: there are as many paths as kinds of them."""
    parts = url.partition(b"?")[0].decode("latin-1").split("/")
    names = {route.endpoint: "{endpoint}", route.version: "{version}"}
    return "/".join(names.get(unquote(part), part) if part else "" for part in parts)
