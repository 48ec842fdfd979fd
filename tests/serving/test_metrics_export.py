"""Metrics by OTLP: what a collector receives, and that a bad one costs nothing but a count."""

import math
import os
import signal
import socket
import subprocess
from pathlib import Path

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.metrics.v1.metrics_pb2 import AggregationTemporality, Metric

from servewell.adapters.embedded.clock import SystemClock
from servewell.adapters.embedded.monitoring.readings import FileReadings
from servewell.adapters.embedded.processes import command_line
from servewell.core.catalog.reading import BUDGET_LEFT, Reading
from servewell.serving.counters import Counters, read_counters
from servewell.serving.metrics import (
    METRICS,
    METRICS_DROPPED,
    METRICS_EXPORTED,
    TIMES_NS,
    WorkerMeter,
    series,
)
from servewell.serving.telemetry.metrics_export import (
    COUNTERS,
    CollectorInvalidError,
    MetricsExporter,
    open_metrics_export,
)
from servewell.serving.telemetry.metrics_message import labels_of
from serving.watched import Collector, attributes, collecting, wait_until

EVERY_S = 0.02


def exporter(url: str, folder: Path) -> MetricsExporter:
    """Return what sends the metrics of a folder to a collector, many times a second."""
    return MetricsExporter(url, folder=folder, now=SystemClock().now, every_s=EVERY_S)


def received(collector: Collector) -> dict[str, Metric]:
    """Return the newest of every metric that came."""
    return {
        metric.name: metric
        for body in collector.bodies
        for resource in ExportMetricsServiceRequest.FromString(body).resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
    }


def counted(folder: Path, name: str) -> int:
    """Return what the exporter counted."""
    return read_counters(folder / COUNTERS)[name]


def two_workers(folder: Path) -> None:
    """Count as two workers do: three requests each, one of which took longer than a bucket."""
    for index in (0, 1):
        counters = Counters(folder / f"counters-{index}", now=lambda: 1_700_000_000.0)
        meter = WorkerMeter(counters, index, now=1_700_000_000.0)
        deployment = meter.deployment("flights", "blue")
        deployment.batch(3)
        name = "servewell_request_seconds"
        labels = {"endpoint": "flights", "deployment": "blue"}
        counters.values[counters.slot(series(f"{name}_bucket", **labels, le="0.0001"))] = 2
        counters.values[counters.slot(series(f"{name}_bucket", **labels, le="+Inf"))] = 1
        counters.values[counters.slot(series(f"{name}_sum", **labels))] = 7_500_000_000
        counters.close()


@pytest.mark.enable_socket
def test_a_collector_receives_what_metrics_tell(tmp_path: Path) -> None:
    """Sums over the workers, histograms in their buckets, and the figures of the control."""
    two_workers(tmp_path)
    labels = {"endpoint": "flights", "objective": "availability"}
    FileReadings(tmp_path).tell((Reading(name=BUDGET_LEFT, labels=labels, value=-0.25),))
    with collecting() as collector:
        sender = exporter(collector.url, tmp_path)
        wait_until(lambda: len(collector.bodies) > 1)
        sender.close()
    found = received(collector)
    [rows] = found["servewell_rows"].sum.data_points
    assert (rows.as_double, rows.start_time_unix_nano) == (6, 1_700_000_000 * 10**9)
    assert attributes(list(rows.attributes)) == {"endpoint": "flights", "deployment": "blue"}
    assert found["servewell_rows"].sum.is_monotonic
    temporality = found["servewell_rows"].sum.aggregation_temporality
    assert temporality == AggregationTemporality.AGGREGATION_TEMPORALITY_CUMULATIVE
    [times] = found["servewell_request_seconds"].histogram.data_points
    assert (times.count, times.sum, len(times.explicit_bounds)) == (6, 15.0, len(TIMES_NS))
    assert list(times.bucket_counts) == [4, *[0] * (len(TIMES_NS) - 1), 2]
    assert found["servewell_request_seconds"].unit == "s"
    [left] = found[BUDGET_LEFT].gauge.data_points
    assert (left.as_double, attributes(list(left.attributes))) == (-0.25, labels)
    assert found.keys() <= {one.family for one in METRICS}
    assert collector.headers[0]["path"] == "/v1/metrics"
    assert counted(tmp_path, METRICS_EXPORTED) == len(collector.bodies)


