"""How `GET /metrics` tells what the workers counted.

The numbers are sums over all workers of the machine, and what the control process told last: those
figures are of the whole home, and summed by nobody. The text is OpenMetrics 1.0 where the caller
asks for it, with exemplars and the times at which series were begun; else the Prometheus text
format 0.0.4. Source: OpenMetrics 1.0; Prometheus, "Exposition formats".
"""

import platform
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from servewell import __version__
from servewell.core.catalog.reading import Reading
from servewell.ports.readings import FILE
from servewell.serving.counters import Exemplar, Series, read_series
from servewell.serving.metrics import BUILD, METRICS, Metric, series

OPEN_METRICS: Final = b"application/openmetrics-text"
TEXT_HEAD: Final = b"content-type: text/plain; version=0.0.4; charset=utf-8\r\n"
OPEN_HEAD: Final = (
    b"content-type: application/openmetrics-text; version=1.0.0; charset=utf-8\r\nvary: accept\r\n"
)
HISTOGRAM_SUFFIXES: Final = ("_bucket", "_sum")
FAMILIES: Final = {
    one.name + suffix: one
    for one in METRICS
    for suffix in (HISTOGRAM_SUFFIXES if one.kind == "histogram" else ("",))
}


@dataclass(slots=True, kw_only=True)
class Total:
    """One series, summed over the workers."""

    value: int = 0
    begun: float = 0.0  # the earliest, in seconds since the epoch; 0 where it is not known
    exemplar: Exemplar | None = None  # the newest

    def add(self, one: Series) -> None:
        """Take in the same series of one more worker."""
        self.value += one.value
        self.begun = min(self.begun or one.begun, one.begun)
        if one.exemplar and (self.exemplar is None or one.exemplar.at > self.exemplar.at):
            self.exemplar = one.exemplar


Totals = dict[str, dict[str, Total]]  # metric -> name of the series -> what was counted


def metrics_page(folder: Path, accept: bytes = b"") -> tuple[bytes, bytes]:
    """Return headers and body: all workers whose counters are in `folder`, as is asked for."""
    if wants_open_metrics(accept):
        return OPEN_HEAD, exposition(folder, open_metrics=True)
    return TEXT_HEAD, exposition(folder)


def wants_open_metrics(accept: bytes) -> bool:
    """Whether `Accept` asks for OpenMetrics: Prometheus names it with a version that it reads."""
    for one in accept.lower().split(b","):
        name, *parameters = (part.strip() for part in one.split(b";"))
        refused = any(part.replace(b" ", b"") in (b"q=0", b"q=0.0") for part in parameters)
        versions = [part[8:] for part in parameters if part.startswith(b"version=")]
        if name == OPEN_METRICS and not refused and versions in ([], [b"1.0.0"]):
            return True
    return False


def exposition(folder: Path, *, open_metrics: bool = False) -> bytes:
    """Return the metrics of all workers whose counters are in `folder`."""
    totals, told_readings = totals_of(folder), readings_of(folder)
    lines: list[str] = []
    for metric in METRICS:
        told = metric.family if open_metrics else metric.name
        lines += [f"# HELP {told} {metric.about}", f"# TYPE {told} {metric.kind}"]
        if open_metrics and metric.unit:
            lines.append(f"# UNIT {told} {metric.unit}")
        found = totals.get(metric.name, {})
        tell = _histogram if metric.kind == "histogram" else _plain
        lines += tell(metric, found, open_metrics=open_metrics)
        lines += (_reading(one) for one in told_readings if one.name == metric.name)
    return "\n".join([*lines, "# EOF\n" if open_metrics else ""]).encode()


def totals_of(folder: Path) -> Totals:
    """Return what all workers counted whose counters are in `folder`."""
    build = series(BUILD, version=__version__, python=platform.python_version())
    totals: Totals = {BUILD: {build: Total(value=1)}}
    for path in sorted(folder.glob("counters-*")):
        for one in read_series(path):
            if metric := FAMILIES.get(one.name.partition("{")[0]):
                totals.setdefault(metric.name, {}).setdefault(one.name, Total()).add(one)
    return totals


def readings_of(folder: Path) -> tuple[Reading, ...]:
    """Return what the control process told last; nothing where it never did."""
    try:
        return msgspec.json.decode((folder / FILE).read_bytes(), type=tuple[Reading, ...])
    except (OSError, msgspec.DecodeError):
        return ()


def _plain(metric: Metric, found: dict[str, Total], *, open_metrics: bool) -> Iterator[str]:
    for name, total in found.items():
        if total.value or metric.zero_told:
            yield f"{name} {_number(total.value, metric)}"
            if open_metrics and metric.kind == "counter" and total.begun:
                yield f"{_named(f'{metric.family}_created', _labels(name))} {total.begun}"


def _histogram(metric: Metric, found: dict[str, Total], *, open_metrics: bool) -> Iterator[str]:
    """Yield buckets that include the smaller ones: a worker counts each value in one alone."""
    for labels, buckets in _by_labels(metric, found).items():
        running = 0
        for name, total in buckets:
            running += total.value
            exemplar = _exemplar(metric, total.exemplar) if open_metrics else ""
            yield f"{name} {running}{exemplar}"
        of_sum = _named(f"{metric.name}_sum", labels)
        summed = found.get(of_sum, Total())
        yield f"{_named(f'{metric.name}_count', labels)} {running}"
        yield f"{of_sum} {_number(summed.value, metric)}"
        if open_metrics and summed.begun:
            yield f"{_named(f'{metric.name}_created', labels)} {summed.begun}"


def _by_labels(metric: Metric, found: dict[str, Total]) -> dict[str, list[tuple[str, Total]]]:
    """Return the buckets of each histogram, smallest first as they were begun."""
    histograms: dict[str, list[tuple[str, Total]]] = {}
    for name, total in found.items():
        if name.startswith(f"{metric.name}_bucket{{"):
            labels = _labels(name).rpartition("le=")[0].removesuffix(",")
            histograms.setdefault(labels, []).append((name, total))
    return histograms


def _labels(name: str) -> str:
    """Return what stands between the braces of a series."""
    return name.partition("{")[2].removesuffix("}")


def _named(name: str, labels: str) -> str:
    return f"{name}{{{labels}}}" if labels else name


def _exemplar(metric: Metric, one: Exemplar | None) -> str:
    if one is None:
        return ""
    ids = series("", trace_id=one.trace_id, prediction_id=one.prediction_id)
    return f" # {ids} {_number(one.value, metric)} {one.at:.3f}"


def _reading(one: Reading) -> str:
    return f"{series(one.name, **one.labels)} {one.value!r}"


def _number(value: int, metric: Metric) -> str:
    return str(value) if metric.scale == 1 else f"{value / metric.scale:.9f}"
