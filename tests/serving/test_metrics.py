"""Metrics: each one documented, in both formats, and true over all workers."""

import http.client
import re
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.openmetrics import parser as open_metrics
from prometheus_client.parser import text_string_to_metric_families

from servewell.adapters.embedded.monitoring.readings import FileReadings
from servewell.core.catalog.reading import BUDGET_LEFT, DRIFT_PSI, WATCHED_AT, Reading
from servewell.ports.readings import FILE
from servewell.serving.counters import (
    LENGTH_AT,
    OVERFLOW,
    SLOTS,
    Counters,
    Exemplar,
    read_counters,
    read_series,
)
from servewell.serving.metrics import ALL_STAGES, METRICS, TIMES_NS, WorkerMeter, series
from servewell.serving.telemetry.exposition import exposition, wants_open_metrics
from serving.conftest import Running
from serving.home import Home, Reply, flight_model, request

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "metrics.md"
INFER = "/v2/models/flights/infer"
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
OPEN = "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.2"
FLIGHTS = {"endpoint": "flights"}
LABELS = {**FLIGHTS, "deployment": "blue"}


def parsed(text: str) -> dict[str, float]:
    """Return the samples of a text of either format, as `prometheus_client` reads it."""
    told = text.endswith("# EOF\n")
    read = open_metrics.text_string_to_metric_families if told else text_string_to_metric_families
    samples: dict[str, float] = {}
    for family in read(text):
        assert family.documentation
        for one in family.samples:
            name = series(one.name, **one.labels)
            assert name not in samples
            samples[name] = one.value
    return samples


def scrape(home: Home, key: str, accept: str | None = None) -> Reply:
    """Return `GET /metrics`."""
    headers = {"accept": accept} if accept else {}
    return home.send("GET", "/metrics", key=key, headers=headers)


def test_every_metric_is_documented() -> None:
    """The page lists what is served, with its type, and nothing else."""
    rows = re.findall(r"^\| `(\w+)` \| (\w+) \|", PAGE.read_text(), re.MULTILINE)
    assert rows == [(one.name, one.kind) for one in METRICS]


def test_names_keep_to_the_conventions() -> None:
    """A counter ends in `_total`, nothing else does, and a unit stands at the end of a name."""
    for one in METRICS:
        assert re.fullmatch(r"servewell_[a-z_]+", one.name)
        assert one.name.endswith("_total") == (one.kind == "counter")
        assert one.kind in ("counter", "gauge", "histogram")
        assert one.scale == 1 or one.unit


@pytest.mark.enable_socket
def test_the_workers_are_summed(home: Home) -> None:
    """Whichever worker answers, the numbers are those of all, and they survive a restart."""
    key, grant = home.key()
    home.publish(home.deployment("blue", flight_model(2.0)), grants=(grant,))
    for _ in range(2):
        with home.process(0), home.process(1):
            for index in (0, 1):
                home.wait_for_snapshot(index=index)
            for _ in range(20):
                assert home.send("POST", INFER, key=key, body=request(3)).status == 200
            home.send("POST", INFER, key=key, body=b"{")
            home.send("GET", "/nowhere", key=key)
            home.send("GET", "/v2")
            plain, asked = scrape(home, key), scrape(home, key, OPEN)
    assert plain.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    version = "application/openmetrics-text; version=1.0.0; charset=utf-8"
    assert asked.headers["content-type"] == version
    expected = {
        series("servewell_requests_total", **LABELS, protocol="oip", status="2xx"): 40,
        series("servewell_requests_total", **LABELS, protocol="oip", status="4xx"): 2,
        series("servewell_requests_total", **LABELS, protocol="oip", status="5xx"): 0,
        series("servewell_refused_total", endpoint="flights", code="SW-312"): 2,
        series("servewell_refused_total", endpoint="", code="SW-304"): 2,
        series("servewell_refused_total", endpoint="", code="SW-306"): 2,
        series("servewell_unserved_total", **FLIGHTS, status="5xx"): None,
        series("servewell_rows_total", **LABELS): 120,
        series("servewell_batches_total", **LABELS): 40,
        series("servewell_batch_rows_bucket", **LABELS, le="2.0"): 0,
        series("servewell_batch_rows_bucket", **LABELS, le="4.0"): 40,
        series("servewell_batch_rows_sum", **LABELS): 120,
        series("servewell_deployment_workers", **LABELS, version="1"): 2,
        "servewell_unauthenticated_total": 2,
        "servewell_records_written_total": 44,
        "servewell_records_lost_total": 0,
        "servewell_worker_starts_total": 4,
        series("servewell_snapshot_version", worker="0"): 1,
        series("servewell_snapshot_version", worker="1"): 1,
        series("servewell_queue_seconds_count", **LABELS): 40,
        series("servewell_request_seconds_count", **LABELS): 42,
        series("servewell_request_seconds_bucket", **LABELS, le="+Inf"): 42,
    }
    for found in (parsed(plain.body.decode()), parsed(asked.body.decode())):
        assert {name: found.get(name) for name in expected} == expected
        buckets = [value for name, value in found.items() if "request_seconds_bucket{" in name]
        assert buckets == sorted(buckets)
        assert len(buckets) == len(TIMES_NS) + 1
        assert found[series("servewell_request_seconds_sum", **LABELS)] > 0
        for stage in ALL_STAGES:
            spent = found[series("servewell_stage_seconds_total", **LABELS, stage=stage)]
            assert 0 <= spent < 1, stage
        for worker in "01":
            assert found[series("servewell_worker_start_timestamp_seconds", worker=worker)] > 0


