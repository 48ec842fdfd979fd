"""The rules that Prometheus is given, as the real `promtool` reads and tries them."""

import json
import re
from pathlib import Path

import pytest
import yaml

from flows.prometheus_programs import fired, needs_promtool, promtool
from servewell.cli.app import run
from servewell.core.catalog.objective import Objective
from servewell.core.catalog.prometheus_rule import PrometheusGroup, PrometheusRule, document
from servewell.core.catalog.tls import Clients, TlsFiles
from servewell.core.catalog.workload_objectives import ObjectiveRules
from servewell.core.reliability.objective import objectives_of
from servewell.core.reliability.prometheus_dashboard import PANELS, dashboard
from servewell.core.reliability.prometheus_rules import endpoint_groups, home_group
from servewell.core.reliability.prometheus_scrape import ScrapeFiles, scrape_config
from servewell.core.reliability.prometheus_traffic import duration
from servewell.flows.platform import Platform
from servewell.wiring import open_platform

LABELS = 'endpoint="flights", deployment="v1", job="servewell", instance="one"'
GOOD = f'servewell_requests_total{{{LABELS}, protocol="oip", status="2xx"}}'
BAD = f'servewell_requests_total{{{LABELS}, protocol="oip", status="5xx"}}'
CALLERS = f'servewell_requests_total{{{LABELS}, protocol="oip", status="4xx"}}'
REFUSED = 'servewell_unserved_total{endpoint="flights", status="5xx", job="servewell"}'
AVAILABILITY_PAGE = "ServewellAvailabilityBurn/page/flights"


def objectives(rules: ObjectiveRules | None = None) -> tuple[Objective, ...]:
    """Return the objectives of `flights`: the defaults, where none are written."""
    return objectives_of("flights", rules or ObjectiveRules(), latency_ms=80)


def groups(rules: ObjectiveRules | None = None) -> tuple[PrometheusGroup, ...]:
    """Return the rules of `flights` and of its home."""
    return (*endpoint_groups("flights", objectives(rules), latency_ms=80), home_group())


@needs_promtool
@pytest.mark.parametrize(
    "rules",
    [
        ObjectiveRules(),
        ObjectiveRules(availability="off", latency="off"),
        ObjectiveRules(availability="80%"),
        ObjectiveRules(period_days=7, availability="99.95%", drift="95%", quality="90%"),
    ],
)
def test_promtool_takes_every_rule(tmp_path: Path, rules: ObjectiveRules) -> None:
    """Whatever the objectives are, the file is one that Prometheus loads, with no rule twice."""
    file = tmp_path / "rules.yml"
    file.write_text(json.dumps(document(groups(rules))))
    done = promtool("check", "rules", "--lint=all", "--lint-fatal", str(file))
    assert done.returncode == 0, done.stdout + done.stderr


@needs_promtool
@pytest.mark.parametrize(
    ("series", "expected"),
    [
        pytest.param({GOOD: "0+60x180", BAD: "0+0x180"}, False, id="all is well"),
        pytest.param({GOOD: "0+60x180", BAD: "0+9x180"}, True, id="13 % fail"),
        pytest.param({GOOD: "0+60x180", REFUSED: "0+9x180"}, True, id="13 % reach no deployment"),
        pytest.param({GOOD: "0+60x180", BAD: "0+2x180"}, False, id="3 % fail: 6.5 times"),
        pytest.param(
            {GOOD: "0+6x180", BAD: "0+1x180", CALLERS: "0+60x180"}, True, id="behind bad requests"
        ),
        pytest.param({GOOD: "0+1x180", BAD: "0+0x150 1 1 1 2 2 2"}, False, id="2 of few fail"),
        pytest.param(
            {GOOD: "0+60x180", BAD: "0+30x90 2700+0x90"}, False, id="it failed an hour ago"
        ),
    ],
)
def test_a_fast_burn_pages(tmp_path: Path, series: dict[str, str], *, expected: bool) -> None:
    """Faults of ours page while they go on; two faults of a quiet endpoint do not."""
    found = fired(tmp_path, document(groups()), series, "155m")
    assert (AVAILABILITY_PAGE in found) == expected


