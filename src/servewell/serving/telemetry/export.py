"""Sending spans to a collector by OTLP over HTTP, in a thread of its own.

A request leaves its facts in a queue and goes on. Whatever the collector does, be it gone, slow or
broken, costs what it misses, which is counted, and nothing else.

The messages are OpenTelemetry's own. They are not made by its SDK, which keeps an object with a
lock for each span while it is open: here the facts of a request that is over are enough.
"""

import os
import socket
import time
from collections import deque
from itertools import islice
from threading import Event, Thread
from typing import Final

from opentelemetry.proto.trace.v1.trace_pb2 import Span
from opentelemetry.sdk.resources import SERVICE_INSTANCE_ID, SERVICE_NAME, SERVICE_VERSION, Resource

from servewell import __version__
from servewell.serving.metrics import WorkerMeter
from servewell.serving.telemetry.logs import log
from servewell.serving.telemetry.request_facts import RequestFacts
from servewell.serving.telemetry.sink import Sink, SinkError
from servewell.serving.telemetry.spans import message_of, spans_of

PERIOD_S: Final = 1.0  # between exports
BATCH: Final = 512  # requests in one export
QUEUED_MAX: Final = 1_024
BACK_OFF_S_MAX: Final = 30.0
CLOSE_S: Final = 2.0  # that the end of a worker waits for the last export
PAUSE_S: Final = 0.000_2  # after each request's spans, in which the loop can have the interpreter


class Exporter:
    """The queue, and the thread that empties it."""

    def __init__(self, endpoint: str, *, meter: WorkerMeter, worker: int) -> None:
        self._sink = Sink(endpoint)
        self._meter = meter
        self._resource = resource_of(worker)
        self._queue: deque[RequestFacts] = deque()
        self._closing = Event()
        self._given_up = False
        self._thread = Thread(target=self._run, name="spans", daemon=True)
        self._thread.start()

    def admits(self) -> bool:
        """Whether one more request can be told of; if not, it is counted as lost."""
        if len(self._queue) < QUEUED_MAX:
            return True
        self._meter.spans_dropped(1, "queue")
        return False

    def put(self, facts: RequestFacts) -> None:
        """Leave a request to be told of."""
        self._queue.append(facts)

    def close(self) -> None:
        """Send what is left, if that goes quickly; what does not go is lost."""
        self._closing.set()
        self._thread.join(CLOSE_S)
        self._given_up = True
        self._meter.spans_dropped(len(self._queue), "exit")

    def _run(self) -> None:
        pause = PERIOD_S
        while not self._closing.wait(pause):
            pause = PERIOD_S if self._export() else min(2 * pause, BACK_OFF_S_MAX)
        while self._queue and not self._given_up and self._export():
            pass

    def _export(self) -> bool:
        """Send one batch; whether the collector took it."""
        batch = list(islice(self._queue, BATCH))
        if not batch:
            return True
        try:
            rejected = min(self._sink.send(self._message(batch)), len(batch))
        except SinkError as error:
            self._meter.spans_dropped(len(batch), error.reason)
            log.seldom("spans_lost", f"The collector takes no spans: {error}.", lost=len(batch))
            return False
        except Exception as error:  # noqa: BLE001  (a fault of ours ends these spans, not all to come)
            self._meter.spans_dropped(len(batch), "rejected")
            log.fault("spans_failed", "Spans could not be made.", error)
            return False
        finally:
            for _ in batch:
                self._queue.popleft()
        self._meter.spans_exported(len(batch) - rejected)
        self._meter.spans_dropped(rejected, "rejected")
        return True

    def _message(self, batch: list[RequestFacts]) -> bytes:
        spans: list[Span] = []
        for facts in batch:
            spans += spans_of(facts)
            time.sleep(PAUSE_S)
        return message_of(spans, self._resource.attributes)


def resource_of(worker: int | None) -> Resource:
    """Return who tells, a worker or none of them.

    `OTEL_SERVICE_NAME` and `OTEL_RESOURCE_ATTRIBUTES` say more.
    """
    ours: dict[str, str | int] = {
        SERVICE_NAME: "servewell",
        SERVICE_VERSION: __version__,
        SERVICE_INSTANCE_ID: f"{socket.gethostname()}:{os.getpid()}",
        **({} if worker is None else {"servewell.worker": worker}),
    }
    told = Resource.create()
    named = str(told.attributes.get(SERVICE_NAME, "")).partition(":")[0] != "unknown_service"
    return Resource(ours).merge(told) if named else told.merge(Resource(ours))