@pytest.mark.enable_socket
def test_an_exemplar_leads_from_a_bucket_to_a_trace(home: Home) -> None:
    """OpenMetrics names, in the bucket of a sampled request, its trace, its id, value and time."""
    key, grant = home.key()
    home.publish(home.deployment("blue", flight_model(2.0)), grants=(grant,))
    with home.process():
        home.wait_for_snapshot()
        parent = {"traceparent": f"00-{TRACE}-00f067aa0ba902b7-01"}
        reply = home.send("POST", INFER, key=key, body=request(), headers=parent)
        text = scrape(home, key, OPEN).body.decode()
        assert "trace_id" not in scrape(home, key).body.decode()
    found = [
        (sample, sample.exemplar)
        for family in open_metrics.text_string_to_metric_families(text)
        for sample in family.samples
        if sample.exemplar
    ]
    [(sample, exemplar)] = found
    identifier = reply.headers["servewell-prediction-id"]
    assert sample.name == "servewell_request_seconds_bucket"
    assert exemplar.labels == {"trace_id": TRACE, "prediction_id": identifier}
    assert 0 < exemplar.value <= float(sample.labels["le"])
    begun = parsed(text)[series("servewell_request_seconds_created", **LABELS)]
    assert exemplar.timestamp
    assert float(exemplar.timestamp) >= begun - 0.001


def looked_at(running: Running) -> dict[str, float]:
    """Return the series, once the worker has looked after itself, which makes the last of them."""
    end = time.monotonic() + 20
    while True:
        found = parsed(scrape(running.home, running.operator).body.decode())
        if any(name.startswith("servewell_model_call_seconds{") for name in found):
            return found
        assert time.monotonic() < end
        time.sleep(0.05)


@pytest.mark.enable_socket
def test_no_caller_makes_a_series(running: Running) -> None:
    """Hostile paths, keys, ids, pins and bodies make no series but one for each error code."""
    running.infer()
    before = looked_at(running)
    for number in range(40):
        evil = f'x{number}"}}\\n{{'
        running.home.send("GET", f"/v2/models/evil-{number}", key=running.operator)
        running.home.send("POST", f"/evil/{number}", key=running.operator, body=b"x")
        running.home.send("GET", "/v2", key=f"sw_{number:011d}_{'x' * 43}")
        running.infer(servewell_deployment=f"evil-{number}", traceparent=evil)
        running.infer({"id": evil, **request(carrier=[evil])}, x_request_id=evil)
        running.home.send("POST", f"{INFER}?evil={number}", key=running.operator, body=b"{")
    after = parsed(scrape(running.home, running.operator).body.decode())
    made = after.keys() - before.keys()
    codes = {name for name in made if "servewell_refused_total" in name}
    unserved = {series("servewell_unserved_total", **FLIGHTS, status=s) for s in ("4xx", "5xx")}
    assert made - unserved == codes
    assert len(codes) <= 6  # as many as there are kinds of requests above
    assert "evil" not in " ".join(after)


@pytest.mark.enable_socket
def test_a_scrape_keeps_its_connection(running: Running) -> None:
    """Prometheus reads both formats on one connection, again and again."""
    connection = http.client.HTTPConnection("127.0.0.1", running.home.port, timeout=20)
    for accept in ("text/plain", OPEN, "*/*", OPEN):
        headers = {"authorization": f"Bearer {running.operator}", "accept": accept}
        connection.request("GET", "/metrics", headers=headers)
        assert parsed(connection.getresponse().read().decode())
    connection.close()


@pytest.mark.parametrize(
    ("accept", "wanted"),
    [
        (b"", False),
        (b"*/*", False),
        (b"text/plain;version=0.0.4", False),
        (OPEN.encode(), True),
        (b"application/openmetrics-text", True),
        (b"Application/OpenMetrics-Text; Version=1.0.0", True),
        (b"application/openmetrics-text;version=0.0.1", False),
        (b"application/openmetrics-text;q=0", False),
        (b"text/plain, application/openmetrics-text ; version=1.0.0 ; charset=utf-8", True),
    ],
)
def test_the_caller_chooses_the_format(accept: bytes, *, wanted: bool) -> None:
    """OpenMetrics is answered to those who ask for the version that is spoken."""
    assert wants_open_metrics(accept) is wanted


