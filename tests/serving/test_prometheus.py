"""A real Prometheus reads a real worker over TLS, by the configuration and rules that we make."""

import json
import socket
import subprocess
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from flows.prometheus_programs import PROMETHEUS, needs_prometheus
from servewell.adapters.embedded.certificates import FileCertificates
from servewell.adapters.embedded.clock import SystemClock
from servewell.adapters.embedded.monitoring.readings import FileReadings
from servewell.core.catalog.prometheus_rule import document
from servewell.core.catalog.reading import BUDGET_SPENT, DRIFT_VERDICT, WATCHED_AT, Reading
from servewell.core.catalog.tls import TlsFiles
from servewell.core.catalog.workload_objectives import ObjectiveRules
from servewell.core.reliability.objective import objectives_of
from servewell.core.reliability.prometheus_rules import endpoint_groups, home_group
from servewell.core.reliability.prometheus_scrape import ScrapeFiles, scrape_config
from serving.home import Home, flight_model, request
from serving.real_worker import ask, caller, real_worker, trusting
from serving.watched import wait_until


def configured(home: Home, key: str, tls: TlsFiles) -> Path:
    """Write key, rules and configuration; return the file of the configuration."""
    objectives = objectives_of("flights", ObjectiveRules(), latency_ms=100)
    groups = (*endpoint_groups("flights", objectives, latency_ms=100), home_group())
    (home.folder / "key").write_text(key)
    (home.folder / "rules.yml").write_text(json.dumps(document(groups)))
    made = scrape_config(
        f"https://127.0.0.1:{home.port}", tls, ScrapeFiles(key="key", rules="rules.yml")
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
    """It believes the worker, shows a key from a file, records, and fires what control told."""
    key, grant = home.key()
    home.publish(home.deployment("blue", flight_model(2.0)), grants=(grant,))
    made = FileCertificates(home.folder / "tls", clock=SystemClock())
    tls = made.own(())
    made.ensure(tls)
    of = {"endpoint": "flights", "deployment": "blue"}
    spent = {"endpoint": "flights", "objective": "latency"}
    FileReadings(home.folder / "run").tell(
        (
            Reading(name=WATCHED_AT, labels={}, value=SystemClock().now()),
            Reading(name=DRIFT_VERDICT, labels={**of, "verdict": "drift"}, value=1),
            Reading(name=BUDGET_SPENT, labels=spent, value=1),
        )
    )
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    words = [
        f"--config.file={configured(home, key, tls)}",
        f"--storage.tsdb.path={tmp_path / 'prometheus'}",
        f"--web.listen-address=127.0.0.1:{port}",
    ]
    with real_worker(home, tls=tls), (tmp_path / "prometheus.log").open("wb") as log:
        process = subprocess.Popen([PROMETHEUS, *words], stdout=log, stderr=log)
        try:
            wait_until(lambda: asked(port, 'up{job="servewell"} == 1'))
            with caller(home, trusting(tls.authority)) as connection:
                assert ask(connection, key, body=request(3)).status == 200
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
