"""What a worker counts.

Every metric stands in `METRICS`, from which `GET /metrics` and `docs/reference/metrics.md` are
made. To count something new, add its `Metric` there, and count in `counters.slot(series(name,
label=value))`. A label holds only what exists here: an endpoint, a deployment, a protocol, a code;
never what a caller wrote.
"""

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from servewell.core.catalog.latency_bounds import TIMES_NS
from servewell.core.catalog.prediction_record import STAGES
from servewell.core.catalog.reading import READINGS
from servewell.serving.counters import OVERFLOW, Counters, Exemplar

NANOSECONDS: Final = 1_000_000_000
EXEMPLAR_EVERY_NS: Final = NANOSECONDS  # a bucket keeps at most one exemplar a second
CONNECTIONS: Final = "servewell_connections"
CROWDED: Final = "servewell_connections_crowded_total"
HEARTBEAT: Final = "servewell_worker_heartbeat_timestamp_seconds"
CERTIFICATE: Final = "servewell_certificate_expiry_timestamp_seconds"
BUILD: Final = "servewell_build_info"
COPIES: Final = "servewell_shadow_copies_total"
FEEDBACK: Final = "servewell_feedback_total"
COPY_OUTCOMES: Final = ("answered", "failed", "busy", "full", "late", "unrecorded")
SPANS_DROPPED: Final = "servewell_spans_dropped_total"
METRICS_EXPORTED: Final = "servewell_metrics_exported_total"
METRICS_DROPPED: Final = "servewell_metrics_dropped_total"
ALL_STAGES: Final = ("read", *STAGES, "record")
OF_DEPLOYMENT: Final = ("endpoint", "deployment")

# Upper bounds of the buckets of rows in one call of the model.
ROWS: Final = (1, 2, 4, 8, 16, 32, 64, 128, 512, 2_048, 8_192)


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """One family of series. Values are counted in units of `1 / scale` of the unit told.

    The kinds are `counter` (its name ends in `_total`), `gauge` and `histogram`.
    """

    name: str
    kind: str
    about: str
    labels: tuple[str, ...] = ()
    scale: int = 1
    zero_told: bool = True  # whether a series at 0 is told

    @property
    def family(self) -> str:
        """Return the name of the family, which for a counter lacks `_total` (OpenMetrics 1.0)."""
        return self.name.removesuffix("_total") if self.kind == "counter" else self.name

    @property
    def unit(self) -> str:
        """Return the unit that the name ends with, or nothing."""
        last = self.family.rpartition("_")[2]
        return last if last in ("seconds", "bytes") else ""


