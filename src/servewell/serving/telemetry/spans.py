"""Spans of requests, as OTLP writes them.

One server span for each request, with a child for each stage that took time. Attributes follow
OpenTelemetry's semantic conventions for HTTP servers; ours begin with `servewell.`.
"""

import os
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, InstrumentationScope, KeyValue
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span, Status

from servewell.serving.telemetry.request_facts import RequestFacts

ERROR_STATUS_MIN: Final = 500  # a refusal is the caller's error, not the server's
SAMPLED: Final = 0x001
HAS_IS_REMOTE: Final = 0x100
IS_REMOTE: Final = 0x200
SPAN_ID_BYTES: Final = 8


def message_of(spans: Iterable[Span], resource: Mapping[str, object]) -> bytes:
    """Return the body of one export."""
    scope = ScopeSpans(scope=InstrumentationScope(name="servewell"), spans=spans)
    made = Resource(attributes=_attributes(resource))
    request = ExportTraceServiceRequest(
        resource_spans=[ResourceSpans(resource=made, scope_spans=[scope])]
    )
    return request.SerializeToString()


def spans_of(facts: RequestFacts) -> Iterator[Span]:
    """Yield the span of a request, then those of its stages."""
    trace_id, span_id = bytes.fromhex(facts.trace_id), bytes.fromhex(facts.span_id)
    remote = IS_REMOTE if facts.parent_id else 0
    yield Span(
        trace_id=trace_id,
        span_id=span_id,
        parent_span_id=bytes.fromhex(facts.parent_id),
        trace_state=facts.state,
        flags=SAMPLED | HAS_IS_REMOTE | remote,
        name=f"{facts.method} {facts.route}" if facts.route else facts.method,
        kind=Span.SPAN_KIND_SERVER,
        start_time_unix_nano=facts.start,
        end_time_unix_nano=facts.end,
        attributes=_attributes(_told(facts)),
        status=Status(code=Status.STATUS_CODE_ERROR) if _is_error(facts) else None,
    )
    for stage in facts.stages:
        yield Span(
            trace_id=trace_id,
            span_id=os.urandom(SPAN_ID_BYTES),
            parent_span_id=span_id,
            trace_state=facts.state,
            flags=SAMPLED | HAS_IS_REMOTE,
            name=stage.name,
            kind=Span.SPAN_KIND_INTERNAL,
            start_time_unix_nano=stage.start,
            end_time_unix_nano=stage.end,
        )


def _is_error(facts: RequestFacts) -> bool:
    return facts.status >= ERROR_STATUS_MIN


def _told(facts: RequestFacts) -> dict[str, object]:
    return {
        "http.request.method": facts.method,
        "http.response.status_code": facts.status,
        "http.route": facts.route,
        "error.type": facts.code if _is_error(facts) else "",
        "servewell.error.code": facts.code,
        "servewell.protocol": facts.protocol,
        "servewell.endpoint": facts.endpoint,
        "servewell.deployment": facts.deployment,
        "servewell.model.version": facts.version,
        "servewell.prediction_id": facts.prediction_id,
        "servewell.rows": facts.rows,
        "servewell.batch.rows": facts.batch_rows,
    }


def _attributes(values: Mapping[str, object]) -> list[KeyValue]:
    """Return attributes; what is not known is left out."""
    return [KeyValue(key=key, value=_any(value)) for key, value in values.items() if value]


def _any(value: object) -> AnyValue:
    if isinstance(value, int):
        return AnyValue(int_value=value)
    return AnyValue(string_value=str(value))
