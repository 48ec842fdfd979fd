"""A real Prometheus reads a real worker, by the configuration and the rules that we make."""

import json
import socket
import subprocess
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from flows.prometheus_programs import PROMETHEUS, needs_prometheus
from servewell.adapters.embedded.clock import SystemClock
from servewell.adapters.embedded.monitoring.readings import FileReadings
from servewell.core.catalog.prometheus_rule import document
from servewell.core.catalog.reading import BUDGET_LEFT, DRIFT_VERDICT, WATCHED_AT, Reading
from servewell.core.catalog.workload_objectives import ObjectiveRules
from servewell.core.reliability.objective import objectives_of
from servewell.core.reliability.prometheus_rules import endpoint_groups, home_group
from servewell.core.reliability.prometheus_scrape import ScrapeFiles, scrape_config
from serving.home import Home, flight_model, request
from serving.watched import wait_until

INFER = "/v2/models/flights/infer"


def configured(home: Home, key: str) -> Path:
    """Write key, rules and configuration; return the file of the configuration."""
    objectives = objectives_of("flights", ObjectiveRules(), latency_ms=100)
    groups = (*endpoint_groups("flights", objectives, latency_ms=100), home_group())
    (home.folder / "key").write_text(key)
    (home.folder / "rules.yml").write_text(json.dumps(document(groups)))
    made = scrape_config(
        f"http://127.0.0.1:{home.port}", None, ScrapeFiles(key="key", rules="rules.yml")
    )
    pace = {"scrape_interval": "200ms", "scrape_timeout": "200ms", "evaluation_interval": "200ms"}
    file = home.folder / "prometheus.yml"
    file.write_text(json.dumps({"global": pace, **made}))
    return file


def asked(port: int, query: str) -> list[dict[str, Any]]:
    """Return what Prometheus answers to a query; nothing while it starts."""
    url = f"http://127.0.0.1:{port}/api/v1/query?query={urllib.request.quote(query)}"  # type: ignore[attr-defined]
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            found: list[dict[str, Any]] = json.load(answer)["data"]["result"]
    except OSError:
        return []
    return found


@needs_prometheus
@pytest.mark.enable_socket
def test_prometheus_scrapes_and_alerts(home: Home, tmp_path: Path) -> None:
    """It reads the metrics with a key from a file, records, and fires what the control told."""
    key, grant = home.key()
    home.publish(home.deployment("blue", flight_model(2.0)), grants=(grant,))
    of = {"endpoint": "flights", "deployment": "blue"}
    spent = {"endpoint": "flights", "objective": "latency"}
    FileReadings(home.folder / "run").tell(
        (
            Reading(name=WATCHED_AT, labels={}, value=SystemClock().now()),
            Reading(name=DRIFT_VERDICT, labels={**of, "verdict": "drift"}, value=1),
            Reading(name=BUDGET_LEFT, labels=spent, value=-0.25),
        )
    )
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    words = [
        f"--config.file={configured(home, key)}",
        f"--storage.tsdb.path={tmp_path / 'prometheus'}",
        f"--web.listen-address=127.0.0.1:{port}",
    ]
    with home.process(), (tmp_path / "prometheus.log").open("wb") as log:
        home.wait_for_snapshot()
        process = subprocess.Popen([PROMETHEUS, *words], stdout=log, stderr=log)
        try:
            wait_until(lambda: asked(port, 'up{job="servewell"} == 1'))
            assert home.send("POST", INFER, key=key, body=request(3)).status == 200
            recorded = "endpoint:servewell_availability_all:increase5m"
            wait_until(lambda: asked(port, f'{recorded}{{endpoint="flights"}}'))
            wait_until(lambda: len(asked(port, 'ALERTS{alertstate="firing"}')) > 1)
            alerts = asked(port, 'ALERTS{alertstate="firing"}')
            [counted] = asked(port, 'servewell_rows_total{endpoint="flights"}')
        finally:
            process.terminate()
            process.wait(30)
    assert {one["metric"]["alertname"] for one in alerts} == {
        "ServewellDrift",
        "ServewellBudgetSpent",
    }
    assert counted["value"][1] == "3"
