"""One request and its answer, from the first header to the last byte."""

from collections.abc import Sequence
from time import perf_counter_ns
from typing import Final, Protocol

import numpy as np

from servewell.core.catalog.key import Grant
from servewell.core.catalog.prediction_record import PredictionRecord, RecordSchema
from servewell.core.catalog.signature import Datatype, Input
from servewell.core.reliability.precedence import NORMAL
from servewell.core.security.redaction import token
from servewell.serving.peer import Peer
from servewell.serving.protocols import oip
from servewell.serving.protocols.columns import Column, Decoded, OutputTensor
from servewell.serving.protocols.dialect import Dialect, Kind, Reply, Route
from servewell.serving.refusals import RequestError
from servewell.serving.runtimes.model import DTYPES, Array
from servewell.serving.served import Served
from servewell.serving.telemetry.trace_context import trace_id_of

LIST_VALUES_MAX: Final = 64  # a numeric column of more is recorded as its bytes


class Caller(Protocol):
    """Who waits for an answer."""

    @property
    def peer(self) -> Peer | None:
        """Who it is by the certificate of the connection; `peer_of` finds it out, once."""
        ...

    def flush(self) -> None:
        """Send the answers that are due, in the order of their requests."""
        ...

    def is_last(self, exchange: "Exchange") -> bool:
        """Whether no request came behind this one yet."""
        ...

    def frame(self, exchange: "Exchange", reply: Reply) -> bytes:
        """Return the bytes that carry an answer on this connection."""
        ...

    def abort(self) -> None:
        """Drop the connection."""
        ...