@pytest.mark.enable_socket
@pytest.mark.parametrize(("status", "reason"), [(503, "rejected"), (None, "sink")])
def test_a_bad_collector_costs_a_count(tmp_path: Path, status: int | None, reason: str) -> None:
    """One that refuses or is gone is counted, and asked again; nothing else happens."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        gone = f"http://127.0.0.1:{free.getsockname()[1]}"
    with collecting(status or 200) as collector:
        sender = exporter(collector.url if status else gone, tmp_path)
        name = series(METRICS_DROPPED, reason=reason)
        wait_until(lambda: counted(tmp_path, name) >= 2)
        sender.close()
    assert counted(tmp_path, METRICS_EXPORTED) == 0


@pytest.mark.enable_socket
def test_points_that_a_collector_does_not_want_are_no_success(tmp_path: Path) -> None:
    """A collector that takes a part of an export is counted as one that did not take it."""
    reply = ExportMetricsServiceResponse()
    reply.partial_success.rejected_data_points = 3
    with collecting(reply=reply.SerializeToString()) as collector:
        sender = exporter(collector.url, tmp_path)
        wait_until(lambda: counted(tmp_path, series(METRICS_DROPPED, reason="rejected")))
        sender.close()
    assert counted(tmp_path, METRICS_EXPORTED) == 0


@pytest.mark.enable_socket
def test_a_fault_of_ours_ends_one_export_and_not_all(tmp_path: Path) -> None:
    """A clock that tells no time is a count, and once it does again the metrics go on."""
    clock = {"now": 1_700_000_000.0}
    with collecting() as collector:
        sender = MetricsExporter(
            collector.url, folder=tmp_path, now=lambda: clock["now"], every_s=EVERY_S
        )
        clock["now"] = math.inf
        name = series(METRICS_DROPPED, reason="rejected")
        wait_until(lambda: counted(tmp_path, name) >= 2)
        clock["now"] = 1_700_000_000.0
        wait_until(lambda: counted(tmp_path, METRICS_EXPORTED) >= 1)
        sender.close()
    assert "servewell_build_info" in received(collector)


@pytest.mark.enable_socket
def test_the_control_process_sends_them(tmp_path: Path) -> None:
    """It does so where its environment names a collector, with the headers that it names."""
    with collecting() as collector:
        environment = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"{collector.url}/otlp",
            "OTEL_EXPORTER_OTLP_HEADERS": "x-token=planted",
            "OTEL_METRIC_EXPORT_INTERVAL": "100",
        }
        with (tmp_path / "log").open("wb") as log:
            process = subprocess.Popen(
                command_line("control", tmp_path),
                stdout=log,
                stderr=log,
                env={**os.environ, **environment},
            )
        wait_until(lambda: collector.bodies)
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0, (tmp_path / "log").read_text()
    assert collector.headers[0]["path"] == "/otlp/v1/metrics"
    assert collector.headers[0]["x-token"] == "planted"
    assert "servewell_build_info" in received(collector)


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4318"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://ann:secret@collector"),
        ("OTEL_METRIC_EXPORT_INTERVAL", "5s"),
        ("OTEL_METRIC_EXPORT_INTERVAL", "0"),
    ],
)
def test_a_bad_setting_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    """What cannot be used is named by its variable, never by its value, which may hold a secret."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
    monkeypatch.setenv(variable, value)
    with pytest.raises(CollectorInvalidError, match=variable) as caught:
        open_metrics_export(tmp_path, now=SystemClock().now)
    assert "secret" not in str(caught.value)


def test_labels_are_read_as_they_were() -> None:
    """Quotes, backslashes and line ends of a label come back."""
    labels = {"endpoint": "flights", "column": 'a"b\\n\n,c="d'}
    assert labels_of(series("servewell_drift_psi", **labels)) == labels
