"""Sending all metrics to a collector by OTLP over HTTP, in a thread of the control process.

Whatever the collector does costs an export, which is counted, and nothing else. What it missed it
gets with the next one: counters are told from their beginning.
"""

import os
from collections.abc import Callable
from pathlib import Path
from threading import Event, Thread
from typing import Final
from urllib.parse import urlsplit

from servewell.errors import ServewellError
from servewell.serving.counters import Counters
from servewell.serving.metrics import METRICS_DROPPED, METRICS_EXPORTED, series
from servewell.serving.telemetry.export import BACK_OFF_S_MAX, CLOSE_S, resource_of
from servewell.serving.telemetry.exposition import readings_of, totals_of
from servewell.serving.telemetry.logs import log
from servewell.serving.telemetry.metrics_message import NANOSECONDS, Told, message_of
from servewell.serving.telemetry.sink import Sink, SinkError

ENDPOINT: Final = "OTEL_EXPORTER_OTLP_ENDPOINT"
INTERVAL: Final = "OTEL_METRIC_EXPORT_INTERVAL"  # milliseconds
INTERVAL_MS: Final = 60_000
INTERVAL_MS_MIN: Final = 100
PATH: Final = "/v1/metrics"
COUNTERS: Final = "counters-control"  # beside those of the workers, and told with them


class CollectorInvalidError(ServewellError):
    """`OTEL_EXPORTER_OTLP_ENDPOINT` or `OTEL_METRIC_EXPORT_INTERVAL` cannot be used."""

    code = "SW-189"


class MetricsExporter:
    """Tells a collector what all workers counted, again and again, until it is closed."""

    def __init__(
        self, endpoint: str, *, folder: Path, now: Callable[[], float], every_s: float
    ) -> None:
        """`folder` has the counters; `now` tells seconds since the epoch. Raises: OSError."""
        self._sink = Sink(endpoint, PATH)
        self._folder, self._now, self._every_s = folder, now, every_s
        self._resource = resource_of(None).attributes
        folder.mkdir(parents=True, exist_ok=True)
        self._counters = Counters(folder / COUNTERS, now=now)
        self._exported = self._counters.slot(METRICS_EXPORTED)
        self._dropped = {
            reason: self._counters.slot(series(METRICS_DROPPED, reason=reason))
            for reason in ("sink", "rejected")
        }
        self._closing = Event()
        self._thread = Thread(target=self._run, name="metrics", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Tell once more how it stands, if that goes quickly."""
        self._closing.set()
        self._thread.join(CLOSE_S)

    def _run(self) -> None:
        pause = self._every_s
        while not self._closing.wait(pause):
            pause = self._every_s if self._export() else self._later(pause)
        self._export()

    def _later(self, pause: float) -> float:
        return max(self._every_s, min(2 * pause, BACK_OFF_S_MAX))

    def _export(self) -> bool:
        try:
            rejected = self._sink.send(self._message())
        except SinkError as error:
            self._counters.values[self._dropped[error.reason]] += 1
            return False
        except Exception as error:  # noqa: BLE001 - a fault of ours ends this export, not all to come
            self._counters.values[self._dropped["rejected"]] += 1
            log.fault("metrics_failed", "Metrics could not be sent.", error)
            return False
        self._counters.values[self._dropped["rejected"] if rejected else self._exported] += 1
        return True

    def _message(self) -> bytes:
        told = Told(
            totals=totals_of(self._folder),
            readings=readings_of(self._folder),
            at_ns=int(self._now() * NANOSECONDS),
        )
        return message_of(told, self._resource)


def open_metrics_export(folder: Path, *, now: Callable[[], float]) -> MetricsExporter | None:
    """Return what sends the metrics where the environment names a collector, else None.

    Raises: CollectorInvalidError, OSError.
    """
    endpoint = os.environ.get(ENDPOINT, "").strip()
    if not endpoint:
        return None
    url = urlsplit(endpoint)
    if url.scheme not in ("http", "https") or not url.netloc or "@" in url.netloc or url.query:
        raise CollectorInvalidError(
            f"No metrics are sent: `{ENDPOINT}` names no collector.",
            why="it is no URL such as http://127.0.0.1:4318, without a user, a password or a query",
            fix="set it so and start again, or leave it out",
        )
    return MetricsExporter(endpoint, folder=folder, now=now, every_s=_interval_ms() / 1_000)


def _interval_ms() -> int:
    told = os.environ.get(INTERVAL, "").strip() or str(INTERVAL_MS)
    if not told.isdecimal() or int(told) < INTERVAL_MS_MIN:
        raise CollectorInvalidError(
            f"No metrics are sent: `{INTERVAL}` is no time between two exports.",
            why=f"it is not a whole number of milliseconds, {INTERVAL_MS_MIN} or more",
            fix="set it so and start again, or leave it out: then it is a minute",
        )
    return int(told)