METRICS: Final = (
    Metric(
        name="servewell_requests_total",
        kind="counter",
        about="Inference requests that reached a deployment, by protocol and by class of the "
        "status answered.",
        labels=(*OF_DEPLOYMENT, "protocol", "status"),
    ),
    Metric(
        name="servewell_refused_total",
        kind="counter",
        about="Requests refused or failed, by error code; the endpoint is empty where none of "
        "that name exists.",
        labels=("endpoint", "code"),
    ),
    Metric(
        name="servewell_unserved_total",
        kind="counter",
        about="Requests for an endpoint that were refused before they reached a deployment, by "
        "class of the status answered.",
        labels=("endpoint", "status"),
    ),
    Metric(
        name="servewell_unauthenticated_total",
        kind="counter",
        about="Requests refused because they carried no key that is good.",
    ),
    Metric(
        name="servewell_request_seconds",
        kind="histogram",
        about="Time from the last byte of an inference request to the moment its answer is sent.",
        labels=OF_DEPLOYMENT,
        scale=NANOSECONDS,
    ),
    Metric(
        name="servewell_queue_seconds",
        kind="histogram",
        about="Time that inference requests waited for the model.",
        labels=OF_DEPLOYMENT,
        scale=NANOSECONDS,
    ),
    Metric(
        name="servewell_stage_seconds_total",
        kind="counter",
        about="Time that inference requests spent in each stage; requests of one batch each "
        "count the whole run of the model, those of one turn the whole append to the log.",
        labels=(*OF_DEPLOYMENT, "stage"),
        scale=NANOSECONDS,
    ),
    Metric(
        name="servewell_rows_total", kind="counter", about="Rows predicted.", labels=OF_DEPLOYMENT
    ),
    Metric(
        name="servewell_batches_total",
        kind="counter",
        about="Calls of the model; rows divided by batches is the mean size of a batch.",
        labels=OF_DEPLOYMENT,
    ),
    Metric(
        name="servewell_batch_rows",
        kind="histogram",
        about="Rows in one call of the model.",
        labels=OF_DEPLOYMENT,
    ),
    Metric(
        name="servewell_queue_requests",
        kind="gauge",
        about="Requests that wait for the model of a deployment, looked at once a second.",
        labels=OF_DEPLOYMENT,
    ),
    Metric(
        name="servewell_model_call_seconds",
        kind="gauge",
        about="What a worker has learned of the time of one call of the model: `fixed`, whatever "
        "its rows, and for each `row`.",
        labels=(*OF_DEPLOYMENT, "worker", "part"),
        scale=NANOSECONDS,
    ),
    Metric(
        name="servewell_shadow_offered_total",
        kind="counter",
        about="Copies of live requests that were offered to a shadow deployment.",
        labels=OF_DEPLOYMENT,
    ),
    Metric(
        name=COPIES,
        kind="counter",
        about="What became of them: `answered` or `failed`; or dropped because live requests "
        "waited (`busy`), as many copies waited as may (`full`), the copy waited longer than a "
        "request may (`late`), or its record could not be written (`unrecorded`).",
        labels=(*OF_DEPLOYMENT, "outcome"),
    ),
    Metric(
        name=FEEDBACK,
        kind="counter",
        about="What became of feedback: `taken` or `withdrawn`, once it is on the disk; `refused`; "
        "or `unkept`, where it could not be written.",
        labels=("endpoint", "outcome"),
    ),
    Metric(
        name="servewell_deployment_workers",
        kind="gauge",
        about="Workers that have a version of a deployment loaded.",
        labels=(*OF_DEPLOYMENT, "version"),
        zero_told=False,
    ),
    Metric(
        name="servewell_requests_in_flight",
        kind="gauge",
        about="Requests read and not yet answered, looked at once a second.",
    ),
    Metric(name=CONNECTIONS, kind="gauge", about="Connections of callers that are open."),
    Metric(
        name=CROWDED,
        kind="counter",
        about="Connections that a worker with no room for more closed because they had been "
        "silent longest (`closed`), or turned away because none was silent (`refused`).",
        labels=("outcome",),
    ),
    Metric(
        name="servewell_records_written_total",
        kind="counter",
        about="Prediction records written before their answers were sent.",
    ),
    Metric(
        name="servewell_records_lost_total",
        kind="counter",
        about="Prediction records that could not be written; anything but 0 deserves an alert.",
    ),
    Metric(
        name="servewell_spans_exported_total",
        kind="counter",
        about="Spans that the collector took.",
    ),
    Metric(
        name=SPANS_DROPPED,
        kind="counter",
        about="Spans lost: there were more than are sent in a second (`queue`), the collector was "
        "not there (`sink`) or did not take them (`rejected`), or the worker ended (`exit`).",
        labels=("reason",),
    ),
    Metric(
        name=METRICS_EXPORTED,
        kind="counter",
        about="Exports of all metrics that the collector took.",
    ),
    Metric(
        name=METRICS_DROPPED,
        kind="counter",
        about="Exports of all metrics that were lost: the collector was not there (`sink`) or did "
        "not take them (`rejected`).",
        labels=("reason",),
    ),
    Metric(
        name="servewell_snapshot_version",
        kind="gauge",
        about="Version of the snapshot that a worker serves from.",
        labels=("worker",),
    ),
    Metric(
        name=HEARTBEAT,
        kind="gauge",
        about="When a worker last looked after itself, which it does each second, in seconds "
        "since the epoch; 0 after it was stopped.",
        labels=("worker",),
    ),
    Metric(
        name=CERTIFICATE,
        kind="gauge",
        about="When the certificate that a worker shows, or one that it was signed by, ends, in "
        "seconds since the epoch; not told where plain HTTP is spoken.",
        labels=("worker",),
        zero_told=False,
    ),
    Metric(
        name="servewell_worker_start_timestamp_seconds",
        kind="gauge",
        about="When a worker started, in seconds since the epoch.",
        labels=("worker",),
    ),
    Metric(
        name="servewell_worker_memory_bytes",
        kind="gauge",
        about="Memory that a worker holds, with the processes of its predictors, looked at each "
        "two seconds; 0 after it was stopped.",
        labels=("worker",),
    ),
    Metric(
        name="servewell_worker_starts_total",
        kind="counter",
        about="Starts of worker processes.",
    ),
    Metric(
        name=BUILD,
        kind="gauge",
        about="Always 1; the labels say what answers.",
        labels=("version", "python"),
    ),
    Metric(
        name=OVERFLOW,
        kind="counter",
        about="Counts of series for which a worker has no room left; it has room for some 200 "
        "deployments.",
    ),
    *(Metric(name=one.name, kind="gauge", about=one.about, labels=one.labels) for one in READINGS),
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


class Spoken(Protocol):
    """The protocol of an answer."""

    @property
    def name(self) -> str:
        """What it is called."""
        ...


class Answered(Protocol):
    """One answer, as far as it is counted. Times are in nanoseconds, `..._at` by one clock."""

    @property
    def dialect(self) -> Spoken: ...  # noqa: D102  (what they are is said in `Exchange`)
    @property
    def status(self) -> int: ...  # noqa: D102
    @property
    def opened_at(self) -> int: ...  # noqa: D102
    @property
    def started_at(self) -> int: ...  # noqa: D102
    @property
    def authenticate_ns(self) -> int: ...  # noqa: D102
    @property
    def decode_ns(self) -> int: ...  # noqa: D102
    @property
    def queue_ns(self) -> int: ...  # noqa: D102
    @property
    def infer_ns(self) -> int: ...  # noqa: D102
    @property
    def encode_ns(self) -> int: ...  # noqa: D102


class Histogram:
    """The slots of one histogram of one deployment. A worker counts each value in one bucket."""

    def __init__(
        self,
        counters: Counters,
        name: str,
        labels: dict[str, str],
        *,
        bounds: Sequence[int],
        scale: int = 1,
    ) -> None:
        self.bounds = bounds
        told = [f"{bound / scale}" for bound in bounds] + ["+Inf"]
        self.buckets = [counters.slot(series(f"{name}_bucket", **labels, le=one)) for one in told]
        self.sum = counters.slot(series(f"{name}_sum", **labels))


class DeploymentMeter:
    """Counts what one deployment does."""

    def __init__(self, counters: Counters, endpoint: str, deployment: str) -> None:
        labels = self._labels = {"endpoint": endpoint, "deployment": deployment}
        slot, self._counters, self._values = counters.slot, counters, counters.values
        self._statuses: dict[tuple[str, int], int] = {}  # of protocols that were spoken
        self._times, self._waits = (
            Histogram(counters, name, labels, bounds=TIMES_NS, scale=NANOSECONDS)
            for name in ("servewell_request_seconds", "servewell_queue_seconds")
        )
        self._batch_rows = Histogram(counters, "servewell_batch_rows", labels, bounds=ROWS)
        self._stages = [
            slot(series("servewell_stage_seconds_total", **labels, stage=stage))
            for stage in ALL_STAGES
        ]
        self._rows = slot(series("servewell_rows_total", **labels))
        self._batches = slot(series("servewell_batches_total", **labels))
        self._queue = slot(series("servewell_queue_requests", **labels))
        self._exemplar_due = [0] * (len(TIMES_NS) + 1)
        self._copies: dict[str, int] = {}  # of a shadow

    def copied(self, outcome: str) -> None:
        """Count a copy that was `offered`, or what became of one: see `COPY_OUTCOMES`."""
        if not self._copies:
            slot, labels = self._counters.slot, self._labels
            self._copies["offered"] = slot(series("servewell_shadow_offered_total", **labels))
            for one in COPY_OUTCOMES:
                self._copies[one] = slot(series(COPIES, **labels, outcome=one))
        self._values[self._copies[outcome]] += 1

    def batch(self, rows: int) -> None:
        """Count one call of the model."""
        values, sizes = self._values, self._batch_rows
        values[self._rows] += rows
        values[self._batches] += 1
        values[sizes.buckets[bisect_left(sizes.bounds, rows)]] += 1
        values[sizes.sum] += rows

    def looked_at(self, *, waiting: int, fixed_s: float, row_s: float, worker: str) -> None:
        """Note how many requests wait, and what was learned of the model's time."""
        self._values[self._queue] = waiting
        for part, seconds in (("fixed", fixed_s), ("row", row_s)):
            name = series("servewell_model_call_seconds", **self._labels, worker=worker, part=part)
            self._values[self._counters.slot(name)] = max(int(seconds * NANOSECONDS), 0)

    def queue_left(self) -> None:
        """Note that no requests of it are looked at any more."""
        self._values[self._queue] = 0

    def answered(self, answers: Iterable[Answered], *, now: int, record_ns: int) -> None:
        """Count the answers of one turn, which were sent `now`.

        One long loop, with its sums kept until its end: it is run for each request.
        """
        values = self._values
        times, waits = self._times.buckets, self._waits.buckets
        dialect: Spoken | None = None  # the last one's: a turn's are mostly alike
        status = slot = 0
        total = count = read = authenticate = decode = queue = infer = encode = 0
        for one in answers:
            took, waited = now - one.started_at, one.queue_ns
            spent = one.authenticate_ns
            total += took
            count += 1
            read += one.started_at - one.opened_at - spent
            authenticate += spent
            decode += one.decode_ns
            infer += one.infer_ns
            encode += one.encode_ns
            values[times[bisect_left(TIMES_NS, took)]] += 1
            if waited:
                queue += waited
                values[waits[bisect_left(TIMES_NS, waited)]] += 1
            if one.dialect is not dialect or one.status != status:
                dialect, status = one.dialect, one.status
                slot = self._status(dialect.name, status // 100)
            values[slot] += 1
        values[self._times.sum] += total
        values[self._waits.sum] += queue
        stages = (read, authenticate, decode, queue, infer, encode, count * record_ns)
        for slot, total_ns in zip(self._stages, stages, strict=True):
            if total_ns > 0:  # one that was refused early has read nothing
                values[slot] += total_ns

    def _status(self, protocol: str, own: int) -> int:
        """Return the slot of a protocol and class of status, which are begun together."""
        if (protocol, own) in self._statuses:
            return self._statuses[protocol, own]
        for digit in sorted({2, 4, 5, own}):
            named = {**self._labels, "protocol": protocol, "status": f"{digit}xx"}
            self._statuses[protocol, digit] = self._counters.slot(
                series("servewell_requests_total", **named)
            )
        return self._statuses[protocol, own]

    def exemplify(self, took_ns: int, *, now: int, at: float, ids: tuple[str, str]) -> None:
        """Keep a request as the exemplar of its bucket; `ids` are those of trace and prediction.

        `now` is in nanoseconds, `at` in seconds since the epoch.
        """
        bucket = bisect_left(TIMES_NS, took_ns)
        if now >= self._exemplar_due[bucket]:
            self._exemplar_due[bucket] = now + EXEMPLAR_EVERY_NS
            self._counters.keep(self._times.buckets[bucket], Exemplar(*ids, took_ns, at))


class WorkerMeter:
    """Counts what one worker does."""

    def __init__(self, counters: Counters, worker: int, *, now: float = 0.0) -> None:
        """`now` is in seconds since the epoch."""
        self._counters, self._values = counters, counters.values
        self._certificate = series(CERTIFICATE, worker=str(worker))
        self._memory = counters.slot(series("servewell_worker_memory_bytes", worker=str(worker)))
        self._unauthenticated = counters.slot("servewell_unauthenticated_total")
        self._in_flight = counters.slot("servewell_requests_in_flight")
        self._connections = counters.slot(CONNECTIONS)
        self._crowded = {
            outcome: counters.slot(series(CROWDED, outcome=outcome))
            for outcome in ("closed", "refused")
        }
        self._heartbeat = counters.slot(heartbeat_series(str(worker)))
        self._written = counters.slot("servewell_records_written_total")
        self._lost = counters.slot("servewell_records_lost_total")
        self._snapshot = counters.slot(series("servewell_snapshot_version", worker=str(worker)))
        self._exported = counters.slot("servewell_spans_exported_total")
        self._dropped = {
            reason: counters.slot(series(SPANS_DROPPED, reason=reason))
            for reason in ("queue", "sink", "rejected", "exit")
        }
        self._refused: dict[tuple[str, str], int] = {}
        self._unserved: dict[tuple[str, int], int] = {}
        self._values[self._in_flight] = 0
        self._values[self._connections] = 0
        started = series("servewell_worker_start_timestamp_seconds", worker=str(worker))
        self._values[counters.slot(started)] = int(now)
        self._values[counters.slot("servewell_worker_starts_total")] += 1

    def deployment(self, endpoint: str, deployment: str) -> DeploymentMeter:
        """Return the meter of a deployment."""
        return DeploymentMeter(self._counters, endpoint, deployment)

    def refused(self, endpoint: str, code: str) -> None:
        """Count a refusal; `endpoint` is one that exists, or empty."""
        slot = self._refused.get((endpoint, code))
        if slot is None:
            name = series("servewell_refused_total", endpoint=endpoint, code=code)
            slot = self._refused[endpoint, code] = self._counters.slot(name)
        self._values[slot] += 1

    def unserved(self, endpoint: str, status: int) -> None:
        """Count a refusal that no deployment of the endpoint was chosen for."""
        if (endpoint, status // 100) not in self._unserved:
            for digit in sorted({4, 5, status // 100}):  # both are begun, so that one can rise
                name = series("servewell_unserved_total", endpoint=endpoint, status=f"{digit}xx")
                self._unserved[endpoint, digit] = self._counters.slot(name)
        self._values[self._unserved[endpoint, status // 100]] += 1

    def feedback(self, endpoint: str, outcome: str) -> None:
        """Count what became of feedback of an endpoint that takes it: see `METRICS`."""
        self._values[self._counters.slot(series(FEEDBACK, endpoint=endpoint, outcome=outcome))] += 1

    def unauthenticated(self) -> None:
        """Count a request without a good key."""
        self._values[self._unauthenticated] += 1

    def recorded(self, count: int, *, written: bool) -> None:
        """Count records that were written, or lost."""
        self._values[self._written if written else self._lost] += count

    def serves(self, version: int, deployments: Iterable[tuple[str, str, str]] = ()) -> None:
        """Note the snapshot that is served: endpoint, deployment and version of what is loaded."""
        self._values[self._snapshot] = version
        for slot in self._counters.slots_of("servewell_deployment_workers"):
            self._values[slot] = 0
        for endpoint, deployment, number in deployments:
            name = series(
                "servewell_deployment_workers",
                endpoint=endpoint,
                deployment=deployment,
                version=number,
            )
            self._values[self._counters.slot(name)] = 1

    def connections(self, count: int) -> None:
        """Note how many connections are open."""
        self._values[self._connections] = count

    def crowded(self, outcome: str) -> None:
        """Count a connection that was closed or turned away for want of room."""
        self._values[self._crowded[outcome]] += 1

    def certificate(self, ends_at: float) -> None:
        """Note when the certificate that is shown ends, in seconds since the epoch."""
        self._values[self._counters.slot(self._certificate)] = int(ends_at)

    def memory(self, held: int) -> None:
        """Note how many bytes of memory are held."""
        self._values[self._memory] = held

    def beat(self, *, now: float, in_flight: int) -> None:
        """Note that the worker lives, in seconds since the epoch, and what it has to do."""
        self._values[self._heartbeat] = int(now)
        self._values[self._in_flight] = in_flight

    def spans_exported(self, count: int) -> None:
        """Count spans that the collector took; called by the thread that sends them."""
        self._values[self._exported] += count

    def spans_dropped(self, count: int, reason: str) -> None:
        """Count spans that are lost. Each reason is counted by one thread alone."""
        self._values[self._dropped[reason]] += count


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
