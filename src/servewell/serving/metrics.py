"""What a worker counts, and how `GET /metrics` tells it.

Every metric is listed here and in `docs/reference/metrics.md`. The text is the Prometheus
exposition format 0.0.4, summed over all workers of the machine.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from servewell.core.catalog.prediction_record import STAGES
from servewell.serving.counters import OVERFLOW, Counters, read_counters

CONTENT_TYPE: Final = b"content-type: text/plain; version=0.0.4; charset=utf-8\r\n"
MICROSECONDS: Final = 1_000_000
CONNECTIONS: Final = "servewell_connections"
HEARTBEAT: Final = "servewell_worker_heartbeat_timestamp_seconds"

# Upper bounds of the latency buckets, in microseconds.
BUCKETS_US: Final = (
    250, 500, 1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 64_000, 128_000, 256_000, 512_000,
    1_024_000, 4_096_000,
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """One family of series. Values are counted in units of `1 / scale` of the unit told."""

    name: str
    kind: str
    about: str
    scale: int = 1


METRICS: Final = (
    Metric(
        name="servewell_requests_total",
        kind="counter",
        about="Authenticated inference requests answered, by class of status.",
    ),
    Metric(
        name="servewell_refused_total",
        kind="counter",
        about="Requests refused or failed, by error code.",
    ),
    Metric(
        name="servewell_unauthenticated_total",
        kind="counter",
        about="Requests refused because they carried no key that is good.",
    ),
    Metric(
        name="servewell_request_seconds",
        kind="histogram",
        about="Time from the last byte of an inference request to its answer.",
        scale=MICROSECONDS,
    ),
    Metric(
        name="servewell_stage_seconds_total",
        kind="counter",
        about="Time that inference requests spent in each stage.",
        scale=MICROSECONDS,
    ),
    Metric(name="servewell_rows_total", kind="counter", about="Rows predicted."),
    Metric(
        name="servewell_batches_total",
        kind="counter",
        about="Calls of the model; rows divided by batches is the mean size of a batch.",
    ),
    Metric(
        name="servewell_requests_in_flight",
        kind="gauge",
        about="Requests read and not yet answered.",
    ),
    Metric(name=CONNECTIONS, kind="gauge", about="Connections of callers that are open."),
    Metric(
        name="servewell_records_written_total",
        kind="counter",
        about="Prediction records written before their answers were sent.",
    ),
    Metric(
        name="servewell_records_lost_total",
        kind="counter",
        about="Prediction records that could not be written.",
    ),
    Metric(
        name="servewell_snapshot_version",
        kind="gauge",
        about="Version of the snapshot that a worker serves from.",
    ),
    Metric(
        name=HEARTBEAT,
        kind="gauge",
        about="When a worker last looked after itself, in seconds since the epoch.",
    ),
    Metric(
        name="servewell_worker_starts_total",
        kind="counter",
        about="Starts of worker processes.",
    ),
    Metric(
        name=OVERFLOW,
        kind="counter",
        about="Counts of series for which a worker has no room left.",
    ),
)


def series(name: str, **labels: str) -> str:
    """Return a series as it stands in the text: `name{label="value"}`."""
    if not labels:
        return name
    inside = ",".join(f'{label}="{_escaped(value)}"' for label, value in labels.items())
    return f"{name}{{{inside}}}"


def heartbeat_series(worker: str) -> str:
    """Return the series in which a worker notes that it lives."""
    return series(HEARTBEAT, worker=worker)


class DeploymentMeter:
    """Counts what one deployment does."""

    def __init__(self, counters: Counters, endpoint: str, deployment: str) -> None:
        labels = {"endpoint": endpoint, "deployment": deployment}
        slot, self._values = counters.slot, counters.values
        self._statuses = {
            digit: slot(series("servewell_requests_total", **labels, status=f"{digit}xx"))
            for digit in (2, 4, 5)
        }
        bounds = [f"{bound / MICROSECONDS:g}" for bound in BUCKETS_US] + ["+Inf"]
        self._buckets = [
            slot(series("servewell_request_seconds_bucket", **labels, le=bound)) for bound in bounds
        ]
        self._sum = slot(series("servewell_request_seconds_sum", **labels))
        self._stages = [
            slot(series("servewell_stage_seconds_total", **labels, stage=stage)) for stage in STAGES
        ]
        self._rows = slot(series("servewell_rows_total", **labels))
        self._batches = slot(series("servewell_batches_total", **labels))

    def batch(self, rows: int) -> None:
        """Count one call of the model."""
        values = self._values
        values[self._rows] += rows
        values[self._batches] += 1

    def answered(self, status: int, took_us: int, stages_us: Iterable[int]) -> None:
        """Count one answer."""
        values = self._values
        values[self._statuses[status // 100]] += 1
        values[self._buckets[bisect_left(BUCKETS_US, took_us)]] += 1
        values[self._sum] += took_us
        for slot, spent in zip(self._stages, stages_us, strict=True):
            values[slot] += spent


class WorkerMeter:
    """Counts what one worker does."""

    def __init__(self, counters: Counters, worker: int) -> None:
        self._counters, self._values = counters, counters.values
        self._unauthenticated = counters.slot("servewell_unauthenticated_total")
        self._in_flight = counters.slot("servewell_requests_in_flight")
        self._connections = counters.slot(CONNECTIONS)
        self._heartbeat = counters.slot(heartbeat_series(str(worker)))
        self._written = counters.slot("servewell_records_written_total")
        self._lost = counters.slot("servewell_records_lost_total")
        self._snapshot = counters.slot(series("servewell_snapshot_version", worker=str(worker)))
        self._values[self._in_flight] = 0
        self._values[self._connections] = 0
        self._values[counters.slot("servewell_worker_starts_total")] += 1

    def deployment(self, endpoint: str, deployment: str) -> DeploymentMeter:
        """Return the meter of a deployment."""
        return DeploymentMeter(self._counters, endpoint, deployment)

    def refused(self, endpoint: str, code: str) -> None:
        """Count a refusal; `endpoint` is one that exists, or empty."""
        name = series("servewell_refused_total", endpoint=endpoint, code=code)
        self._values[self._counters.slot(name)] += 1

    def unauthenticated(self) -> None:
        """Count a request without a good key."""
        self._values[self._unauthenticated] += 1

    def recorded(self, count: int, *, written: bool) -> None:
        """Count records that were written, or lost."""
        self._values[self._written if written else self._lost] += count

    def serves(self, version: int) -> None:
        """Note the snapshot that is served."""
        self._values[self._snapshot] = version

    def connections(self, count: int) -> None:
        """Note how many connections are open."""
        self._values[self._connections] = count

    def beat(self, *, now: float, in_flight: int) -> None:
        """Note that the worker lives, in seconds since the epoch, and what it has to do."""
        self._values[self._heartbeat] = int(now)
        self._values[self._in_flight] = in_flight


def exposition(folder: Path) -> bytes:
    """Return the metrics of all workers whose counters are in `folder`."""
    totals: Counter[str] = Counter()
    for path in sorted(folder.glob("counters-*")):
        totals.update(read_counters(path))
    families = {metric.name: list(_family(metric, totals)) for metric in METRICS}
    lines: list[str] = []
    for metric in METRICS:
        lines += [f"# HELP {metric.name} {metric.about}", f"# TYPE {metric.name} {metric.kind}"]
        lines += families[metric.name]
    return "\n".join([*lines, ""]).encode()


def _family(metric: Metric, totals: Counter[str]) -> Iterator[str]:
    if metric.kind == "histogram":
        yield from _histogram(metric, totals)
        return
    for name, value in totals.items():
        if name.partition("{")[0] == metric.name:
            yield f"{name} {_number(value, metric)}"


def _histogram(metric: Metric, totals: Counter[str]) -> Iterator[str]:
    """Yield buckets that include the smaller ones: a worker counts each answer in one alone."""
    running: Counter[str] = Counter()
    for name, value in totals.items():
        family, _, inside = name.partition("{")
        if family == f"{metric.name}_bucket":
            labels = inside.rpartition(",le=")[0]
            running[labels] += value
            yield f"{name} {running[labels]}"
            if inside.endswith('le="+Inf"}'):
                yield f"{metric.name}_count{{{labels}}} {running[labels]}"
        elif family == f"{metric.name}_sum":
            yield f"{name} {_number(value, metric)}"


def _number(value: int, metric: Metric) -> str:
    return str(value) if metric.scale == 1 else f"{value / metric.scale:.6f}"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
