"""A copy of one live request, and the record of what a candidate made of it."""

from typing import Final

import msgspec

from servewell.core.catalog.prediction_record import PredictionRecord, RecordSchema
from servewell.serving.exchange import LIST_VALUES_MAX, Exchange, kept
from servewell.serving.protocols.columns import Decoded, OutputTensor
from servewell.serving.refusals import STATUS, RequestError
from servewell.serving.served import CopiedTo, Served

ROLE: Final = "shadow"
OK: Final = 200
NS_PER_MS: Final = 1_000_000


class CopyUnfitError(RequestError):
    """A shadow deployment takes an input that the live requests do not hold."""

    code = "SW-370"

    @property
    def reason(self) -> str:
        """See `RequestError.reason`: names and types of inputs, no values."""
        return self.why


class ShadowCopy(msgspec.Struct, eq=False):
    """One request for the candidate, and in the end its answer. Nothing of it reaches a caller."""

    candidate: Served
    columns: Decoded
    lacks: str  # why the candidate cannot run on it, or nothing
    size: int  # of the live request's body, in bytes
    offered_at: int  # by `perf_counter_ns`, as the next
    ends_at: int  # when it is dropped, or its call ended
    prediction_id: str
    time_ns: int
    principal: str
    key_id: str
    request_id: str
    trace_id: str
    snapshot: int
    outputs: list[OutputTensor] = []
    error: RequestError | None = None
    outcome: str = ""  # as it is counted
    queue_ns: int = 0
    infer_ns: int = 0

    @property
    def schema(self) -> RecordSchema:
        """See `Recordable.schema`."""
        return self.candidate.schema

    def record(self, sequence: int) -> PredictionRecord:
        """See `Recordable.record`."""
        one, error = self.candidate, self.error
        return PredictionRecord(
            sequence,
            self.prediction_id,
            self.time_ns,
            one.endpoint,
            one.name,
            one.model,
            one.package.digest,
            self.principal,
            self.key_id,
            self.request_id,
            self.trace_id,
            OK if error is None else STATUS[error.code],
            "" if error is None else error.code,
            "" if error is None else error.reason,
            self.columns.rows,
            [],
            [kept(output.data) for output in self.outputs],
            (0, 0, self.queue_ns // 1_000, self.infer_ns // 1_000, 0),
            self.snapshot,
            ROLE,
        )


def copy_of(exchange: Exchange, copied_to: CopiedTo, decoded: Decoded, *, now: int) -> ShadowCopy:
    """Return a copy of a request that was answered; `now` is by `perf_counter_ns`."""
    grant, candidate = exchange.grant, copied_to.candidate
    return ShadowCopy(
        candidate=candidate,
        columns=_columns(decoded, copied_to),
        lacks=copied_to.lacks,
        size=exchange.size,
        offered_at=now,
        ends_at=now + candidate.policy.timeout_ms * NS_PER_MS,
        prediction_id=exchange.prediction_id,
        time_ns=exchange.time_ns,
        principal=grant.principal if grant else "",
        key_id=grant.id if grant else "",
        request_id=decoded.request_id,
        trace_id=exchange.trace_id,
        snapshot=exchange.snapshot,
    )


def unfit(copy: ShadowCopy) -> CopyUnfitError:
    """Return what is recorded of a copy that the candidate cannot run on."""
    return CopyUnfitError(
        f"The shadow `{copy.candidate.name}` cannot run on the live requests.",
        why=copy.lacks,
        fix="compare it offline, on rows that hold what it takes; or roll it out once callers send "
        "that input",
    )


def _columns(decoded: Decoded, copied_to: CopiedTo) -> Decoded:
    """Return what the candidate takes of a request; it is asked for all of its outputs."""
    shapes, places = decoded.row_shapes, () if copied_to.lacks else copied_to.places
    return Decoded(
        "",
        decoded.rows,
        [decoded.columns[place] for place in places],
        (),
        row_shapes=shapes and tuple(shapes[place] for place in places),
        as_arrays=decoded.rows > LIST_VALUES_MAX,
    )