@needs_promtool
def test_late_answers_burn_a_budget_of_their_own(tmp_path: Path) -> None:
    """Answers later than the endpoint's objective, between two bounds of the buckets, page."""
    name = f"servewell_request_seconds_bucket{{{LABELS}"
    series = {
        f'{name}, le="0.05"}}': "0+30x180",
        f'{name}, le="0.1"}}': "0+40x180",
        f'{name}, le="+Inf"}}': "0+60x180",
        f"servewell_request_seconds_count{{{LABELS}}}": "0+60x180",
    }
    expected = {"ServewellLatencyBurn/page/flights", "ServewellLatencyBurn/ticket/flights"}
    assert fired(tmp_path, document(groups()), series, "155m") == expected


@needs_promtool
def test_what_is_watched_alerts(tmp_path: Path) -> None:
    """Drift, worse predictions, a spent budget, a dead worker and a silent control are told."""
    of = 'endpoint="flights", job="servewell", instance="one"'
    home = 'job="servewell", instance="one"'
    series = {
        f'servewell_drift_verdict{{{of}, verdict="drift"}}': "1x30",
        f'servewell_drift_verdict{{{of}, verdict="fine"}}': "0x30",
        f"servewell_quality_worse{{{of}}}": "1x30",
        f'servewell_objective_budget_spent{{{of}, objective="latency"}}': "1x30",
        f'servewell_objective_budget_spent{{{of}, objective="availability"}}': "0x30",
        f'servewell_worker_heartbeat_timestamp_seconds{{{home}, worker="0"}}': "300x30",
        f'servewell_worker_heartbeat_timestamp_seconds{{{home}, worker="1"}}': "0x30",
        f"servewell_watch_timestamp_seconds{{{home}}}": "300x30",
        f"servewell_profile_parts_waiting{{{home}}}": "2x30",
        f'servewell_watch_faults{{{home}, source="drift"}}': "1x30",
        f"servewell_records_lost_total{{{home}}}": "0x20 3x10",
        f'servewell_certificate_expiry_timestamp_seconds{{{home}, worker="0"}}': "90000x30",
        f"up{{{home}}}": "0x30",
    }
    assert fired(tmp_path, document(groups()), series, "25m") == {
        "ServewellDrift/ticket/flights",
        "ServewellQualityWorse/ticket/flights",
        "ServewellBudgetSpent/ticket/flights",
        "ServewellWorkerDown/ticket/",
        "ServewellControlSilent/ticket/",
        "ServewellProfilesLate/ticket/",
        "ServewellBlind/ticket/",
        "ServewellRecordsLost/ticket/",
        "ServewellCertificateEnds/ticket/",
        "ServewellDown/page/",
    }


@needs_promtool
def test_a_control_that_never_told_anything_is_silent_too(tmp_path: Path) -> None:
    """A home that answers and has no figure of its control is told of; one that has is not."""
    silent = 'job="servewell", instance="one"'
    watched = 'job="servewell", instance="two"'
    series = {
        f"up{{{silent}}}": "1x30",
        f"up{{{watched}}}": "1x30",
        f"servewell_watch_timestamp_seconds{{{watched}}}": "0+60x30",
    }
    found = fired(tmp_path, document((home_group(),)), series, "10m")
    assert found == {"ServewellControlSilent/ticket/"}
    del series[f"up{{{silent}}}"]
    assert not fired(tmp_path, document((home_group(),)), series, "10m")


def test_a_latency_beyond_the_buckets_is_left_out_and_said() -> None:
    """A histogram that ends at 5 s would call every answer between that and 8 s late for ever."""
    found = endpoint_groups("flights", objectives(), latency_ms=8_000)
    names = [rule.alert or rule.record for group in found for rule in group.rules]
    assert not [one for one in names if "latency" in one.lower()]
    assert "ServewellAvailabilityBurn" in names
    assert [one.note for one in found if "beyond 5 s" in one.note]
    assert not [one.note for one in groups() if one.note]
    at_the_end = endpoint_groups("flights", objectives(), latency_ms=5_000)
    assert any(rule.alert == "ServewellLatencyBurn" for one in at_the_end for rule in one.rules)


@pytest.mark.parametrize(
    ("seconds", "written"), [(300, "5m"), (3_600, "1h"), (5_040, "84m"), (259_200, "3d")]
)
def test_times_are_written_as_prometheus_reads_them(seconds: int, written: str) -> None:
    """Windows of any period are whole minutes, hours or days."""
    assert duration(seconds) == written


