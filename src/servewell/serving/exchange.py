"""One request and its answer, from the first header to the last byte."""

from collections.abc import Sequence
from time import perf_counter_ns
from typing import Final, Protocol

import msgspec
import numpy as np

from servewell.core.catalog.key import Grant
from servewell.core.catalog.prediction_record import STOPPED, PredictionRecord, RecordSchema
from servewell.core.catalog.signature import Datatype, Input
from servewell.core.reliability.precedence import NORMAL
from servewell.core.security.redaction import token
from servewell.serving.peer import Peer
from servewell.serving.protocols import oip
from servewell.serving.protocols.columns import Column, Decoded, OutputTensor
from servewell.serving.protocols.dialect import Dialect, Kind, Reply, Route
from servewell.serving.refusals import RequestError, StoppedError
from servewell.serving.runtimes.model import DTYPES, Array
from servewell.serving.served import Served
from servewell.serving.telemetry.trace_context import trace_id_of

INFER: Final = Kind.INFER  # a member of an enum is slow to reach
BY_STOP: Final = StoppedError.code  # also in the record of an answer that a stop made
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


class Exchange(msgspec.Struct, eq=False):
    """One request and its answer. Everything that is found out on the way is kept here.

    A msgspec structure, because it is made in a fifth of the time of a class of our own.
    """

    caller: Caller
    method: str
    url: bytes
    headers: dict[bytes, bytes]  # shared by all requests with the same head: never changed
    dialect: Dialect = oip.DIALECT
    message: object = None  # what the connection made of the body, where it reads bodies
    close: bool = False
    sampled: bool = False  # a span is made of it, however it ends
    abandoned: bool = False  # the caller has gone
    answer: bytes | None = None
    head: bytes = b""  # headers of the answer
    body: bytes = b""  # of the answer
    status: int = 200
    error: RequestError | None = None
    route: Route | None = None
    grant: Grant | None = None
    known_endpoint: str = ""  # the endpoint, where it exists
    served: Served | None = None
    decoded: Decoded | None = None
    outputs: list[OutputTensor] = []
    role: str = ""  # as it is recorded: whether the caller, or a stop, chose who answers
    prediction_id: str = ""
    redaction_key: bytes = b""
    refuse_unrecorded: bool = False
    snapshot: int = 0
    time_ns: int = 0  # since the epoch
    # The next four by `perf_counter_ns`: its head was read, it was here whole, it began to wait
    # for its model, and it is given up.
    opened_at: int = msgspec.field(default_factory=perf_counter_ns)
    started_at: int = 0
    queued_at: int = 0
    deadline_ns: int = 0
    rank: int = NORMAL  # of its priority, 0 first
    size: int = 0  # of the request's body, in bytes
    authenticate_ns: int = 0
    decode_ns: int = 0
    queue_ns: int = 0
    infer_ns: int = 0
    encode_ns: int = 0
    batch_rows: int = 0  # of the call of the model that answered it

    @property
    def is_recorded(self) -> bool:
        """Whether it goes into the prediction log: predictions, and what was refused."""
        if self.grant is None:
            return False
        if self.error is not None:
            return self.error.recorded
        return self.route is not None and self.route.kind is INFER

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
            sequence,
            self.prediction_id,
            self.time_ns,
            self.known_endpoint,
            served.name if served else "",
            served.model if served else "",
            served.package.digest if served else "",
            grant.principal if grant else "",
            grant.id if grant else "",
            decoded.request_id if decoded else "",
            self.trace_id,
            self.status,
            error.code if error else BY_STOP if self.role == STOPPED else "",
            error.reason if error else "",
            decoded.rows if decoded else 0,
            self._inputs(),
            self._outputs() if self.outputs else [],
            self.stages_us,
            self.snapshot,
            self.role,
        )

    def _inputs(self) -> list[object]:
        served, decoded = self.served, self.decoded
        if served is None or decoded is None:
            return []
        if not served.has_personal and decoded.rows == 1:
            return [
                one if type(one) is list else _kept_input(one)  # the type alone is asked fast
                for one in decoded.columns
            ]
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
            return [one.data if type(one.data) is list else kept(one.data) for one in self.outputs]
        answered: dict[str, object] = {one.name: kept(one.data) for one in self.outputs}
        return [answered.get(name, []) for name, _, _ in served.schema.outputs]


def kept(column: Column | list[bool] | list[str] | list[float] | list[int]) -> object:
    """Return a column as a list, or as the little-endian bytes of a long numeric array."""
    if not isinstance(column, np.ndarray):
        return column
    if column.dtype.kind in "Ob" or column.size <= LIST_VALUES_MAX:
        return column.reshape(-1).tolist()
    return column.astype(column.dtype.newbyteorder("<"), copy=False).tobytes()


def _kept_input(column: Column) -> object:
    """Return a column of a request like `kept`, with what is missing as in a JSON request."""
    if not isinstance(column, np.ndarray):
        return column
    return _listed(column) if column.size <= LIST_VALUES_MAX else kept(column)


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
