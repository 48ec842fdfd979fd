"""One dashboard for Grafana, over the metrics of a home as Prometheus reads them."""

from dataclasses import dataclass
from typing import Final

from servewell.core.catalog.reading import (
    ALERTS,
    BUDGET_LEFT,
    DRIFT_PSI,
    DRIFT_VERDICT,
    HEALTH,
    OBJECTIVE,
    PARTS_WAITING,
    QUALITY,
    WATCHED_AT,
)

OF: Final = 'endpoint=~"$endpoint"'
OVER: Final = "$__rate_interval"
SOURCE: Final = {"type": "prometheus", "uid": "${source}"}
ACROSS: Final = 2  # panels beside each other
WIDE, HIGH = 24 // ACROSS, 8
SCHEMA: Final = 39  # of Grafana 11; newer ones read it
KINDS: Final = ("requests", "unserved")  # that reached a deployment, and that reached none


def _callers(of: str, window: str) -> str:
    """Return how many requests came: those that reached a deployment, and those refused before."""
    counted = (f"increase(servewell_{one}_total{{{OF}, {of}}}[{window}])" for one in KINDS)
    return f"sum by (endpoint) ({' or '.join(counted)})"


def _failing(window: str) -> str:
    faults, all_ = _callers('status="5xx"', window), _callers('status!="4xx"', window)
    return f"({faults} or 0 * {all_}) / ({all_} > 0)"


def _later(share: float) -> str:
    counted = f"rate(servewell_request_seconds_bucket{{{OF}}}[{OVER}])"
    return f"histogram_quantile({share}, sum by (le, endpoint) ({counted}))"


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """One plot: what it is called, its unit in Grafana's words, and an expression by legend."""

    title: str
    unit: str
    shown: dict[str, str]


GOAL: Final = f'max by (endpoint) ({OBJECTIVE}{{{OF}, objective="availability"}})'
PANELS: Final = (
    Panel(
        title="Requests",
        unit="reqps",
        shown={
            "{{endpoint}} {{status}}": "sum by (endpoint, status) "
            f"(rate(servewell_requests_total{{{OF}}}[{OVER}]))"
        },
    ),
    Panel(
        title="Refused and failed, by code",
        unit="reqps",
        shown={
            "{{endpoint}} {{code}}": "sum by (endpoint, code) "
            f"(rate(servewell_refused_total{{{OF}}}[{OVER}]))"
        },
    ),
    Panel(
        title="Latency",
        unit="s",
        shown={f"{{{{endpoint}}}} p{one * 100:g}": _later(one) for one in (0.5, 0.95, 0.99)},
    ),
    Panel(title="Faults of ours", unit="percentunit", shown={"{{endpoint}}": _failing("5m")}),
    Panel(
        title="Error budget left",
        unit="percentunit",
        shown={"{{endpoint}} {{objective}}": f"{BUDGET_LEFT}{{{OF}}}"},
    ),
    Panel(
        title="Burn rate of the availability over an hour",
        unit="none",
        shown={"{{endpoint}}": f"{_failing('1h')} / on (endpoint) (1 - {GOAL})"},
    ),
    Panel(
        title="Health",
        unit="none",
        shown={"{{endpoint}} {{state}}": f"{HEALTH}{{{OF}}} == 1"},
    ),
    Panel(
        title="Open alerts",
        unit="none",
        shown={"{{severity}} {{state}}": f"sum by (severity, state) ({ALERTS})"},
    ),
    Panel(
        title="Drift verdict",
        unit="none",
        shown={"{{endpoint}} {{deployment}} {{verdict}}": f"{DRIFT_VERDICT}{{{OF}}} == 1"},
    ),
    Panel(
        title="Columns that moved most (PSI)",
        unit="none",
        shown={"{{endpoint}} {{side}} {{column}}": f"topk(10, {DRIFT_PSI}{{{OF}}})"},
    ),
    Panel(
        title="Quality",
        unit="none",
        shown={"{{endpoint}} {{deployment}} {{metric}} {{kind}}": f"{QUALITY}{{{OF}}}"},
    ),
    Panel(
        title="Requests that wait",
        unit="none",
        shown={"{{endpoint}} {{deployment}}": f"servewell_queue_requests{{{OF}}}"},
    ),
    Panel(
        title="Memory of the workers",
        unit="bytes",
        shown={"worker {{worker}}": "servewell_worker_memory_bytes"},
    ),
    Panel(
        title="Age of what is watched",
        unit="s",
        shown={"{{instance}}": f"time() - {WATCHED_AT}"},
    ),
    Panel(
        title="Records lost, and parts that wait to be counted",
        unit="none",
        shown={
            "lost": f"increase(servewell_records_lost_total[{OVER}])",
            "waiting": PARTS_WAITING,
        },
    ),
)


def dashboard() -> dict[str, object]:
    """Return the dashboard as Grafana reads it; it asks for the data source and the endpoints."""
    return {
        "uid": "servewell",
        "title": "Servewell",
        "tags": ["servewell"],
        "schemaVersion": SCHEMA,
        "refresh": "1m",
        "time": {"from": "now-6h", "to": "now"},
        "templating": {"list": [_source(), _endpoints()]},
        "panels": [_panel(at, one) for at, one in enumerate(PANELS)],
    }


def _source() -> dict[str, object]:
    return {"name": "source", "label": "Prometheus", "type": "datasource", "query": "prometheus"}


def _endpoints() -> dict[str, object]:
    return {
        "name": "endpoint",
        "label": "Endpoint",
        "type": "query",
        "datasource": SOURCE,
        "query": {"query": f"label_values({OBJECTIVE}, endpoint)", "refId": "endpoint"},
        "refresh": 2,  # whenever the time changes
        "multi": True,
        "includeAll": True,
        "allValue": ".*",
        "current": {"text": "All", "value": "$__all"},
    }


def _panel(at: int, one: Panel) -> dict[str, object]:
    return {
        "id": at + 1,
        "type": "timeseries",
        "title": one.title,
        "datasource": SOURCE,
        "gridPos": {"h": HIGH, "w": WIDE, "x": at % ACROSS * WIDE, "y": at // ACROSS * HIGH},
        "fieldConfig": {"defaults": {"unit": one.unit}, "overrides": []},
        "targets": [
            {"refId": chr(ord("A") + place), "expr": expr, "legendFormat": legend}
            for place, (legend, expr) in enumerate(one.shown.items())
        ],
    }
