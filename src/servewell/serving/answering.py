"""The end of every request: encode, record, count, and tell the caller.

What was answered in one turn is recorded by one append, before any of the answers is sent.
"""

from http import HTTPStatus
from time import perf_counter_ns
from typing import Final

from servewell.core.security.feedback_token import feedback_token
from servewell.errors import untraced
from servewell.serving.exchange import Exchange
from servewell.serving.metrics import WorkerMeter
from servewell.serving.protocols.compression import WORTH_BYTES, compressed
from servewell.serving.recording import Recorder
from servewell.serving.refusals import (
    STATUS,
    NotRecordedError,
    RequestError,
)
from servewell.serving.served import Served
from servewell.serving.telemetry.request_facts import Turn
from servewell.serving.telemetry.watch import Watch

ACCEPT_ENCODING: Final = b"accept-encoding"
NANOSECONDS: Final = 1_000_000_000
UNAUTHENTICATED: Final = frozenset(
    code for code, status in STATUS.items() if status == HTTPStatus.UNAUTHORIZED
)


class Answering:
    """Finishes exchanges."""

    def __init__(
        self, *, recorder: Recorder, meter: WorkerMeter, watch: Watch, feedback_key: bytes
    ) -> None:
        self._recorder = recorder
        self._meter = meter
        self._watch = watch
        self._feedback_key = feedback_key
        self.draining = False
        self.date = b""  # header line of every answer, made anew each second

    def encode(self, batch: list[Exchange]) -> None:
        """Write the bodies of a batch that the model has answered."""
        started = perf_counter_ns()
        for exchange in batch:
            exchange.head, exchange.body = exchange.dialect.answer(exchange)
        took = (perf_counter_ns() - started) // len(batch)
        for exchange in batch:
            exchange.encode_ns = took

    def answer(self, finished: list[Exchange]) -> None:
        """Record what was done, then tell the callers."""
        for exchange in finished:
            if exchange.error is not None:
                exchange.status = STATUS[untraced(exchange.error).code]
        recording_at = perf_counter_ns()
        recorded = [one for one in finished if one.is_recorded]
        if recorded:
            written = self._recorder.commit(recorded)
            self._meter.recorded(len(recorded), written=written)
            if not written:
                _refuse_unrecorded(recorded)
        recorded_at = perf_counter_ns()
        for exchange in finished:
            self._complete(exchange)
        for caller in dict.fromkeys([one.caller for one in finished]):
            caller.flush()
        self._count(finished, Turn(recording_at, recorded_at, perf_counter_ns()))

    def _count(self, finished: list[Exchange], turn: Turn) -> None:
        """Count and tell what was sent. The callers wait no longer."""
        record_ns = turn.recorded_at - turn.recording_at
        for served in dict.fromkeys([one.served for one in finished]):
            if served is not None:
                own = [one for one in finished if one.served is served]
                served.meter.answered(own, now=turn.sent_at, record_ns=record_ns)
        self._watch.saw(finished, turn)

    def _complete(self, exchange: Exchange) -> None:
        served, error = exchange.served, exchange.error
        if exchange.abandoned:
            exchange.answer = b""  # nobody waits for it
            return
        if self.draining and exchange.caller.is_last(exchange):
            exchange.close = True
        status, headers, body = exchange.status, exchange.head, exchange.body
        if error is not None:
            status, headers, body = self._refusal(exchange, error)
        if exchange.prediction_id and (served is not None or error is not None):
            headers = b"".join(
                (
                    self.date,
                    headers,
                    b"servewell-prediction-id: ",
                    exchange.prediction_id.encode(),
                    b"\r\n",
                    self._watch.head(exchange),
                )
            )
            if served is not None and served.feedback_s and error is None:
                headers += self._token(exchange, served)
        else:
            headers = self.date + headers
        if len(body) >= WORTH_BYTES and ACCEPT_ENCODING in exchange.headers:
            headers, body = _compressed(exchange, headers, body)
        exchange.answer = exchange.caller.frame(exchange, (status, headers, body))

    def _token(self, exchange: Exchange, served: Served) -> bytes:
        """Return the header line with which a browser may say what it thinks of the answer."""
        token = feedback_token(
            exchange.prediction_id,
            endpoint=served.endpoint,
            until=exchange.time_ns // NANOSECONDS + served.feedback_s,
            key=self._feedback_key,
        )
        return b"servewell-feedback-token: %b\r\n" % token.encode()

    def _refusal(self, exchange: Exchange, error: RequestError) -> tuple[int, bytes, bytes]:
        status, headers, body = exchange.dialect.refuse(exchange, error, exchange.status)
        if error.code in UNAUTHENTICATED:
            self._meter.unauthenticated()
        self._meter.refused(exchange.known_endpoint, error.code)
        if exchange.served is None and exchange.known_endpoint and exchange.is_recorded:
            self._meter.unserved(exchange.known_endpoint, exchange.status)
        return status, headers + error.headers, body


def _compressed(exchange: Exchange, headers: bytes, body: bytes) -> tuple[bytes, bytes]:
    if exchange.message is not None:  # gRPC compresses its messages in a way of its own
        return headers, body
    lines, smaller = compressed(body, exchange.headers[ACCEPT_ENCODING])
    return headers + lines, smaller


def _refuse_unrecorded(recorded: list[Exchange]) -> None:
    for exchange in recorded:
        if exchange.refuse_unrecorded:
            exchange.outputs = []
            exchange.status = STATUS[NotRecordedError.code]
            exchange.error = NotRecordedError(
                "The prediction cannot be recorded.",
                why="the disk refuses to take the record, and this endpoint answers nothing "
                "unrecorded",
                fix="make room on the disk of the home folder; `servewell doctor` says what is "
                "wrong; then send the request again",
            )
