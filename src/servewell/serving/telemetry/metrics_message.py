"""What `GET /metrics` tells, as OTLP writes it. Source: OTLP 1.x, `metrics.proto`."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, InstrumentationScope, KeyValue
from opentelemetry.proto.metrics.v1.metrics_pb2 import (
    AGGREGATION_TEMPORALITY_CUMULATIVE as CUMULATIVE,
)
from opentelemetry.proto.metrics.v1.metrics_pb2 import (
    Gauge,
    Histogram,
    HistogramDataPoint,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
    Sum,
)
from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric as Message
from opentelemetry.proto.resource.v1.resource_pb2 import Resource

from servewell.core.catalog.reading import Reading
from servewell.serving.metrics import METRICS, Metric
from servewell.serving.telemetry.exposition import Total, Totals

NANOSECONDS: Final = 1_000_000_000
UNITS: Final = {"seconds": "s", "bytes": "By"}
LABEL: Final = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')
ESCAPED: Final = re.compile(r"\\(.)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What is known at one moment."""

    totals: Totals
    readings: tuple[Reading, ...]
    at_ns: int  # since the epoch


def message_of(told: Told, resource: Mapping[str, object]) -> bytes:
    """Return the body of one export: every metric that has a series."""
    made = [one for metric in METRICS if (one := _metric(metric, told))]
    scope = ScopeMetrics(scope=InstrumentationScope(name="servewell"), metrics=made)
    who = Resource(attributes=_attributes({name: str(value) for name, value in resource.items()}))
    request = ExportMetricsServiceRequest(
        resource_metrics=[ResourceMetrics(resource=who, scope_metrics=[scope])]
    )
    return request.SerializeToString()


def _metric(metric: Metric, told: Told) -> Message | None:
    found = told.totals.get(metric.name, {})
    made = Message(name=metric.family, description=metric.about, unit=UNITS.get(metric.unit, "1"))
    if metric.kind == "histogram":
        points = list(_histograms(metric, found, told.at_ns))
        made.histogram.CopyFrom(Histogram(data_points=points, aggregation_temporality=CUMULATIVE))
        return made if points else None
    numbers = [*_numbers(metric, found, told.at_ns), *_readings(metric, told)]
    if metric.kind == "counter":
        made.sum.CopyFrom(
            Sum(
                data_points=numbers,
                aggregation_temporality=CUMULATIVE,
                is_monotonic=True,
            )
        )
    else:
        made.gauge.CopyFrom(Gauge(data_points=numbers))
    return made if numbers else None


def _numbers(metric: Metric, found: Mapping[str, Total], at_ns: int) -> Iterator[NumberDataPoint]:
    for name, total in found.items():
        if total.value or metric.zero_told:
            yield NumberDataPoint(
                attributes=_attributes(labels_of(name)),
                start_time_unix_nano=int(total.begun * NANOSECONDS),
                time_unix_nano=at_ns,
                as_double=total.value / metric.scale,
            )


def _readings(metric: Metric, told: Told) -> Iterator[NumberDataPoint]:
    for one in told.readings:
        if one.name == metric.name:
            yield NumberDataPoint(
                attributes=_attributes(one.labels), time_unix_nano=told.at_ns, as_double=one.value
            )


def _histograms(
    metric: Metric, found: Mapping[str, Total], at_ns: int
) -> Iterator[HistogramDataPoint]:
    """Yield a point for each deployment; a worker counts each value in one bucket alone."""
    points: dict[tuple[tuple[str, str], ...], HistogramDataPoint] = {}
    for name, total in found.items():
        labels = labels_of(name)
        bound = labels.pop("le", None)
        key = tuple(labels.items())
        point = points.setdefault(
            key, HistogramDataPoint(attributes=_attributes(labels), time_unix_nano=at_ns)
        )
        if bound is None:
            point.sum = total.value / metric.scale
            point.start_time_unix_nano = int(total.begun * NANOSECONDS)
            continue
        point.count += total.value
        point.bucket_counts.append(total.value)
        if bound != "+Inf":
            point.explicit_bounds.append(float(bound))
    yield from points.values()


def labels_of(name: str) -> dict[str, str]:
    """Return the labels of a series as they were before `metrics.series` wrote them."""
    return {
        label: ESCAPED.sub(lambda one: "\n" if one[1] == "n" else one[1], value)
        for label, value in LABEL.findall(name)
    }


def _attributes(labels: Mapping[str, str]) -> list[KeyValue]:
    return [KeyValue(key=key, value=AnyValue(string_value=text)) for key, text in labels.items()]
