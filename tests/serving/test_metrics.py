"""Metrics: each one documented, in the format, and true over all workers."""

import re
from pathlib import Path

import pytest

from servewell.core.catalog.prediction_record import STAGES
from servewell.serving.counters import OVERFLOW, SLOTS, Counters, read_counters
from servewell.serving.metrics import BUCKETS_US, METRICS, WorkerMeter, exposition, series
from serving.home import Home, flight_model, request

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "metrics.md"
INFER = "/v2/models/flights/infer"
NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
LABEL = rf'{NAME}="(?:[^"\\\n]|\\["\\n])*"'
SAMPLE = re.compile(rf"({NAME})(?:\{{({LABEL}(?:,{LABEL})*)\}})? ([0-9]+(?:\.[0-9]+)?)")
COMMENT = re.compile(rf"# (HELP|TYPE) ({NAME}) (.+)")


def parsed(text: str) -> dict[str, float]:
    """Return the samples of a text, which has to keep to the format 0.0.4 to the letter.

    Source: Prometheus, "Exposition formats", text-based format.
    """
    samples: dict[str, float] = {}
    family, kind = "", ""
    assert text.endswith("\n")
    for line in text.splitlines():
        if comment := COMMENT.fullmatch(line):
            if comment[1] == "HELP":
                family = comment[2]
            else:
                assert comment[2] == family
                kind = comment[3]
                assert kind in ("counter", "gauge", "histogram")
            continue
        sample = SAMPLE.fullmatch(line)
        assert sample, line
        suffixes = ("_bucket", "_sum", "_count") if kind == "histogram" else ("",)
        assert sample[1] in {family + suffix for suffix in suffixes}
        name = line.rpartition(" ")[0]
        assert name not in samples
        samples[name] = float(sample[3])
    return samples


def test_every_metric_is_documented() -> None:
    """The page lists what is served, with its type, and nothing else."""
    rows = re.findall(r"^\| `(\w+)` \| (\w+) \|", PAGE.read_text(), re.MULTILINE)
    assert rows == [(one.name, one.kind) for one in METRICS]


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
            reply = home.send("GET", "/metrics", key=key)
    assert reply.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    found = parsed(reply.body.decode())
    labels = {"endpoint": "flights", "deployment": "blue"}
    expected = {
        series("servewell_requests_total", **labels, status="2xx"): 40,
        series("servewell_requests_total", **labels, status="4xx"): 2,
        series("servewell_refused_total", endpoint="flights", code="SW-312"): 2,
        series("servewell_refused_total", endpoint="", code="SW-304"): 2,
        series("servewell_refused_total", endpoint="", code="SW-306"): 2,
        series("servewell_rows_total", **labels): 120,
        "servewell_unauthenticated_total": 2,
        "servewell_records_written_total": 44,
        "servewell_records_lost_total": 0,
        "servewell_worker_starts_total": 4,
        series("servewell_snapshot_version", worker="0"): 1,
        series("servewell_snapshot_version", worker="1"): 1,
        series("servewell_request_seconds_count", **labels): 42,
        series("servewell_request_seconds_bucket", **labels, le="+Inf"): 42,
    }
    assert {name: found.get(name) for name in expected} == expected
    buckets = [value for name, value in found.items() if "seconds_bucket{" in name]
    assert buckets == sorted(buckets)
    assert len(buckets) == len(BUCKETS_US) + 1
    for stage in STAGES:
        assert found[series("servewell_stage_seconds_total", **labels, stage=stage)] > 0


def test_every_metric_has_its_lines(tmp_path: Path) -> None:
    """A worker that has just started tells every family, with help and type, once."""
    WorkerMeter(Counters(tmp_path / "counters-0"), 0).deployment('a"b\\c\nd', "x")
    text = exposition(tmp_path).decode()
    assert parsed(text)
    assert re.findall(r"^# HELP (\w+)", text, re.MULTILINE) == [one.name for one in METRICS]


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


@pytest.mark.parametrize("name", ["x" * 300, "one too many"])
def test_a_series_without_room_is_counted(tmp_path: Path, name: str) -> None:
    """When the file is full, or a name too long, counting goes on in the overflow."""
    counters = Counters(tmp_path / "counters-0")
    if len(name) < 300:
        for number in range(SLOTS):
            counters.slot(str(number))
    counters.values[counters.slot(name)] += 1
    assert read_counters(tmp_path / "counters-0")[OVERFLOW] == 1