def test_the_scrape_configuration_holds_no_key() -> None:
    """It names files: of the key, of who signed, and of the certificate that has to be shown."""
    tls = TlsFiles(
        certificate="c.pem",
        key="k.pem",
        authority="ca.pem",
        operator="operator.pem",
        clients=Clients.REQUIRED,
    )
    files = ScrapeFiles(key="key", rules="rules.yml")
    made = scrape_config("https://127.0.0.1:8443", tls, files)
    assert made == {
        "rule_files": ["rules.yml"],
        "scrape_configs": [
            {
                "job_name": "servewell",
                "scheme": "https",
                "authorization": {"type": "Bearer", "credentials_file": "key"},
                "static_configs": [{"targets": ["127.0.0.1:8443"]}],
                "tls_config": {
                    "ca_file": "ca.pem",
                    "cert_file": "operator.pem",
                    "key_file": "operator.pem",
                },
            }
        ],
    }
    [job] = scrape_config("http://127.0.0.1:8080", None, files)["scrape_configs"]
    assert "tls_config" not in job


REFERENCE = Path(__file__).parents[2] / "docs" / "reference" / "metrics.md"


def test_the_dashboard_shows_metrics_that_exist() -> None:
    """Every name in it stands in the reference; of a histogram it is that of the buckets."""
    names = set(re.findall(r"servewell_\w+", json.dumps(dashboard())))
    known = set(re.findall(r"^\| `(servewell_\w+)`", REFERENCE.read_text(), re.MULTILINE))
    assert {one.removesuffix("_bucket") for one in names} <= known
    assert len(names) > 12


@needs_promtool
def test_prometheus_reads_every_expression_of_the_dashboard(tmp_path: Path) -> None:
    """With Grafana's own words filled in, each is one that Prometheus takes."""
    exprs = [one for panel in PANELS for one in panel.shown.values()]
    filled = [one.replace("$__rate_interval", "5m").replace("$endpoint", ".*") for one in exprs]
    rules = tuple(
        PrometheusRule(record=f"shown:at:{at}", expr=one) for at, one in enumerate(filled)
    )
    file = tmp_path / "rules.yml"
    file.write_text(json.dumps(document((PrometheusGroup(name="shown", rules=rules),))))
    done = promtool("check", "rules", str(file))
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.usefixtures("endpoint")
def test_the_dashboard_is_written(
    platform: Platform, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """File, screen and JSON are the same; no two panels share a place."""
    home = ["--home", str(tmp_path / "home")]
    assert platform.endpoints.get("flights")
    words, file = ["prometheus", "dashboard"], tmp_path / "dashboard.json"
    assert run(open_platform, [*words, *home]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert run(open_platform, [*words, "--out", str(file), "--json", *home]) == 0
    assert json.loads(capsys.readouterr().out) == json.loads(file.read_text()) == printed
    assert len({json.dumps(one["gridPos"]) for one in printed["panels"]}) == len(PANELS)


@pytest.mark.usefixtures("endpoint")
def test_the_command_writes_what_it_prints(
    platform: Platform, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """File, screen and JSON are the same rules; a file that cannot be written has a code."""
    home = ["--home", str(tmp_path / "home")]
    words, file = ["prometheus", "rules", "flights"], tmp_path / "rules.yml"
    assert platform.endpoints.get("flights")
    assert run(open_platform, [*words, *home]) == 0
    printed = yaml.safe_load(capsys.readouterr().out)
    assert run(open_platform, [*words, "--json", "--out", str(file), *home]) == 0
    assert json.loads(capsys.readouterr().out) == yaml.safe_load(file.read_text()) == printed
    assert [one["name"] for one in printed["groups"]] == [
        "servewell-flights-requests",
        "servewell-flights-burn",
        "servewell-flights-watch",
        "servewell-home",
    ]
    assert run(open_platform, [*words, "--out", str(tmp_path / "no" / "rules.yml"), *home]) != 0
    assert "SW-188" in capsys.readouterr().err
    assert run(open_platform, ["prometheus", "scrape", *home]) != 0
    assert "servewell up" in capsys.readouterr().err