@given(st.binary(max_size=60))
def test_any_wish_is_read(accept: bytes) -> None:
    """No `Accept` header makes an error."""
    assert wants_open_metrics(accept) in (True, False)


@pytest.mark.parametrize("asked", [False, True])
def test_every_metric_has_its_lines(tmp_path: Path, *, asked: bool) -> None:
    """A worker that has just started tells every family, with help and type, once."""
    WorkerMeter(Counters(tmp_path / "counters-0"), 0).deployment('a"b\\c\nd', "x")
    text = exposition(tmp_path, open_metrics=asked).decode()
    assert parsed(text)
    names = [one.family if asked else one.name for one in METRICS]
    assert re.findall(r"^# HELP (\w+)", text, re.MULTILINE) == names
    assert text.count("# UNIT ") == (sum(bool(one.unit) for one in METRICS) if asked else 0)


def test_the_longest_names_have_room(tmp_path: Path) -> None:
    """An endpoint and a deployment with names of 63 letters are counted like all others."""
    counters = Counters(tmp_path / "counters-0")
    meter = WorkerMeter(counters, 0)
    meter.deployment("e" * 63, "d" * 63).batch(1)
    meter.serves(1, [("e" * 63, "d" * 63, "9999")])
    assert read_counters(tmp_path / "counters-0")[OVERFLOW] == 0
    assert read_counters(tmp_path / "counters-0")[
        series("servewell_rows_total", endpoint="e" * 63, deployment="d" * 63)
    ]


def test_counters_outlive_their_worker(tmp_path: Path) -> None:
    """The next worker of that index goes on counting in the same slots."""
    path = tmp_path / "counters-0"
    for _ in range(2):
        counters = Counters(path)
        for name in ("a", "b", "a"):
            counters.values[counters.slot(name)] += 1
        counters.close()
    assert read_counters(path) == {OVERFLOW: 0, "a": 4, "b": 2}
    assert read_counters(tmp_path / "counters-1") == {}


def test_an_exemplar_is_whole_or_none(tmp_path: Path) -> None:
    """What is kept is read back; half of it, as a reader may meet it, counts as none."""
    path = tmp_path / "counters-0"
    counters = Counters(path, now=lambda: 7.5)
    slot = counters.slot("a")
    kept = Exemplar(TRACE, "18ea64a26c00390068d6597900000004", 1_234, 1_700_000_000.125)
    assert [one.exemplar for one in read_series(path)] == [None, None]
    counters.keep(slot, kept)
    assert read_series(path)[1] == ("a", 0, 7.5, kept)
    counters.close()
    damaged = bytearray(path.read_bytes())
    damaged[slot * 8 + LENGTH_AT - 10] ^= 1
    path.write_bytes(damaged)
    assert read_series(path)[1].exemplar is None


@pytest.mark.parametrize("name", ["x" * 300, "one too many"])
def test_a_series_without_room_is_counted(tmp_path: Path, name: str) -> None:
    """When the file is full, or a name too long, counting goes on in the overflow."""
    counters = Counters(tmp_path / "counters-0")
    if len(name) < 300:
        for number in range(SLOTS):
            counters.slot(str(number))
    counters.values[counters.slot(name)] += 1
    assert read_counters(tmp_path / "counters-0")[OVERFLOW] == 1


def test_what_the_control_process_tells_is_appended(tmp_path: Path) -> None:
    """Its figures stand as it told them, however many workers; a damaged file hides no others."""
    for index in (0, 1):
        counters = Counters(tmp_path / f"counters-{index}")
        WorkerMeter(counters, index)
        counters.close()
    labels = {"endpoint": "flights", "deployment": "v1", "side": "input", "column": 'd"\\\n'}
    told = (
        Reading(name=WATCHED_AT, labels={}, value=1_700_000_000.25),
        Reading(name=DRIFT_PSI, labels=labels, value=0.125),
        Reading(name=BUDGET_LEFT, labels={"endpoint": "flights", "objective": "a"}, value=-1.5),
        Reading(name="servewell_of_another_release", labels={}, value=1.0),
    )
    FileReadings(tmp_path).tell(told)
    for text in (exposition(tmp_path), exposition(tmp_path, open_metrics=True)):
        found = parsed(text.decode())
        assert found[WATCHED_AT] == 1_700_000_000.25
        assert found[series(DRIFT_PSI, **labels)] == 0.125
        assert found[series(BUDGET_LEFT, endpoint="flights", objective="a")] == -1.5
        assert found["servewell_worker_starts_total"] == 2
        assert "servewell_of_another_release" not in found
    (tmp_path / FILE).write_bytes(b"[{")
    assert parsed(exposition(tmp_path).decode())["servewell_worker_starts_total"] == 2