class Exchange:
    """One request and its answer. Everything that is found out on the way is kept here."""

    __slots__ = (
        "abandoned", "answer", "authenticate_ns", "batch_rows", "body", "caller", "close",
        "deadline_ns", "decode_ns", "decoded", "dialect", "encode_ns", "error", "grant", "head",
        "headers", "infer_ns", "known_endpoint", "message", "method", "opened_at", "outputs",
        "prediction_id", "queue_ns", "queued_at", "rank", "redaction_key", "refuse_unrecorded",
        "route", "sampled", "served", "size", "snapshot", "started_at", "status", "time_ns",
        "url",
    )  # fmt: skip

    def __init__(
        self, caller: Caller, *, method: str, url: bytes, headers: dict[bytes, bytes]
    ) -> None:
        self.caller = caller
        self.method = method
        self.url = url
        self.headers = headers  # shared by all requests with the same head: never changed
        self.dialect: Dialect = oip.DIALECT
        self.message: object = None  # what the connection made of the body, where it reads bodies
        self.close = self.sampled = False  # sampled: a span is made of it, however it ends
        self.abandoned = False  # the caller has gone
        self.answer: bytes | None = None
        self.head: bytes = b""  # headers of the answer
        self.body: bytes = b""  # of the answer
        self.status = 200
        self.error: RequestError | None = None
        self.route: Route | None = None
        self.grant: Grant | None = None
        self.known_endpoint = ""  # the endpoint, where it exists
        self.served: Served | None = None
        self.decoded: Decoded | None = None
        self.outputs: list[OutputTensor] = []
        self.prediction_id = ""
        self.redaction_key = b""
        self.refuse_unrecorded = False
        self.snapshot = self.time_ns = 0
        self.opened_at = self.started_at = perf_counter_ns()
        self.queued_at = self.deadline_ns = 0  # by `perf_counter_ns`; the latter to give it up
        self.rank = NORMAL  # of its priority, 0 first
        self.size = 0  # of the request's body, in bytes
        self.authenticate_ns = self.decode_ns = self.queue_ns = 0
        self.infer_ns = self.encode_ns = 0
        self.batch_rows = 0  # of the call of the model that answered it

    @property
    def is_recorded(self) -> bool:
        """Whether it goes into the prediction log: predictions, and what was refused."""
        if self.grant is None:
            return False
        if self.error is not None:
            return self.error.recorded
        return self.route is not None and self.route.kind is Kind.INFER

    @property
    def stages_us(self) -> tuple[int, int, int, int, int]:
        """Return the time spent in each of `STAGES`, in microseconds."""
        return (
            self.authenticate_ns // 1_000,
            self.decode_ns // 1_000,
            self.queue_ns // 1_000,
            self.infer_ns // 1_000,
            self.encode_ns // 1_000,
        )

    @property
    def trace_id(self) -> str:
        """Return the caller's trace id (W3C Trace Context), or one of our own."""
        return trace_id_of(self.headers, self.prediction_id)

    @property
    def schema(self) -> RecordSchema | None:
        """See `Recordable.schema`."""
        return None if self.served is None else self.served.schema

    def record(self, sequence: int) -> PredictionRecord:
        """See `Recordable.record`."""
        served, decoded, grant, error = self.served, self.decoded, self.grant, self.error
        return PredictionRecord(
            sequence=sequence,
            prediction_id=self.prediction_id,
            time_ns=self.time_ns,
            endpoint=self.known_endpoint,
            deployment=served.name if served else "",
            model=served.model if served else "",
            package=served.package.digest if served else "",
            principal=grant.principal if grant else "",
            key_id=grant.id if grant else "",
            request_id=decoded.request_id if decoded else "",
            trace_id=self.trace_id,
            status=self.status,
            code=error.code if error else "",
            reason=error.reason if error else "",
            rows=decoded.rows if decoded else 0,
            inputs=self._inputs(),
            outputs=self._outputs() if self.outputs else [],
            stages_us=self.stages_us,
            snapshot=self.snapshot,
        )

    def _inputs(self) -> list[object]:
        served, decoded = self.served, self.decoded
        if served is None or decoded is None:
            return []
        if not served.has_personal and decoded.rows == 1:
            return [_kept_input(column) for column in decoded.columns]
        return [
            [token(value, self.redaction_key) for value in _listed(column)]
            if personal
            else _stored(column, declared)
            for column, declared, personal in zip(
                decoded.columns, served.package.signature.inputs, served.personal, strict=True
            )
        ]

    def _outputs(self) -> list[object]:
        """Return the outputs in the order of the schema; one that was not asked for is empty."""
        served = self.served
        if served is None or len(self.outputs) == len(served.schema.outputs):
            return [_kept(one.data) for one in self.outputs]
        answered: dict[str, object] = {one.name: _kept(one.data) for one in self.outputs}
        return [answered.get(name, []) for name, _, _ in served.schema.outputs]


def _kept(column: Column | list[bool] | list[str] | list[float] | list[int]) -> object:
    """Return a column as a list, or as the little-endian bytes of a long numeric array."""
    if not isinstance(column, np.ndarray):
        return column
    if column.dtype.kind in "Ob" or column.size <= LIST_VALUES_MAX:
        return column.reshape(-1).tolist()
    return column.astype(column.dtype.newbyteorder("<"), copy=False).tobytes()


def _kept_input(column: Column) -> object:
    """Return a column of a request like `_kept`, with what is missing as in a JSON request."""
    if not isinstance(column, np.ndarray):
        return column
    return _listed(column) if column.size <= LIST_VALUES_MAX else _kept(column)


def _listed(column: Column) -> Sequence[str | float | None]:
    """Return a column as a list in which null is None, as a JSON request has it."""
    if not isinstance(column, np.ndarray):
        return column
    values: list[str | float | None] = column.reshape(-1).tolist()
    return [None if one != one else one for one in values]  # noqa: PLR0124  (not-a-number alone differs from itself)


def _stored(column: Column, declared: Input) -> object:
    text_like = declared.datatype in (Datatype.BYTES, Datatype.BOOL)
    if isinstance(column, np.ndarray):
        return _kept_input(column)
    if text_like or len(column) <= LIST_VALUES_MAX:
        return column
    array: Array = np.array(column, dtype=DTYPES[declared.datatype])
    return array.astype(array.dtype.newbyteorder("<")).tobytes()
