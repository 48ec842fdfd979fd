"""Which requests are told of one by one: those that are sampled, slow or failed.

All others cost a comparison. It is done after the answers were sent.
"""

import os
from collections.abc import Iterable
from typing import Final, Protocol

from servewell.core.catalog.workload import Telemetry
from servewell.serving.metrics import DeploymentMeter, WorkerMeter
from servewell.serving.protocols.dialect import Deployed
from servewell.serving.telemetry.logs import Field, log
from servewell.serving.telemetry.request_facts import (
    Exchanged,
    RequestFacts,
    Turn,
    facts_of,
    span_id_of,
)
from servewell.serving.telemetry.trace_context import (
    PARENT,
    parent_of,
    response_line,
    trace_id_of,
)

FAILED_STATUS_MIN: Final = 500
MILLISECOND_NS: Final = 1_000_000
NANOSECONDS: Final = 1_000_000_000
NEVER: Final = 1 << 62


class Spans(Protocol):
    """Where the spans go."""

    def admits(self) -> bool:
        """Whether one more request can be told of; if not, it is counted as lost."""
        ...

    def put(self, facts: RequestFacts) -> None:
        """Leave a request to be told of."""
        ...

    def close(self) -> None:
        """Send what is left."""
        ...


class Metered(Deployed, Protocol):
    """A deployment that is counted."""

    @property
    def meter(self) -> DeploymentMeter:
        """Where it is counted."""
        ...


class Watched(Exchanged, Protocol):
    """A request whose telling is decided here."""

    sampled: bool

    @property
    def served(self) -> Metered | None:
        """The deployment that answered; None where none was chosen."""
        ...

    @property
    def is_recorded(self) -> bool:
        """Whether the caller is known, and it is a prediction or was refused."""
        ...


class Watch:
    """Decides, and tells."""

    def __init__(self, telemetry: Telemetry, spans: Spans | None) -> None:
        self._slow_ns = int(telemetry.slow_ms * MILLISECOND_NS)
        self._ratio = telemetry.sample_ratio
        self._spans = spans
        self._until_sample = self.gap()

    def head(self, one: Watched) -> bytes:
        """Decide whether a request is sampled; return the header line of one that is."""
        parent = one.headers.get(PARENT)
        decided = parent_of(parent) if parent is not None else None
        if decided is not None:
            one.sampled = decided.sampled
        else:
            self._until_sample -= 1
            if self._until_sample < 0:
                self._until_sample = self.gap()
                one.sampled = True
        if one.sampled and one.prediction_id and self._spans is not None:
            trace_id = trace_id_of(one.headers, one.prediction_id)
            return response_line(trace_id, span_id_of(one.prediction_id))
        return b""

    def saw(self, answered: Iterable[Watched], turn: Turn) -> None:
        """Tell of those of a turn that are to be told of."""
        slow_at = turn.sent_at - self._slow_ns
        for one in answered:
            slow, failed = one.started_at <= slow_at, one.status >= FAILED_STATUS_MIN
            if (slow or failed or one.sampled) and one.is_recorded and one.prediction_id:
                self._tell(one, turn, slow=slow, failed=failed)

    def close(self) -> None:
        """Let go of the spans."""
        if self._spans is not None:
            self._spans.close()

    def _tell(self, one: Watched, turn: Turn, *, slow: bool, failed: bool) -> None:
        self._exemplify(one, turn)
        exported = self._spans is not None and self._spans.admits()
        event = "request_failed" if failed else "request_slow"
        code = one.error.code if one.error else ""
        left_out = log.due(event + code) if slow or failed else None
        if not exported and left_out is None:
            return
        facts = facts_of(one, turn)
        if exported and self._spans is not None:
            self._spans.put(facts)
        if left_out is not None:
            what = "failed" if failed else "was slow"
            message = f"The request with the prediction id {facts.prediction_id} {what}."
            log.warning(event, message, **fields_of(facts), **left_out)

    def _exemplify(self, one: Watched, turn: Turn) -> None:
        served = one.served
        if served is not None:
            took = turn.sent_at - one.started_at
            trace_id = trace_id_of(one.headers, one.prediction_id)
            served.meter.exemplify(
                took,
                now=turn.sent_at,
                at=(one.time_ns + took) / NANOSECONDS,
                ids=(trace_id, one.prediction_id),
            )

    def gap(self) -> int:
        """Return how many requests come before the next that is sampled.

        Any number from 0 to twice the mean, so that the mean is right, and a rhythm of the callers
        is not met.
        """
        if self._ratio == 0:
            return NEVER
        draw = int.from_bytes(os.urandom(4), "little") / (1 << 32)
        return int(draw * (2 / self._ratio - 1))


def open_watch(telemetry: Telemetry, *, meter: WorkerMeter, worker: int) -> Watch:
    """Return what watches the requests of a worker. Without the extra, no spans are made."""
    if not telemetry.otlp_endpoint:
        return Watch(telemetry, None)
    try:
        from servewell.serving.telemetry.export import Exporter  # noqa: PLC0415  (an extra)
    except ImportError:
        log.error("spans_off", "No spans are made: `servewell[telemetry]` is not installed.")
        return Watch(telemetry, None)
    return Watch(telemetry, Exporter(telemetry.otlp_endpoint, meter=meter, worker=worker))


def fields_of(facts: RequestFacts) -> dict[str, Field]:
    """Return what a line of the log tells of a request."""
    told: dict[str, Field] = {
        "prediction_id": facts.prediction_id,
        "trace_id": facts.trace_id,
        "endpoint": facts.endpoint,
        "deployment": facts.deployment,
        "version": facts.version,
        "protocol": facts.protocol,
        "code": facts.code,
    }
    known = {name: value for name, value in told.items() if value}
    return {**known, "status": facts.status, "rows": facts.rows, "took_ms": round(facts.took_ms, 3)}
